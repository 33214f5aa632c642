#include "listener.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "conn.h"
#include "control.h"
#include "exclusive.h"
#include "log.h"
#include "shed.h"
#include "tally.h"

/* Connections taken from one listener before others get a turn. */
#define ACCEPT_BATCH 64

/* Until the log says again that there are no descriptors. */
#define SHORTAGE_SECONDS 60

/* Connections after which other workers are woken before this one, though it keeps none. */
#define TURN 64

static void unwatch(struct listener *listener)
{
	listener->exclusive = false;
	event_del(&listener->event);
	tally_watched(listener, false);
}

/* Somebody may wait of whom no other worker has heard. */
static void pass_on(struct worker *worker)
{
	bool alone = false;

	for (size_t i = 0; i < worker->listener_count; i++)
		alone |= worker->listeners[i].exclusive;
	if (alone)
		control_send(event_get_fd(&worker->control), CONTROL_LOOK, NULL);
}

/* It is tried again and again, which is not told each time. */
static void tell_shortage(struct worker *worker)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (worker->short_until > (uint64_t)now.tv_sec)
		return;
	worker->short_until = (uint64_t)now.tv_sec + SHORTAGE_SECONDS;
	log_line(LOG_LEVEL_WARNING,
	        "out of descriptors with %zu connections: accepting pauses; raise "
	        "daemon.open_files",
	        worker->conn_count);
}

/* Out of descriptors: a listener that stays readable would spin the loop. */
static void pause_accepting(struct worker *worker)
{
	const struct timeval soon = { 0, 100000 };

	if (!worker->paused)
		tell_shortage(worker);
	worker->paused = true;
	pass_on(worker);
	for (size_t i = 0; i < worker->listener_count; i++)
		unwatch(&worker->listeners[i]);
	evtimer_add(&worker->resume, &soon);
}

static void watch(struct listener *listener)
{
	tally_watched(listener, true);
	if (event_add(&listener->event, NULL) < 0)
		pause_accepting(listener->worker);
}

static void watch_with_others(struct listener *listener)
{
	unwatch(listener);
	watch(listener);
}

/*
 * Who is woken alone takes whoever has come, or tells the others, who hear of it in no other way.
 * So this is for one that has just begun, or has taken somebody and could take more. One that is
 * left with more connections than before goes behind the others: those that stay are shared.
 */
static void watch_alone(struct listener *listener)
{
	struct worker *worker = listener->worker;
	bool stays = listener->conn_count <= listener->had && listener->taken < TURN;

	listener->had = listener->conn_count;
	if (worker->epoll < 0 || listener->watched == UNWATCHED || (listener->exclusive && stays))
		return;
	listener->taken = 0;
	listener->exclusive = exclusive_watch(worker->epoll, listener->bound->fd);
	if (listener->exclusive)
		return;
	worker->epoll = -1;
	watch_with_others(listener);
}

void listeners_resume(struct worker *worker)
{
	bool resume = worker->paused && !worker->draining;

	worker->paused = false;
	for (size_t i = 0; resume && !worker->paused && i < worker->listener_count; i++)
		if (!worker->listeners[i].paused)
			watch(&worker->listeners[i]);
}

static bool is_full(const struct listener *listener)
{
	unsigned max = listener->config->max_connections;

	return max && listener->conn_count >= max;
}

/* Somebody waits, but has to until a connection is closed. */
static void pause_listener(struct listener *listener)
{
	if (!listener->warned)
		log_line(LOG_LEVEL_WARNING,
		        "%s: %zu connections, as many as listen.max_connections allows: others "
		        "wait to be accepted",
		        listener->bound->name, listener->conn_count);
	listener->warned = listener->paused = true;
	unwatch(listener);
}

