/* What the gateway's log gets, and how waits end: ag_log before, in and behind answers. */
#include <anygate.h>
#include <stdlib.h>
#include <string.h>

/* ?line= as it is, then the answer; once the body is complete. */
static int one_line(struct ag_request *req)
{
	char piece[64];

	while (ag_read(req, piece, sizeof piece) > 0)
		;
	ag_log(req, "%s", ag_arg(req, "line", ""));
	ag_puts(req, "logged\n");
	return 200;
}

/* Lines around the pieces of a streamed answer. */
static int between(struct ag_request *req)
{
	ag_log(req, "before");
	ag_puts(req, "one ");
	ag_flush(req);
	ag_log(req, "between");
	ag_puts(req, "two\n");
	ag_flush(req);
	ag_log(req, "behind");
	return 200;
}

/* As many lines as asked for, each of 1000 bytes. */
static int many(struct ag_request *req)
{
	char line[1001];

	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	for (int left = atoi(ag_arg(req, "count", "0")); left > 0; left--)
		ag_log(req, "%s", line);
	return 204;
}

static void tell(struct ag_request *req, const char *what, long answer)
{
	ag_log(req, "%s: %ld, aborted %d, then %d", what, answer, ag_aborted(req),
	        ag_sleep(req, 1));
}

static int sleeps(struct ag_request *req)
{
	ag_log(req, "sleeps");
	tell(req, "sleep", ag_sleep(req, 3600000));
	return 200;
}

static int reads(struct ag_request *req)
{
	char byte;

	ag_log(req, "reads");
	tell(req, "read", ag_read(req, &byte, 1));
	return 200;
}

/* Waits for the end of the body, then for room; its answer is never complete. */
static int writes(struct ag_request *req)
{
	static const char zeros[65536];
	int answer;

	ag_set_header(req, "Content-Length", "100000000000");
	ag_log(req, "writes");
	while ((answer = ag_write(req, zeros, sizeof zeros)) == 0)
		;
	tell(req, "write", answer);
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/line", one_line);
	ag_get(app, "/between", between);
	ag_get(app, "/many", many);
	ag_route(app, NULL, "/sleep", sleeps);
	ag_route(app, NULL, "/read", reads);
	ag_route(app, NULL, "/write", writes);
}
