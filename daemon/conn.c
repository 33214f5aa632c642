#include "conn_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "crash.h"
#include "log.h"
#include "shed.h"
#include "tally.h"

/* ---- the end ---- */

struct sockaddr_storage conn_peer(const struct conn *conn)
{
	struct sockaddr_storage address = { .ss_family = conn->family };

	if (conn->family == AF_INET) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)&address;

		memcpy(&v4->sin_addr, conn->address, 4);
		v4->sin_port = htons(conn->port);
	} else if (conn->family == AF_INET6) {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;

		memcpy(&v6->sin6_addr, conn->address, 16);
		v6->sin6_port = htons(conn->port);
	}
	return address;
}

static __attribute__((noinline)) void write_log(
        const struct conn *conn, unsigned level, enum close_reason reason, const char *detail)
{
	char name[SOCKET_NAME_MAX];
	struct sockaddr_storage peer = conn_peer(conn);

	socket_name((struct sockaddr *)&peer, sizeof(peer), name, sizeof(name));
	/* where several are open it may be about any of them */
	struct ag_request *req = conn->requests && !conn->requests->next ? conn->requests : NULL;

	log_request_line(level, req ? ag_request_id(req) : NULL, "%s from %s (%s): %s%s%s",
	        conn->listener->bound->name, name, conn->protocol ? conn->protocol->name : "auto",
	        close_reasons[reason].text, detail ? ": " : "", detail ? detail : "");
}

void conn_log(const struct conn *conn, enum close_reason reason, const char *detail)
{
	unsigned level = close_reasons[reason].is_error ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;

	if (log_wants(level))
		write_log(conn, level, reason, detail);
}

static void unlink_conn(struct conn *conn)
{
	if (conn->previous)
		conn->previous->next = conn->next;
	else
		conn->worker->conns = conn->next;
	if (conn->next)
		conn->next->previous = conn->previous;
}

/* The last step; no request may be open. */
static void conn_free(struct conn *conn)
{
	struct listener *listener = conn->listener;

	assert(!conn->requests && !conn->busy);
	unlink_conn(conn);
	free(conn->in);
	free(conn->out);
	block_put(&listener->blocks, conn);
	worker_conn_closed(listener);
}

/* A request that has not learnt yet that the peer is gone. */
static struct ag_request *find_untold(const struct conn *conn, bool broken)
{
	for (struct ag_request *req = conn->requests; req; req = req->next)
		if (broken ? !req->broken : !req->gone)
			return req;
	return NULL;
}

/* The peer sends no more, or (`broken`) is gone: every handler learns it. */
static void tell_requests(struct conn *conn, bool broken)
{
	struct ag_request *req;
	bool busy = conn->busy;

	conn->busy = true;
	while ((req = find_untold(conn, broken))) {
		if (req->started) {
			request_gone(req, broken);
		} else {
			if (conn->worker->tells)
				conn_log_end(conn, req);
			conn_drop_request(conn, req);
		}
	}
	conn->busy = busy;
}

/* It is closed: its handlers learn it, and it is freed once they are gone. */
static void bury(struct conn *conn)
{
	if (conn->requests)
		tell_requests(conn, true);
	if (!conn->requests)
		conn_free(conn);
}

/* Takes the connection off the loop and tells its handlers; frees it unless they go on. */
void conn_close(struct conn *conn, enum close_reason reason, const char *detail)
{
	assert(conn->state != CONN_DEAD);
	conn_log(conn, reason, detail);
	tally_closed(conn->worker, reason);
	if (conn->events)
		event_del(&conn->event);
	conn->events = 0;
	deadline_clear(&conn->deadline);
	close(conn->fd);
	conn->state = CONN_DEAD;
	conn->out_at = conn->out_end = 0;
	if (!conn->busy)
		bury(conn);
}

/* Decodes and runs handlers for as long as there is something to do. */
void conn_work(struct conn *conn, struct span in)
{
	size_t before;
	bool ran;

	conn->busy = true;
	do {
		before = in.length;
		conn_decode(conn, &in);
		ran = conn_run_ready(conn);
	} while (in.length && (ran || in.length < before) && conn->state == CONN_OPEN);
	if (conn->deaf || (conn->closing && !conn->requests))
		in.length = 0;
	if (in.length || conn->in)
		conn_keep_in(conn, in);
	conn->busy = false;
	conn_settle(conn);
}

