/*
 * What a worker writes into its slot of the scoreboard, and the clock it does it by. A request
 * costs one reading of the clock, as a turn does, and stores that no other process makes.
 */
#ifndef DAEMON_TALLY_H
#define DAEMON_TALLY_H

#include "../protocols/protocol.h"
#include "worker.h"

/* Fills in who the worker is, and has the application tell when a handler gets the processor. Then,
 * with all loaded: the queues of the listeners are watched from now on. */
void tally_start(struct worker *worker, int number);
void tally_serve(struct worker *worker);
void tally_state(struct worker *worker, enum worker_state state);

/* Before the loop waits for events, and in each callback of a socket before anything else. */
void tally_wait(struct worker *worker);
void tally_look(struct worker *worker);

static inline void tally_turn(struct worker *worker)
{
	if (!worker->turned || worker->aged)
		tally_look(worker);
}

/* The loop begins or ceases to look at a listener's queue. */
void tally_watched(struct listener *listener, bool watched);

/* Called before a listener's queue is taken from, and with what that found: an empty queue? */
void tally_queue(struct listener *listener);
void tally_queue_end(struct listener *listener, bool empty);

void tally_opened(struct listener *listener);
void tally_closed(struct worker *worker, enum close_reason reason);

/* Once for each request or connection that is refused. */
void tally_refused(struct worker *worker, enum refusal refusal);

/* Which refusal this status is, for a request whose variables came so far. */
enum refusal tally_refusal(const struct ag_request *req, int status);

/* A handler is about to get the request; and any request is answered, or can't be any more. */
void tally_request(struct worker *worker, const struct protocol *protocol, struct ag_request *req);
void tally_answered(struct worker *worker, struct ag_request *req);

static inline void tally_in(struct worker *worker, size_t n)
{
	count_up(&worker->slot->counters.bytes_in, n);
}

static inline void tally_out(struct worker *worker, size_t n)
{
	count_up(&worker->slot->counters.bytes_out, n);
}

#endif
