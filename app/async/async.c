#include "async.h"

#include <stdlib.h>

#include <event2/event.h>

#include "async_private.h"

/* Those whose turn it is now; who is added meanwhile has the next one, behind the sockets'. */
static void take_turns(struct async *async)
{
	struct task_list now = TAILQ_HEAD_INITIALIZER(now);
	struct ag_task *task;

	TAILQ_CONCAT(&now, &async->turns, turn);
	while ((task = TAILQ_FIRST(&now))) {
		TAILQ_REMOVE(&now, task, turn);
		waiting_turn(task);
	}
}

static void on_turn(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	take_turns(argument);
}

void async_turn(struct runtime *runtime, struct ag_task *task)
{
	static const struct timeval at_once = { 0, 0 };
	struct async *async = runtime->async;

	if (TAILQ_EMPTY(&async->turns))
		evtimer_add(&async->turn, &at_once);
	TAILQ_INSERT_TAIL(&async->turns, task, turn);
}

bool async_start(struct runtime *runtime)
{
	struct async *async = calloc(1, sizeof(*async));

	if (!async)
		return false;
	async->runtime = runtime;
	TAILQ_INIT(&async->turns);
	TAILQ_INIT(&async->background);
	evtimer_assign(&async->turn, runtime->base, on_turn, async);
	runtime->async = async;
	if (!runtime->channel_counters)
		runtime->channel_counters = &async->channel_counters;
	return true;
}

void async_drain(struct async *async)
{
	while (!TAILQ_EMPTY(&async->turns) || offload_is_busy(async)) {
		take_turns(async);
		if (TAILQ_EMPTY(&async->turns))
			offload_wait(async);
	}
	evtimer_del(&async->turn);
}

void async_stop(struct runtime *runtime, unsigned ms)
{
	struct async *async = runtime->async;

	if (!async)
		return;
	async_drain(async);
	periodics_stop(async);
	hooks_stop(async, ms);
	offload_stop(async);
	fetcher_stop(async);
	free(async);
	runtime->async = NULL;
	channels_free(runtime);
	block_pool_free(&runtime->task_blocks);
}
