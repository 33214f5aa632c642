/* A connection's way in: bytes decoded, requests filled, refused and started. */
#include "conn_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../protocols/cgi.h"
#include "log.h"
#include "shed.h"
#include "tally.h"

/* Bytes that may wait for the peer before it gets no more replies: above what handlers send. */
#define REPLIES_MAX (1024 * 1024)

static struct ag_request *request_of(const struct conn *conn, uint16_t id)
{
	struct ag_request *req = conn->requests;

	while (req && req->id != id)
		req = req->next;
	return req;
}

/* The address of a peer that speaks for itself. */
static bool add_peer(struct conn *conn, struct env *env)
{
	struct sockaddr_storage peer = conn_peer(conn);
	char host[64];
	uint8_t port[20], *end;

	end = put_decimal(port, socket_host((struct sockaddr *)&peer, host, sizeof(host)));
	if (!env_set(env, VAR_REMOTE_ADDR, host, strlen(host)) ||
	        !env_set(env, VAR_REMOTE_PORT, (char *)port, (size_t)(end - port)))
		return false;
	/* the listener's own: a PROXY header may have changed the peer's family */
	const char *name = conn->listener->bound->name;

	if (strncmp(name, "unix:", 5) == 0)
		return true;
	const char *colon = strrchr(name, ':');

	return env_set(env, VAR_SERVER_PORT, colon + 1, strlen(colon + 1));
}

/* Answers a request that no handler may see. Others on the connection go on, where it has others.
 */
static void refuse(struct conn *conn, struct ag_request *req, int status, const char *reason)
{
	conn_log(conn, CLOSE_BAD, reason);
	if (!conn->protocol->multiplexes)
		conn->closing = conn->lingers = true;
	tally_refused(conn->worker, tally_refusal(req, status));
	request_refuse(req, status);
}

/* Answers in the handler's place: the client may come again. Its connection goes on if it can. */
static void turn_away(struct conn *conn, struct ag_request *req, enum refusal refusal)
{
	if (refusal == REFUSAL_SHED)
		shed_one(conn->listener);
	tally_refused(conn->worker, refusal);
	request_refuse(req, 503);
}

/* All variables are there: checked, understood, refused where need be. */
static void take_head(struct conn *conn, struct ag_request *req)
{
	if (req->authorizer) /* FastCGI 6.3: it is the length of a body that does not come */
		env_hide(&req->env, VAR_CONTENT_LENGTH);
	struct verdict verdict = cgi_check(&req->env, conn->worker->runtime.limits);

	if (!verdict.status && conn->protocol->direct && !add_peer(conn, &req->env))
		verdict = (struct verdict){ 431, "no room for the peer's address" };
	bool stale = !verdict.status && conn_is_stale(conn, &req->env);

	if (!verdict.status && !conn_forwarded(conn, &req->env))
		verdict = (struct verdict){ 431, "no room for what proxies said" };
	if (!verdict.status)
		verdict = (struct verdict){ request_head(req), "a request target that is no path" };
	req->has_head = true;
	if (verdict.status)
		refuse(conn, req, verdict.status, verdict.reason);
	else if (conn->late || stale)
		turn_away(conn, req, conn->late ? REFUSAL_SHED : REFUSAL_STALE);
}

/* The handler can't have the body; it is told, and so is the peer where it still can be. */
void conn_fail_body(struct ag_request *req, int error, int status)
{
	struct conn *conn = req->carrier;

	conn->closing = conn->lingers = true;
	if (!req->refused)
		tally_refused(conn->worker, tally_refusal(req, status));
	if (!req->started) {
		request_refuse(req, status);
		return;
	}
	request_body_fail(req, error, status);
	request_body_wake(req);
}

/* A piece of the body was taken, or its end; with a status it was not. */
static void take_body(struct ag_request *req, int status)
{
	if (status)
		conn_fail_body(req, AG_REFUSED, status);
}

static void take_variables(
        struct conn *conn, struct ag_request *req, const struct wire_event *event)
{
	struct verdict verdict = cgi_take(&req->env, event);

