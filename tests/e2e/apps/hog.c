/* GET /hog takes all descriptors that the worker has left but ?leave=, GET /free gives them back.
 */
#include <anygate.h>
#include <stdlib.h>
#include <unistd.h>

static int taken[1024];
static size_t count;

static int hog(struct ag_request *req)
{
	while (count < sizeof taken / sizeof *taken && (taken[count] = dup(0)) >= 0)
		count++;
	for (int leave = atoi(ag_arg(req, "leave", "0")); leave > 0 && count; leave--)
		close(taken[--count]);
	ag_puts(req, "taken\n");
	return 200;
}

static int give_back(struct ag_request *req)
{
	while (count)
		close(taken[--count]);
	ag_puts(req, "free\n");
	return 200;
}

static int answer(struct ag_request *req)
{
	ag_puts(req, "here\n");
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/", answer);
	ag_get(app, "/hog", hog);
	ag_get(app, "/free", give_back);
}
