/*
 * Streams whose every piece waits until somebody says that the last one has arrived, both ways.
 * Counts in statics: one worker only.
 *
 *	GET /pieces           four lines, each once there was a POST /seen for the one before
 *	GET /events           the same as server-sent events, from behind Last-Event-ID on
 *	GET /silent           server-sent events, of which none ever comes; a comment each 20 ms
 *	GET /ended            waits until a client of /silent has gone; what that was told
 *	POST /stream/body     answers how many bytes there were
 *	GET /received/:n      waits until n bytes of that have been read
 */
#include <anygate.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECES 4

static struct ag_cond *changed;
static long seen, received, ended;
static int told;

static int reach(struct ag_request *req, const long *counter, long count)
{
	int error = 0;

	while (!error && *counter < count)
		error = ag_cond_wait(req, changed, AG_FOREVER);
	return error;
}

static int see(struct ag_request *req)
{
	seen++;
	ag_cond_notify_all(changed);
	ag_puts(req, "seen\n");
	return 200;
}

static int pieces(struct ag_request *req)
{
	long before = seen;

	ag_set_header(req, "X-Accel-Buffering", "no");
	for (int i = 1; i <= PIECES; i++) {
		ag_printf(req, "piece %d\n", i);
		if (ag_flush(req) || reach(req, &seen, before + i))
			return 500;
	}
	return 200;
}

static int events(struct ag_request *req)
{
	const char *last = ag_sse_last_id(req);
	int i = last ? (int)strtol(last, NULL, 10) : 0;
	char id[12];

	ag_sse_begin(req, &(struct ag_sse_options){ .retry = 10 });
	for (long before = seen - i; i < PIECES;) {
		snprintf(id, sizeof id, "%d", ++i);
		if (ag_sse_printf(req, "piece", id, "piece %d", i) || reach(req, &seen, before + i))
			return 500;
	}
	return 200;
}

static int silent(struct ag_request *req)
{
	ag_sse_begin(req, &(struct ag_sse_options){ .keep_alive = 20 });
	told = ag_sleep(req, AG_FOREVER);
	ended++;
	ag_cond_notify_all(changed);
	return 200;
}

static int end(struct ag_request *req)
{
	if (reach(req, &ended, 1))
		return 500;
	ended = 0;
	ag_printf(req, "%d", told);
	return 200;
}

static int take_body(struct ag_request *req)
{
	char piece[4096];
	ssize_t size;

	received = 0;
	while ((size = ag_read(req, piece, sizeof piece)) > 0) {
		received += size;
		ag_cond_notify_all(changed);
	}
	ag_printf(req, "%ld", received);
	return size < 0 ? 400 : 200;
}

static int await_received(struct ag_request *req)
{
	if (reach(req, &received, strtol(ag_param(req, "n"), NULL, 10)))
		return 500;
	ag_puts(req, "received\n");
	return 200;
}

static int give_back(struct ag_request *req, void *argument)
{
	(void)req;
	(void)argument;
	ag_cond_free(changed);
	return 0;
}

AG_APP(app)
{
	changed = ag_cond_new();
	ag_on_stop(app, give_back, NULL);
	ag_post(app, "/seen", see);
	ag_get(app, "/pieces", pieces);
	ag_get(app, "/events", events);
	ag_get(app, "/silent", silent);
	ag_get(app, "/ended", end);
	ag_post(app, "/stream/body", take_body);
	ag_get(app, "/received/:n", await_received);
}
