/*
 * Channels between the workers of a daemon. The master makes a ring (bus_ring.h) and one eventfd,
 * which go on through reloads and upgrades, and does no more. A worker that has subscriptions
 * watches the eventfd edge-triggered, so that each write to it wakes all of them, and nobody has to
 * read it; one that has none pays nothing.
 */
#ifndef DAEMON_BUS_H
#define DAEMON_BUS_H

#include <event2/event_struct.h>

#include "../app/async/channel.h"
#include "bus_redis.h"
#include "bus_ring.h"

struct worker;

/* What all processes of the daemon share. */
struct bus_shared {
	struct ring *ring;
	int fd;   /* of the ring; -1: a new binary can't have it */
	int wake; /* is written to when the ring has more */
};

/*
 * The bus behind these descriptors, which go on through an upgrade (-1: there are none), or else a
 * new one. False with errno.
 */
bool bus_open(struct bus_shared *shared, int fd, int wake);
void bus_close(struct bus_shared *shared);

/* A worker's side. */
struct worker_bus {
	struct bus bus; /* first */
	struct worker *worker;
	const struct bus_shared *shared;
	struct bus_redis *redis; /* NULL: off */
	struct ring_reader reader;
	struct ring_message *message; /* what is read; NULL: nothing is listened to */
	struct event wake, more;
	bool behind; /* `more` is set: not all is read */
};

/* Gives the worker's runtime its bus. False without memory. */
bool bus_start(struct worker *worker, const struct bus_shared *shared);
void bus_stop(struct worker *worker);

#endif
