/*
 * A server that a test plays, in a thread of its own: it answers HTTP/1.1 requests by their path
 * with whatever bytes the test says, well or badly, and counts.
 */
#ifndef TESTS_SUPPORT_PEER_H
#define TESTS_SUPPORT_PEER_H

#include <pthread.h>

#include "support.h"

/* What it does behind the bytes. */
enum peer_then {
	PEER_KEEP,    /* waits for the next request */
	PEER_ONCE,    /* the same, and closes when that has come, without an answer */
	PEER_CLOSE,   /* closes */
	PEER_STALL,   /* nothing more, however long it takes */
	PEER_TRICKLE, /* an "x" every 10 ms */
	PEER_REPEAT,  /* `more` again and again, as fast as it is taken */
	PEER_GATHER,  /* like KEEP, but only when so many as `gather` wait for it, and `ms` later */
};

struct peer_answer {
	const char *path; /* NULL behind the last */
	const char *bytes;
	enum peer_then then;
	const char *more;
};

struct peer {
	char address[32]; /* 127.0.0.1:PORT */
	const struct peer_answer *answers;
	unsigned gather, ms;

	pthread_t thread;
	int listening, epoll, stop;
	struct peer_conn *conns;
	pthread_mutex_t lock; /* for all below */
	unsigned accepted, open;
	unsigned requests; /* that came whole */
	unsigned held, most_held;
	struct bytes last; /* request */
	unsigned long long sent;
};

/* Fill in answers, gather and ms before. */
void peer_start(struct peer *peer);
void peer_stop(struct peer *peer);

unsigned peer_accepted(struct peer *peer);
unsigned peer_requests(struct peer *peer);
unsigned peer_most_held(struct peer *peer);
unsigned long long peer_sent(struct peer *peer); /* bytes */

/* Waits until so many connections are open; fails the test where it never comes to that. */
void peer_await_open(struct peer *peer, unsigned open);

/* The last request, head and body; to be freed. */
char *peer_last(struct peer *peer);

#endif
