/* What a process may do and use: descriptors, user and groups, root directory, limits. */
#ifndef DAEMON_PRIVILEGES_H
#define DAEMON_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

/* Raises RLIMIT_NOFILE to `wanted`, or to the hard limit where that is lower. */
void privileges_open_files(unsigned wanted);

/* Makes daemon.chroot, if there is one, the root and working directory. On failure like
 * below. */
bool privileges_enter_root(const struct daemon_config *config, char *error, size_t size);

/*
 * Becomes daemon.user and daemon.group for good, inside of daemon.chroot: groups, root, group,
 * user, and a check that there is no way back. On failure false with one line in `error`: go no
 * further.
 */
bool privileges_drop(const struct daemon_config *config, char *error, size_t size);

/*
 * What [daemon] says of a worker's own process, before it loads anything: environment, umask, nice
 * value, CPU, limits, and what privileges_drop does. `worker` counts from 1; 0 is the process of
 * [admin], which has no CPU and no memory limit of its own. On failure like above.
 */
bool privileges_apply(
        const struct daemon_config *config, unsigned worker, char *error, size_t size);

#endif
