/*
 * Shedding: where a listener's queue has not been empty for longer than shed_after, whoever is
 * taken from it is answered 503 and asked to come again, which empties it fast. Otherwise all would
 * be answered too late, and those that gave up meanwhile would be worked for in vain.
 */
#ifndef DAEMON_SHED_H
#define DAEMON_SHED_H

#include "worker.h"

/* Gives the worker's clock the list that shed_one uses. */
void shed_start(struct worker *worker);

/* Whether a connection that is accepted now may have waited longer than its listener allows. */
bool shed_is_due(const struct listener *listener);

/* One of its requests is answered 503: the log says so when it begins, and how many at the end. */
void shed_one(struct listener *listener);

/* Says how many, if any were: it is over, or the listener is. */
void shed_end(struct listener *listener);

#endif
