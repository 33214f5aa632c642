/* Timers, and what runs as a worker begins and ends: tasks that no client has asked for. */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "app/async/async.h"
#include "tests/support/loopback.h"

SUITE(hooks);

static struct loopback loop;
static char trace[512];
static char error[256];

static void note(const char *format, int value)
{
	size_t used = strlen(trace);

	snprintf(trace + used, sizeof trace - used, format, value);
}

static void log_line(struct ag_request *req, const char *line)
{
	note(ag_method(req), 0);
	note(ag_path(req), 0);
	note(": ", 0);
	note(line, 0);
}

static void begin(void)
{
	loopback_open(&loop);
	loop.runtime.log = log_line;
	trace[0] = error[0] = '\0';
}

static void finish(const char *wanted)
{
	async_stop(&loop.runtime, 60000);
	cr_expect_str_eq(trace, wanted, "%s", trace);
	loopback_close(&loop);
}

/* Waits, and answers *argument. */
static int hook(struct ag_request *req, void *argument)
{
	int result = *(int *)argument;

	note(ag_path(req)[3] == 'a' ? "+%d" : "-%d", result);
	note(ag_sleep(req, 1) ? "? " : " ", 0);
	return result >= 10 ? 0 : result;
}

static int ten = 10, eleven = 11, three = 3;

Test(hooks, order)
{
	begin();
	ag_on_start(loop.app, hook, &ten);
	ag_on_stop(loop.app, hook, &ten);
	ag_on_stop(loop.app, hook, &eleven);
	ag_on_start(loop.app, hook, &eleven);
	cr_expect(async_begin(&loop.runtime, error, sizeof error), "%s", error);
	cr_expect_str_eq(trace, "+10 +11 ");
	finish("+10 +11 -11 -10 ");
}

Test(hooks, failing_start)
{
	begin();
	ag_on_start(loop.app, hook, &three);
	ag_on_start(loop.app, hook, &ten);
	ag_on_stop(loop.app, hook, &ten);
	cr_expect_not(async_begin(&loop.runtime, error, sizeof error));
	cr_expect_str_eq(error, "[app main]: a function of ag_on_start returned 3");
	finish("+3 ");
}

/* What a task without a client gets from the calls it can make. */
static int asks(struct ag_request *req, void *argument)
{
	const char *name, *value;
	char byte;

	(void)argument;
	cr_expect_str_eq(ag_mount(req), "");
	cr_expect_str_eq(ag_query(req), "");
	cr_expect_str_eq(ag_protocol(req), "none");
	cr_expect_null(ag_header(req, "host"));
	cr_expect_null(ag_cookie(req, "a"));
	cr_expect_null(ag_param(req, "a"));
	cr_expect_str_eq(ag_arg(req, "a", "none"), "none");
	cr_expect_not(ag_arg_at(req, 0, &name, &value));
	cr_expect_eq(ag_length(req), 0);
	cr_expect_gt(strlen(ag_request_id(req)), 0);
	cr_expect_not(ag_aborted(req));
	cr_expect_eq(ag_read(req, &byte, 1), 0);
	cr_expect_eq(ag_puts(req, "x"), AG_GONE);
	cr_expect_eq(ag_flush(req), AG_GONE);
	cr_expect_eq(ag_status(req, 200), AG_INVALID);
	cr_expect_eq(ag_set_header(req, "a", "b"), AG_INVALID);
	cr_expect(ag_alloc(req, 10000));
	ag_log(req, "said");
	cr_expect_eq(ag_deadline(req, 1), 0);
	cr_expect_eq(ag_sleep(req, 3600000), AG_TIMEOUT);
	cr_expect_eq(loop.runtime.current, req);
	return 0;
}

Test(hooks, request_of_nobody)
{
	begin();
	ag_on_start(loop.app, asks, NULL);
	cr_expect(async_begin(&loop.runtime, error, sizeof error), "%s", error);
	finish("TASK/start: said");
}

/* ---- timers ---- */

static int ticks;
static bool overlap, running;

static int tick(struct ag_request *req, void *argument)
{
	overlap |= running;
	running = true;
	ag_sleep(req, 5);
	running = false;
	return ++ticks == *(int *)argument;
}

static void run_until(const int *what, int value)
{
	while (*what < value)
		cr_assert_eq(event_base_loop(loop.runtime.base, EVLOOP_ONCE), 0);
}

Test(hooks, timer)
{
	begin();
	ticks = 0;
	ag_every(loop.app, 1, tick, &three);
	cr_expect(async_begin(&loop.runtime, error, sizeof error));
	run_until(&ticks, 3);
	cr_expect_eq(event_base_loop(loop.runtime.base, EVLOOP_ONCE), 1, "it was the last");
	cr_expect_not(overlap);
	finish("");
}

static int waits_forever(struct ag_request *req, void *argument)
{
	ticks++;
	*(int *)argument = ag_sleep(req, AG_FOREVER);
	note("ended %d ", ag_aborted(req));
	return 0;
}

static int stops_late(struct ag_request *req, void *argument)
{
	note("%d ", ag_sleep(req, *(unsigned *)argument));
	return 0;
}

/* Both are told: the one because the worker ends, the other because that takes too long. */
Test(hooks, are_ended)
{
	int answer = 0;
	unsigned forever = AG_FOREVER, shortly = 1;

	begin();
	ticks = 0;
	ag_every(loop.app, 1, waits_forever, &answer);
	ag_on_stop(loop.app, stops_late, &shortly);
	ag_on_stop(loop.app, stops_late, &forever);
	cr_expect(async_begin(&loop.runtime, error, sizeof error));
	run_until(&ticks, 1);
	async_stop(&loop.runtime, 20);
	cr_expect_eq(answer, AG_GONE);
	cr_expect_eq(ticks, 1, "no second beside the first");
	finish("ended 1 -1 0 ");
}

Test(hooks, bad_ones)
{
	begin();
	ag_every(loop.app, 0, tick, NULL);
	cr_expect_str_eq(loop.app->error, "ag_every needs a time of 1 ms at least");
	loopback_mount(&loop, "/");
	ag_on_stop(loop.app, NULL, NULL);
	cr_expect_str_eq(loop.app->error, "a hook has no function");
	finish("");
}
