/* Tasks of one request: spawned, joined, cancelled, and told what happens to the request. */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <string.h>

#include "tests/support/loopback.h"

SUITE(tasks);

static struct loopback loop;
static char trace[512]; /* what was done, in order */

/* 10, 20 and 30 end in this order, one when this is 0, 1, 2; they move it on unless told. */
static int place;
static bool kept;

static void note(const char *format, int value)
{
	size_t used = strlen(trace);

	snprintf(trace + used, sizeof trace - used, format, value);
}

static void begin(ag_handler *handler)
{
	loopback_serve(&loop, handler);
	trace[0] = '\0';
	place = 0;
	kept = false;
}

static void check(const char *wanted)
{
	cr_assert(loop.finished, "the handler still waits");
	cr_expect_eq(loop.runtime.task, NULL);
	cr_expect_eq(loop.status, 200);
	cr_expect_str_eq(trace, wanted, "%s", trace);
	loopback_close(&loop);
}

/* ---- joining ---- */

/* What *argument says: until its place has come, or for so many ms. Answers it, or what it got. */
static int nap(struct ag_request *req, void *argument)
{
	int what = *(int *)argument, answer;

	note("b%d ", what);
	cr_expect_eq(loop.runtime.current, req);
	do
		answer = ag_sleep(req, what > 30 ? (unsigned)what : 1);
	while (!answer && place < what / 10 - 1);
	note(answer ? "x%d " : "e%d ", what);
	place += !kept;
	return answer ? answer : what;
}

static int times[] = { 30, 10, 20 };
static struct ag_task *spawned[COUNT(times)];

static void spawn_all(struct ag_request *req)
{
	for (size_t i = 0; i < COUNT(times); i++)
		cr_assert(spawned[i] = ag_spawn(req, nap, &times[i]));
}

static int joins_in_order(struct ag_request *req)
{
	int result = 0;

	spawn_all(req);
	note("s%d ", 0);
	for (size_t i = 0; i < COUNT(times); i++) {
		cr_expect_eq(ag_join(req, spawned[i], &result), 0);
		note("j%d ", result);
	}
	cr_expect_eq(ag_join_any(req, NULL, NULL), AG_INVALID, "none is left");
	cr_expect_eq(ag_join_all(req), 0);
	return 200;
}

static int joins_any(struct ag_request *req)
{
	struct ag_task *task = NULL;
	int result = 0;

	spawn_all(req);
	kept = true;
	for (; ag_join_any(req, &task, &result) == 0; place++)
		note(task == spawned[result == 30 ? 0 : result / 10] ? "j%d " : "?%d ", result);
	return 200;
}

static int joins_all(struct ag_request *req)
{
	spawn_all(req);
	note("a%d ", ag_join_all(req));
	return 200;
}

static int first_wins(struct ag_request *req)
{
	int result = 0;

	kept = true;
	spawn_all(req);
	cr_expect_eq(ag_join_any(req, NULL, &result), 0);
	note("j%d ", result);
	ag_cancel(req, NULL);
	while (ag_join_any(req, NULL, &result) == 0)
		note("j%d ", result);
	return 200;
}

static int cancels_one(struct ag_request *req)
{
	int result = 0;

	kept = true;
	place = -1;
	spawn_all(req);
	ag_sleep(req, 1);
	ag_cancel(req, spawned[2]);
	cr_expect_eq(ag_join(req, spawned[2], &result), 0);
	note("j%d ", result);
	place = 0;
	cr_expect_eq(ag_join(req, spawned[1], &result), 0);
	place = 2;
	cr_expect_eq(ag_join_all(req), 0);
	return 200;
}

static int cancels_before_they_begin(struct ag_request *req)
{
	spawn_all(req);
	ag_cancel(req, NULL);
	note("a%d ", ag_join_all(req));
	return 200;
}

/* What it started uses its stack, and is waited for. */
static int leaves_them(struct ag_request *req)
{
	int here = 3600000;

	cr_assert(ag_spawn(req, nap, &here));
	ag_sleep(req, 1);
	note("r%d ", 0);
	return 200;
}

