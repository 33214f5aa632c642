/* What tasks give each other: queues, conditions, semaphores; and who is told what at their end. */
#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/loopback.h"

SUITE(queue);

static struct loopback loop;
static char trace[1024];
static struct ag_queue *queue;
static struct ag_cond *cond;
static struct ag_semaphore *semaphore;

static void note(const char *format, int value)
{
	size_t used = strlen(trace);

	snprintf(trace + used, sizeof trace - used, format, value);
}

static void begin(ag_handler *handler)
{
	loopback_serve(&loop, handler);
	trace[0] = '\0';
	loopback_get(&loop, "/");
}

static void finish(const char *name, const char *wanted)
{
	loopback_run(&loop);
	cr_assert(loop.finished, "%s: %s", name, trace);
	cr_expect_eq(loop.status, 200, "%s", name);
	cr_expect_str_eq(trace, wanted, "%s: %s", name, trace);
	loopback_close(&loop);
}

/* Lets those that were woken run. */
static void turn(struct ag_request *req)
{
	ag_sleep(req, 1);
}

/* ---- queues ---- */

static int items[] = { 0, 1, 2, 3, 4, 5 };

/* "g": gets one, and tells it or what it was told; twice. */
static int gets(struct ag_request *req, void *argument)
{
	void *item;

	(void)argument;
	for (int i = 0; i < 2; i++) {
		int answer = ag_queue_get(req, queue, &item, AG_FOREVER);

		note("g%d ", answer ? answer : *(int *)item);
		if (answer)
			return answer;
	}
	return 0;
}

static int gets_one(struct ag_request *req, void *argument)
{
	void *item;
	int answer = ag_queue_get(req, queue, &item, AG_FOREVER);

	note((const char *)argument, answer ? answer : *(int *)item);
	return answer;
}

static int puts_one(struct ag_request *req, void *argument)
{
	int answer = ag_queue_put(req, queue, argument, AG_FOREVER);

	note(answer ? "p%d:" : "p", answer);
	note("%d ", *(int *)argument);
	return answer;
}

static int hands_over(struct ag_request *req)
{
	ag_spawn(req, gets_one, "a%d ");
	ag_spawn(req, gets_one, "b%d ");
	ag_spawn(req, gets_one, "c%d ");
	turn(req);
	for (int i = 1; i < 4; i++)
		puts_one(req, &items[i]);
	note("%d ", (int)ag_queue_count(queue));
	ag_join_all(req);
	return 200;
}

static int lets_put(struct ag_request *req)
{
	for (int i = 1; i < 5; i++)
		ag_spawn(req, puts_one, &items[i]);
	turn(req);
	for (int i = 1; i < 5; i++) {
		gets_one(req, "a%d ");
		turn(req);
	}
	note("%d ", (int)ag_queue_count(queue));
	return 200;
}

/* Who has given up is in nobody's way. */
static int gives_up(struct ag_request *req)
{
	void *item;

	note("%d ", ag_queue_get(req, queue, &item, 0));
	note("%d ", ag_queue_get(req, queue, &item, 1));
	puts_one(req, &items[1]);
	puts_one(req, &items[2]);
	note("%d ", ag_queue_put(req, queue, &items[3], 0));
	note("%d ", ag_queue_put(req, queue, &items[3], 1));
	gets_one(req, "a%d ");
	gets_one(req, "a%d ");
	note("%d ", (int)ag_queue_count(queue));
	return 200;
}

static int closes_full(struct ag_request *req)
{
	for (int i = 1; i < 5; i++)
		ag_spawn(req, puts_one, &items[i]);
	turn(req);
	ag_queue_close(queue);
	puts_one(req, &items[5]);
	turn(req);
	gets(req, NULL);
	gets(req, NULL);
	return 200;
}

static int closes_empty(struct ag_request *req)
{
	ag_spawn(req, gets, NULL);
	ag_spawn(req, gets, NULL);
	turn(req);
	ag_queue_close(queue);
	ag_join_all(req);
	return 200;
}

static int frees_with_getters(struct ag_request *req)
{
	ag_spawn(req, gets, NULL);
	ag_spawn(req, gets, NULL);
	turn(req);
	ag_queue_free(queue);
	queue = NULL;
	ag_join_all(req);
	return 200;
}

