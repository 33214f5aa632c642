/*
 * The master process: starts the workers over sockets that are open already, starts again those
 * that die, lets one generation follow another, and ends when the last worker has. It knows no
 * protocol and no request.
 */
#ifndef DAEMON_MASTER_H
#define DAEMON_MASTER_H

#include <signal.h>

#include "generation.h"

/* Blocks the signals that the master waits for, and says which. */
sigset_t master_block_signals(void);

/*
 * Runs the daemon, beginning with `first`, which it owns from now on, until it is told to stop;
 * a reload parses `options` again. `on_ready` is called once, when all workers can answer. Returns
 * the exit status.
 */
int master_run(const struct options *options, struct generation *first,
        void (*on_ready)(void *data, const struct generation *generation), void *data);

#endif
