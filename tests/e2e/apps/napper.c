/* Sleeps for ?ms= milliseconds, however many; /read then counts the body, /rest meanwhile. */
#include <anygate.h>
#include <stdlib.h>

static int nap(struct ag_request *req)
{
	if (ag_sleep(req, (unsigned)atoi(ag_arg(req, "ms", "0"))) < 0)
		return 500;
	ag_puts(req, "awake\n");
	return 200;
}

static int nap_and_read(struct ag_request *req)
{
	char piece[4096];
	long total = 0;
	ssize_t size;

	ag_sleep(req, (unsigned)atoi(ag_arg(req, "ms", "0")));
	while ((size = ag_read(req, piece, sizeof piece)) > 0)
		total += size;
	ag_printf(req, "%ld\n", total);
	return size < 0 ? 400 : 200;
}

/* Rests after each piece. */
static int rest_and_read(struct ag_request *req)
{
	char piece[4096];
	long total = 0;
	ssize_t size;

	while ((size = ag_read(req, piece, sizeof piece)) > 0) {
		total += size;
		ag_sleep(req, (unsigned)atoi(ag_arg(req, "ms", "0")));
	}
	ag_printf(req, "%ld\n", total);
	return size < 0 ? 400 : 200;
}

AG_APP(app)
{
	ag_get(app, "/", nap);
	ag_post(app, "/read", nap_and_read);
	ag_post(app, "/rest", rest_and_read);
}
