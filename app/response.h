/* The answer's text: header fields, status reasons, error pages. */
#ifndef APP_RESPONSE_H
#define APP_RESPONSE_H

#include "request.h"

/* Most bytes of header fields: old gateways give up above. */
#define RESPONSE_FIELDS_MAX 32768

/*
 * Ends the answer: sends what is buffered, with the head where it has not been sent. `status` is
 * the handler's. Called once, in the task.
 */
void response_finish(struct ag_request *req, int status);

/*
 * Suspends until all of the body is here, in memory or on disk, where ag_read finds it. Returns 0,
 * AG_GONE, or what the body failed with.
 */
int response_await_body(struct ag_request *req);

/* A body of these statuses there is not (RFC 9110 15.3.5, 15.4.5). */
static inline bool response_has_no_body(int status)
{
	return status == 204 || status == 304;
}

/* What is to be sent before the body, of `length` bytes (-1: not known). */
void response_build_head(struct ag_request *req, struct head *head, int64_t length);

/* Adds a header field as it is: 0 or AG_NOMEM. */
int response_append(struct ag_request *req, const char *name, const char *value);

/* Gives back what the answer holds. */
void response_release(struct ag_request *req);

/*
 * The page for a status with nothing written, as text/plain; NUL-terminated, at most `size` bytes.
 * Returns its length.
 */
size_t response_error_page(int status, char *page, size_t size);

#endif