static int frees_with_putters(struct ag_request *req)
{
	for (int i = 1; i < 5; i++)
		ag_spawn(req, puts_one, &items[i]);
	turn(req);
	ag_queue_free(queue);
	queue = NULL;
	ag_join_all(req);
	return 200;
}

/* Those who were told something else have not left the list yet. */
static int frees_with_canceled(struct ag_request *req)
{
	ag_spawn(req, gets, NULL);
	turn(req);
	ag_cancel(req, NULL);
	ag_queue_free(queue);
	queue = NULL;
	ag_join_all(req);
	return 200;
}

static int cancels_first(struct ag_request *req)
{
	struct ag_task *first = ag_spawn(req, gets_one, "a%d ");

	ag_spawn(req, gets_one, "b%d ");
	turn(req);
	ag_cancel(req, first);
	puts_one(req, &items[1]);
	ag_join_all(req);
	return 200;
}

/* What was handed over is not lost. */
static int cancels_too_late(struct ag_request *req)
{
	ag_spawn(req, gets, NULL);
	turn(req);
	puts_one(req, &items[1]);
	ag_cancel(req, NULL);
	puts_one(req, &items[2]);
	ag_join_all(req);
	return 200;
}

static int cancels_putter(struct ag_request *req)
{
	struct ag_task *task;

	puts_one(req, &items[1]);
	puts_one(req, &items[2]);
	task = ag_spawn(req, puts_one, &items[3]);
	ag_spawn(req, puts_one, &items[4]);
	turn(req);
	ag_cancel(req, task);
	for (int i = 0; i < 3; i++)
		gets_one(req, "a%d ");
	ag_join_all(req);
	return 200;
}

static const struct {
	const char *name;
	ag_handler *handler;
	const char *trace;
} queue_rows[] = {
	{ "hands over", hands_over, "p1 p2 p3 0 a1 b2 c3 " },
	{ "lets put", lets_put, "p1 p2 a1 p3 a2 p4 a3 a4 0 " },
	{ "gives up", gives_up, "-2 -2 p1 p2 -2 -2 a1 a2 0 " },
	{ "closes full", closes_full, "p1 p2 p-8:5 p-8:3 p-8:4 g1 g2 g-8 " },
	{ "closes empty", closes_empty, "g-8 g-8 " },
	{ "frees with getters", frees_with_getters, "g-8 g-8 " },
	{ "frees with putters", frees_with_putters, "p1 p2 p-8:3 p-8:4 " },
	{ "frees with canceled", frees_with_canceled, "g-6 " },
	{ "cancels first", cancels_first, "p1 a-6 b1 " },
	{ "cancels too late", cancels_too_late, "p1 p2 g1 g2 " },
	{ "cancels putter", cancels_putter, "p1 p2 a1 a2 a4 p-6:3 p4 " },
};

Test(queue, queues)
{
	for (size_t i = 0; i < COUNT(queue_rows); i++) {
		cr_assert(queue = ag_queue_new(2));
		begin(queue_rows[i].handler);
		finish(queue_rows[i].name, queue_rows[i].trace);
		ag_queue_free(queue);
	}
}

Test(queue, sizes)
{
	cr_expect_null(ag_queue_new(0));
	cr_expect_null(ag_queue_new(SIZE_MAX));
	cr_expect_null(ag_queue_new(SIZE_MAX / sizeof(void *)));
	ag_queue_free(NULL);
	ag_cond_free(NULL);
	ag_semaphore_free(NULL);
}

/* Items come out as they went in, however often the ring went round. */
static int goes_round(struct ag_request *req)
{
	for (int i = 0, at = 0; i < 50; i++) {
		void *item = NULL;
		int count = 1 + i % 3;

		for (int j = 0; j < count; j++)
			ag_queue_put(req, queue, &items[(at + j) % 6], 0);
		for (int j = 0; j < count; j++, at++) {
			cr_assert_eq(ag_queue_get(req, queue, &item, 0), 0);
			cr_expect_eq(item, &items[at % 6], "%d", i);
		}
	}
	return 200;
}

Test(queue, ring)
{
	cr_assert(queue = ag_queue_new(3));
	begin(goes_round);
	finish("ring", "");
	ag_queue_free(queue);
}