static int leaves_ended(struct ag_request *req)
{
	int none = 0;

	cr_assert(ag_spawn(req, nap, &none));
	while (!strstr(trace, "e0"))
		ag_sleep(req, 1);
	return 200;
}

/* Goes on after it was cancelled, by waits that end at once. */
static int insists(struct ag_request *req, void *argument)
{
	for (int i = 0; i < 3; i++)
		note("w%d ", ag_sleep(req, 3600000));
	cr_expect_eq(ag_spawn(req, nap, argument) != NULL, true);
	note("a%d ", ag_join_all(req));
	return 7;
}

static int cancels_stubborn(struct ag_request *req)
{
	int ms = 3600000, result = 0;
	struct ag_task *task = ag_spawn(req, insists, &ms);

	ag_sleep(req, 1);
	ag_cancel(req, task);
	cr_expect_eq(ag_join(req, task, &result), 0);
	note("j%d ", result);
	return 200;
}

static int joins_own_only(struct ag_request *req, void *argument)
{
	(void)argument;
	note("%d ", ag_join(req, spawned[0], NULL));
	note("%d ", ag_join(req, NULL, NULL));
	note("%d ", ag_join_any(req, NULL, NULL));
	return 0;
}

static int joins_others(struct ag_request *req)
{
	spawned[0] = ag_spawn(req, nap, &times[1]);
	cr_assert(ag_spawn(req, joins_own_only, NULL));
	ag_join_all(req);
	return 200;
}

static const struct {
	ag_handler *handler;
	const char *trace;
} rows[] = {
	{ joins_in_order, "s0 b30 b10 b20 e10 e20 e30 j30 j10 j20 " },
	{ joins_any, "b30 b10 b20 e10 j10 e20 j20 e30 j30 " },
	{ joins_all, "b30 b10 b20 e10 e20 e30 a0 " },
	{ first_wins, "b30 b10 b20 e10 j10 x30 x20 j-6 j-6 " },
	{ cancels_one, "b30 b10 b20 x20 j-6 e10 e30 " },
	{ cancels_before_they_begin, "b30 x30 b10 x10 b20 x20 a0 " },
	{ leaves_them, "b3600000 r0 x3600000 " },
	{ leaves_ended, "b0 e0 " },
	{ cancels_stubborn, "w-6 w-6 w-6 b3600000 x3600000 a0 j7 " },
	{ joins_others, "b10 -4 -4 -4 e10 " },
};

Test(tasks, joining)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		begin(rows[i].handler);
		loopback_get(&loop, "/");
		loopback_run(&loop);
		check(rows[i].trace);
	}
}

/* ---- many, and none ---- */

#define MANY 1000

static int counts(struct ag_request *req, void *argument)
{
	ag_sleep(req, 1);
	return ++*(int *)argument;
}

static int spawns_many(struct ag_request *req)
{
	int count = 0;

	for (int i = 0; i < MANY; i++)
		cr_assert(ag_spawn(req, counts, &count));
	cr_expect_eq(ag_join_all(req), 0);
	note("%d", count);
	return 200;
}

Test(tasks, many)
{
	begin(spawns_many);
	loopback_get(&loop, "/");
	loopback_run(&loop);
	cr_expect_eq(loop.runtime.tasks.mapped, MANY + 1);
	check("1000");
}

/* Each one level below the other. */
static int nests(struct ag_request *req, void *argument)
{
	int depth = *(int *)argument + 1, result = 0;
	struct ag_task *task = depth < 50 ? ag_spawn(req, nests, &depth) : NULL;

	if (task)
		cr_expect_eq(ag_join(req, task, &result), 0);
	return result + 1;
}

static int nesting(struct ag_request *req)
{
	int none = 0, result = 0;

	cr_expect_eq(ag_join(req, ag_spawn(req, nests, &none), &result), 0);
	note("%d", result);
	return 200;
}

Test(tasks, nested)
{
	begin(nesting);
	loopback_get(&loop, "/");
	loopback_run(&loop);
	check("50");
}

static void on_later(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	loop.runtime.tasks.stack_size = *(size_t *)argument;
}