/* ---- the loop ---- */

static void on_ready(evutil_socket_t fd, short what, void *argument);

/* Whether what comes is taken, if only to learn that a handler's client has gone. */
static bool listens(const struct conn *conn)
{
	const struct ag_request *first = conn->requests;

	if (conn->state == CONN_LINGERING || conn->eof)
		return !conn->eof;
	if (conn->in_length >= WORKER_SCRATCH || conn->deaf || conn->failed)
		return false;
	return !conn_is_full(conn) || conn->whole || (conn->closing && first && !first->upgraded);
}

/* Tells the loop what to wait for. */
void conn_watch(struct conn *conn)
{
	short events = listens(conn) ? EV_READ : 0;

	if (conn->out_at < conn->out_end || conn->yields || conn->failed)
		events |= EV_WRITE; /* what has failed is ended when the loop comes by */
	conn_watch_deadline(conn);
	if (events == conn->events)
		return;
	if (conn->events)
		event_del(&conn->event);
	conn->events = (unsigned)events;
	event_assign(
	        &conn->event, conn->worker->base, conn->fd, events | EV_PERSIST, on_ready, conn);
	if (events && event_add(&conn->event, NULL) < 0)
		conn->events = 0;
}

static void start_lingering(struct conn *conn)
{
	shutdown(conn->fd, SHUT_WR);
	conn->state = CONN_LINGERING;
	conn_watch(conn);
}

/* All requests are answered and all is sent: whether and how the connection ends. */
static void conn_rest(struct conn *conn)
{
	if (conn->closing && conn->lingers && !conn->eof)
		start_lingering(conn);
	else if (conn->closing)
		conn_close(conn, CLOSE_ANSWERED, NULL);
	else if (conn->eof)
		conn_close(conn, CLOSE_PEER, NULL);
	else if (conn->worker->draining && !conn->worker->softly && conn->greeted &&
	         !conn_head_begun(conn))
		conn_close(conn, CLOSE_DRAINED, NULL);
	else
		conn_watch(conn);
}

/* Whether it waits for the next request and for nothing else, as behind nearly every answer. */
static bool is_idle(const struct conn *conn)
{
	if (conn->state != CONN_OPEN || conn->failed || conn->closing || conn->eof ||
	        conn->yields || !conn->served || conn->events != EV_READ)
		return false;
	if (conn->requests || conn->in_length || conn->out_at < conn->out_end ||
	        conn->worker->draining)
		return false;
	return conn->protocol->multiplexes || !conn->protocol->body_left(conn->decoder, 1);
}

/* The same where it does not wait, or for something else. */
static __attribute__((noinline)) void settle(struct conn *conn)
{
	if (conn->failed && conn->state != CONN_DEAD) {
		conn_close(conn, conn->failed, NULL);
		return;
	}
	if (conn->state == CONN_DEAD)
		bury(conn);
	else if (conn->state == CONN_OPEN && !conn->requests && conn->out_at == conn->out_end)
		conn_rest(conn);
	else
		conn_watch(conn);
}

/* Brings it to rest after whatever has happened; it may be freed. Inlined in conn_work. */
inline void conn_settle(struct conn *conn)
{
	if (is_idle(conn))
		conn_wait_idle(conn);
	else
		settle(conn);
}

