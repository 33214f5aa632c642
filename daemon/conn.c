#include "conn.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "../protocols/cgi.h"
#include "log.h"

/* Bytes of an answer that may wait for a slow client before its handler waits too. */
#define HIGH_WATER 65536
#define LOW_WATER  16384

/* Bytes that a handler may send before others get a turn, however fast its client is. */
#define TURN (1024 * 1024)

/* A body not read by its handler is read and dropped up to here, to keep the connection. */
#define DRAIN_MAX 65536

enum conn_state {
	CONN_OPEN,      /* requests come and go */
	CONN_LINGERING, /* all is sent and said; what the peer still sends is dropped */
	CONN_DEAD,      /* the descriptor is closed; handlers are still to return */
};

enum close_reason {
	CLOSE_NOT,
	CLOSE_ANSWERED,
	CLOSE_PEER,
	CLOSE_RESET,
	CLOSE_BAD,
	CLOSE_FOREIGN,
	CLOSE_HEADER_TIMEOUT,
	CLOSE_BODY_TIMEOUT,
	CLOSE_WRITE_TIMEOUT,
	CLOSE_IDLE,
	CLOSE_LINGERED,
	CLOSE_DRAINED,
	CLOSE_CUT,
	CLOSE_MEMORY,
};

/* Why connections end. */
static const struct {
	bool is_error;
	const char *text;
} reasons[] = {
	[CLOSE_ANSWERED] = { false, "answered" },
	[CLOSE_PEER] = { false, "closed by the peer" },
	[CLOSE_RESET] = { true, "lost: the peer went away" },
	[CLOSE_BAD] = { true, "refused: the peer broke the protocol" },
	[CLOSE_FOREIGN] = { true, "refused: another protocol" },
	[CLOSE_HEADER_TIMEOUT] = { true, "no complete request within limits.header_timeout" },
	[CLOSE_BODY_TIMEOUT] = { true, "no byte of the body within limits.body_timeout" },
	[CLOSE_WRITE_TIMEOUT] = { true, "no byte of the answer taken within limits.write_timeout" },
	[CLOSE_IDLE] = { false, "idle for keepalive_timeout" },
	[CLOSE_LINGERED] = { false, "answered; the peer went on sending" },
	[CLOSE_DRAINED] = { false, "idle while the worker stops" },
	[CLOSE_CUT] = { true, "cut: the worker stops" },
	[CLOSE_MEMORY] = { true, "no memory" },
};

struct conn {
	struct event event;
	struct deadline deadline;
	struct worker *worker;
	struct listener *listener;
	const struct protocol *protocol; /* NULL: its first byte has not come */
	struct conn *previous, *next;
	struct ag_request *requests; /* open, newest first */
	uint8_t *in;                 /* what the decoder left: `in_length` bytes at `in` */
	uint8_t *out;                /* what the peer has not taken: from out_at to out_end */
	uint32_t in_length, in_size;
	uint32_t out_at, out_end, out_size;
	uint32_t sent;  /* since the last turn */
	int fd;
	uint16_t port;  /* the peer's */
	uint8_t address[16];
	uint8_t family; /* of the address: AF_INET, AF_INET6, AF_UNIX */
	uint8_t state;
	uint8_t events; /* EV_READ | EV_WRITE the loop watches */
	uint8_t first;  /* the first byte that came */
	uint8_t failed; /* enum close_reason found in a handler: closed at the next chance */
	bool busy;      /* conn_work is on the way: others leave the rest to it */
	bool whole;     /* a request has come whole and is not answered */
	bool closing;   /* no other request is taken; closed when all are answered */
	bool deaf;      /* what comes in can't be understood any more */
	bool lingers;   /* ... and the peer may still be sending */
	bool eof;       /* the peer sends no more */
	bool served;    /* at least one request came */
	bool greeted;   /* the first byte has come */
	bool yields;    /* a handler gives others a turn */
	alignas(16) unsigned char decoder[];
};

