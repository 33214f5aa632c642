#include "upkeep.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "conn.h"
#include "control.h"
#include "log.h"
#include "tally.h"
#include "worker.h"

/* ms between two looks for requests that take too long: a quarter of the limit, but within these.
 */
#define LOOK_MIN 50
#define LOOK_MAX 1000

/* Seconds between two looks at the size. */
#define SIZE_SECONDS 1

/* ---- requests that take too long ---- */

static void look_again(struct worker *worker)
{
	unsigned ms = worker->config->daemon.request_timeout / 4;

	ms = ms < LOOK_MIN ? LOOK_MIN : ms > LOOK_MAX ? LOOK_MAX : ms;
	const struct timeval after = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	worker->upkeep.looking = evtimer_add(&worker->upkeep.late, &after) == 0;
}

static void on_look(evutil_socket_t fd, short what, void *argument)
{
	struct worker *worker = argument;
	uint64_t limit = (uint64_t)worker->config->daemon.request_timeout * 1000;
	bool waiting = false;

	(void)fd;
	(void)what;
	worker->upkeep.looking = false;
	tally_turn(worker);
	for (struct conn *conn = worker->conns, *next; conn; conn = next) {
		next = conn_next(conn);
		waiting |= conn_end_late(conn, worker->runtime.now - limit);
	}
	if (waiting && !worker->upkeep.looking)
		look_again(worker);
}

void upkeep_waits(struct worker *worker)
{
	if (worker->config->daemon.request_timeout && !worker->upkeep.looking)
		look_again(worker);
}

/* ---- a successor ---- */

void upkeep_recycle(struct worker *worker, const char *why)
{
	if (worker->upkeep.asked || worker->draining)
		return;
	worker->upkeep.asked = true;
	control_send(event_get_fd(&worker->control), CONTROL_RECYCLE, why);
}

void upkeep_finished(struct worker *worker)
{
	if (worker->slot->counters.requests >= worker->upkeep.last)
		upkeep_recycle(worker, "daemon.max_requests");
}

static void on_life(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	upkeep_recycle(argument, "daemon.max_lifetime");
}

int upkeep_open_statm(void)
{
	return open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

/* Resident bytes; 0 where they can't be told. */
static uint64_t resident(int statm)
{
	unsigned long long pages = 0;
	char text[128];
	ssize_t length = pread(statm, text, sizeof(text) - 1, 0);

	text[length > 0 ? length : 0] = '\0';
	if (sscanf(text, "%*u %llu", &pages) != 1)
		pages = 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void on_size(evutil_socket_t fd, short what, void *argument)
{
	struct worker *worker = argument;
	uint64_t size = resident(worker->upkeep.statm);
	char why[96];

	(void)fd;
	(void)what;
	if (size <= worker->config->daemon.rss_limit)
		return;
	snprintf(why, sizeof(why), "daemon.rss_limit: it has %llu KiB",
	        (unsigned long long)size / 1024);
	upkeep_recycle(worker, why);
}

/* Up to a tenth more: workers that started together do not end together. */
static uint64_t jitter(uint64_t value)
{
	return value + (value / 10 ? (uint64_t)random() % (value / 10) : 0);
}

static bool start_timer(struct event *event, uint64_t ms)
{
	const struct timeval after = { (time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000 };

	return !ms || event_add(event, &after) == 0;
}

bool upkeep_start(struct worker *worker)
{
	const struct daemon_config *config = &worker->config->daemon;
	struct upkeep *upkeep = &worker->upkeep;

	srandom((unsigned)getpid());
	upkeep->last = config->max_requests ? jitter(config->max_requests) : UINT64_MAX;
	evtimer_assign(&upkeep->late, worker->base, on_look, worker);
	evtimer_assign(&upkeep->life, worker->base, on_life, worker);
	event_assign(&upkeep->size, worker->base, -1, EV_PERSIST, on_size, worker);
	return start_timer(&upkeep->life, jitter(config->max_lifetime)) &&
	       start_timer(&upkeep->size, config->rss_limit ? SIZE_SECONDS * 1000 : 0);
}

void upkeep_stop(struct worker *worker)
{
	evtimer_del(&worker->upkeep.late);
	evtimer_del(&worker->upkeep.life);
	event_del(&worker->upkeep.size);
	if (worker->upkeep.statm >= 0)
		close(worker->upkeep.statm);
}
