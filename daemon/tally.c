#include "tally.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../app/copy.h"

/* us; a turn that begins later than this after the last one ended has waited for its events. */
#define WAITED 1000

static uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void set_time(struct worker *worker, uint64_t us)
{
	worker->runtime.now = us;
	worker->clock.now = us / 1000;
	worker->aged = false;
}

static void put(uint64_t *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static void add(uint32_t *field, uint32_t n)
{
	__atomic_store_n(field, *field + n, __ATOMIC_RELAXED);
}

/* A variable's value, cut; the last byte is never written, and stays a NUL. */
static inline void copy_value(char *to, size_t size, const struct ag_request *req, enum var_id id)
{
	const struct var *var = env_known(&req->env, id);
	size_t n = var ? var->value_length : 0;

	n = n < size - 1 ? n : size - 1;
	copy_short(to, var ? env_value(var) : "", n);
	to[n] = '\0';
}

/* A handler gets the processor, or gives it back. */
static void on_switch(struct runtime *runtime)
{
	struct worker *worker = (struct worker *)runtime;
	const struct ag_request *req = runtime->current;
	struct slot *slot = worker->slot;

	if (!req) {
		put(&slot->entered, 0);
		return;
	}
	tally_turn(worker); /* a timer woke it */
	worker->fresh = false;
	worker->aged = true;
	struct running *running = &slot->running;

	copy_value(running->method, sizeof(running->method), req, VAR_REQUEST_METHOD);
	copy_value(running->uri, sizeof(running->uri), req, VAR_REQUEST_URI);
	put(&running->since, req->since / 1000);
	put(&slot->entered, worker->clock.now);
}

_Static_assert(offsetof(struct worker, runtime) == 0, "on_switch finds the worker by its runtime");

void tally_start(struct worker *worker, int number)
{
	struct slot *slot = worker->slot;

	set_time(worker, clock_us());
	worker->woken = worker->polled = worker->runtime.now;
	worker->runtime.switched = on_switch;
	slot->pid = (int32_t)getpid();
	slot->number = (uint32_t)number;
	slot->started = slot->beat = worker->runtime.now / 1000;
}

void tally_state(struct worker *worker, enum worker_state state)
{
	__atomic_store_n(&worker->slot->state, (uint32_t)state, __ATOMIC_RELEASE);
}

void tally_serve(struct worker *worker)
{
	tally_state(worker, WORKER_SERVING);
	/* what waits has not waited for this worker before */
	set_time(worker, clock_us());
	worker->woken = worker->polled = worker->runtime.now;
}

void tally_wait(struct worker *worker)
{
	if (!worker->fresh)
		set_time(worker, clock_us());
	if (!worker->turned) /* a turn of timers alone, without a handler: it took no time */
		worker->woken = worker->runtime.now;
	worker->asleep = worker->runtime.now;
	worker->fresh = worker->turned = false;
	worker->turn++;
}

/*
 * The loop's events are those that were there when it stopped waiting. If it had to wait for them,
 * they are new; if not, they have come since it looked the last time.
 */
void tally_look(struct worker *worker)
{
	if (worker->turned) {
		deadlines_tick(&worker->clock);
		worker->aged = false;
		return;
	}
	worker->turned = true;
	set_time(worker, clock_us());
	worker->polled = worker->runtime.now - worker->asleep > WAITED ? worker->runtime.now
	                                                               : worker->woken;
	worker->woken = worker->runtime.now;
	put(&worker->slot->beat, worker->clock.now);
}

void tally_watched(struct listener *listener, bool watched)
{
	listener->watched = watched ? listener->worker->turn : UNWATCHED;
	listener->full |= !watched;
}

/*
 * Nothing was there where a turn in between had no event, or where this one had to wait for it; or
 * another worker was told of it, which then was asleep: nobody has waited long.
 */
void tally_queue(struct listener *listener)
{
	struct worker *worker = listener->worker;
	bool waited = worker->polled == worker->woken;

	if (listener->watched < worker->turn && (waited || worker->turn - listener->watched > 1))
		listener->full = false;
	if (listener->watched != UNWATCHED)
		listener->watched = worker->turn;
	if (!listener->full && listener->empty < worker->polled)
		listener->empty = worker->polled;
}

void tally_queue_end(struct listener *listener, bool empty)
{
	listener->full = !empty;
	if (empty)
		listener->empty = listener->worker->runtime.now;
}

void tally_opened(struct listener *listener)
{
	struct worker *worker = listener->worker;
	struct slot *slot = worker->slot;

	count_up(&slot->counters.accepted, 1);
	histogram_add(&slot->counters.queued, worker->runtime.now - listener->empty);
	add(&slot->connections, 1);
}

void tally_closed(struct worker *worker, enum close_reason reason)
{
	count_up(&worker->slot->counters.closed[reason], 1);
	add(&worker->slot->connections, (uint32_t)-1);
}

void tally_refused(struct worker *worker, enum refusal refusal)
{
	count_up(&worker->slot->counters.refused[refusal], 1);
}

enum refusal tally_refusal(const struct ag_request *req, int status)
{
	static const struct {
		int status;
		enum refusal refusal;
	} rows[] = {
		{ 408, REFUSAL_BODY_TIMEOUT },
		{ 413, REFUSAL_BODY_SIZE },
		{ 414, REFUSAL_HEADER_SIZE },
		{ 431, REFUSAL_HEADER_SIZE },
		{ 500, REFUSAL_DISK_FULL },
		{ 507, REFUSAL_DISK_FULL },
	};

	if (status == 431 && req->env.count >= req->env.limit)
		return REFUSAL_VARIABLES;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].status == status)
			return rows[i].refusal;
	return REFUSAL_PROTOCOL;
}

void tally_request(struct worker *worker, const struct protocol *protocol, struct ag_request *req)
{
	struct counters *counters = &worker->slot->counters;

	req->handled = true;
	count_up(&counters->requests, 1);
	count_up(&counters->by_gate[protocol->number], 1);
	add(&worker->slot->in_flight, 1);
}

void tally_answered(struct worker *worker, struct ag_request *req)
{
	struct slot *slot = worker->slot;

	count_up(&slot->counters.by_class[req->answered], 1);
	if (!req->handled)
		return;
	set_time(worker, clock_us());
	worker->fresh = true;
	histogram_add(&slot->counters.latency, worker->runtime.now - req->since);
	add(&slot->in_flight, (uint32_t)-1);
}
