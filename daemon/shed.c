#include "shed.h"

#include "log.h"

/* ms without a request that is shed, after which it is over. */
#define CALM_MS 1000

static void on_calm(struct deadline *deadline)
{
	struct listener *listener = (struct listener *)((char *)deadline -
	                                                offsetof(struct listener, calm));
	struct worker *worker = listener->worker;

	if (listener->shed == listener->shed_seen) {
		shed_end(listener);
		return;
	}
	listener->shed_seen = listener->shed;
	deadline_set(&worker->clock, &listener->calm, &worker->calm);
}

void shed_start(struct worker *worker)
{
	deadlines_add(&worker->clock, &worker->calm, CALM_MS, on_calm);
}

bool shed_is_due(const struct listener *listener)
{
	unsigned limit = listener->config->shed_after;

	/* the clock is asked again: a handler may have run since the worker's was read */
	return limit && request_clock() - listener->empty > limit * UINT64_C(1000);
}

void shed_one(struct listener *listener)
{
	struct worker *worker = listener->worker;

	if (!listener->shed++)
		log_line(LOG_LEVEL_WARNING,
		        "%s: connections wait longer than listen.shed_after to be accepted: "
		        "answered 503",
		        listener->bound->name);
	if (!listener->calm.list)
		deadline_set(&worker->clock, &listener->calm, &worker->calm);
}

void shed_end(struct listener *listener)
{
	deadline_clear(&listener->calm);
	if (listener->shed)
		log_line(LOG_LEVEL_WARNING, "%s: %llu requests were answered 503 since then",
		        listener->bound->name, (unsigned long long)listener->shed);
	listener->shed = listener->shed_seen = 0;
}