static void resume_listener(struct listener *listener)
{
	listener->paused = false;
	if (!listener->worker->paused && !listener->worker->draining)
		watch(listener);
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void take_client(struct listener *listener, int client, const struct sockaddr *peer)
{
	if (conn_is_allowed(listener, client, peer)) {
		conn_open(listener, client, peer);
		return;
	}
	tally_refused(listener->worker, REFUSAL_CLIENT);
	close(client);
}

/* How many of those who have connected, a batch at most; and why no more, 0 if there may be. */
static size_t take_batch(struct listener *listener, int *error)
{
	size_t taken;

	*error = 0;
	for (taken = 0; taken < ACCEPT_BATCH && !is_full(listener); taken++) {
		struct sockaddr_storage peer; /* as much of it is set as its family has */
		socklen_t length = sizeof(peer);
		int client = accept4(listener->bound->fd, (struct sockaddr *)&peer, &length,
		        SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client < 0) {
			*error = errno;
			break;
		}
		take_client(listener, client, (struct sockaddr *)&peer);
	}
	return taken;
}

static void on_acceptable(evutil_socket_t fd, short what, void *argument)
{
	struct listener *listener = argument;
	int error;

	(void)fd;
	(void)what;
	tally_turn(listener->worker);
	if (is_full(listener))
		pause_listener(listener);
	tally_queue(listener);
	size_t taken = take_batch(listener, &error);

	listener->taken += taken;
	tally_queue_end(listener, error == EAGAIN);
	if (is_shortage(error))
		pause_accepting(listener->worker);
	else if (is_full(listener) && listener->exclusive)
		watch_with_others(listener);
	else if (taken && !is_full(listener))
		watch_alone(listener);
}

bool listeners_open(struct worker *worker, const struct bound *bound, size_t count)
{
	worker->listeners = calloc(count, sizeof(*worker->listeners));
	if (!worker->listeners)
		return false;
	worker->listeners_made = count;
	for (size_t i = 0; i < count; i++) {
		struct listener *listener = &worker->listeners[i];

		listener->worker = worker;
		listener->bound = &bound[i];
		listener->config = &worker->config->listen[bound[i].listener];
		listener->conn_size = conn_size(listener->config->protocol);
		listener->limits = worker->config->limits;
		listener->limits.underscores = listener->config->underscores;
		deadlines_add(&worker->clock, &listener->keepalive,
		        listener->config->keepalive_timeout, conn_idle_expired);
		if (event_assign(&listener->event, worker->base, bound[i].fd, EV_READ | EV_PERSIST,
		            on_acceptable, listener) < 0 ||
		        event_add(&listener->event, NULL) < 0)
			return false;
		worker->listener_count++;
	}
	const struct daemon_config *daemon = &worker->config->daemon;
	bool others = daemon->workers > 1 || daemon->workers_max > 1;

	worker->epoll = -1;
	if (others)
		listeners_share(worker);
	return true;
}

void listeners_share(struct worker *worker)
{
	for (size_t i = 0; i < worker->listener_count; i++) {
		struct listener *listener = &worker->listeners[i];

		if (listener->watched == UNWATCHED)
			continue;
		if (worker->epoll < 0)
			worker->epoll = exclusive_find(listener->bound->fd);
		/* one that is full could not take whom it is told of */
		if (!is_full(listener))
			watch_alone(listener);
	}
}

void listeners_close(struct worker *worker)
{
	for (size_t i = 0; i < worker->listener_count; i++) {
		shed_end(&worker->listeners[i]);
		event_del(&worker->listeners[i].event);
		close(worker->listeners[i].bound->fd);
	}
	worker->listener_count = 0;
}

void listeners_take(struct worker *worker)
{
	for (size_t i = 0; i < worker->listener_count; i++)
		if (!is_full(&worker->listeners[i]))
			on_acceptable(
			        worker->listeners[i].bound->fd, EV_READ, &worker->listeners[i]);
}

void listener_conn_closed(struct listener *listener)
{
	listener->conn_count--;
	if (2 * listener->conn_count < listener->config->max_connections)
		listener->warned = false;
	if (listener->paused)
		resume_listener(listener);
}
