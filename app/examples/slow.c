/*
 * Waiting without blocking: while one request sleeps, the worker serves the others. Start it with
 * one worker and ask it many times at once.
 *
 *	cc -shared -fPIC slow.c -o slow.so
 *	anygate -w 1 -l http=127.0.0.1:8080 ./slow.so
 *	curl 'http://127.0.0.1:8080/?ms=500'
 */
#include <anygate.h>
#include <stdlib.h>

#define LONGEST_MS 10000

static int slow(struct ag_request *req)
{
	const char *text = ag_arg(req, "ms", "1000");
	char *end;
	long ms = strtol(text, &end, 10);

	if (end == text || *end || ms < 0 || ms > LONGEST_MS) {
		ag_printf(req, "ms is a number from 0 to %d\n", LONGEST_MS);
		return 400;
	}
	if (ag_sleep(req, (unsigned)ms) < 0)
		return 500; /* the client went away: nobody reads the status */
	ag_printf(req, "slept %ld ms\n", ms);
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/", slow);
}
