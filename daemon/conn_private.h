/* What the parts of a connection share; for daemon/conn*.c only. */
#ifndef DAEMON_CONN_PRIVATE_H
#define DAEMON_CONN_PRIVATE_H

#include <stdalign.h>

#include "../protocols/protocol.h"
#include "conn.h"
#include "reasons.h"

enum conn_state {
	CONN_OPEN,      /* requests come and go */
	CONN_LINGERING, /* all is sent and said; what the peer still sends is dropped */
	CONN_DEAD,      /* the descriptor is closed; handlers are still to return */
};

struct conn {
	struct event event;

	/* zeroed from here on; what every request touches comes first */
	struct worker *worker;
	struct listener *listener;
	const struct protocol *protocol; /* NULL: its first byte has not come */
	struct ag_request *requests;     /* open, newest first */
	uint8_t *in;                     /* what the decoder left: `in_length` bytes at `in` */
	uint8_t *out;                    /* what the peer has not taken: from out_at to out_end */
	uint32_t in_length, in_size;
	uint32_t out_at, out_end, out_size;
	uint32_t sent; /* since the last turn */
	int fd;
	unsigned state : 2;    /* enum conn_state */
	unsigned failed : 6;   /* enum close_reason found in a handler: closed at the next chance */
	unsigned events : 3;   /* EV_READ | EV_WRITE the loop watches */
	unsigned busy : 1;     /* conn_work is on the way: others leave the rest to it */
	unsigned whole : 1;    /* a request has come whole and is not answered */
	unsigned closing : 1;  /* no other request is taken; closed when all are answered */
	unsigned deaf : 1;     /* what comes in can't be understood any more */
	unsigned lingers : 1;  /* ... and the peer may still be sending */
	unsigned eof : 1;      /* the peer sends no more */
	unsigned served : 1;   /* at least one request came */
	unsigned answered : 1; /* ... and was answered since the deadline was set */
	unsigned unproxied : 1; /* the PROXY header that must come first is not complete */
	unsigned greeted : 1;   /* the first byte behind it has come */
	unsigned yields : 1;    /* a handler gives others a turn */
	unsigned vouched : 1;   /* a Unix peer that is one of trusted_proxies */
	unsigned late : 1;      /* what it sent first may have waited longer than shed_after */
	unsigned upgraded : 1;  /* its request is */
	struct deadline deadline;
	struct deadline_list *window; /* the list whose time and bytes count, see conn_rate.c */
	uint32_t queued;              /* what the system held of the answer as `window` began */
	uint32_t waited;              /* ms of `window`, before the deadline was set last */
	uint64_t moved;               /* bytes in this window */
	struct conn *previous, *next;
	uint16_t port; /* the peer's */
	uint8_t address[16];
	uint8_t family; /* of the address: AF_INET, AF_INET6, AF_UNIX */
	uint8_t first;  /* the first byte that came */
	alignas(8) unsigned char decoder[];
};

_Static_assert(CLOSE_REASON_COUNT <= 64, "conn.failed holds each");

/* ---- conn.c: how it lives and ends ---- */

/* A line for the log about the connection, with the reason's text. */
void conn_log(const struct conn *conn, enum close_reason reason, const char *detail);

/* Decodes and runs handlers for as long as there is something to do; it may be freed. */
void conn_work(struct conn *conn, struct span in);

/* Tells the loop what to wait for; ends nothing. */
void conn_watch(struct conn *conn);

/* Takes it off the loop and tells its handlers; frees it unless they go on. */
void conn_close(struct conn *conn, enum close_reason reason, const char *detail);

/* Brings it to rest after whatever has happened; it may be freed. */
void conn_settle(struct conn *conn);

/* The peer's address, as far as it has one. */
struct sockaddr_storage conn_peer(const struct conn *conn);

/* ---- conn_log.c: what the logs say of its requests ---- */

/* The request is over: once for each, where worker->tells. */
void conn_log_end(const struct conn *conn, struct ag_request *req);

/* ---- conn_in.c: from bytes to requests ---- */

/* Pulls events until more bytes are needed or an answer must come first. */
void conn_decode(struct conn *conn, struct span *in);

/* Whether decoding must wait for an answer, or is over. */
bool conn_is_full(const struct conn *conn);

/* Starts and resumes handlers that have something to do; false: there was none. */
bool conn_run_ready(struct conn *conn);

/* An upgraded request learns that the worker ends; it may be freed then. False: there is none. */
bool conn_leave(struct conn *conn);

/* Reads new bytes, behind those that were kept; empty when there are none. */
struct span conn_read_input(struct conn *conn);

/* Keeps what the decoder left for the next bytes. */
void conn_keep_in(struct conn *conn, struct span in);

/* The handler can't have the body: it is told, and so is the peer where it still can be. */
void conn_fail_body(struct ag_request *req, int error, int status);

/* ---- conn_deadline.c: what it waits for, and what becomes of it when that does not come ---- */

/* Sets the deadline that fits what it waits for now. */
void conn_watch_deadline(struct conn *conn);

/* Waits for the next request, and for nothing else. */
void conn_wait_idle(struct conn *conn);

/* Whether some of a request's head has come, but not all. */
bool conn_head_begun(const struct conn *conn);

/* A body does not come, or too slowly; `in` is what has come of it. It may be freed. */
void conn_fail_bodies(struct conn *conn, struct span in);

/* ---- conn_rate.c: how long a peer is waited for ---- */

/* Waits with this list's deadline, or (NULL) not for the peer. */
void conn_wait(struct conn *conn, struct deadline_list *list);

/* Bytes came or went: where they are enough the time begins anew. */
void conn_moved(struct conn *conn, struct deadline_list *list, size_t bytes);

/* Whether the list's time is over and too little was moved in it, though no deadline has passed. */
bool conn_is_late(const struct conn *conn, const struct deadline_list *list);

/* The next body has its own time. */
void conn_body_over(struct conn *conn);

/* Bytes of the answer that the peer has taken in this window. */
uint64_t conn_taken(const struct conn *conn);

/* ---- conn_trust.c: whom it believes ---- */

/* Whether the connection's peer is one of trusted_proxies. */
bool conn_trusts_peer(const struct conn *conn);

/* Takes the PROXY header off what came; false: more is needed, or the connection has failed. */
bool conn_take_proxy(struct conn *conn, struct span *in);

/* Whether the gateway got the request longer than stale_after ago; before conn_forwarded. */
bool conn_is_stale(const struct conn *conn, const struct env *env);

/* What trusted proxies said about the request becomes its variables; false without memory. */
bool conn_forwarded(const struct conn *conn, struct env *env);

/* ---- conn_out.c: from answers to bytes ---- */

/* A new exchange; NULL without memory, which the connection does not survive. */
struct ag_request *conn_open_request(struct conn *conn, uint16_t id);

/* Takes a request off the connection and frees it. */
void conn_drop_request(struct conn *conn, struct ag_request *req);

/* Sends or keeps; false when the connection is broken, which is handled later. */
bool conn_write(struct conn *conn, const uint8_t *data, size_t length);

/* A line for the log, and a count, for a request over daemon.request_timeout. */
void conn_log_late(struct ag_request *req);

/* A line for each request in flight: the worker stops without it. */
void conn_log_cut(const struct conn *conn);

/* Sends what was kept, once the socket takes more. */
void conn_flush(struct conn *conn);

/* The peer took something: handlers that waited for room go on. */
void conn_give_room(struct conn *conn);

#endif
