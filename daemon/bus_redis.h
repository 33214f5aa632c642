/*
 * Channels between daemons, through Redis (https://redis.io/docs/latest/develop/pubsub/). Each
 * worker publishes to Redis what it publishes in its daemon, and subscribes to the channels that it
 * has subscriptions for. A message begins with its daemon's mark, 16 hexadecimal digits, so that
 * the daemon it comes from, which has it already, passes it over. Redis keeps nothing: what is
 * published while a worker is not connected does not go from, or to, its host.
 */
#ifndef DAEMON_BUS_REDIS_H
#define DAEMON_BUS_REDIS_H

#include <stdbool.h>
#include <stddef.h>

struct bus_redis;
struct ring;
struct worker;

/* What a worker's link is like, in its slot; the daemon's, in its ring, as far as it is known. */
enum bus_link {
	BUS_LINK_NONE, /* not configured, or not tried yet */
	BUS_LINK_UP,
	BUS_LINK_DOWN,
};

/* Begins to connect; that goes on, and is done again, by itself. NULL without memory. */
struct bus_redis *bus_redis_start(struct worker *worker, struct ring *ring);

/* Sends what can be sent at once, and ends. */
void bus_redis_stop(struct bus_redis *redis);

/* Never waits; the message is dropped where Redis is away or far behind. */
void bus_redis_publish(struct bus_redis *redis, const char *channel, const void *data, size_t size);

/* As struct bus has it. */
void bus_redis_wanted(struct bus_redis *redis, const char *channel, bool wanted, size_t channels);

#endif
