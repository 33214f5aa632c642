/*
 * A long answer in constant memory: it is made piece by piece, and ag_write waits whenever the
 * client is slower than we are. Its length is set first, so clients can show how far they are.
 *
 *	cc -shared -fPIC download.c -o download.so
 *	anygate -l http=127.0.0.1:8080 ./download.so
 *	curl -o /dev/null 'http://127.0.0.1:8080/1000'
 */
#include <anygate.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE   65536
#define LARGEST 10240 /* MiB */

/* All requests send the same bytes, so they may share them. */
static const char piece[PIECE];

static int download(struct ag_request *req)
{
	char *end, length[24];
	long mebibytes = strtol(ag_param(req, "mebibytes"), &end, 10);

	if (*end || mebibytes < 1 || mebibytes > LARGEST)
		return 404;

	long long left = mebibytes * 1048576LL;

	snprintf(length, sizeof length, "%lld", left);
	ag_set_header(req, "Content-Type", "application/octet-stream");
	ag_set_header(req, "Content-Length", length);
	for (; left > 0; left -= PIECE)
		if (ag_write(req, piece, PIECE) < 0)
			break; /* the client went away or was too slow: stop working for it */
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/:mebibytes", download);
}
