/*
 * The master process: starts the workers over sockets that are open already, starts again those
 * that die, lets one generation follow another, and ends when the last worker has. It knows no
 * protocol and no request.
 */
#ifndef DAEMON_MASTER_H
#define DAEMON_MASTER_H

#include <signal.h>

#include "generation.h"
#include "handover.h"

/* Blocks the signals that the master waits for, and says which. */
sigset_t master_block_signals(void);

/* What main hands to the master. */
struct master_start {
	const struct options *options; /* parsed again by a reload */
	struct generation *first;      /* the master's from now on */
	struct handover *handover;     /* of the program before, whose workers serve; or NULL */
	int pidfile;                   /* its descriptor, or -1 */
	/* Called once, when all workers of the first start can answer. */
	void (*on_ready)(void *data, const struct generation *generation);
	void (*on_forked)(void *data); /* in each child, before anything else: what is not its */
	void *data;
};

/* Runs the daemon until it is told to stop. Returns the exit status. */
int master_run(const struct master_start *start);

#endif