static void conn_work(struct conn *conn, struct span in);
static void conn_settle(struct conn *conn);
static void conn_watch(struct conn *conn);
static void log_foreign(const struct conn *conn);

/* ---- the end ---- */

static struct sockaddr_storage peer_address(const struct conn *conn)
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

static void log_reason(const struct conn *conn, enum close_reason reason, const char *detail)
{
	unsigned level = reasons[reason].is_error ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
	struct sockaddr_storage peer = peer_address(conn);
	char name[SOCKET_NAME_MAX];

	if (!log_wants(level))
		return;
	socket_name((struct sockaddr *)&peer, sizeof(peer), name, sizeof(name));
	log_line(level, "%s from %s (%s): %s%s%s", conn->listener->bound->name, name,
			conn->protocol ? conn->protocol->name : "auto", reasons[reason].text,
			detail ? ": " : "", detail ? detail : "");
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
	struct worker *worker = conn->worker;

	assert(!conn->requests && !conn->busy);
	unlink_conn(conn);
	free(conn->in);
	free(conn->out);
	free(conn);
	worker->conn_count--;
	worker_conn_closed(worker);
}

/* Takes the connection off the loop and tells its handlers; frees it unless they go on. */
static void conn_close(struct conn *conn, enum close_reason reason, const char *detail)
{
	assert(conn->state != CONN_DEAD);
	log_reason(conn, reason, detail);
	if (conn->events)
		event_del(&conn->event);
	conn->events = 0;
	deadline_clear(&conn->deadline);
	close(conn->fd);
	conn->state = CONN_DEAD;
	conn->out_at = conn->out_end = 0;
	if (!conn->busy)
		conn_settle(conn);
}

/* ---- requests ---- */

static struct ag_request *request_of(const struct conn *conn, uint16_t id)
{
	struct ag_request *req = conn->requests;

	while (req && req->id != id)
		req = req->next;
	return req;
}

static void unlink_request(struct conn *conn, struct ag_request *req)
{
	struct ag_request **link = &conn->requests;

	while (*link != req)
		link = &(*link)->next;
	*link = req->next;
}

static void drop_request(struct conn *conn, struct ag_request *req)
{
	unlink_request(conn, req);
	request_free(req);
}

/* ---- out ---- */

static bool keep_out(struct conn *conn, const uint8_t *data, size_t length)
{
	size_t kept = conn->out_end - conn->out_at;

	if (conn->out_at && kept) {
		memmove(conn->out, conn->out + conn->out_at, kept);
	}
	conn->out_at = 0;
	conn->out_end = (uint32_t)kept;
	if (kept + length > conn->out_size) {
		size_t size = conn->out_size ? conn->out_size : 4096;

		while (size < kept + length)
			size *= 2;
		uint8_t *out = realloc(conn->out, size);

		if (!out)
			return false;
		conn->out = out;
		conn->out_size = (uint32_t)size;
	}
	memcpy(conn->out + kept, data, length);
	conn->out_end = (uint32_t)(kept + length);
	return true;
}

