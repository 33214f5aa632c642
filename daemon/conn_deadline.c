/* Which deadline a connection has, and what becomes of it when that passes. */
#include "conn_private.h"

#include "tally.h"

/* A request whose handler waits for bytes of its body. */
static struct ag_request *find_waiting(const struct conn *conn)
{
	struct ag_request *req = conn->requests;

	while (req && (req->upgraded || !request_body_wanted(req)))
		req = req->next;
	return req;
}

bool conn_head_begun(const struct conn *conn)
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
	if (conn->out_at < conn->out_end || conn->yields)
		return &worker->write;
	if (worker->draining && !conn->greeted)
		return &worker->first;
	if (conn_head_begun(conn) || !conn->served)
		return &worker->header;
	if (find_waiting(conn))
		return &worker->body;
	if (conn->requests)
		return NULL;
	if (conn->protocol->body_left(conn->decoder, 1) && !conn->protocol->multiplexes)
		return &worker->body;
	return worker->draining ? &worker->leave : &conn->listener->keepalive;
}

void conn_watch_deadline(struct conn *conn)
{
	struct deadline_list *list = deadline_now(conn);

	if (list == &conn->listener->keepalive)
		conn_wait_idle(conn);
	else if (list != conn->deadline.list)
		conn_wait(conn, list);
}

/* Idle since its last answer, not since the one before. */
void conn_wait_idle(struct conn *conn)
{
	struct deadline_list *list = &conn->listener->keepalive;

	if (list != conn->deadline.list || conn->answered)
		conn_wait(conn, list);
	conn->answered = false;
}

/* The body does not come, or too slowly; `in` is what has come of it. */
void conn_fail_bodies(struct conn *conn, struct span in)
{
	enum close_reason reason = conn->moved ? CLOSE_BODY_RATE : CLOSE_BODY_TIMEOUT;
	struct ag_request *req;

	if (!find_waiting(conn)) {
		conn_close(conn, reason, NULL);
		return;
	}
	conn_log(conn, reason, NULL);
	deadline_clear(&conn->deadline);
	conn->window = NULL;
	conn->busy = true;
	while ((req = find_waiting(conn)))
		conn_fail_body(req, AG_TIMEOUT, 408);
	conn_work(conn, in);
}

static struct conn *conn_of(struct deadline *deadline)
{
	return (struct conn *)((char *)deadline - offsetof(struct conn, deadline));
}

void conn_header_expired(struct deadline *deadline)
{
	struct conn *conn = conn_of(deadline);

	if (conn->unproxied || !conn->protocol || !conn->protocol->direct ||
	        !conn_head_begun(conn)) {
		conn_close(conn, CLOSE_HEADER_TIMEOUT, NULL);
		return;
	}
	conn_log(conn, CLOSE_HEADER_TIMEOUT, NULL);
	conn->in_length = 0;
	conn->closing = conn->lingers = true;
	struct ag_request *req = conn->requests ? conn->requests : conn_open_request(conn, 1);

	if (!req) {
		conn_settle(conn);
		return;
	}
	tally_refused(conn->worker, REFUSAL_HEADER_TIMEOUT);
	request_refuse(req, 408);
}

void conn_body_expired(struct deadline *deadline)
{
	struct conn *conn = conn_of(deadline);

	conn_fail_bodies(conn, (struct span){ conn->in, conn->in_length });
}

void conn_write_expired(struct deadline *deadline)
{
	struct conn *conn = conn_of(deadline);
	uint64_t taken = conn_taken(conn);

	if (taken >= conn->worker->write.quota)
		conn_wait(conn, &conn->worker->write);
	else
		conn_close(conn, taken ? CLOSE_WRITE_RATE : CLOSE_WRITE_TIMEOUT, NULL);
}

void conn_idle_expired(struct deadline *deadline)
{
	conn_close(conn_of(deadline), CLOSE_IDLE, NULL);
}

void conn_leave_expired(struct deadline *deadline)
{
	conn_close(conn_of(deadline), CLOSE_DRAINED, NULL);
}

void conn_linger_expired(struct deadline *deadline)
{
	conn_close(conn_of(deadline), CLOSE_LINGERED, NULL);
}
