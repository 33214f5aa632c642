/* A connection's way out: answers encoded, written, kept for slow peers. */
#include "conn_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "log.h"
#include "log_escape.h"
#include "tally.h"

/* Bytes of an answer that may wait for a slow client before its handler waits too. */
#define HIGH_WATER 65536
#define LOW_WATER  16384

/* Bytes that a handler may send before others get a turn, however fast its client is. */
#define TURN (1024 * 1024)

/* A body not read by its handler is read and dropped up to here, to keep the connection. */
#define DRAIN_MAX 65536

static void unlink_request(struct conn *conn, struct ag_request *req)
{
	struct ag_request **link = &conn->requests;

	while (*link != req)
		link = &(*link)->next;
	*link = req->next;
}

void conn_drop_request(struct conn *conn, struct ag_request *req)
{
	unlink_request(conn, req);
	request_free(req);
}

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
	if (n > 0)
		tally_out(conn->worker, (size_t)n);
	return n < 0 && errno == EAGAIN ? 0 : n;
}

/* What the socket, of which that is the answer, has not taken. */
static __attribute__((noinline)) bool keep_rest(
        struct conn *conn, ssize_t n, const uint8_t *data, size_t length)
{
	if (n < 0)
		conn->failed = CLOSE_RESET;
	else if (!keep_out(conn, data + n, length - (size_t)n))
		conn->failed = CLOSE_MEMORY;
	return !conn->failed;
}

/* Sends or keeps; false when the connection is broken, which is handled later. */
bool conn_write(struct conn *conn, const uint8_t *data, size_t length)
{
	if (conn->failed)
		return false;
	ssize_t n = conn->out_at < conn->out_end ? 0 : socket_write(conn, data, length);

	return n == (ssize_t)length || keep_rest(conn, n, data, length);
}

