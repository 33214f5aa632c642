/* Functions on threads: where they run, how many at once, and what who waits for them is told. */
#include <event2/event.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/async/async.h"
#include "tests/support/loopback.h"

SUITE(offload);

static struct loopback loop;
static char trace[4096];
static sem_t gate;      /* functions wait for it */
static sem_t begun;     /* and say that they have begun */
static atomic_int runs; /* functions that have returned */

static void note(const char *format, int value)
{
	size_t used = strlen(trace);

	snprintf(trace + used, sizeof trace - used, format, value);
}

static void begin(ag_handler *handler, unsigned threads)
{
	loopback_serve(&loop, handler);
	loop.runtime.threads = threads;
	trace[0] = '\0';
	runs = 0;
	sem_init(&gate, 0, 0);
	sem_init(&begun, 0, 0);
	loopback_get(&loop, "/");
}

static void finish(const char *wanted)
{
	loopback_run(&loop);
	cr_assert(loop.finished, "%s", trace);
	cr_expect_str_eq(trace, wanted, "%s", trace);
	loopback_close(&loop);
	sem_destroy(&gate);
	sem_destroy(&begun);
}

/* ---- what a thread is like ---- */

struct look {
	pid_t thread;
	sigset_t blocked;
	char name[16];
};

static void look_around(void *argument)
{
	struct look *look = argument;

	look->thread = gettid();
	pthread_sigmask(SIG_SETMASK, NULL, &look->blocked);
	pthread_getname_np(pthread_self(), look->name, sizeof look->name);
}

static int looks(struct ag_request *req)
{
	struct look look = { 0 }, again = { 0 };

	note("%d ", ag_offload(req, look_around, &look));
	cr_expect_neq(look.thread, gettid());
	cr_expect_neq(look.thread, 0);
	cr_expect_str_eq(look.name, "offload");
	cr_expect_eq(sigismember(&look.blocked, SIGTERM), 1);
	cr_expect_eq(sigismember(&look.blocked, SIGUSR1), 1);
	cr_expect_eq(sigismember(&look.blocked, SIGSEGV), 0, "a fault is reported as it happens");
	note("%d ", ag_offload(req, look_around, &again));
	cr_expect_eq(look.thread, again.thread, "one is enough for one after another");
	return 200;
}

Test(offload, on_a_thread)
{
	begin(looks, 4);
	finish("0 0 ");
}

static int is_refused(struct ag_request *req)
{
	note("%d ", ag_offload(req, look_around, NULL));
	return 200;
}

Test(offload, without_threads)
{
	begin(is_refused, 0);
	finish("-4 ");
}

/* ---- how many at once ---- */

static void meet(void *argument)
{
	pthread_barrier_wait(argument);
}

static int meets(struct ag_request *req, void *argument)
{
	return ag_offload(req, meet, argument);
}

/* Ends only if as many functions run at once as there are threads. */
static int all_meet(struct ag_request *req)
{
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, 3);
	for (int i = 0; i < 6; i++)
		ag_spawn(req, meets, &barrier);
	note("%d ", ag_join_all(req));
	pthread_barrier_destroy(&barrier);
	return 200;
}

Test(offload, at_once, .timeout = 60)
{
	begin(all_meet, 3);
	finish("0 ");
}

static void add_letter(void *argument)
{
	size_t used = strlen(trace);

	trace[used] = *(char *)argument;
	trace[used + 1] = '\0';
}

static int adds(struct ag_request *req, void *argument)
{
	return ag_offload(req, add_letter, argument);
}

static int one_by_one(struct ag_request *req)
{
	char letters[] = "abcdefgh";

	for (char *at = letters; *at; at++)
		ag_spawn(req, adds, at);
	ag_join_all(req);
	return 200;
}

Test(offload, in_order)
{
	begin(one_by_one, 1);
	finish("abcdefgh");
}

/* ---- giving up ---- */

static void wait_for_gate(void *argument)
{
	sem_post(&begun);
	sem_wait(&gate);
	if (argument)
		*(int *)argument = 1;
	runs++;
}

static int blocks(struct ag_request *req, void *argument)
{
	int answer = ag_offload(req, wait_for_gate, NULL);

	note(argument ? "B%d " : "b%d ", answer);
	return answer;
}

static int one_and_queue(struct ag_request *req)
{
	ag_spawn(req, blocks, req);
	ag_spawn(req, blocks, NULL);
	note("j%d ", ag_join_all(req));
	return 200;
}

/* The first is with the only thread, the second has not begun. */
static void begin_queue(void)
{
	begin(one_and_queue, 1);
	event_base_loop(loop.runtime.base, EVLOOP_ONCE);
	sem_wait(&begun);
}

Test(offload, client_goes_away)
{
	begin_queue();
	loopback_gone(&loop, true);
	event_base_loop(loop.runtime.base, EVLOOP_ONCE);
	cr_expect_str_eq(trace, "b-1 ", "%s", trace);
	cr_expect_not(loop.finished, "it waits for the thread");
	sem_post(&gate);
	loopback_run(&loop);
	cr_expect_eq(runs, 1, "the other never began");
	finish("b-1 B-1 j0 ");
}

/* What the worker does last: the thread is waited for. */
static void *open_gate(void *argument)
{
	sem_post(argument);
	return NULL;
}

Test(offload, worker_ends)
{
	pthread_t opener;

	begin_queue();
	loopback_gone(&loop, true);
	pthread_create(&opener, NULL, open_gate, &gate);
	async_stop(&loop.runtime, 0);
	pthread_join(opener, NULL);
	finish("b-1 B-1 j0 ");
}

static int times_out(struct ag_request *req)
{
	int done = 0;

	ag_deadline(req, 1);
	note("%d", ag_offload(req, wait_for_gate, &done));
	note(" %d ", done);
	return 200;
}

Test(offload, deadline)
{
	begin(times_out, 1);
	sem_wait(&begun);
	while (!loop.req->expired)
		event_base_loop(loop.runtime.base, EVLOOP_ONCE);
	cr_expect_str_eq(trace, "");
	sem_post(&gate);
	finish("-2 1 ");
}

static int is_canceled(struct ag_request *req)
{
	struct ag_task *first = ag_spawn(req, blocks, req);
	struct ag_task *second = ag_spawn(req, blocks, NULL);
	int result = 0;

	ag_sleep(req, 1);
	sem_wait(&begun);
	ag_cancel(req, NULL);
	ag_join(req, second, &result);
	note("j%d ", result);
	sem_post(&gate);
	ag_join(req, first, &result);
	note("j%d ", result);
	return 200;
}

Test(offload, canceled)
{
	begin(is_canceled, 1);
	finish("b-6 j-6 B-6 j-6 ");
}

/* ---- too many ---- */

static int busy, fine;

static int counts(struct ag_request *req, void *argument)
{
	int answer = ag_offload(req, wait_for_gate, argument);

	busy += answer == AG_BUSY;
	fine += answer == 0;
	return 0;
}

/* One is with the thread, 1024 may wait for it. */
static int too_many(struct ag_request *req)
{
	ag_spawn(req, counts, NULL);
	ag_sleep(req, 1);
	sem_wait(&begun);
	for (int i = 0; i < 1030; i++)
		ag_spawn(req, counts, NULL);
	while (busy < 6)
		ag_sleep(req, 0);
	for (int i = 0; i < 1025; i++)
		sem_post(&gate);
	ag_join_all(req);
	note("%d ", busy);
	note("%d", fine);
	return 200;
}

Test(offload, bounded, .timeout = 120)
{
	busy = fine = 0;
	begin(too_many, 1);
	finish("6 1025");
}
