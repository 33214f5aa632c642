/* Server-sent events (WHATWG HTML 9.2.5 and 9.2.6): text/event-stream, written line by line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../async/async.h"
#include "../request.h"

/* What the standard advises (9.2.7), and well below what gateways wait for. */
#define KEEP_ALIVE 15000

struct sse {
	unsigned keep_alive; /* ms */
	bool sending;        /* a task is in the middle of an event */
	int error;           /* an event was not sent whole: what calls say from now on, or 0 */
};

/* ---- what goes out by itself ---- */

/*
 * Nothing was sent for a while. Runs outside of the request's tasks, so it must not wait: a client
 * that is behind gets nothing more, and is ended by limits.write_timeout.
 */
static void keep_alive(struct ag_request *req)
{
	static const char comment[] = ":\n";
	size_t size = sizeof(comment) - 1;

	if (req->ended || req->broken || req->sse->sending || req->writer || req->buffered)
		return;
	req->body_sent += size;
	req->gate->send(req, NULL, comment, size, false);
	req->gate->waits(req);
}

static int restart(struct ag_request *req)
{
	unsigned ms = req->sse->keep_alive;

	return ms == AG_FOREVER ? 0 : async_tick(req, ms, keep_alive);
}

/* ---- lines ---- */

/* "name: value" as one line; the client takes one blank off. */
static int put_field(struct ag_request *req, const char *name, const char *value, size_t length)
{
	int error = ag_puts(req, name);

	if (!error)
		error = ag_write(req, ": ", 2);
	if (!error)
		error = ag_write(req, value, length);
	return error ? error : ag_write(req, "\n", 1);
}

/* As many lines as the text has. */
static int put_lines(struct ag_request *req, const char *name, const char *text)
{
	for (;;) {
		size_t length = strcspn(text, "\r\n");
		int error = put_field(req, name, text, length);

		text += length;
		if (error || !*text)
			return error;
		text += text[0] == '\r' && text[1] == '\n' ? 2 : 1;
	}
}

static int put_event(struct ag_request *req, const char *event, const char *id, const char *data)
{
	int error = event ? put_field(req, "event", event, strlen(event)) : 0;

	if (!error && id)
		error = put_field(req, "id", id, strlen(id));
	if (!error && data)
		error = put_lines(req, "data", data);
	return error ? error : ag_write(req, "\n", 1);
}

/* ---- sending ---- */

/* Nothing may have been written where this says something else than 0. */
static int send_begin(const struct ag_request *req)
{
	if (!req->sse || req->sse->sending || req->writer)
		return AG_INVALID;
	if (req->sse->error)
		return req->sse->error;
	int error = request_check(req); /* a client that has gone may still take what is sent */

	if (!error)
		req->sse->sending = true;
	return error;
}

static int send_end(struct ag_request *req, int error)
{
	if (!error)
		error = ag_flush(req);
	if (!error)
		error = restart(req);
	req->sse->error = error;
	req->sse->sending = false;
	return error;
}

static bool is_line(const char *text)
{
	return !text || !text[strcspn(text, "\r\n")];
}

int ag_sse_send(struct ag_request *req, const char *event, const char *id, const char *data)
{
	if (!is_line(event) || !is_line(id))
		return AG_INVALID;
	int error = send_begin(req);

	return error ? error : send_end(req, put_event(req, event, id, data));
}

int ag_sse_printf(
        struct ag_request *req, const char *event, const char *id, const char *format, ...)
{
	va_list arguments;
	char *data;

	va_start(arguments, format);
	int length = vasprintf(&data, format, arguments);

	va_end(arguments);
	if (length < 0)
		return AG_NOMEM;
	int error = ag_sse_send(req, event, id, data);

	free(data);
	return error;
}

int ag_sse_comment(struct ag_request *req, const char *text)
{
	int error = send_begin(req);

	return error ? error : send_end(req, put_lines(req, "", text));
}

/* ---- the stream ---- */

static int set_fields(struct ag_request *req)
{
	int error = ag_set_header(req, "Content-Type", "text/event-stream");

	if (!error)
		error = ag_set_header(req, "Cache-Control", "no-cache");
	return error ? error : ag_set_header(req, "X-Accel-Buffering", "no");
}

int ag_sse_begin(struct ag_request *req, const struct ag_sse_options *options)
{
	static const struct ag_sse_options usual;
	char retry[24];

	if (req->head_sent || req->body_sent || req->sse || req->websocket || req->ended)
		return AG_INVALID;
	struct sse *sse = ag_alloc(req, sizeof(*sse));
	int error = sse ? set_fields(req) : AG_NOMEM;

	if (error)
		return error;
	if (req->is_head || req->status == 204 || req->status == 304)
		return AG_GONE;
	if (!options)
		options = &usual;
	*sse = (struct sse){ .keep_alive = options->keep_alive ? options->keep_alive : KEEP_ALIVE,
		.sending = true };
	req->sse = sse;
	req->announced = -1;
	snprintf(retry, sizeof(retry), "retry: %u\n\n", options->retry);
	return send_end(req, options->retry ? ag_puts(req, retry) : 0);
}

const char *ag_sse_last_id(const struct ag_request *req)
{
	const char *id = ag_env(req, "HTTP_LAST_EVENT_ID");

	return id && *id ? id : NULL;
}