/* How many bytes the socket took; below 0: it is broken. */
static ssize_t socket_write(struct conn *conn, const uint8_t *data, size_t length)
{
	ssize_t n;

	do
		n = send(conn->fd, data, length, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	return n;
}

/* Sends or keeps; false when the connection is broken, which is handled later. */
static bool conn_write(struct conn *conn, const uint8_t *data, size_t length)
{
	if (conn->failed)
		return false;
	if (conn->out_at == conn->out_end) {
		ssize_t n = socket_write(conn, data, length);

		if (n < 0) {
			conn->failed = CLOSE_RESET;
			return false;
		}
		data += n;
		length -= (size_t)n;
	}
	if (length && !keep_out(conn, data, length)) {
		conn->failed = CLOSE_MEMORY;
		return false;
	}
	return true;
}

/* What was kept, once the socket takes more. */
static void flush(struct conn *conn)
{
	if (conn->out_at == conn->out_end)
		return;
	ssize_t n = socket_write(conn, conn->out + conn->out_at, conn->out_end - conn->out_at);

	if (n < 0) {
		conn->failed = CLOSE_RESET;
		return;
	}
	conn->out_at += (uint32_t)n;
	if (n > 0)
		deadline_clear(&conn->deadline); /* progress: set anew by conn_watch */
	if (conn->out_at == conn->out_end) {
		free(conn->out);
		conn->out = NULL;
		conn->out_at = conn->out_end = conn->out_size = 0;
	}
}

static struct writer output(struct conn *conn)
{
	uint8_t *at = conn->worker->output;

	return (struct writer){ at, at + WORKER_OUTPUT, false };
}

static bool write_out(struct conn *conn, const struct writer *out)
{
	const uint8_t *from = conn->worker->output;

	assert(!out->overflow);
	return out->at == from || conn_write(conn, from, (size_t)(out->at - from));
}

/* Whether the peer may send another request on this connection after this answer. */
static bool may_go_on(const struct conn *conn, const struct ag_request *req, uint64_t body_left)
{
	if (conn->closing || conn->eof || conn->worker->draining || req->cut_short)
		return false;
	if (!conn->protocol->keeps(conn->decoder, req->id))
		return false;
	if (conn->protocol->multiplexes || !body_left)
		return true;
	/* a client that waits for 100 Continue may send its body, or not */
	return body_left <= DRAIN_MAX && req->body_received;
}

static void encode_head(struct conn *conn, struct ag_request *req, const struct head *head,
		struct writer *out)
{
	const struct protocol *protocol = conn->protocol;
	uint64_t body_left = protocol->body_left(conn->decoder, req->id);
	struct reply reply = {
		.status = head->status,
		.reason = ag_reason(head->status),
		.fields = { (const uint8_t *)head->fields, head->fields_length },
		.length = head->length,
		.bodiless = head->bodiless,
		.close = !may_go_on(conn, req, body_left),
		.date = worker_date(conn->worker),
	};

	protocol->head(conn->decoder, req->id, &reply, out);
	if (reply.close || !protocol->keeps(conn->decoder, req->id))
		conn->closing = true;
	if (conn->closing && body_left)
		conn->lingers = true;
}

static void encode_body(struct conn *conn, const struct ag_request *req, const uint8_t *data,
		size_t size, struct writer *out)
{
	const struct protocol *protocol = conn->protocol;

	while (size > 0) {
		size_t n = size < protocol->frame_max ? size : protocol->frame_max;
		uint8_t tail[PROTOCOL_FRAME_MAX];
		struct writer after = { tail, tail + sizeof(tail), false };

		protocol->frame(conn->decoder, req->id, n, out, &after);
		write_bytes(out, data, n);
		write_bytes(out, tail, (size_t)(after.at - tail));
		data += n;
		size -= n;
	}
}

static void encode_end(struct conn *conn, struct ag_request *req, struct writer *out)
{
	req->over = true;
	if (req->cut_short) {
		conn->closing = true;
		if (!conn->protocol->multiplexes)
			return;
	}
	conn->protocol->end(conn->decoder, req->id, out);
}

static int gate_send(
		struct ag_request *req, const struct head *head, const void *body, size_t size, bool end)
{
	struct conn *conn = req->carrier;

	if (conn->state != CONN_OPEN || conn->failed)
		return AG_GONE;
	struct writer out = output(conn);

	if (head)
		encode_head(conn, req, head, &out);
	encode_body(conn, req, body, size, &out);
	if (end)
		encode_end(conn, req, &out);
	conn->sent += (uint32_t)(out.at - conn->worker->output);
	if (!write_out(conn, &out))
		return AG_GONE;
	if (conn->out_end - conn->out_at > HIGH_WATER)
		return 1;
	conn->yields = conn->sent > TURN && !end;
	return conn->yields;
}

/* A handler suspends; on its stack, so nothing may end here. */
static void gate_waits(struct ag_request *req)
{
	struct conn *conn = req->carrier;

	if (conn->state != CONN_OPEN)
		return;
	if (req->waiting == WAITING_BODY && conn->protocol->want_body) {
		struct writer out = output(conn);

		conn->protocol->want_body(conn->decoder, &out);
		write_out(conn, &out);
	}
	if (!conn->busy)
		conn_watch(conn);
}

static void gate_log(struct ag_request *req, const char *line)
{
	const struct var *uri = env_known(&req->env, VAR_REQUEST_URI);

	log_line(LOG_LEVEL_INFO, "%s %s: %s", req->method ? req->method : "-",
			uri ? env_value(uri) : "-", line);
}

static void log_request(const struct conn *conn, struct ag_request *req)
{
	const struct var *uri = env_known(&req->env, VAR_REQUEST_URI);

	log_line(LOG_LEVEL_INFO, "%s %s: %d, %llu bytes (%s)", req->method ? req->method : "-",
			uri ? env_value(uri) : "-", req->status, (unsigned long long)req->body_sent,
			conn->protocol->name);
}

/* The handler has returned: the exchange is over, on the wire too. */
static void gate_finished(struct ag_request *req)
{
	struct conn *conn = req->carrier;

	if (conn->worker->config->debug)
		log_request(conn, req);
	if (!req->over && conn->state == CONN_OPEN && !conn->failed) {
		struct writer out = output(conn);

		conn->closing |= !conn->protocol->keeps(conn->decoder, req->id);
		encode_end(conn, req, &out);
		write_out(conn, &out);
	}
	conn->whole = false;
	conn->sent = 0;
	if (conn->deadline.list == &conn->listener->keepalive)
		deadline_clear(&conn->deadline); /* idle from now, not since the last time */
	worker_tidy(conn->worker);
	drop_request(conn, req);
	if (!conn->busy)
		conn_work(conn, (struct span){ conn->in, conn->in_length });
}

/* One for each protocol, since a request tells which it came by. */
#define GATE(protocol_name) \
	{ protocol_name, gate_send, gate_waits, gate_finished, gate_log }
static const struct gate gates[] = { GATE("fastcgi"), GATE("scgi"), GATE("uwsgi"), GATE("http") };

static const struct gate *gate_of(const struct protocol *protocol)
{
	for (size_t i = 0; i < sizeof(gates) / sizeof(*gates); i++)
		if (protocols[i] == protocol)
			return &gates[i];
	assert(!"a gate for every protocol");
	return NULL;
}

static struct ag_request *open_request(struct conn *conn, uint16_t id)
{
	struct ag_request *req = request_new(
			&conn->worker->runtime, gate_of(conn->protocol), conn, id);

	if (!req) {
		conn->failed = CLOSE_MEMORY;
		return NULL;
	}
	req->next = conn->requests;
	conn->requests = req;
	conn->served = true;
	return req;
}

/* ---- in ---- */

/* The address of a peer that speaks for itself. */
static bool add_peer(struct conn *conn, struct env *env)
{
	struct sockaddr_storage peer = peer_address(conn);
	char host[64], port[12];

	snprintf(port, sizeof(port), "%u", socket_host((struct sockaddr *)&peer, host, sizeof(host)));
	if (!env_set(env, VAR_REMOTE_ADDR, host, strlen(host)) ||
			!env_set(env, VAR_REMOTE_PORT, port, strlen(port)))
		return false;
	const char *name = conn->listener->bound->name, *colon = strrchr(name, ':');

	return conn->family == AF_UNIX || env_set(env, VAR_SERVER_PORT, colon + 1, strlen(colon + 1));
}

/* All variables are there: checked, understood, refused where need be. */
static void take_head(struct conn *conn, struct ag_request *req)
{
	struct verdict verdict = cgi_check(&req->env, conn->worker->runtime.limits);

	if (!verdict.status && conn->protocol->direct && !add_peer(conn, &req->env))
		verdict = (struct verdict){ 431, "no room for the peer's address" };
	if (!verdict.status)
		verdict.status = request_head(req);
	req->has_head = true;
	if (!verdict.status)
		return;
	log_reason(conn, CLOSE_BAD, verdict.reason);
	request_refuse(req, verdict.status);
}

/* The handler can't have the body; it is told, and so is the peer where it still can be. */
static void fail_body(struct ag_request *req, int error, int status)
{
	struct conn *conn = req->carrier;

	conn->closing = conn->lingers = true;
	if (!req->started) {
		request_refuse(req, status);
		return;
	}
	request_body_fail(req, error, status);
	request_body_wake(req);
}

static void take_body(struct ag_request *req, const struct wire_event *event)
{
	int status = event->kind == EVENT_END
			? request_body_end(req)
			: request_body(req, event->data.data, event->data.length);

	if (status)
		fail_body(req, AG_REFUSED, status);
}

static void take_variables(struct conn *conn, struct ag_request *req, const struct wire_event *event)
{
	struct verdict verdict = cgi_take(&req->env, event);

	if (!verdict.status)
		return;
	log_reason(conn, CLOSE_BAD, verdict.reason);
	conn->closing = conn->lingers = !conn->protocol->multiplexes;
	request_refuse(req, verdict.status);
}

static void abort_request(struct ag_request *req)
{
	if (req->started) {
		request_gone(req, true);
		return;
	}
	req->broken = true;
	request_refuse(req, 400);
}

static void take_event(struct conn *conn, const struct wire_event *event)
{
	struct ag_request *req = request_of(conn, event->id);

	if (event->kind == EVENT_BEGIN) {
		req = open_request(conn, event->id);
		if (req)
			req->authorizer = event->role == ROLE_AUTHORIZER;
		return;
	}
	if (event->kind == EVENT_REPLY) {
		conn_write(conn, event->reply, event->reply_length);
		return;
	}
	if (event->kind == EVENT_END && req)
		conn->whole = !conn->protocol->multiplexes;
	if (!req)
		return; /* what comes for an exchange that is over */
	switch (event->kind) {
	case EVENT_HEAD:
		take_head(conn, req);
		break;
	case EVENT_BODY:
	case EVENT_END:
		take_body(req, event);
		break;
	case EVENT_ABORT:
		abort_request(req);
		break;
	case EVENT_BAD_EXCHANGE:
		log_reason(conn, CLOSE_BAD, event->reason);
		request_refuse(req, event->status);
		break;
	default:
		take_variables(conn, req, event);
	}
}

/* The connection can't be understood any more. */
static void take_bad(struct conn *conn, const struct wire_event *event)
{
	struct ag_request *req = conn->requests;

	if (!conn->served)
		log_foreign(conn);
	log_reason(conn, CLOSE_BAD, event->reason);
	conn->deaf = true;
	if (!event->status) {
		conn->failed = CLOSE_BAD;
		return;
	}
	conn->closing = conn->lingers = true;
	if (!req)
		req = open_request(conn, 1);
	if (req)
		fail_body(req, AG_REFUSED, event->status);
}

/* A peer that speaks something else is a mistake in somebody's configuration: says how to mend it. */
static void log_foreign(const struct conn *conn)
{
	const struct protocol *speaks = protocol_sniff(conn->first);
	const char *takes = conn->protocol ? conn->protocol->name : "auto";
	const char *guess = protocol_guess(conn->first), *place = conn->listener->bound->name;

	if (speaks && speaks != conn->protocol)
		log_line(LOG_LEVEL_WARNING,
				"%s takes %s, but a peer speaks %s: use %s in the gateway, or -P %s here",
				place, takes, guess, conn->protocol->pass, speaks->name);
	else if (!speaks)
		log_line(LOG_LEVEL_WARNING,
				"%s takes %s, but a peer speaks %s: let the gateway speak fastcgi, scgi, "
				"uwsgi or plain http, and end TLS itself",
				place, takes, guess);
}

/* The first byte: tells the protocol where none is configured. False: none that can be. */
static bool greet(struct conn *conn, uint8_t first)
{
	conn->greeted = true;
	conn->first = first;
	if (!conn->protocol)
		conn->protocol = protocol_sniff(first);
	if (conn->protocol)
		return true;
	log_foreign(conn);
	conn->failed = CLOSE_FOREIGN;
	return false;
}

/* Whether decoding must wait: for a handler to read, or for an answer to be complete. */
static bool is_full(const struct conn *conn)
{
	bool wanted = !conn->closing;

	if (conn->whole || conn->deaf || conn->failed || conn->state != CONN_OPEN)
		return true;
	for (const struct ag_request *req = conn->requests; req; req = req->next) {
		if (request_body_full(req))
			return true;
		wanted |= !req->body_ended && !req->body_error;
	}
	return !wanted;
}

static void decode(struct conn *conn, struct span *in)
{
	struct wire_event event;

	if (in->length && !conn->greeted && !greet(conn, in->data[0]))
		return;
	while (conn->protocol && !is_full(conn)) {
		enum decode_result result = conn->protocol->decode(
				conn->decoder, conn->worker->runtime.limits, in, &event);

		if (result == DECODE_MORE)
			return;
		if (result == DECODE_BAD) {
			span_take(in, in->length);
			take_bad(conn, &event);
			return;
		}
		take_event(conn, &event);
	}
}

/* A request whose handler has something to do: to begin, or to learn about its body. */
static struct ag_request *find_ready(const struct conn *conn)
{
	for (struct ag_request *req = conn->requests; req; req = req->next) {
		if (req->has_head && !req->started)
			return req;
		if (req->waiting == WAITING_BODY &&
				(req->body_end > req->body_at || req->body_ended || req->body_error))
			return req;
	}
	return NULL;
}

static bool run_ready(struct conn *conn)
{
	struct ag_request *req;
	bool ran = false;

	while (conn->state == CONN_OPEN && !conn->failed && (req = find_ready(conn))) {
		ran = true;
		if (req->started)
			request_body_wake(req);
		else
			request_start(req);
	}
	return ran;
}

/* Keeps what the decoder left for the next bytes. */
static void keep_in(struct conn *conn, struct span in)
{
	if (in.length && in.data != conn->in) {
		if (in.length > conn->in_size) {
			uint8_t *kept = malloc(in.length);

			if (!kept) {
				conn->failed = CLOSE_MEMORY;
				return;
			}
			memcpy(kept, in.data, in.length);
			free(conn->in);
			conn->in = kept;
			conn->in_size = (uint32_t)in.length;
		} else {
			memmove(conn->in, in.data, in.length);
		}
	}
	conn->in_length = (uint32_t)in.length;
	if (!in.length) {
		free(conn->in);
		conn->in = NULL;
		conn->in_size = 0;
	}
}

/* Decodes and runs handlers for as long as there is something to do. */
static void conn_work(struct conn *conn, struct span in)
{
	size_t before;
	bool ran;

	conn->busy = true;
	do {
		before = in.length;
		decode(conn, &in);
		ran = run_ready(conn);
	} while (conn->state == CONN_OPEN && (ran || (in.length && in.length < before)));
	if (conn->deaf || (conn->closing && !conn->requests))
		in.length = 0;
	keep_in(conn, in);
	conn->busy = false;
	conn_settle(conn);
}

/* ---- the loop ---- */

static void on_ready(evutil_socket_t fd, short what, void *argument);

static bool waits_for(const struct conn *conn, enum waiting what)
{
	for (const struct ag_request *req = conn->requests; req; req = req->next)
		if (req->waiting == what)
			return true;
	return false;
}

static bool head_begun(const struct conn *conn)
{
	if (conn->in_length && !conn->requests)
		return true;
	for (const struct ag_request *req = conn->requests; req; req = req->next)
		if (!req->has_head && !req->started)
			return true;
	return false;
}

/* The list whose deadline fits what the connection waits for now, or NULL. */
static struct deadline_list *deadline_now(const struct conn *conn)
{
	struct worker *worker = conn->worker;

	if (conn->state == CONN_LINGERING)
		return &worker->linger;
	if (conn->out_at < conn->out_end)
		return &worker->write;
	if (head_begun(conn) || !conn->served)
		return &worker->header;
	if (waits_for(conn, WAITING_BODY))
		return &worker->body;
	if (conn->requests)
		return NULL;
	if (conn->protocol->body_left(conn->decoder, 1) && !conn->protocol->multiplexes)
		return &worker->body;
	return &conn->listener->keepalive;
}

static void watch_deadline(struct conn *conn)
{
	struct deadline_list *list = deadline_now(conn);

	if (!list)
		deadline_clear(&conn->deadline);
	else if (list != conn->deadline.list)
		deadline_set(&conn->worker->clock, &conn->deadline, list);
}

/* Tells the loop what to wait for. */
static void conn_watch(struct conn *conn)
{
	short events = 0;

	if (!conn->eof && (conn->state == CONN_LINGERING || conn->in_length < WORKER_SCRATCH) &&
			(conn->state == CONN_LINGERING || !is_full(conn) || conn->whole))
		events |= EV_READ;
	if (conn->out_at < conn->out_end || conn->yields)
		events |= EV_WRITE;
	watch_deadline(conn);
	if (events == conn->events)
		return;
	if (conn->events)
		event_del(&conn->event);
	conn->events = (uint8_t)events;
	event_assign(&conn->event, conn->worker->base, conn->fd, events | EV_PERSIST, on_ready, conn);
	if (events && event_add(&conn->event, NULL) < 0)
		conn->events = 0;
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
		if (req->started)
			request_gone(req, broken);
		else
			drop_request(conn, req);
	}
	conn->busy = busy;
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
	else if (conn->worker->draining && !head_begun(conn))
		conn_close(conn, CLOSE_DRAINED, NULL);
	else
		conn_watch(conn);
}

