#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "../app/async/async.h"
#include "../app/async/subprocess.h"
#include "apps.h"
#include "background.h"
#include "conn.h"
#include "control.h"
#include "crash.h"
#include "listener.h"
#include "log.h"
#include "probe.h"
#include "shed.h"
#include "tally.h"

/* ms that a peer which has sent nothing yet gets to send its request when the worker stops. */
#define FIRST_MS 1000

/* ms that an idle connection stays open in a worker that has a successor. */
#define LEAVE_MS 1000

/* ms that a peer may go on sending after its answer. */
#define LINGER_MS 30000

static void on_resume(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	listeners_resume(argument);
}

/* ---- the clock ---- */

struct span worker_date(struct worker *worker)
{
	struct timespec now;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (worker->dated != (uint64_t)now.tv_sec) {
		worker->dated = (uint64_t)now.tv_sec;
		gmtime_r(&now.tv_sec, &utc);
		strftime(worker->date, sizeof(worker->date), "%a, %d %b %Y %H:%M:%S GMT", &utc);
	}
	return (struct span){ (uint8_t *)worker->date,
		sizeof("Sun, 06 Nov 1994 08:49:37 GMT") - 1 };
}

static void on_tidy(evutil_socket_t fd, short what, void *argument)
{
	struct worker *worker = argument;

	(void)fd;
	(void)what;
	worker->tidying = false;
	task_pool_trim(&worker->runtime.tasks);
}

void worker_tidy(struct worker *worker)
{
	static const struct timeval soon = { 1, 0 };

	if (worker->tidying)
		return;
	worker->tidying = true;
	evtimer_add(&worker->tidy, &soon);
}

/* ---- the end ---- */

void worker_conn_closed(struct listener *listener)
{
	struct worker *worker = listener->worker;

	worker->conn_count--;
	listener_conn_closed(listener);
	if (worker->draining && !worker->conn_count)
		event_base_loopbreak(worker->base);
	else if (worker->paused)
		event_active(&worker->resume, EV_TIMEOUT, 0);
}

static void drain_connections(struct worker *worker)
{
	for (struct conn *conn = worker->conns, *next; conn; conn = next) {
		next = conn_next(conn);
		conn_drain(conn);
	}
}

/*
 * No new connections, an end for what is in flight. `softly`: others go on in this worker's place,
 * so a peer that is just about to use an idle connection gets time to find it out.
 */
static void drain(struct worker *worker, bool softly)
{
	/* whoever is connected already is in flight */
	listeners_take(worker);
	worker->draining = true;
	tally_state(worker, WORKER_DRAINING);
	worker->softly = softly;
	listeners_close(worker);
	control_send(event_get_fd(&worker->control), CONTROL_DRAINING, NULL);
	drain_connections(worker);
	if (!worker->conn_count) {
		event_base_loopbreak(worker->base);
		return;
	}
	unsigned ms = worker->config->daemon.graceful_timeout;
	const struct timeval limit = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	evtimer_add(&worker->cut, &limit);
}

/* A soft end becomes a plain one: idle connections close now. */
static void hurry(struct worker *worker)
{
	worker->softly = false;
	drain_connections(worker);
}

static void on_stop(evutil_socket_t signal, short what, void *argument)
{
	struct worker *worker = argument;

	(void)what;
	if (signal == SIGINT || (worker->draining && !worker->softly))
		event_base_loopbreak(worker->base);
	else if (worker->draining)
		hurry(worker);
	else
		drain(worker, false);
}

/* A word from the master; without a master a worker finishes what it has and goes. */
static void on_control(evutil_socket_t fd, short what, void *argument)
{
	struct worker *worker = argument;
	char text[CONTROL_TEXT_MAX];
	enum control kind;

	(void)what;
	while ((kind = control_receive((int)fd, text)) != CONTROL_NONE) {
		if (kind == CONTROL_REOPEN)
			worker_take_logs(worker, (int)fd);
		if (kind == CONTROL_LOOK && !worker->paused)
			listeners_take(worker);
		if (kind == CONTROL_OTHERS)
			listeners_share(worker);
		if (kind == CONTROL_CLOSED)
			event_del(&worker->control);
		if ((kind == CONTROL_CLOSED || kind == CONTROL_DRAIN) && !worker->draining)
			drain(worker, kind == CONTROL_DRAIN);
		if (kind == CONTROL_CLOSED)
			return;
	}
}

