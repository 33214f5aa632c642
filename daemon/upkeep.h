/*
 * What a worker looks after besides its events: requests that take too long, and whether it is time
 * for a successor. Nothing here costs a request anything but a comparison.
 */
#ifndef DAEMON_UPKEEP_H
#define DAEMON_UPKEEP_H

#include <event2/event_struct.h>

#include "../app/request.h"

struct worker;

struct upkeep {
	struct event late; /* looks for requests over daemon.request_timeout, while any waits */
	struct event life; /* daemon.max_lifetime */
	struct event size; /* daemon.rss_limit */
	int statm;         /* what tells its size, or -1; ours */
	uint64_t last;     /* requests after which a successor is wanted */
	bool looking;      /* `late` is set */
	bool asked;        /* for a successor */
};

/* What tells the size of this process, whatever becomes of its root directory; -1: nothing. */
int upkeep_open_statm(void);

/* Starts the clocks that the configuration asks for. False without memory. */
bool upkeep_start(struct worker *worker);
void upkeep_stop(struct worker *worker);

/* A handler suspends: it is looked after from now on. */
void upkeep_waits(struct worker *worker);

/* A request is over. */
void upkeep_finished(struct worker *worker);

/* Asks the master for a successor, once; `why` is for the log. The worker serves until then. */
void upkeep_recycle(struct worker *worker, const char *why);

#endif