static __attribute__((noinline)) void drop_input(struct conn *conn)
{
	ssize_t n = read(conn->fd, conn->worker->scratch, WORKER_SCRATCH);

	if (n > 0)
		tally_in(conn->worker, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		conn_close(conn, CLOSE_ANSWERED, NULL);
}

/* There was nothing to be read, or no more will be. */
static void take_nothing(struct conn *conn)
{
	conn->late = false;
	if (conn->eof) {
		conn->lingers = false;
		tell_requests(conn, false);
	}
	conn_settle(conn);
}

static inline void take_input(struct conn *conn)
{
	uint32_t before = conn->in_length;
	struct span in = conn_read_input(conn);
	struct deadline_list *body = &conn->worker->body;

	if (!in.length) {
		take_nothing(conn);
		return;
	}
	if (conn->served)
		conn->late = false;
	if (conn->window == body) {
		if (conn_is_late(conn, body)) {
			conn_fail_bodies(conn, in);
			return;
		}
		conn_moved(conn, body, in.length - before);
	}
	conn_work(conn, in);
}

static void on_ready(evutil_socket_t fd, short what, void *argument)
{
	struct conn *conn = argument;

	(void)fd;
	tally_turn(conn->worker);
	if (conn->state == CONN_LINGERING) {
		drop_input(conn);
		return;
	}
	if (what & EV_WRITE) {
		conn_flush(conn);
		conn_give_room(conn);
		return; /* it may be gone; what is to be read comes with the next turn */
	}
	take_input(conn);
}

/* ---- from outside ---- */

static void set_peer(struct conn *conn, const struct sockaddr *peer)
{
	conn->family = (uint8_t)peer->sa_family;
	if (peer->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;

		memcpy(conn->address, &v4->sin_addr, 4);
		conn->port = ntohs(v4->sin_port);
	} else if (peer->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;

		memcpy(conn->address, &v6->sin6_addr, 16);
		conn->port = ntohs(v6->sin6_port);
	}
}

size_t conn_size(const struct protocol *protocol)
{
	size_t state = protocol ? protocol->state_size : 0;

	for (const struct protocol *const *p = protocols; !protocol && *p; p++)
		state = (*p)->state_size > state ? (*p)->state_size : state;
	return sizeof(struct conn) + state;
}

static struct conn *conn_new(struct listener *listener)
{
	const size_t zeroed = offsetof(struct conn, worker);
	struct conn *conn = block_get(&listener->blocks, listener->conn_size);

	if (conn)
		memset((char *)conn + zeroed, 0, listener->conn_size - zeroed);
	return conn;
}

void conn_open(struct listener *listener, int fd, const struct sockaddr *peer)
{
	const struct protocol *protocol = listener->config->protocol;
	struct worker *worker = listener->worker;
	struct conn *conn = conn_new(listener);

	tally_opened(listener);
	if (!conn) {
		tally_closed(worker, CLOSE_MEMORY);
		close(fd);
		return;
	}
	conn->worker = worker;
	conn->listener = listener;
	conn->protocol = protocol;
	conn->fd = fd;
	set_peer(conn, peer);
	conn->next = worker->conns;
	if (conn->next)
		conn->next->previous = conn;
	worker->conns = conn;
	worker->conn_count++;
	listener->conn_count++;
	if (conn->family == AF_UNIX && peers_have_unix(&listener->config->trusted_proxies, fd))
		conn->vouched = true;
	if (listener->config->proxy_protocol)
		conn->unproxied = true;
	if (shed_is_due(listener))
		conn->late = true;
	if (!conn->unproxied || conn_trusts_peer(conn))
		take_input(conn);
	else
		conn_close(conn, CLOSE_UNTRUSTED, NULL);
}

void conn_drain(struct conn *conn)
{
	if (conn->state == CONN_OPEN && !conn_leave(conn))
		conn_settle(conn);
}

void conn_cut(struct conn *conn)
{
	if (conn->state == CONN_DEAD)
		return;
	conn_log_cut(conn);
	conn_close(conn, CLOSE_CUT, NULL);
}

struct conn *conn_next(const struct conn *conn)
{
	return conn->next;
}

void conn_name_requests(const struct conn *conn, struct crash *crash)
{
	for (const struct ag_request *req = conn->requests; req; req = req->next)
		if (req->started && !req->done && !crash_other(crash, req))
			return;
}

static struct ag_request *find_late(const struct conn *conn, uint64_t limit)
{
	struct ag_request *req = conn->requests;

	while (req && !request_is_late(req, limit))
		req = req->next;
	return req;
}

bool conn_end_late(struct conn *conn, uint64_t limit)
{
	struct ag_request *req = find_late(conn, limit);
	bool waiting = find_late(conn, UINT64_MAX);

	if (!req)
		return waiting;
	conn->busy = true;
	for (; req; req = find_late(conn, limit)) {
		conn_log_late(req);
		request_late(req);
	}
	conn_work(conn, (struct span){ conn->in, conn->in_length });
	return waiting;
}
