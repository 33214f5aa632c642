/*
 * /hold?file=PATH&ms=N keeps the thread until there is such a file, and then for N ms more: what
 * came before the file has waited for so long. Anything else is answered at once.
 */
#define _GNU_SOURCE
#include <anygate.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int hold(struct ag_request *req)
{
	const char *file = ag_arg(req, "file", "");
	long ms = atol(ag_arg(req, "ms", "0"));
	const struct timespec soon = { 0, 1000000 }, then = { ms / 1000, ms % 1000 * 1000000 };

	while (access(file, F_OK) < 0)
		nanosleep(&soon, NULL);
	nanosleep(&then, NULL);
	return 200;
}

static int ok(struct ag_request *req)
{
	ag_puts(req, "ok\n");
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/hold", hold);
	ag_get(app, "/", ok);
	ag_post(app, "/", ok);
}
