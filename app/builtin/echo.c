/*
 * Sends the body back as it comes, with its type, and its length where that is known; a WebSocket's
 * messages too, one by one.
 */
#include "builtin.h"

#include <inttypes.h>
#include <stdio.h>

/* Bytes on the task's stack: a waiting task should have touched little of it; and of memory, for
 * long bodies. */
#define PIECE 4096
#define LARGE 32768

static void echo_head(struct ag_request *req)
{
	const char *type = ag_env(req, "CONTENT_TYPE");
	char length[24];

	if (!type || !*type || ag_set_header(req, "Content-Type", type) < 0)
		ag_set_header(req, "Content-Type", "application/octet-stream");
	if (ag_length(req) >= 0) {
		snprintf(length, sizeof length, "%" PRId64, ag_length(req));
		ag_set_header(req, "Content-Length", length);
	}
}

static int echo_messages(struct ag_request *req)
{
	struct ag_ws *ws = ag_ws_accept(req, NULL);
	struct ag_ws_message message;

	while (ag_ws_recv(ws, &message) == 0)
		ag_ws_send(ws, message.kind, message.data, message.length);
	return ag_ws_status(req);
}

static int echo_body(struct ag_request *req)
{
	bool is_small = ag_length(req) >= 0 && ag_length(req) <= PIECE;
	char small[PIECE], *large = is_small ? NULL : ag_alloc(req, LARGE);
	char *piece = large ? large : small;
	size_t room = large ? LARGE : PIECE;
	ssize_t size = ag_read(req, piece, room);

	if (size < 0)
		return 400; /* nothing is promised yet: a refused body gets a page of its own */
	echo_head(req);
	while (size > 0 && ag_write(req, piece, (size_t)size) == 0)
		size = ag_read(req, piece, room);
	return size < 0 ? 400 : 200;
}

static int echo(struct ag_request *req)
{
	return ag_ws_wanted(req) ? echo_messages(req) : echo_body(req);
}

void builtin_echo(struct ag_app *app)
{
	ag_route(app, NULL, "/*path", echo);
}
