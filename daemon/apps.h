/* The applications of a configuration, loaded in the process that calls. */
#ifndef DAEMON_APPS_H
#define DAEMON_APPS_H

#include "../app/router.h"
#include "config.h"

/* Loads them, those with the longest mount first; NULL with a line in `error`. */
struct host *host_load(const struct config *config, char *error, size_t size);
void host_free(struct host *host);

#endif
