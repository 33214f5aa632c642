/* Server-sent events without a socket: the lines, what is refused, what goes out by itself. */
#include <event2/event.h>
#include <string.h>

#include "tests/support/loopback.h"

SUITE(sse);

static struct loopback loop;
static int answers[3]; /* of what the handler below has called */

static void begin(ag_handler *handler)
{
	memset(answers, 0, sizeof answers);
	loopback_serve(&loop, handler);
}

/* ---- events ---- */

static const struct event_row {
	const char *event, *id, *data;
	int answer;
	const char *lines;
} events[] = {
	{ NULL, NULL, "text", 0, "data: text\n\n" },
	{ NULL, NULL, "", 0, "data: \n\n" },
	{ NULL, NULL, " a blank", 0, "data:  a blank\n\n" },
	{ NULL, NULL, "data: x", 0, "data: data: x\n\n" },
	{ "tick", "7", "text", 0, "event: tick\nid: 7\ndata: text\n\n" },
	{ NULL, "7", NULL, 0, "id: 7\n\n" },
	{ NULL, "", "text", 0, "id: \ndata: text\n\n" },
	{ NULL, NULL, "a\nb\rc\r\nd", 0, "data: a\ndata: b\ndata: c\ndata: d\n\n" },
	{ NULL, NULL, "\n", 0, "data: \ndata: \n\n" },
	{ NULL, NULL, "\r\n\n\r", 0, "data: \ndata: \ndata: \ndata: \n\n" },
	{ NULL, NULL, "a\n\nid: 1", 0, "data: a\ndata: \ndata: id: 1\n\n" },
	{ NULL, NULL, NULL, 0, "\n" },
	{ "a\nb", NULL, "text", AG_INVALID, "" },
	{ "a\rb", NULL, "text", AG_INVALID, "" },
	{ NULL, "1\n", "text", AG_INVALID, "" },
	{ NULL, "\r", "text", AG_INVALID, "" },
};

static const struct event_row *row;

static int sends(struct ag_request *req)
{
	cr_expect_eq(ag_sse_begin(req, NULL), 0);
	cr_expect(loop.status == 200 && !loop.ended, "the head is sent at once");
	answers[0] = ag_sse_send(req, row->event, row->id, row->data);
	loopback_expect_body(&loop, row->lines, row->lines);
	return 200;
}

Test(sse, events)
{
	for (row = events; row < events + COUNT(events); row++) {
		begin(sends);
		loopback_get(&loop, "/");
		cr_expect_eq(answers[0], row->answer, "%s: %d", row->lines, answers[0]);
		cr_expect_str_eq(loopback_field(&loop, "Content-Type"), "text/event-stream");
		cr_expect_str_eq(loopback_field(&loop, "Cache-Control"), "no-cache");
		cr_expect_str_eq(loopback_field(&loop, "X-Accel-Buffering"), "no");
		cr_expect_eq(loop.length, -1);
		cr_expect(loop.finished && loop.ended);
		loopback_close(&loop);
	}
}

/* Longer than what gathers before it is sent. */
static int sends_much(struct ag_request *req)
{
	ag_sse_begin(req, &(struct ag_sse_options){ .retry = 1500, .keep_alive = AG_FOREVER });
	answers[0] = ag_sse_comment(req, "two\nlines");
	answers[1] = ag_sse_printf(req, "many", "1", "%0*d\n%0*d", 20000, 0, 20000, 0);
	return 200;
}

Test(sse, long_event)
{
	static const char before[] = "retry: 1500\n\n: two\n: lines\nevent: many\nid: 1\n";

	begin(sends_much);
	loopback_get(&loop, "/");
	cr_expect(!answers[0] && !answers[1]);
	cr_expect_eq(strncmp(loop.body.data, before, sizeof before - 1), 0, "%s", loop.body.data);
	cr_expect_eq(loop.body.length, sizeof before - 1 + 2 * (6 + 20000 + 1) + 1);
	loopback_close(&loop);
}

/* ---- what is refused ---- */

static int begins_late(struct ag_request *req)
{
	ag_puts(req, "text");
	answers[0] = ag_sse_send(req, NULL, NULL, "text");
	answers[1] = ag_sse_begin(req, NULL);
	return 200;
}

Test(sse, begun_already)
{
	begin(begins_late);
	loopback_get(&loop, "/");
	cr_expect_eq(answers[0], AG_INVALID);
	cr_expect_eq(answers[1], AG_INVALID);
	cr_expect_str_eq(loop.body.data, "text");
	loopback_close(&loop);
}

static int asks_twice(struct ag_request *req)
{
	if (ag_sse_last_id(req))
		ag_status(req, 204);
	answers[0] = ag_sse_begin(req, NULL);
	answers[1] = ag_sse_begin(req, NULL);
	return ag_sse_last_id(req) ? 204 : 200;
}

