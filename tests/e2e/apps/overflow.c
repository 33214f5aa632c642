/* A handler that recurs without end, next to one that works. */
#include <anygate.h>
#include <string.h>

/* Touches its frame behind the call, so that it is no loop. */
static unsigned recur(struct ag_request *req, unsigned depth)
{
	volatile char frame[512];

	memset((char *)frame, (int)depth, sizeof frame);
	if (ag_aborted(req) && depth > 1000)
		return 0;
	return recur(req, depth + 1) + (unsigned char)frame[depth % sizeof frame];
}

static int overflow(struct ag_request *req)
{
	ag_printf(req, "%u\n", recur(req, 1));
	return 200;
}

static int fine(struct ag_request *req)
{
	ag_puts(req, "fine\n");
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/overflow", overflow);
	ag_get(app, "/", fine);
}
