/*
 * Waits in every way there is, until the client goes away, and tells what the wait answered then.
 * Counts in statics: one worker only.
 *
 *	GET /deadline?ms=, /sleep, /flushed, /join, /left, /get, /put, /cond, /semaphore, /receive,
 *	    /run, /fetch, /offload
 *	                wait
 *	GET /begun/:n   waits until there were n of them
 *	GET /ended/:n   waits until n have ended, and says what the last one was told
 */
#include <anygate.h>
#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_int released; /* what is on a thread may end */
static int begun, ended, told;

/* What has been waited for came to this. */
static int over(int answer)
{
	told = answer;
	ended++;
	return 200;
}

static int wait_sleep(struct ag_request *req)
{
	begun++;
	return over(ag_sleep(req, AG_FOREVER));
}

/* The answer has begun, so that FastCGI knows whether the connection goes on. */
static int wait_flushed(struct ag_request *req)
{
	begun++;
	ag_puts(req, "begun");
	ag_flush(req);
	return over(ag_sleep(req, AG_FOREVER));
}

static int wait_deadline(struct ag_request *req)
{
	begun++;
	ag_deadline(req, (unsigned)atoi(ag_arg(req, "ms", "0")));
	return over(ag_sleep(req, AG_FOREVER));
}

static int sleeps(struct ag_request *req, void *argument)
{
	return *(int *)argument = ag_sleep(req, AG_FOREVER);
}

static int wait_join(struct ag_request *req)
{
	int answer = 0;
	struct ag_task *task = ag_spawn(req, sleeps, &answer);

	begun++;
	ag_join(req, task, NULL);
	return over(answer);
}

/* The handler is over; what it left is still to hear of it. */
static int sleeps_on(struct ag_request *req, void *argument)
{
	(void)argument;
	begun++;
	return over(ag_sleep(req, AG_FOREVER));
}

static int wait_left(struct ag_request *req)
{
	ag_spawn(req, sleeps_on, NULL);
	ag_sleep(req, AG_FOREVER);
	return 200;
}

static struct ag_queue *empty, *full;
static struct ag_cond *cond;
static struct ag_semaphore *semaphore;

static int wait_get(struct ag_request *req)
{
	void *item;

	begun++;
	return over(ag_queue_get(req, empty, &item, AG_FOREVER));
}

static int wait_put(struct ag_request *req)
{
	begun++;
	return over(ag_queue_put(req, full, NULL, AG_FOREVER));
}

static int wait_cond(struct ag_request *req)
{
	begun++;
	return over(ag_cond_wait(req, cond, AG_FOREVER));
}

static int wait_semaphore(struct ag_request *req)
{
	begun++;
	return over(ag_semaphore_take(req, semaphore, AG_FOREVER));
}

static int wait_run(struct ag_request *req)
{
	const struct ag_run_spec spec = { .argv = (const char *const[]){ "sleep", "3600", NULL } };
	struct ag_run_result result;

	begun++;
	return over(ag_run(req, &spec, &result));
}

/* A server that takes connections, as the system does for it, and never says a word. */
static int silent = -1;
static char url[64];

static int listen_silently(void)
{
	struct sockaddr_in where = { .sin_family = AF_INET };
	socklen_t length = sizeof where;

	where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (silent < 0 || bind(silent, (struct sockaddr *)&where, length) < 0 ||
	        listen(silent, 128) < 0 ||
	        getsockname(silent, (struct sockaddr *)&where, &length) < 0)
		return -1;
	snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(where.sin_port));
	return 0;
}

static int wait_fetch(struct ag_request *req)
{
	const struct ag_fetch_spec spec = { .url = url, .timeout_ms = AG_FOREVER };
	struct ag_fetch_result result;

	begun++;
	return over(ag_fetch(req, &spec, &result));
}

static int wait_receive(struct ag_request *req)
{
	struct ag_subscription *subscription = ag_subscribe(req, "nothing");
	struct ag_message message;

	begun++;
	return over(ag_receive(req, subscription, &message, AG_FOREVER));
}

static int make(struct ag_request *req, void *argument)
{
	(void)argument;
	if (listen_silently() < 0)
		return -1;
	empty = ag_queue_new(1);
	full = ag_queue_new(1);
	cond = ag_cond_new();
	semaphore = ag_semaphore_new(0);
	return !empty || !full || !cond || !semaphore || ag_queue_put(req, full, NULL, 0);
}

static int give_back(struct ag_request *req, void *argument)
{
	(void)req;
	(void)argument;
	ag_queue_free(empty);
	ag_queue_free(full);
	ag_cond_free(cond);
	ag_semaphore_free(semaphore);
	close(silent);
	return 0;
}

static void hold_thread(void *argument)
{
	(void)argument;
	while (!released)
		usleep(1000);
}

static int wait_offload(struct ag_request *req)
{
	released = 0;
	begun++;
	return over(ag_offload(req, hold_thread, NULL));
}

/* ---- what came of it ---- */

/* Until the counter is at what the path asks for, or two minutes have gone. */
static int wait_for(struct ag_request *req, const int *counter)
{
	for (int left = 12000; *counter < atoi(ag_param(req, "n")) && left; left--)
		if (ag_sleep(req, 10) < 0)
			return 500;
	ag_printf(req, "%d", told);
	return 200;
}

static int wait_begun(struct ag_request *req)
{
	return wait_for(req, &begun);
}

static int wait_ended(struct ag_request *req)
{
	ag_sleep(req, 20); /* who has gone away before is known to have */
	released = 1;
	return wait_for(req, &ended);
}

AG_APP(app)
{
	ag_get(app, "/sleep", wait_sleep);
	ag_get(app, "/flushed", wait_flushed);
	ag_get(app, "/deadline", wait_deadline);
	ag_get(app, "/join", wait_join);
	ag_get(app, "/left", wait_left);
	ag_on_start(app, make, NULL);
	ag_on_stop(app, give_back, NULL);
	ag_get(app, "/get", wait_get);
	ag_get(app, "/put", wait_put);
	ag_get(app, "/cond", wait_cond);
	ag_get(app, "/semaphore", wait_semaphore);
	ag_get(app, "/run", wait_run);
	ag_get(app, "/fetch", wait_fetch);
	ag_get(app, "/receive", wait_receive);
	ag_get(app, "/offload", wait_offload);
	ag_get(app, "/begun/:n", wait_begun);
	ag_get(app, "/ended/:n", wait_ended);
}
