/*
 * What a line of the access log is made of: combined, json, or text with {fields} in it, parsed
 * once. A field without a value is "-", or null in JSON.
 */
#ifndef DAEMON_LOG_TEMPLATE_H
#define DAEMON_LOG_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../app/request.h"
#include "../protocols/scan.h"

struct log_template;

/* What a line tells besides what the request holds. */
struct log_entry {
	struct ag_request *req;
	const char *peer; /* the address where REMOTE_ADDR is not known; NULL: no address */
	uint64_t now;     /* us: request_clock() */
};

/* Of a request whose client went away before an answer to it began. No answer has this status. */
#define LOG_STATUS_NONE 499

/* A handler that learns that its client has gone answers with some error or other. */
static inline int log_status(const struct ag_request *req)
{
	bool gone = !req->head_sent || (req->gone && req->status >= 500);

	return gone ? LOG_STATUS_NONE : req->status;
}

/* NULL, with what is wrong and the nearest spelling in `error`. */
struct log_template *log_template_new(const char *format, char *error, size_t size);
void log_template_free(struct log_template *log_template);

/* Whether a field tells a time that only runtime->timed provides. */
bool log_template_is_timed(const struct log_template *log_template);

/*
 * Writes the line without a line feed. Of each value at most `most` bytes are told, "..." behind
 * them where there are more.
 */
void log_template_write(const struct log_template *log_template, const struct log_entry *entry,
        size_t most, struct writer *out);

#endif