/* Stacks are too large for the moment in which the task should begin. */
static int spawns_without_memory(struct ag_request *req)
{
	size_t size = loop.runtime.tasks.stack_size;
	struct timeval at_once = { 0, 0 };
	struct event later;
	int result = 0;
	struct ag_task *task = ag_spawn(req, nap, &times[0]);

	evtimer_assign(&later, loop.runtime.base, on_later, &size);
	evtimer_add(&later, &at_once);
	loop.runtime.tasks.stack_size = (size_t)1 << 60;
	cr_expect_eq(ag_join(req, task, &result), 0);
	note("%d", result);
	return 200;
}

Test(tasks, no_memory)
{
	begin(spawns_without_memory);
	loopback_get(&loop, "/");
	loopback_run(&loop);
	check("-5");
}

/* ---- the client ---- */

static int reads(struct ag_request *req, void *argument)
{
	char byte;
	ssize_t n = ag_read(req, &byte, 1);

	note(argument ? "r%d " : "R%d ", (int)n);
	return 0;
}

static int writes(struct ag_request *req, void *argument)
{
	int answer = ag_puts(req, argument ? "a" : "b");

	answer = answer ? answer : ag_flush(req);
	note(argument ? "w%d " : "W%d ", answer);
	return 0;
}

static int sleeps(struct ag_request *req, void *argument)
{
	(void)argument;
	note("s%d ", ag_sleep(req, 3600000));
	note("s%d ", ag_sleep(req, 3600000));
	return 0;
}

static int uses_client(struct ag_request *req)
{
	for (const char *what = ag_query(req); *what; what++) {
		ag_function *function = *what == 's'          ? sleeps
		                        : (*what | 32) == 'r' ? reads
		                                              : writes;

		cr_assert(ag_spawn(req, function, *what & 32 ? req : NULL));
	}
	note("j%d ", ag_join_all(req));
	return 200;
}

/* Steps: "." a turn for all, "R" room for more, "g" half gone, "b" gone, others are the body. */
static const struct {
	const char *target, *steps, *trace;
} client_rows[] = {
	/* the body's end is a reader's answer as well */
	{ "/?r", ".e", "r0 j0 " },
	{ "/?r", ".1e", "r1 j0 " },
	{ "/?r", "1.e", "r1 j0 " },
	{ "/?rR", ".1.e", "R-4 r1 j0 " },
	{ "/?w", "e.R", "w0 j0 " },
	{ "/?w", ".e.R", "w0 j0 " },
	{ "/?wW", "e.R", "W-4 w0 j0 " },
	/* one reads what the other needs to have come */
	{ "/?rw", ".1eR", "r1 w0 j0 " },
	{ "/?rw", ".eR", "r0 w0 j0 " },
	{ "/?ssr", ".b", "s-1 s-1 s-1 s-1 r-1 j0 " },
	{ "/?sr", ".g", "s-1 s-1 r-1 j0 " },
};

Test(tasks, client)
{
	for (size_t i = 0; i < COUNT(client_rows); i++) {
		const char *target = client_rows[i].target;
		bool gone = strpbrk(client_rows[i].steps, "gb");

		begin(uses_client);
		loop.slow = true;
		loopback_head(
		        &loop, PAIRS({ "REQUEST_METHOD", "POST" }, { "REQUEST_URI", target }));
		loopback_start(&loop);
		for (const char *step = client_rows[i].steps; *step && !loop.finished; step++) {
			if (*step == 'R')
				loopback_room(&loop);
			else if (*step == 'g' || *step == 'b')
				loopback_gone(&loop, *step == 'b');
			else if (*step == 'e')
				loopback_end(&loop);
			else if (*step != '.')
				loopback_body(&loop, step, 1);
			while (!loop.finished && request_body_ready(loop.req))
				request_body_wake(loop.req);
			event_base_loop(loop.runtime.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
			event_base_loop(loop.runtime.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		}
		loopback_run(&loop);
		cr_assert(loop.finished, "%s still waits: %s", target, trace);
		if (!gone)
			cr_expect_eq(loop.status, 200, "%s", target);
		cr_expect_str_eq(trace, client_rows[i].trace, "%s %s: %s", target,
		        client_rows[i].steps, trace);
		loopback_close(&loop);
	}
}