/* Brings the connection to rest after whatever has happened; it may be freed. */
static void conn_settle(struct conn *conn)
{
	if (conn->failed && conn->state != CONN_DEAD) {
		conn_close(conn, conn->failed, NULL);
		return;
	}
	if (conn->state == CONN_DEAD) {
		tell_requests(conn, true);
		if (!conn->requests)
			conn_free(conn);
		return;
	}
	if (conn->state == CONN_OPEN && !conn->requests && conn->out_at == conn->out_end)
		conn_rest(conn);
	else
		conn_watch(conn);
}

static void drop_input(struct conn *conn)
{
	ssize_t n = read(conn->fd, conn->worker->scratch, WORKER_SCRATCH);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_close(conn, CLOSE_ANSWERED, NULL);
}

/* The new bytes, behind those that were kept; empty when there are none. */
static struct span read_input(struct conn *conn)
{
	uint8_t *into = conn->worker->scratch;
	size_t room = WORKER_SCRATCH;

	if (conn->in_length) {
		size_t size = conn->in_length + (size_t)WORKER_SCRATCH;
		uint8_t *in = size > conn->in_size ? realloc(conn->in, size) : conn->in;

		if (!in) {
			conn->failed = CLOSE_MEMORY;
			return (struct span){ NULL, 0 };
		}
		conn->in = in;
		conn->in_size = size > conn->in_size ? (uint32_t)size : conn->in_size;
		into = in + conn->in_length;
	}
	ssize_t n = read(conn->fd, into, room);

