/*
 * A condition: some requests wait, and another lets one of them go on, who came first, or all. With
 * one worker, as each has a condition of its own; across workers that is what channels are for.
 *
 *	cc -shared -fPIC notify.c -o notify.so
 *	anygate -w 1 -l http=127.0.0.1:8080 ./notify.so
 *	curl 'http://127.0.0.1:8080/wait?name=a' & curl 'http://127.0.0.1:8080/wait?name=b' &
 *	curl -X POST http://127.0.0.1:8080/notify; curl -X POST http://127.0.0.1:8080/notify/all
 */
#include <anygate.h>

#define WHILE_MS 25000 /* gateways give up after a minute or so */

/* One worker's. */
static struct ag_cond *cond;
static unsigned waiting;

static int wait(struct ag_request *req)
{
	waiting++;
	int answer = ag_cond_wait(req, cond, WHILE_MS);

	waiting--;
	if (answer == AG_TIMEOUT)
		return 204;
	if (answer)
		return 503; /* the client has gone, or the worker ends */
	ag_printf(req, "%s goes on\n", ag_arg(req, "name", "somebody"));
	return 200;
}

static int count(struct ag_request *req)
{
	ag_printf(req, "%u wait\n", waiting);
	return 200;
}

static int notify(struct ag_request *req)
{
	ag_printf(req, ag_cond_notify(cond) ? "told one\n" : "nobody waits\n");
	return 200;
}

static int notify_all(struct ag_request *req)
{
	ag_printf(req, "told %zu\n", ag_cond_notify_all(cond));
	return 200;
}

static int end(struct ag_request *req, void *argument)
{
	(void)req;
	(void)argument;
	ag_cond_free(cond);
	return 0;
}

AG_APP(app)
{
	cond = ag_cond_new();
	if (!cond)
		ag_fail(app, "out of memory");
	ag_on_stop(app, end, NULL);
	ag_get(app, "/wait", wait);
	ag_get(app, "/waiting", count);
	ag_post(app, "/notify", notify);
	ag_post(app, "/notify/all", notify_all);
}
