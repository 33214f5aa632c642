/* ag_deadline: the time that one request gives itself. */
#include <event2/event.h>
#include <string.h>

#include "tests/support/loopback.h"

SUITE(expiry);

static struct loopback loop;
static int waited[4];

static int forever(struct ag_request *req, void *argument)
{
	*(int *)argument = ag_sleep(req, 3600000);
	return 0;
}

static int sleeps(struct ag_request *req)
{
	waited[0] = ag_deadline(req, 1);
	waited[1] = ag_sleep(req, 3600000);
	waited[2] = ag_sleep(req, 1);
	return 200;
}

static int sleeps_shortly(struct ag_request *req)
{
	waited[0] = ag_deadline(req, 3600000);
	waited[1] = ag_sleep(req, 1);
	return 200;
}

static int answers_itself(struct ag_request *req)
{
	ag_deadline(req, 1);
	waited[0] = ag_sleep(req, 3600000);
	waited[1] = ag_deadline(req, 0);
	waited[2] = ag_sleep(req, 1);
	ag_puts(req, "instead");
	return 203;
}

static int begins_anew(struct ag_request *req)
{
	ag_deadline(req, 1);
	waited[0] = ag_sleep(req, 3600000);
	waited[1] = ag_deadline(req, 1);
	waited[2] = ag_sleep(req, 3600000);
	return 200;
}

static int takes_back(struct ag_request *req)
{
	ag_deadline(req, 1);
	ag_deadline(req, 0);
	waited[0] = ag_sleep(req, 20);
	return 200;
}

static int spawns(struct ag_request *req)
{
	ag_spawn(req, forever, &waited[0]);
	ag_spawn(req, forever, &waited[1]);
	ag_deadline(req, 1);
	waited[2] = ag_join_all(req);
	return 200;
}

static int reads(struct ag_request *req)
{
	char byte;

	ag_deadline(req, 1);
	waited[0] = (int)ag_read(req, &byte, 1);
	waited[1] = (int)ag_read(req, &byte, 1);
	return 200;
}

static int writes(struct ag_request *req)
{
	ag_deadline(req, 1);
	ag_puts(req, "some");
	waited[0] = ag_flush(req);
	waited[1] = ag_puts(req, "more");
	return 200;
}

/* 98: not written to */
static const struct {
	const char *name;
	ag_handler *handler;
	int waited[3];
	int status;
	const char *body;
	bool body_left, slow, cut;
} rows[] = {
	{ "ends", sleeps, { 0, -2, -2 }, 504, "504 Gateway Timeout\n", false, false, false },
	{ "in time", sleeps_shortly, { 0, 0, 98 }, 200, "", false, false, false },
	{ "is taken back", answers_itself, { -2, 0, 0 }, 203, "instead", false, false, false },
	{ "begins anew", begins_anew, { -2, 0, -2 }, 504, "504 Gateway Timeout\n", false, false,
	        false },
	{ "is taken back before", takes_back, { 0, 98, 98 }, 200, "", false, false, false },
	{ "all tasks", spawns, { -2, -2, 0 }, 504, "504 Gateway Timeout\n", false, false, false },
	{ "reading", reads, { -2, -2, 98 }, 504, "504 Gateway Timeout\n", true, false, false },
	{ "writing", writes, { -2, 0, 98 }, 200, "somemore", false, true, true },
};

Test(expiry, ends_waits)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *name = rows[i].name;

		loopback_open(&loop);
		ag_route(loop.app, NULL, "/", rows[i].handler);
		loop.slow = rows[i].slow;
		for (size_t j = 0; j < COUNT(waited); j++)
			waited[j] = 98;
		loopback_head(&loop, PAIRS({ "REQUEST_METHOD", "POST" }, { "REQUEST_URI", "/" }));
		if (!rows[i].body_left)
			loopback_end(&loop);
		loopback_start(&loop);
		if (!loop.finished && rows[i].handler != takes_back)
			cr_expect_not(request_is_late(loop.req, UINT64_MAX), "%s", name);
		loopback_run(&loop);
		cr_assert(loop.finished, "%s still waits", name);
		for (size_t j = 0; j < 3; j++)
			cr_expect_eq(
			        waited[j], rows[i].waited[j], "%s: %zu: %d", name, j, waited[j]);
		cr_expect_eq(loop.status, rows[i].status, "%s: %d", name, loop.status);
		cr_expect_eq(loop.cut_short, rows[i].cut, "%s", name);
		loopback_expect_body(&loop, name, rows[i].body);
		loopback_close(&loop);
	}
}

/* Where there is none, daemon.request_timeout counts, from the body's end. */
static int lets_it_count(struct ag_request *req)
{
	ag_deadline(req, 3600000);
	ag_sleep(req, 1);
	ag_deadline(req, 0);
	waited[0] = ag_sleep(req, 3600000);
	return 200;
}

Test(expiry, request_timeout_instead)
{
	loopback_open(&loop);
	ag_route(loop.app, NULL, "/", lets_it_count);
	loopback_get(&loop, "/");
	cr_expect_not(request_is_late(loop.req, UINT64_MAX));
	while (!request_is_late(loop.req, UINT64_MAX))
		event_base_loop(loop.runtime.base, EVLOOP_ONCE);
	request_late(loop.req);
	cr_assert(loop.finished);
	cr_expect_eq(waited[0], AG_TIMEOUT);
	cr_expect_eq(loop.status, 504);
	loopback_close(&loop);
}

/* Goes away before its time. */
Test(expiry, client_goes_away)
{
	loopback_open(&loop);
	ag_route(loop.app, NULL, "/", sleeps_shortly);
	loopback_get(&loop, "/");
	loopback_gone(&loop, true);
	cr_expect(loop.finished);
	cr_expect_eq(waited[1], AG_GONE);
	loopback_run(&loop);
	loopback_close(&loop);
}
