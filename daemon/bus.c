#include "bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "log.h"
#include "worker.h"

/* Taken from the ring in one turn, messages and bytes: who is to have them runs in between. */
#define BATCH       64
#define BATCH_BYTES (256 * 1024)

/* ---- the master's ---- */

bool bus_open(struct bus_shared *shared, int fd, int wake)
{
	*shared = (struct bus_shared){ .fd = fd, .wake = wake };
	if (fd >= 0 && wake >= 0)
		shared->ring = ring_map(fd);
	if (shared->ring)
		return true;
	shared->ring = ring_new(&shared->fd);
	shared->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return shared->ring && shared->wake >= 0;
}

void bus_close(struct bus_shared *shared)
{
	ring_free(shared->ring);
	if (shared->fd >= 0)
		close(shared->fd);
	if (shared->wake >= 0)
		close(shared->wake);
}

/* ---- reading ---- */

/* A batch; the next one has its own turn. */
static void take(struct worker_bus *bus)
{
	struct runtime *runtime = &bus->worker->runtime;
	const struct timeval at_once = { 0, 0 };
	uint64_t lost = 0;
	size_t bytes = 0;
	int left = BATCH;

	bus->behind = false;
	for (; left && bytes < BATCH_BYTES; left--) {
		bool got = ring_read(bus->shared->ring, &bus->reader, bus->message, &lost);

		if (lost)
			channels_miss(runtime, lost);
		lost = 0;
		if (!got)
			return;
		bytes += bus->message->size;
		channels_deliver(runtime, bus->message->channel, bus->message->data,
		        bus->message->size, bus->message->number);
	}
	bus->behind = evtimer_add(&bus->more, &at_once) == 0;
}

static void on_wake(evutil_socket_t fd, short what, void *argument)
{
	struct worker_bus *bus = argument;

	(void)fd;
	(void)what;
	if (!bus->behind)
		take(bus);
}

static void on_more(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	take(argument);
}

static void listen_on(struct worker_bus *bus)
{
	bus->message = malloc(sizeof(*bus->message));
	if (bus->message && event_add(&bus->wake, NULL) == 0)
		ring_join(bus->shared->ring, &bus->reader);
	else
		log_line(LOG_LEVEL_ERROR, "messages can't be received: no memory");
}

static void listen_no_more(struct worker_bus *bus)
{
	event_del(&bus->wake);
	evtimer_del(&bus->more);
	bus->behind = false;
	free(bus->message);
	bus->message = NULL;
}

/* ---- what app/ asks for ---- */

static void on_wanted(struct bus *of, const char *channel, bool wanted, size_t channels)
{
	struct worker_bus *bus = (struct worker_bus *)of;

	if (wanted && channels == 1)
		listen_on(bus);
	else if (!wanted && !channels)
		listen_no_more(bus);
	if (bus->redis)
		bus_redis_wanted(bus->redis, channel, wanted, channels);
}

static int on_publish(struct bus *of, const char *channel, const void *data, size_t size)
{
	const struct worker_bus *bus = (const struct worker_bus *)of;
	const uint64_t one = 1;
	int error = ring_write(bus->shared->ring, channel, data, size);

	if (!error && write(bus->shared->wake, &one, sizeof(one)) < 0)
		log_line(LOG_LEVEL_ERROR, "workers can't be woken: %s", strerror(errno));
	if (!error && bus->redis)
		bus_redis_publish(bus->redis, channel, data, size);
	return error;
}

static uint64_t next_number(const struct bus *of)
{
	return ring_count(((const struct worker_bus *)of)->shared->ring);
}

bool bus_start(struct worker *worker, const struct bus_shared *shared)
{
	struct worker_bus *bus = &worker->bus;

	bus->bus = (struct bus){ on_publish, on_wanted, next_number };
	bus->worker = worker;
	bus->shared = shared;
	event_assign(
	        &bus->wake, worker->base, shared->wake, EV_READ | EV_PERSIST | EV_ET, on_wake, bus);
	evtimer_assign(&bus->more, worker->base, on_more, bus);
	worker->runtime.bus = &bus->bus;
	if (worker->config->bus.redis)
		bus->redis = bus_redis_start(worker, shared->ring);
	return bus->redis || !worker->config->bus.redis;
}

void bus_stop(struct worker *worker)
{
	bus_redis_stop(worker->bus.redis);
	worker->bus.redis = NULL;
	if (worker->bus.message)
		listen_no_more(&worker->bus);
}
