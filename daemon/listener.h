/*
 * The listeners of one worker: whom they accept, and when they pause, because there are no
 * descriptors or as many connections as max_connections allows.
 */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include "worker.h"

/* Opens worker->listeners, one for each bound socket; false with errno. */
bool listeners_open(struct worker *worker, const struct bound *bound, size_t count);

/* Closes the sockets; the listeners stay, as connections refer to them. */
void listeners_close(struct worker *worker);

/* Other workers have the same listeners, of which it is woken for its share from now on. */
void listeners_share(struct worker *worker);

/* Takes whoever has connected already, a batch from each. */
void listeners_take(struct worker *worker);

/* Accepts again after a pause for want of descriptors. */
void listeners_resume(struct worker *worker);

/* One of its connections was closed: others may come. */
void listener_conn_closed(struct listener *listener);

#endif
