/* Escaped text, written to whatever takes it: the core of ag_json and ag_html. */
#ifndef APP_TEXT_H
#define APP_TEXT_H

#include <stddef.h>

/* Takes a piece of text; 0 to go on, anything else ends the writing and is what it returns. */
typedef int text_sink(void *to, const void *data, size_t size);

/*
 * A JSON string with its quotes (RFC 8259 7). Valid UTF-8 (RFC 3629) passes, each byte that is not
 * becomes \u00XX. "<" becomes \u003c, so that the text may stand in a script element.
 */
int text_json(text_sink *sink, void *to, const char *text, size_t size);

/*
 * The length of the UTF-8 sequence (RFC 3629) at the start of `left` bytes, at least one, the first
 * of which is not ASCII; 0: they begin with none.
 */
size_t text_utf8_length(const unsigned char *at, size_t left);

/* Text for HTML and for quoted attributes: & < > " ' replaced. */
int text_html(text_sink *sink, void *to, const char *text, size_t size);

#endif