/* The client goes away: both are told, and nothing is left in the queue's lists. */
static int both(struct ag_request *req)
{
	struct ag_queue *full = ag_queue_new(1);

	ag_spawn(req, gets, NULL);
	ag_queue_put(req, full, &items[1], 0);
	note("%d ", ag_queue_put(req, full, &items[2], AG_FOREVER));
	ag_queue_free(full);
	return 200;
}

Test(queue, client_goes_away)
{
	cr_assert(queue = ag_queue_new(1));
	begin(both);
	event_base_loop(loop.runtime.base, EVLOOP_ONCE);
	loopback_gone(&loop, false);
	finish("gone", "-1 g-1 ");
	ag_queue_free(queue);
}

/* ---- conditions and semaphores ---- */

static int waits(struct ag_request *req, void *argument)
{
	note((const char *)argument, ag_cond_wait(req, cond, AG_FOREVER));
	return 0;
}

static int notifies(struct ag_request *req)
{
	ag_spawn(req, waits, "a%d ");
	ag_spawn(req, waits, "b%d ");
	ag_spawn(req, waits, "c%d ");
	note("%d ", ag_cond_notify(cond));
	turn(req);
	note("%d ", ag_cond_notify(cond));
	turn(req);
	note("%d ", (int)ag_cond_notify_all(cond));
	turn(req);
	note("%d ", (int)ag_cond_notify_all(cond));
	note("%d ", ag_cond_wait(req, cond, 0));
	note("%d ", ag_cond_wait(req, cond, 1));
	note("%d ", ag_cond_notify(cond));
	return 200;
}

static int frees_cond(struct ag_request *req)
{
	ag_spawn(req, waits, "a%d ");
	ag_spawn(req, waits, "b%d ");
	turn(req);
	ag_cond_free(cond);
	cond = NULL;
	ag_join_all(req);
	return 200;
}

static int takes(struct ag_request *req, void *argument)
{
	int answer = ag_semaphore_take(req, semaphore, AG_FOREVER);

	note((const char *)argument, answer);
	if (answer)
		return answer;
	turn(req);
	note("%d ", 9);
	ag_semaphore_give(semaphore);
	return 0;
}

static int shares(struct ag_request *req)
{
	ag_spawn(req, takes, "a%d ");
	ag_spawn(req, takes, "b%d ");
	ag_spawn(req, takes, "c%d ");
	ag_spawn(req, takes, "d%d ");
	ag_join_all(req);
	note("%d ", ag_semaphore_take(req, semaphore, 0));
	note("%d ", ag_semaphore_take(req, semaphore, 0));
	note("%d ", ag_semaphore_take(req, semaphore, 0));
	note("%d ", ag_semaphore_take(req, semaphore, 1));
	return 200;
}

static int frees_semaphore(struct ag_request *req)
{
	ag_semaphore_take(req, semaphore, 0);
	ag_semaphore_take(req, semaphore, 0);
	ag_spawn(req, takes, "a%d ");
	turn(req);
	ag_semaphore_free(semaphore);
	semaphore = NULL;
	ag_join_all(req);
	return 200;
}

static int cancels_taker(struct ag_request *req)
{
	ag_semaphore_take(req, semaphore, 0);
	ag_semaphore_take(req, semaphore, 0);
	ag_spawn(req, takes, "a%d ");
	turn(req);
	ag_cancel(req, NULL);
	ag_semaphore_give(semaphore);
	ag_join_all(req);
	note("%d ", ag_semaphore_take(req, semaphore, 0));
	return 200;
}

static const struct {
	const char *name;
	ag_handler *handler;
	const char *trace;
} rows[] = {
	{ "notifies", notifies, "0 1 a0 2 b0 c0 0 -2 -2 0 " },
	{ "frees a condition", frees_cond, "a-8 b-8 " },
	{ "shares", shares, "a0 b0 9 9 c0 d0 9 9 0 0 -2 -2 " },
	{ "frees a semaphore", frees_semaphore, "a-8 " },
	{ "cancels a taker", cancels_taker, "a-6 0 " },
};

Test(queue, conditions_and_semaphores)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		cr_assert(cond = ag_cond_new());
		cr_assert(semaphore = ag_semaphore_new(2));
		begin(rows[i].handler);
		finish(rows[i].name, rows[i].trace);
		ag_cond_free(cond);
		ag_semaphore_free(semaphore);
	}
}
