/*
 * Text of others on its way into a log: whatever it holds, it stays on its line, inside its quotes,
 * and moves no terminal. What does not fit is left out from there on, and the writer says so.
 */
#ifndef DAEMON_LOG_ESCAPE_H
#define DAEMON_LOG_ESCAPE_H

#include "../protocols/scan.h"

/* For fields: all that is not printable ASCII, the quote and the backslash become \xHH. */
void log_escape_field(struct writer *out, const char *text, size_t length);

/* For fields that stand between blanks: these are escaped too. */
void log_escape_word(struct writer *out, const char *text, size_t length);

/* For whole messages: control bytes, DEL, U+0080 to U+009F and what is not UTF-8 become \xHH. */
void log_escape_line(struct writer *out, const char *text, size_t length);

/* The inside of a JSON string (RFC 8259 7): UTF-8 passes but for the above, which become \u00XX; so
 * does each byte that is not UTF-8. */
void log_escape_json(struct writer *out, const char *text, size_t length);

#endif
