/*
 * The probe: before a worker reports ready it asks its applications, each by a GET of the path that
 * [app] probe names, through the handlers that clients get. They may wait, but nobody else is
 * served meanwhile. One that does not answer below 400 means that the worker does not start.
 */
#ifndef DAEMON_PROBE_H
#define DAEMON_PROBE_H

#include "worker.h"

/* All of them; before the listeners are open. False with a line in `error`. */
bool probe_run(struct worker *worker, char *error, size_t size);

#endif