Test(sse, no_body)
{
	begin(asks_twice);
	loopback_ask(&loop, "HEAD", "/");
	cr_expect_eq(answers[0], AG_GONE);
	cr_expect_eq(loop.status, 200);
	cr_expect_str_eq(loopback_field(&loop, "Content-Type"), "text/event-stream");
	loopback_request(&loop,
	        PAIRS({ "REQUEST_METHOD", "GET" }, { "REQUEST_URI", "/" },
	                { "HTTP_LAST_EVENT_ID", "41" }),
	        NULL);
	cr_expect_eq(answers[0], AG_GONE);
	cr_expect_eq(loop.status, 204);
	loopback_request(&loop,
	        PAIRS({ "REQUEST_METHOD", "GET" }, { "REQUEST_URI", "/" },
	                { "HTTP_LAST_EVENT_ID", "" }),
	        NULL);
	cr_expect_eq(answers[0], 0, "no id");
	cr_expect_eq(answers[1], AG_INVALID, "it has begun");
	loopback_close(&loop);
}

/* ---- while a task waits ---- */

static int counts(struct ag_request *req)
{
	ag_sse_begin(req, &(struct ag_sse_options){ .keep_alive = 1 });
	while (loop.body.length < 6)
		ag_sleep(req, 1);
	answers[0] = ag_sse_send(req, NULL, NULL, "text");
	return 200;
}

Test(sse, keep_alive)
{
	begin(counts);
	loopback_get(&loop, "/");
	cr_expect_not(loop.finished);
	loopback_run(&loop);
	cr_expect(loop.finished, "its timer has ended with it");
	cr_expect_eq(strncmp(loop.body.data, ":\n:\n:\n", 6), 0, "%s", loop.body.data);
	cr_expect_not_null(strstr(loop.body.data, "\ndata: text\n\n"));
	loopback_close(&loop);
}

static int sends_one(struct ag_request *req, void *argument)
{
	return *(int *)argument = ag_sse_send(req, NULL, NULL, "from a task");
}

/* The first waits for the client when the second comes. */
static int two_send(struct ag_request *req)
{
	ag_sse_begin(req, &(struct ag_sse_options){ .keep_alive = 1 });
	loop.slow = true;
	ag_spawn(req, sends_one, &answers[1]);
	answers[0] = ag_sse_send(req, NULL, NULL, "from the handler");
	answers[2] = ag_sse_send(req, NULL, NULL, "more");
	return 200;
}

static void turn(unsigned times)
{
	while (times--)
		cr_assert_eq(event_base_loop(loop.runtime.base, EVLOOP_ONCE), 0);
}

Test(sse, slow_client)
{
	begin(two_send);
	loopback_get(&loop, "/");
	turn(4);
	cr_expect_eq(answers[1], AG_INVALID, "one at a time");
	cr_expect_str_eq(loop.body.data, "data: from the handler\n\n", "no comment either");
	loop.slow = false;
	loopback_room(&loop);
	cr_expect(loop.finished);
	cr_expect_eq(answers[0], 0);
	cr_expect_eq(answers[2], 0);
	cr_expect_str_eq(loop.body.data, "data: from the handler\n\ndata: more\n\n");
	loopback_close(&loop);
}

/* What was cut in the middle of an event stays so. */
static int cancels(struct ag_request *req)
{
	struct ag_task *task;

	ag_sse_begin(req, &(struct ag_sse_options){ .keep_alive = 1 });
	loop.slow = true;
	task = ag_spawn(req, sends_one, &answers[0]);
	ag_sleep(req, 1);
	ag_cancel(req, task);
	answers[1] = ag_sse_send(req, NULL, NULL, "too early");
	ag_join(req, task, NULL);
	loop.slow = false;
	answers[2] = ag_sse_send(req, NULL, NULL, "too late");
	return 200;
}

Test(sse, canceled)
{
	begin(cancels);
	loopback_get(&loop, "/");
	loopback_run(&loop);
	cr_expect(loop.finished);
	cr_expect_eq(answers[0], AG_CANCELED);
	cr_expect_eq(answers[1], AG_INVALID);
	cr_expect_eq(answers[2], AG_CANCELED);
	cr_expect_str_eq(loop.body.data, "data: from a task\n\n");
	loopback_close(&loop);
}

static int waits(struct ag_request *req)
{
	ag_sse_begin(req, NULL);
	answers[0] = ag_sleep(req, AG_FOREVER);
	answers[1] = ag_sse_send(req, NULL, NULL, "text");
	return 200;
}

Test(sse, client_goes_away)
{
	begin(waits);
	loopback_get(&loop, "/");
	loopback_gone(&loop, true);
	cr_expect(loop.finished);
	cr_expect_eq(answers[0], AG_GONE);
	cr_expect_eq(answers[1], AG_GONE);
	loopback_close(&loop);
}
