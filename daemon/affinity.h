/* Which CPU a worker runs on: daemon.cpu_affinity. */
#ifndef DAEMON_AFFINITY_H
#define DAEMON_AFFINITY_H

#include <stdbool.h>
#include <stddef.h>

/* Whether `text` is "auto" or a list such as 0,2,4-7; if not, `error` says what was expected. */
bool affinity_check(const char *text, char *error, size_t size);

/*
 * Binds this process to the CPU of worker N, from 1: the N-th of the list, or, for "auto", of the
 * CPUs that it may use now; with more workers than CPUs they begin again. False, with errno, where
 * there is no such CPU for us.
 */
bool affinity_bind(const char *text, unsigned worker);

#endif