static void on_cut(evutil_socket_t fd, short what, void *argument)
{
	struct worker *worker = argument;

	(void)fd;
	(void)what;
	log_line(LOG_LEVEL_WARNING, "%zu connections are cut after daemon.graceful_timeout",
	        worker->conn_count);
	event_base_loopbreak(worker->base);
}

/* The master's signals come to it from a terminal too; it passes on what the worker should do. */
static const int signals[] = { SIGTERM, SIGQUIT, SIGINT };

static bool signals_watch(struct worker *worker)
{
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		struct event *event = &worker->signals[i];

		if (evsignal_assign(event, worker->base, signals[i], on_stop, worker) < 0 ||
		        evsignal_add(event, NULL) < 0)
			return false;
	}
	return true;
}

static bool control_watch(struct worker *worker, int fd)
{
	return event_assign(&worker->control, worker->base, fd, EV_READ | EV_PERSIST, on_control,
	               worker) == 0 &&
	       event_add(&worker->control, NULL) == 0;
}

static void worker_stop(struct worker *worker)
{
	listeners_close(worker);
	for (struct conn *conn = worker->conns, *next; conn; conn = next) {
		next = conn_next(conn);
		conn_cut(conn);
	}
	evtimer_del(&worker->cut);
	async_stop(&worker->runtime, worker->config->daemon.graceful_timeout);
	bus_stop(worker);
	subprocesses_stop(&worker->runtime);
	worker_stop_logs(worker);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		event_del(&worker->signals[i]);
	event_del(&worker->control);
	deadlines_free(&worker->clock);
	upkeep_stop(worker);
	evtimer_del(&worker->tidy);
	evtimer_del(&worker->resume);
	task_pool_free(&worker->runtime.tasks);
	block_pool_free(&worker->runtime.blocks);
	block_pool_free(&worker->runtime.buffers);
	for (size_t i = 0; i < worker->listeners_made; i++)
		block_pool_free(&worker->listeners[i].blocks);
	host_free((struct host *)worker->runtime.host);
	free(worker->listeners);
	free(worker->scratch);
	free(worker->output);
	event_base_free(worker->base);
}

/* ---- the beginning ---- */

/* For the record of a crash: bounded, as the lists may be broken. */
static void walk_requests(const void *data, struct crash *crash)
{
	const struct worker *worker = data;
	const struct conn *conn = worker->conns;

	for (size_t left = worker->conn_count; conn && left; left--) {
		conn_name_requests(conn, crash);
		conn = conn_next(conn);
	}
}

static struct event_base *base_new(void)
{
	struct event_config *settings = event_config_new();
	struct event_base *base = NULL;

	if (settings && event_config_require_features(settings, EV_FEATURE_ET) == 0 &&
	        event_config_set_flag(settings, EVENT_BASE_FLAG_NOLOCK) == 0)
		base = event_base_new_with_config(settings);
	if (settings)
		event_config_free(settings);
	return base;
}

/* Bytes that must be moved in `ms`: one at least. */
static uint64_t quota_of(unsigned rate, unsigned ms)
{
	uint64_t bytes = (uint64_t)rate * ms / 1000;

	return bytes ? bytes : 1;
}

static void add_deadlines(struct worker *worker)
{
	const struct limits *limits = &worker->config->limits;
	struct deadlines *clock = &worker->clock;

	deadlines_add(clock, &worker->header, limits->header_timeout, conn_header_expired);
	deadlines_add(clock, &worker->body, limits->body_timeout, conn_body_expired);
	deadlines_add(clock, &worker->write, limits->write_timeout, conn_write_expired);
	worker->body.quota = quota_of(limits->body_rate, limits->body_timeout);
	worker->write.quota = quota_of(limits->write_rate, limits->write_timeout);
	deadlines_add(clock, &worker->first, FIRST_MS, conn_header_expired);
	deadlines_add(clock, &worker->leave, LEAVE_MS, conn_leave_expired);
	deadlines_add(clock, &worker->linger, LINGER_MS, conn_linger_expired);
	shed_start(worker);
}

