/*
 * How long a peer is waited for. Within body_timeout a body's quota of bytes must come, within
 * write_timeout an answer's quota must be taken: `window` is that time, `moved` the bytes in it.
 * Time in which a handler does not wait for its body does not count, but neither does it begin
 * anew: or else one byte now and then would do for a handler that rests in between.
 */
#include "conn_private.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

/* What was sent and the peer has not taken yet, as far as the system tells. */
static uint32_t system_holds(const struct conn *conn)
{
	int bytes = 0;

	return ioctl(conn->fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (uint32_t)bytes : 0;
}

/* ms since the deadline was set. */
static uint64_t elapsed(const struct conn *conn)
{
	const struct deadline *deadline = &conn->deadline;
	uint64_t now = conn->worker->clock.now, set;

	if (!deadline->list)
		return 0;
	set = deadline->due - deadline->list->length;
	return now > set ? now - set : 0;
}

/* The window ends, or goes on, where `list` is waited for from now on. */
static __attribute__((noinline)) void turn_window(struct conn *conn, struct deadline_list *list)
{
	struct worker *worker = conn->worker;

	conn->waited += (uint32_t)elapsed(conn);
	if (!list || (list == conn->window && list != &worker->write))
		return;
	conn->window = list->quota ? list : NULL;
	conn->moved = conn->waited = 0;
	conn->queued = list == &worker->write ? system_holds(conn) : 0;
}

void conn_wait(struct conn *conn, struct deadline_list *list)
{
	if (conn->window || (list && list->quota))
		turn_window(conn, list);
	if (list)
		deadline_set(&conn->worker->clock, &conn->deadline, list);
	else
		deadline_clear(&conn->deadline);
}

void conn_moved(struct conn *conn, struct deadline_list *list, size_t bytes)
{
	if (conn->window != list)
		return;
	conn->moved += bytes;
	if (conn->moved < list->quota)
		return;
	conn->window = NULL;
	if (conn->deadline.list == list)
		deadline_clear(&conn->deadline); /* set anew by conn_watch */
}

bool conn_is_late(const struct conn *conn, const struct deadline_list *list)
{
	return conn->deadline.list == list && conn->waited &&
	       conn->waited + elapsed(conn) > list->length;
}

void conn_body_over(struct conn *conn)
{
	if (conn->window != &conn->worker->body)
		return;
	conn->window = NULL;
	if (conn->deadline.list == &conn->worker->body)
		deadline_clear(&conn->deadline);
}

uint64_t conn_taken(const struct conn *conn)
{
	uint64_t sent = conn->queued + conn->moved, held = system_holds(conn);

	return sent > held ? sent - held : 0;
}
