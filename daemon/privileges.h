/* What the process may do: descriptors, user and group, the terminal. */
#ifndef DAEMON_PRIVILEGES_H
#define DAEMON_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

/* Raises RLIMIT_NOFILE to `wanted`, or to the hard limit where that is lower. */
void privileges_open_files(unsigned wanted);

/*
 * Becomes daemon.user and daemon.group for good: groups, group, user, and a check that there is no
 * way back. On failure false with one line in `error`: go no further.
 */
bool privileges_drop(const struct daemon_config *config, char *error, size_t size);

#endif
