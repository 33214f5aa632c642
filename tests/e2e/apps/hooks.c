/* Says when a worker begins and ends, and counts ticks between. GET / waits until there were three.
 */
#include <anygate.h>

static int began, ticks;

static int begin(struct ag_request *req, void *argument)
{
	(void)argument;
	ag_sleep(req, 20);
	began = 1;
	ag_log(req, "it begins");
	return 0;
}

static int tick(struct ag_request *req, void *argument)
{
	(void)req;
	(void)argument;
	ticks++;
	return 0;
}

static int end(struct ag_request *req, void *argument)
{
	(void)argument;
	ag_log(req, "it ends: %d", ag_sleep(req, 20));
	return 0;
}

static int show(struct ag_request *req)
{
	for (int left = 12000; ticks < 3 && left; left--)
		ag_sleep(req, 10);
	ag_printf(req, "began %d, ticks %d\n", began, ticks < 3 ? ticks : 3);
	return 200;
}

AG_APP(app)
{
	ag_on_start(app, begin, NULL);
	ag_on_stop(app, end, NULL);
	ag_every(app, 10, tick, NULL);
	ag_get(app, "/", show);
}
