/*
 * One connection of a client or gateway: it owns every byte of I/O, the decoder's state and the
 * requests that are open on it. It frees itself: when it is done, when the peer is gone and the
 * last handler has returned, or when a deadline has passed.
 */
#ifndef DAEMON_CONN_H
#define DAEMON_CONN_H

#include <sys/socket.h>

#include "worker.h"

struct crash;

/* Bytes of a connection that speaks the protocol, or (NULL) any. */
size_t conn_size(const struct protocol *protocol);

/* Takes over an accepted descriptor; what it holds already is read and answered at once. */
void conn_open(struct listener *listener, int fd, const struct sockaddr *peer);

/* Whether allowed_clients lets the peer in; if not, the log says so. */
bool conn_is_allowed(const struct listener *listener, int fd, const struct sockaddr *peer);

/* The worker drains: idle connections close, the others after their answers. */
void conn_drain(struct conn *conn);

/* Ends a connection whatever it is doing; its handlers are told. */
void conn_cut(struct conn *conn);

/*
 * Ends requests whose handlers wait since before `limit` (us), with 504. Whether any still waits.
 * The connection may be freed.
 */
bool conn_end_late(struct conn *conn, uint64_t limit);

/* A line of a handler, or of a task that has no client, for the error log. */
void conn_log_said(struct ag_request *req, const char *line);

/* The next of the worker's list. */
struct conn *conn_next(const struct conn *conn);

/* Tells crash_other of its requests that a handler has. */
void conn_name_requests(const struct conn *conn, struct crash *crash);

/* What becomes of connections when their deadlines pass. */
void conn_header_expired(struct deadline *deadline);
void conn_body_expired(struct deadline *deadline);
void conn_write_expired(struct deadline *deadline);
void conn_idle_expired(struct deadline *deadline);
void conn_leave_expired(struct deadline *deadline);
void conn_linger_expired(struct deadline *deadline);

#endif
