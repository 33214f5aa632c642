#include "listener.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "conn.h"
#include "log.h"
#include "shed.h"
#include "tally.h"

/* Connections taken from one listener before others get a turn. */
#define ACCEPT_BATCH 64

static void watch_queue(struct listener *listener, bool watch)
{
	if (watch)
		event_add(&listener->event, NULL);
	else
		event_del(&listener->event);
	tally_watched(listener, watch);
}

static void listeners_watch(struct worker *worker, bool watch)
{
	for (size_t i = 0; i < worker->listener_count; i++)
		if (!watch || !worker->listeners[i].paused)
			watch_queue(&worker->listeners[i], watch);
}

/* Out of descriptors: a listener that stays readable would spin the loop. */
static void pause_accepting(struct worker *worker)
{
	const struct timeval soon = { 0, 100000 };

	if (!worker->paused)
		log_line(LOG_LEVEL_WARNING,
		        "out of descriptors with %zu connections: accepting "
		        "pauses; raise daemon.open_files",
		        worker->conn_count);
	worker->paused = true;
	listeners_watch(worker, false);
	evtimer_add(&worker->resume, &soon);
}

void listeners_resume(struct worker *worker)
{
	if (worker->paused && !worker->draining)
		listeners_watch(worker, true);
	worker->paused = false;
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
	watch_queue(listener, false);
}

static void resume_listener(struct listener *listener)
{
	listener->paused = false;
	if (!listener->worker->paused && !listener->worker->draining)
		watch_queue(listener, true);
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

static void on_acceptable(evutil_socket_t fd, short what, void *argument)
{
	struct listener *listener = argument;

	(void)what;
	tally_turn(listener->worker);
	if (is_full(listener))
		pause_listener(listener);
	tally_queue(listener);
	for (int i = 0; i < ACCEPT_BATCH && !is_full(listener); i++) {
		struct sockaddr_storage peer = { 0 };
		socklen_t length = sizeof(peer);
		int client = accept4(
		        fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client < 0) {
			int error = errno;

			tally_queue_end(listener, error == EAGAIN);
			if (is_shortage(error))
				pause_accepting(listener->worker);
			return;
		}
		take_client(listener, client, (struct sockaddr *)&peer);
	}
	tally_queue_end(listener, false);
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
	return true;
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
		on_acceptable(worker->listeners[i].bound->fd, EV_READ, &worker->listeners[i]);
}

void listener_conn_closed(struct listener *listener)
{
	listener->conn_count--;
	if (2 * listener->conn_count < listener->config->max_connections)
		listener->warned = false;
	if (listener->paused)
		resume_listener(listener);
}