/* What was kept, once the socket takes more. */
void conn_flush(struct conn *conn)
{
	if (conn->out_at == conn->out_end)
		return;
	ssize_t n = socket_write(conn, conn->out + conn->out_at, conn->out_end - conn->out_at);

	if (n < 0) {
		conn->failed = CLOSE_RESET;
		return;
	}
	conn->out_at += (uint32_t)n;
	conn_moved(conn, &conn->worker->write, (size_t)n);
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

static inline bool write_out(struct conn *conn, const struct writer *out)
{
	const uint8_t *from = conn->worker->output;

	assert(!out->overflow);
	return out->at == from || conn_write(conn, from, (size_t)(out->at - from));
}

/* Whether another request may follow on this connection, where its peer wants that. */
static bool may_go_on(const struct conn *conn, const struct ag_request *req)
{
	const struct protocol *protocol = conn->protocol;

	if (conn->closing || conn->eof || conn->worker->draining || req->cut_short)
		return false;
	if (protocol->multiplexes)
		return true;
	if (req->closes)
		return false;
	uint64_t body_left = protocol->body_left(conn->decoder, req->id);

	if (!body_left)
		return true;
	/* a client that waits for 100 Continue may send its body, or not */
	return body_left <= DRAIN_MAX && req->body_received;
}

/* The connection ends behind this answer. */
static void close_behind(struct conn *conn, const struct ag_request *req)
{
	conn->closing = true;
	/* a body nobody wanted may be longer than announced: nginx 1.22 with unbuffered SCGI */
	if (conn->protocol->body_left(conn->decoder, req->id) || request_body_unread(req))
		conn->lingers = true;
}

static void fill_reply(
        struct conn *conn, struct ag_request *req, const struct head *head, struct reply *reply)
{
	const struct protocol *protocol = conn->protocol;

	reply->status = head->status;
	reply->fields = (struct span){ (const uint8_t *)head->fields, head->fields_length };
	reply->length = head->length;
	reply->bodiless = head->bodiless;
	reply->date = protocol->direct ? worker_date(conn->worker) : (struct span){ NULL, 0 };
	reply->close = !may_go_on(conn, req) || !protocol->keeps(conn->decoder, req->id, reply);
	if (reply->close)
		close_behind(conn, req);
	req->answered = (uint8_t)(head->status / 100);
}

/* Whether the front end says that this is its name. */
static bool is_front(const struct ag_request *req, const char *name)
{
	const struct var *software = env_known(&req->env, VAR_SERVER_SOFTWARE);

	return software && strncmp(env_value(software), name, strlen(name)) == 0;
}

/* An end behind which the connection closes; returns whether a word of that follows it. */
static __attribute__((noinline)) bool check_last(
        struct conn *conn, const struct ag_request *req, struct portion *portion)
{
	const struct protocol *protocol = conn->protocol;

	conn->closing = true;
	portion->end = !req->cut_short || protocol->multiplexes;
	return protocol->bye && !conn->requests->next &&
	       protocol->keeps(conn->decoder, req->id, NULL) && is_front(req, "nginx");
}

/* Takes what is too much for one frame off a part. */
static __attribute__((noinline)) void encode_frames(struct conn *conn, const struct ag_request *req,
        struct portion *portion, struct writer *out)
{
	const struct protocol *protocol = conn->protocol;

	while (portion->body.length > protocol->frame_max) {
		struct portion first = { portion->reply,
			{ portion->body.data, protocol->frame_max }, false };

		protocol->write(conn->decoder, req->id, &first, out);
		span_take(&portion->body, protocol->frame_max);
		portion->reply = NULL;
	}
}

static inline void encode(
        struct conn *conn, struct ag_request *req, struct portion *portion, struct writer *out)
{
	const struct protocol *protocol = conn->protocol;
	bool says_bye = false;

	if (portion->end) {
		req->over = true;
		if (conn->closing || req->cut_short)
			says_bye = check_last(conn, req, portion);
	}
	if (portion->body.length > protocol->frame_max)
		encode_frames(conn, req, portion, out);
	protocol->write(conn->decoder, req->id, portion, out);
	if (says_bye)
		protocol->bye(out);
}

static int gate_send(
        struct ag_request *req, const struct head *head, const void *body, size_t size, bool end)
{
	struct conn *conn = req->carrier;

	if (conn->state != CONN_OPEN || conn->failed)
		return AG_GONE;
	struct writer out = output(conn);
	struct portion portion = { NULL, { body, size }, end };
	struct reply reply;

	if (head) {
		fill_reply(conn, req, head, &reply);
		portion.reply = &reply;
	}
	encode(conn, req, &portion, &out);
	if (!write_out(conn, &out))
		return AG_GONE;
	if (end)
		return 0; /* and nothing else comes */
	conn->sent += (uint32_t)(out.at - conn->worker->output);
	if (conn->out_end - conn->out_at > HIGH_WATER)
		return 1;
	if (conn->sent <= TURN)
		return 0;
	conn->yields = true;
	return 1;
}

/* A handler suspends; on its stack, so nothing may end here. */
static void gate_waits(struct ag_request *req)
{
	struct conn *conn = req->carrier;

	upkeep_waits(conn->worker);
	if (conn->state != CONN_OPEN)
		return;
	if (request_body_wanted(req) && conn->protocol->want_body) {
		struct writer out = output(conn);

		conn->protocol->want_body(conn->decoder, &out);
		write_out(conn, &out);
	}
	if (!conn->busy)
		conn_watch(conn);
}

/*
 * The gateway's log gets the line too, where the protocol and the peer take it. HAProxy 2.6 ends,
 * with all it carries, on a STDERR record that it reads before the whole answer.
 */
static void tell_gateway(const struct ag_request *req, const char *line)
{
	struct conn *conn = req->carrier;
	char text[LOG_LINE_MAX];

	if (!conn->protocol->log || conn->state != CONN_OPEN || conn->failed || req->over ||
	        req->broken || is_front(req, "HAProxy") ||
	        conn->out_end - conn->out_at > HIGH_WATER)
		return;
	struct writer escaped = { (uint8_t *)text, (uint8_t *)text + sizeof(text), false };
	struct writer out = output(conn);

	log_escape_line(&escaped, line, strlen(line));
	struct span span = { (const uint8_t *)text, (size_t)((char *)escaped.at - text) };

	conn->protocol->log(conn->decoder, req->id, span, &out);
	write_out(conn, &out);
}

static void gate_log(struct ag_request *req, const char *line)
{
	conn_log_said(req, line);
	tell_gateway(req, line);
}

void conn_log_late(struct ag_request *req)
{
	struct conn *conn = req->carrier;

	gate_log(req, "no answer within daemon.request_timeout: ended");
	tally_refused(conn->worker, REFUSAL_REQUEST_TIMEOUT);
}

void conn_log_cut(const struct conn *conn)
{
	for (struct ag_request *req = conn->requests; req; req = req->next)
		if (req->started && !req->over)
			gate_log(req, "cut: the worker stops");
}

/* Ends an exchange whose answer has no end, if it has begun. */
static __attribute__((noinline)) void end_exchange(struct conn *conn, struct ag_request *req)
{
	struct writer out = output(conn);
	struct portion end = { .end = true };

	conn->closing |= !conn->protocol->keeps(conn->decoder, req->id, NULL);
	encode(conn, req, &end, &out);
	write_out(conn, &out);
}

/* The handler has returned: the exchange is over, on the wire too. */
static void gate_finished(struct ag_request *req)
{
	struct conn *conn = req->carrier;

	if (conn->worker->tells)
		conn_log_end(conn, req);
	if (!req->over && conn->state == CONN_OPEN && !conn->failed)
		end_exchange(conn, req);
	tally_answered(conn->worker, req);
	conn->whole = conn->upgraded = false;
	conn->answered = true;
	conn->sent = 0;
	conn_body_over(conn);
	worker_tidy(conn->worker);
	upkeep_finished(conn->worker);
	conn_drop_request(conn, req);
	if (!conn->busy)
		conn_work(conn, (struct span){ conn->in, conn->in_length });
}

/* The handler speaks another protocol with the client; what came of it already is its body too. */
static bool gate_upgrade(struct ag_request *req)
{
	struct conn *conn = req->carrier;

	if (!conn->protocol->upgrade)
		return false;
	if (conn->state != CONN_OPEN || conn->failed)
		return true;
	conn->protocol->upgrade(conn->decoder, req->id);
	conn->whole = false;
	conn->upgraded = true;
	req->leaving = conn->worker->draining;
	if (!conn->busy && conn->in_length) { /* conn_work is not there to decode it */
		request_body(req, conn->in, conn->in_length);
		conn_keep_in(conn, (struct span){ NULL, 0 });
	}
	return true;
}

/* One for each protocol, since a request tells which it came by. */
#define GATE(protocol_name)                                                                        \
	{                                                                                          \
		protocol_name, gate_send, gate_waits, gate_finished, gate_log, gate_upgrade        \
	}
static const struct gate gates[] = { GATE("fastcgi"), GATE("scgi"), GATE("uwsgi"), GATE("http") };

struct ag_request *conn_open_request(struct conn *conn, uint16_t id)
{
	struct ag_request *req = request_new(
	        &conn->worker->runtime, &gates[conn->protocol->number], conn, id);

	if (!req) {
		conn->failed = CLOSE_MEMORY;
		return NULL;
	}
	req->next = conn->requests;
	conn->requests = req;
	conn->served = true;
	return req;
}

/* The peer took something: handlers that waited for room go on. */
void conn_give_room(struct conn *conn)
{
	struct ag_request *req;

	if (conn->yields)
		deadline_clear(&conn->deadline); /* progress, though nothing was kept */
	conn->yields = false;
	conn->sent = 0;
	conn->busy = true;
	while (conn->out_end - conn->out_at <= LOW_WATER && !conn->yields && !conn->failed) {
		for (req = conn->requests; req && !request_room_wanted(req);)
			req = req->next;
		if (!req)
			break;
		request_room(req);
	}
	conn->busy = false;
	conn_work(conn, (struct span){ conn->in, conn->in_length });
}