	if (verdict.status)
		refuse(conn, req, verdict.status, verdict.reason);
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

/* What belongs to no handler is answered at once; a peer that asks on and takes nothing is cut. */
static void take_reply(struct conn *conn, const struct wire_event *event)
{
	if (event->status)
		tally_refused(
		        conn->worker, event->status == 503 ? REFUSAL_OPEN_REQUESTS : REFUSAL_ROLE);
	if (conn->out_end - conn->out_at > REPLIES_MAX) {
		conn->failed = CLOSE_BAD;
		return;
	}
	conn_write(conn, event->reply, event->reply_length);
	if (event->reply_closes)
		conn->closing = conn->lingers = true;
}

static void take_begin(struct conn *conn, const struct wire_event *event)
{
	struct ag_request *req = conn_open_request(conn, event->id);

	if (req)
		req->authorizer = event->role == ROLE_AUTHORIZER;
}

/* An event of an exchange that is open. */
static void take_event_of(struct conn *conn, struct ag_request *req, const struct wire_event *event)
{
	switch (event->kind) {
	case EVENT_HEAD:
		take_head(conn, req);
		break;
	case EVENT_END:
		conn->whole = !conn->protocol->multiplexes;
		take_body(req, request_body_end(req));
		break;
	case EVENT_BODY:
		conn->worker->aged = true; /* it may go to disk */
		take_body(req, request_body(req, event->data.data, event->data.length));
		break;
	case EVENT_ABORT:
		abort_request(req);
		break;
	case EVENT_BAD_EXCHANGE:
		refuse(conn, req, event->status, event->reason);
		break;
	default:
		take_variables(conn, req, event);
	}
}

static void take_event(struct conn *conn, const struct wire_event *event)
{
	if (event->kind == EVENT_BEGIN) {
		take_begin(conn, event);
		return;
	}
	struct ag_request *req = request_of(conn, event->id);

	if (event->kind == EVENT_REPLY)
		take_reply(conn, event);
	else if (req) /* or what comes for an exchange that is over */
		take_event_of(conn, req, event);
}

/* A peer that speaks something else is a mistake in somebody's configuration: says how to mend it.
 */
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

/* The connection can't be understood any more. */
static void take_bad(struct conn *conn, const struct wire_event *event)
{
	struct ag_request *req = conn->requests;

	if (!conn->served)
		log_foreign(conn);
	conn_log(conn, CLOSE_BAD, event->reason);
	conn->deaf = true;
	if (!event->status) {
		conn->failed = CLOSE_BAD;
		return;
	}
	conn->closing = conn->lingers = true;
	if (!req)
		req = conn_open_request(conn, 1);
	if (req)
		conn_fail_body(req, AG_REFUSED, event->status);
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

/* The same of a connection that is not as usual. */
static __attribute__((noinline)) bool is_full(const struct conn *conn)
{
	if (conn->whole || conn->deaf || conn->failed || conn->state != CONN_OPEN)
		return true;
	if (conn->upgraded && request_body_unread(conn->requests))
		return true;
	if (!conn->closing)
		return false;
	for (const struct ag_request *req = conn->requests; req; req = req->next)
		if (!req->body_ended && !req->body_error)
			return false;
	return true;
}

/* Whether decoding must wait: for a handler to read, or for an answer to be complete. */
bool conn_is_full(const struct conn *conn)
{
	bool usual = !conn->whole && !conn->deaf && !conn->failed && conn->state == CONN_OPEN &&
	             !conn->upgraded && !conn->closing;

	return !usual && is_full(conn);
}

void conn_decode(struct conn *conn, struct span *in)
{
	struct wire_event event;

	if (conn->unproxied && !conn_take_proxy(conn, in))
		return;
	if (!conn->greeted && (!in->length || !greet(conn, in->data[0])))
		return;
	while (!conn_is_full(conn)) {
		enum decode_result result = conn->protocol->decode(
		        conn->decoder, &conn->listener->limits, in, &event);

		if (result == DECODE_MORE)
			return;
		if (result == DECODE_BAD) {
			span_take(in, in->length);
			take_bad(conn, &event);
			return;
		}
		take_event(conn, &event);
		if (event.kind == EVENT_END && !in->length)
			return; /* nothing stands behind it */
	}
}

/* A request whose handler has something to do: to begin, or to learn about its body. */
static struct ag_request *find_ready(const struct conn *conn)
{
	for (struct ag_request *req = conn->requests; req; req = req->next) {
		if (req->has_head && !req->started)
			return req;
		if (request_body_ready(req))
			return req;
	}
	return NULL;
}

bool conn_run_ready(struct conn *conn)
{
	struct ag_request *req;
	bool ran = false;

	while (conn->state == CONN_OPEN && !conn->failed && (req = find_ready(conn))) {
		ran = true;
		if (req->started) {
			request_body_wake(req);
			continue;
		}
		tally_request(conn->worker, conn->protocol, req);
		request_start(req);
	}
	return ran;
}

/* A request without an end of its own, which has not been told yet. */
static struct ag_request *find_staying(const struct conn *conn)
{
	struct ag_request *req = conn->requests;

	while (req && ((!req->upgraded && !req->sse) || req->leaving))
		req = req->next;
	return req;
}

bool conn_leave(struct conn *conn)
{
	struct ag_request *req = find_staying(conn);

	if (!req)
		return false;
	conn->busy = true;
	for (; req; req = find_staying(conn))
		request_leave(req);
	conn_work(conn, (struct span){ conn->in, conn->in_length });
	return true;
}

/*
 * Keeps what the decoder left for the next bytes, with a quarter of slack: what comes byte by byte
 * is copied as rarely as a growing array, and a slow peer costs about what it has sent.
 */
void conn_keep_in(struct conn *conn, struct span in)
{
	if (in.length > conn->in_size) {
		size_t size = (in.length + in.length / 4 + 47) & ~(size_t)15;
		uint8_t *kept = malloc(size);

		if (!kept) {
			conn->failed = CLOSE_MEMORY;
			return;
		}
		memcpy(kept, in.data, in.length);
		free(conn->in);
		conn->in = kept;
		conn->in_size = (uint32_t)size;
	} else if (in.length && in.data != conn->in) {
		memmove(conn->in, in.data, in.length);
	}
	conn->in_length = (uint32_t)in.length;
	if (!in.length) {
		free(conn->in);
		conn->in = NULL;
		conn->in_size = 0;
	}
}

/* What read(2) says where it gives no bytes. */
static struct span read_nothing(struct conn *conn, ssize_t n)
{
	if (n == 0)
		conn->eof = true;
	else if (errno != EAGAIN && errno != EINTR)
		conn->failed = CLOSE_RESET;
	return (struct span){ NULL, 0 };
}

/*
 * The new bytes, behind those that were kept. Few go into the slack of what was kept. More go into
 * the scratch buffer, whose first half has room for the kept ones.
 */
static __attribute__((noinline)) struct span read_behind(struct conn *conn)
{
	uint8_t *fresh = conn->worker->scratch + WORKER_SCRATCH;
	size_t kept = conn->in_size < WORKER_SCRATCH ? conn->in_size : WORKER_SCRATCH;
	size_t slack = kept > conn->in_length ? kept - conn->in_length : 0;
	struct iovec into[] = { { conn->in + conn->in_length, slack }, { fresh, WORKER_SCRATCH } };
	ssize_t n = readv(conn->fd, into, 2);

	if (n <= 0)
		return read_nothing(conn, n);
	tally_in(conn->worker, (size_t)n);
	if ((size_t)n <= slack) {
		conn->in_length += (uint32_t)n;
		return (struct span){ conn->in, conn->in_length };
	}
	kept = conn->in_length + slack;
	assert(kept <= WORKER_SCRATCH); /* conn_watch reads no more behind that much */
	memcpy(fresh - kept, conn->in, kept);
	return (struct span){ fresh - kept, (size_t)n + kept - slack };
}

struct span conn_read_input(struct conn *conn)
{
	if (conn->in)
		return read_behind(conn);
	uint8_t *fresh = conn->worker->scratch + WORKER_SCRATCH;
	ssize_t n = recv(conn->fd, fresh, WORKER_SCRATCH, 0);

	if (n <= 0)
		return read_nothing(conn, n);
	tally_in(conn->worker, (size_t)n);
	return (struct span){ fresh, (size_t)n };
}
