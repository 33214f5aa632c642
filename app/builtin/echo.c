/* Sends the body back as it comes, with its type, and its length where that is known. */
#include "builtin.h"

#include <inttypes.h>
#include <stdio.h>

/* Bytes on the task's stack: a waiting task should have touched little of it. */
#define PIECE 4096

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

static int echo(struct ag_request *req)
{
	char piece[PIECE];
	ssize_t size = ag_read(req, piece, sizeof piece);

	if (size < 0)
		return 400; /* nothing is promised yet: a refused body gets a page of its own */
	echo_head(req);
	while (size > 0 && ag_write(req, piece, (size_t)size) == 0)
		size = ag_read(req, piece, sizeof piece);
	return size < 0 ? 400 : 200;
}

void builtin_echo(struct ag_app *app)
{
	ag_route(app, NULL, "/*path", echo);
}
