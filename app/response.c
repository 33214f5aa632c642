#include "response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy.h"
#include "web/websocket.h"

/* Bytes of body given to the gate in one piece. */
#define PIECE 32768

/* ---- the body ---- */

/* Bytes that will not be sent because there must be no body count all the same. */
static bool is_silent(const struct ag_request *req)
{
	return req->is_head || response_has_no_body(req->status);
}

/*
 * nginx stops sending the body as soon as it sees an answer begin, so one that begins before its
 * handler has returned waits until all of the body is here, in memory or on disk.
 */
int response_await_body(struct ag_request *req)
{
	while (!req->body_ended && !req->body_error) {
		int answer = request_wait(req, WAITING_END);

		if (answer < 0)
			return answer;
	}
	return req->body_error;
}

/* Gives a piece to the gate, the head before it where it is the first; waits while it is slow. */
static int send_piece(
        struct ag_request *req, const void *data, size_t size, bool end, int64_t length)
{
	struct head head;
	bool first = !req->head_sent;

	if (req->broken)
		return AG_GONE;
	if (first && !end && !req->upgraded) {
		int error = response_await_body(req);

		if (error)
			return error;
	}
	if (first)
		response_build_head(req, &head, length);
	if (is_silent(req))
		size = 0; /* written before the status was known */
	req->head_sent = true;
	int answer = req->gate->send(req, first ? &head : NULL, data, size, end);

	if (answer < 0)
		return AG_GONE;
	return answer > 0 && !end ? request_wait(req, WAITING_ROOM) : 0;
}

static int send_buffer(struct ag_request *req)
{
	size_t size = req->buffered;

	req->buffered = 0;
	return send_piece(req, req->buffer, size, false, req->announced);
}

/* Not inlined: most answers fit into the buffer. */
static __attribute__((noinline)) int send_through(
        struct ag_request *req, const char *data, size_t size)
{
	int error = req->buffered || !req->head_sent ? send_buffer(req) : 0;

	while (!error && size > 0) {
		size_t piece = size < PIECE ? size : PIECE;

		error = send_piece(req, data, piece, false, -1);
		data += piece;
		size -= piece;
	}
	return error;
}

static bool buffer_get(struct ag_request *req)
{
	if (!req->buffer)
		req->buffer = block_get(&req->runtime->buffers, REQUEST_BUFFER);
	return req->buffer;
}

int ag_write(struct ag_request *req, const void *data, size_t size)
{
	if (req->ended || req->broken)
		return AG_GONE;
	if (req->writer)
		return AG_INVALID;
	if (req->announced >= 0 && size > (uint64_t)req->announced - req->body_sent)
		return AG_INVALID;
	req->body_sent += size;
	if (is_silent(req) || !size)
		return 0;
	if (req->buffered + size > REQUEST_BUFFER)
		return send_through(req, data, size);
	if (!buffer_get(req))
		return AG_NOMEM;
	copy_short(req->buffer + req->buffered, data, size);
	req->buffered += size;
	return 0;
}

int ag_flush(struct ag_request *req)
{
	if (req->ended || req->broken)
		return AG_GONE;
	if (req->writer)
		return AG_INVALID;
	int error = req->buffered || !req->head_sent ? send_buffer(req) : 0;

	if (!error)
		response_release(req); /* sent, so its block is free for others while this waits */
	return error;
}

int ag_puts(struct ag_request *req, const char *text)
{
	return ag_write(req, text, strlen(text));
}

int ag_vprintf(struct ag_request *req, const char *format, va_list arguments)
{
	char small[512];
	va_list again;

	va_copy(again, arguments);
	int length = vsnprintf(small, sizeof(small), format, arguments);
	int answer = AG_INVALID;

	if (length >= 0 && (size_t)length < sizeof(small)) {
		answer = ag_write(req, small, (size_t)length);
	} else if (length >= 0) {
		char *large = malloc((size_t)length + 1);

		answer = AG_NOMEM;
		if (large) {
			vsnprintf(large, (size_t)length + 1, format, again);
			answer = ag_write(req, large, (size_t)length);
		}
		free(large);
	}
	va_end(again);
	return answer;
}

int ag_printf(struct ag_request *req, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int answer = ag_vprintf(req, format, arguments);

	va_end(arguments);
	return answer;
}

void ag_log(struct ag_request *req, const char *format, ...)
{
	char line[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	req->gate->log(req, line);
}

/* ---- the end ---- */

/* Forgets what the handler said: its answer can't be given. */
static void replace_answer(struct ag_request *req, int status)
{
	req->status = status;
	req->fields_length = 0;
	req->buffered = 0;
	req->body_sent = 0;
	req->announced = -1;
	req->has_type = false;
}

static void write_error_page(struct ag_request *req)
{
	char page[128];
	size_t length = response_error_page(req->status, page, sizeof(page));

	ag_write(req, page, length);
	if (req->refused == 503)
		ag_puts(req, "Too many others ask at the moment. Please try again in a second.\n");
}

/* Sets the status of an answer of which nothing was sent. */
static void settle(struct ag_request *req, int status)
{
	if (req->refused) {
		replace_answer(req, req->refused);
		if (req->refused == 503)
			ag_add_header(req, "Retry-After", "1");
	} else if (status < 200 || status > 599) {
		ag_log(req, "the handler returned %d, which is no status; answered 500", status);
		replace_answer(req, 500);
	} else if (req->announced >= 0 && req->body_sent != (uint64_t)req->announced &&
	           !req->is_head && !response_has_no_body(status)) {
		ag_log(req, "the handler announced %lld bytes and wrote %llu; answered 500",
		        (long long)req->announced, (unsigned long long)req->body_sent);
		replace_answer(req, 500);
	} else {
		req->status = status;
	}
	if (req->status >= 400 && !req->body_sent && !req->has_type)
		write_error_page(req);
}

/* All of it goes in one piece. */
static inline void end_whole(struct ag_request *req, int status)
{
	struct head head;

	settle(req, status);
	if (req->broken)
		return;
	response_build_head(req, &head,
	        req->is_head && req->announced >= 0 ? req->announced : (int64_t)req->body_sent);
	req->head_sent = true;
	if (req->gate->send(req, &head, req->buffer, head.bodiless ? 0 : req->buffered, true) < 0)
		req->broken = true;
}

static void end_stream(struct ag_request *req, int status)
{
	bool lacks = req->announced >= 0 && !is_silent(req) &&
	             req->body_sent < (uint64_t)req->announced;

	if (req->broken)
		return; /* nobody takes the rest */
	req->cut_short = !req->upgraded && (lacks || req->refused || status < 0);
	if (send_piece(req, req->buffer, req->buffered, true, -1) < 0)
		req->broken = true;
}

inline void response_finish(struct ag_request *req, int status)
{
	if (req->expired && !req->refused)
		req->refused = 504;
	if (req->websocket)
		websocket_end(req->websocket);
	if (req->head_sent)
		end_stream(req, status);
	else
		end_whole(req, status);
	req->buffered = 0;
	req->ended = true;
	response_release(req);
}

void response_release(struct ag_request *req)
{
	if (req->buffer)
		block_put(&req->runtime->buffers, req->buffer);
	req->buffer = NULL;
}