	if (n == 0)
		conn->eof = true;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		conn->failed = CLOSE_RESET;
	if (n <= 0)
		return (struct span){ NULL, 0 };
	if (!conn->in_length)
		return (struct span){ into, (size_t)n };
	conn->in_length += (uint32_t)n;
	return (struct span){ conn->in, conn->in_length };
}

static void take_input(struct conn *conn)
{
	struct span in = read_input(conn);

	if (in.length) {
		if (conn->deadline.list == &conn->worker->body)
			deadline_clear(&conn->deadline); /* progress: set anew by conn_watch */
		conn_work(conn, in);
		return;
	}
	if (conn->eof) {
		conn->lingers = false;
		tell_requests(conn, false);
	}
	conn_settle(conn);
}

/* The peer took something: handlers that waited for room go on. */
static void give_room(struct conn *conn)
{
	struct ag_request *req;

	conn->yields = false;
	conn->sent = 0;
	conn->busy = true;
	while (conn->out_end - conn->out_at <= LOW_WATER && !conn->yields && !conn->failed) {
		for (req = conn->requests; req && req->waiting != WAITING_ROOM;)
			req = req->next;
		if (!req)
			break;
		request_room(req);
	}
	conn->busy = false;
	conn_work(conn, (struct span){ conn->in, conn->in_length });
}

