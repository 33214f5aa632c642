/*
 * The master process: starts the workers over sockets that are open already, starts again those
 * that die, passes on signals, and ends when the last worker has. It knows no protocol and no
 * request.
 */
#ifndef DAEMON_MASTER_H
#define DAEMON_MASTER_H

#include <signal.h>

#include "config.h"
#include "socket.h"

/* Blocks the signals that the master waits for, and says which. */
sigset_t master_block_signals(void);

/*
 * Runs until it is told to stop. `on_ready` is called once, when all workers can answer. Returns
 * the exit status; in a worker process, the worker's.
 */
int master_run(const struct config *config, const struct bound *bound, size_t count,
        void (*on_ready)(void *data), void *data);

#endif
