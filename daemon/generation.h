/*
 * One configuration in force: what was parsed and the sockets opened for it. The master has one
 * that serves and, during a reload, the one that is to follow; both hold the sockets they share.
 */
#ifndef DAEMON_GENERATION_H
#define DAEMON_GENERATION_H

#include "config.h"
#include "options.h"
#include "socket.h"

struct generation {
	unsigned number; /* from 1; counts reloads */
	struct config *config;
	struct bound *bound; /* for each listener, then perhaps that of [admin] */
	size_t bound_count;
};

/* Parses the configuration that the options ask for. NULL with one line in `error`. */
struct generation *generation_parse(const struct options *options, char *error, size_t size);

/* Opens the logs; before daemon.directory is entered. False with one line in `error`. */
bool generation_open_logs(const struct generation *generation, char *error, size_t size);

/* Enters daemon.directory; false with one line in `error`. */
bool generation_enter(const struct config *config, char *error, size_t size);

/*
 * Enters daemon.directory and opens the sockets; those of `before` (may be NULL) with the same
 * address are taken over. False with one line in `error`: generation_free is called in any case.
 */
bool generation_open(
        struct generation *generation, const struct generation *before, char *error, size_t size);

/* The socket of [admin] listen, or NULL. */
const struct bound *generation_admin(const struct generation *generation);

/* Frees it, and closes its sockets but those that `other` (may be NULL) goes on with. */
void generation_free(struct generation *generation, const struct generation *other);

#endif