/* All but the listeners, which come when the applications have begun. */
static bool worker_start(struct worker *worker, const struct worker_start *start)
{
	worker->base = base_new();
	worker->scratch = malloc((size_t)2 * WORKER_SCRATCH);
	worker->output = malloc(WORKER_OUTPUT);
	worker->runtime.base = worker->base;
	worker->runtime.limits = &worker->config->limits;
	worker->runtime.log = conn_log_said;
	worker->runtime.channel_counters = &worker->slot->counters.channels;
	worker->runtime.threads = worker->config->daemon.threads;
	worker->runtime.programs.limit = worker->config->daemon.programs;
	worker->runtime.fetches.limit = worker->config->daemon.fetches;
	task_pool_init(&worker->runtime.tasks, worker->config->daemon.stack_size);
	if (!worker->base || !worker->scratch || !worker->output ||
	        !async_start(&worker->runtime) || !deadlines_init(&worker->clock, worker->base) ||
	        !worker_start_logs(worker, start->lines))
		return false;
	add_deadlines(worker);
	if (start->bus && !bus_start(worker, start->bus))
		return false;
	evtimer_assign(&worker->tidy, worker->base, on_tidy, worker);
	evtimer_assign(&worker->resume, worker->base, on_resume, worker);
	evtimer_assign(&worker->cut, worker->base, on_cut, worker);
	return upkeep_start(worker) && signals_watch(worker) &&
	       control_watch(worker, start->control);
}

/* Without its master a worker finishes what it has and goes. */
static void follow_master(pid_t master)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != master)
		raise(SIGTERM);
}

static void loop(struct worker *worker)
{
	do
		tally_wait(worker);
	while (event_base_loop(worker->base, EVLOOP_ONCE) == 0 &&
	        !event_base_got_break(worker->base));
}

static int fail_start(const struct worker_start *start, int status, const char *why)
{
	control_send(start->control, CONTROL_FAILED, why);
	return status;
}

/* Has the applications begin and asks them; false when that failed, unless it is told to end. */
static bool begin(struct worker *worker, char *error, size_t size)
{
	if (!async_begin(&worker->runtime, error, size))
		return false;
	return worker->draining || probe_run(worker, error, size) || worker->draining;
}

/* Lets requests in once all have begun; false when that failed, which was told. */
static bool serve(struct worker *worker, const struct worker_start *start)
{
	char error[CONTROL_TEXT_MAX];

	if (!begin(worker, error, sizeof(error))) {
		fail_start(start, 1, error);
		return false;
	}
	if (worker->draining)
		return true;
	if (!listeners_open(worker, start->bound, start->bound_count)) {
		snprintf(error, sizeof(error), "a worker can't start: %s", strerror(errno));
		fail_start(start, 1, error);
		return false;
	}
	if (start->config->daemon.daemonize && background_leave_terminal())
		log_follow_stderr();
	tally_serve(worker);
	/* a master that does not listen any more wants no worker */
	if (control_send(start->control, CONTROL_READY, NULL))
		loop(worker);
	return true;
}

int worker_run(const struct worker_start *start)
{
	struct worker worker = {
		.config = start->config, .slot = start->slot, .upkeep.statm = start->statm
	};
	pid_t master = getppid();
	char error[512], name[16];

	if (start->number)
		snprintf(name, sizeof(name), "worker %d", start->number);
	else
		snprintf(name, sizeof(name), "admin");
	log_name(name);
	tally_start(&worker, start->number);
	worker.runtime.worker = start->number;
	worker.runtime.debug = start->config->debug;
	if (!crash_catch(&start->slot->crash, &worker.runtime, walk_requests, &worker))
		return fail_start(start, 1, "a worker can't start: no memory");
	worker.runtime.host = host_load(start->config, error, sizeof(error));
	if (!worker.runtime.host)
		return fail_start(start, 2, error);
	if (!worker_start(&worker, start)) {
		snprintf(error, sizeof(error), "a worker can't start: %s", strerror(errno));
		return fail_start(start, 1, error);
	}
	follow_master(master);
	int status = serve(&worker, start) ? 0 : 1;

	worker_stop(&worker);
	crash_forget();
	close(start->control);
	return status;
}