static void on_ready(evutil_socket_t fd, short what, void *argument)
{
	struct conn *conn = argument;

	(void)fd;
	deadlines_tick(&conn->worker->clock);
	if (conn->state == CONN_LINGERING) {
		drop_input(conn);
		return;
	}
	if (what & EV_WRITE) {
		flush(conn);
		give_room(conn);
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

static size_t state_size(const struct protocol *protocol)
{
	size_t size = 0;

	if (protocol)
		return protocol->state_size;
	for (const struct protocol *const *p = protocols; *p; p++)
		size = (*p)->state_size > size ? (*p)->state_size : size;
	return size;
}

void conn_open(struct listener *listener, int fd, const struct sockaddr *peer)
{
	const struct protocol *protocol = listener->config->protocol;
	struct worker *worker = listener->worker;
	struct conn *conn = calloc(1, sizeof(*conn) + state_size(protocol));

	if (!conn) {
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
	take_input(conn);
}

void conn_drain(struct conn *conn)
{
	if (conn->state == CONN_OPEN)
		conn_settle(conn);
}

void conn_cut(struct conn *conn)
{
	if (conn->state != CONN_DEAD)
		conn_close(conn, CLOSE_CUT, NULL);
}

struct conn *conn_next(const struct conn *conn)
{
	return conn->next;
}

static struct conn *conn_of(struct deadline *deadline)
{
	return (struct conn *)((char *)deadline - offsetof(struct conn, deadline));
}

void conn_header_expired(struct deadline *deadline)
{
	struct conn *conn = conn_of(deadline);

	if (!conn->protocol || !conn->protocol->direct || !head_begun(conn)) {
		conn_close(conn, CLOSE_HEADER_TIMEOUT, NULL);
		return;
	}
	log_reason(conn, CLOSE_HEADER_TIMEOUT, NULL);
	conn->in_length = 0;
	conn->closing = conn->lingers = true;
	struct ag_request *req = conn->requests ? conn->requests : open_request(conn, 1);

	if (req)
		request_refuse(req, 408);
	else
		conn_settle(conn);
}

static struct ag_request *find_waiting(const struct conn *conn, enum waiting what)
{
	struct ag_request *req = conn->requests;

	while (req && req->waiting != what)
		req = req->next;
	return req;
}

void conn_body_expired(struct deadline *deadline)
{
	struct conn *conn = conn_of(deadline);
	struct ag_request *req;

	if (!find_waiting(conn, WAITING_BODY)) {
		conn_close(conn, CLOSE_BODY_TIMEOUT, NULL);
		return;
	}
	log_reason(conn, CLOSE_BODY_TIMEOUT, NULL);
	conn->busy = true;
	while ((req = find_waiting(conn, WAITING_BODY)))
		fail_body(req, AG_TIMEOUT, 408);
	conn_work(conn, (struct span){ conn->in, conn->in_length });
}

void conn_write_expired(struct deadline *deadline)
{
	conn_close(conn_of(deadline), CLOSE_WRITE_TIMEOUT, NULL);
}

void conn_idle_expired(struct deadline *deadline)
{
	conn_close(conn_of(deadline), CLOSE_IDLE, NULL);
}

void conn_linger_expired(struct deadline *deadline)
{
	conn_close(conn_of(deadline), CLOSE_LINGERED, NULL);
}
