/* When applications' hooks run: timers, a worker's begin and its end. */
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "../router.h"
#include "async_private.h"

struct periodic {
	struct event timer;
	struct periodic *next;
	struct async *async;
	const struct hook *hook;
	bool running;
};

/* ---- timers ---- */

static void on_over(void *to, int result)
{
	struct periodic *periodic = to;

	periodic->running = false;
	if (result)
		event_del(&periodic->timer);
}

static void on_tick(evutil_socket_t fd, short what, void *argument)
{
	struct periodic *periodic = argument;
	const struct hook *hook = periodic->hook;

	(void)fd;
	(void)what;
	if (periodic->running)
		return;
	periodic->running = true;
	if (!background_start(
	            periodic->async, "/every", hook->function, hook->argument, on_over, periodic))
		periodic->running = false;
}

static bool start_periodic(struct async *async, const struct hook *hook)
{
	struct periodic *periodic = calloc(1, sizeof(*periodic));
	struct timeval every = { hook->ms / 1000, (long)(hook->ms % 1000) * 1000 };

	if (!periodic)
		return false;
	periodic->next = async->periodics;
	periodic->async = async;
	periodic->hook = hook;
	async->periodics = periodic;
	event_assign(&periodic->timer, async->runtime->base, -1, EV_PERSIST, on_tick, periodic);
	return event_add(&periodic->timer, &every) == 0;
}

void periodics_stop(struct async *async)
{
	for (struct periodic *each = async->periodics; each; each = each->next)
		event_del(&each->timer);
	background_end(async);
	while (async->periodics) {
		struct periodic *periodic = async->periodics;

		async->periodics = periodic->next;
		free(periodic);
	}
}

/* ---- the begin and the end ---- */

struct outcome {
	bool over;
	int result;
};

static void on_hook_over(void *to, int result)
{
	struct outcome *outcome = to;

	outcome->over = true;
	outcome->result = result;
}

/* Its result, once it is over: when the loop is told to break it is ended. */
static int run_hook(struct async *async, const char *name, const struct hook *hook)
{
	struct event_base *base = async->runtime->base;
	struct outcome outcome = { .over = false };

	if (!background_start(async, name, hook->function, hook->argument, on_hook_over, &outcome))
		return AG_NOMEM;
	while (!outcome.over && event_base_loop(base, EVLOOP_ONCE) == 0 &&
	        !event_base_got_break(base))
		;
	if (!outcome.over)
		background_end(async);
	return outcome.result;
}

static bool begin_app(struct async *async, const struct ag_app *app, char *error, size_t size)
{
	for (const struct hook *hook = app->hooks; hook; hook = hook->next) {
		int result = hook->kind == HOOK_START ? run_hook(async, "/start", hook) : 0;

		if (result) {
			snprintf(error, size, "[app %s]: a function of ag_on_start returned %d",
			        app->name, result);
			return false;
		}
		if (hook->kind == HOOK_EVERY && !start_periodic(async, hook)) {
			snprintf(error, size, "no memory for a timer of [app %s]", app->name);
			return false;
		}
	}
	return true;
}

bool async_begin(struct runtime *runtime, char *error, size_t size)
{
	for (size_t i = 0; i < runtime->host->count; i++)
		if (!begin_app(runtime->async, runtime->host->apps[i], error, size))
			return false;
	runtime->async->begun = true;
	return true;
}

static void on_limit(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(argument);
}

/* The last that was registered first: it may build on those before. */
static void stop_app(struct async *async, const struct hook *hook)
{
	if (!hook)
		return;
	stop_app(async, hook->next);
	if (hook->kind == HOOK_STOP)
		run_hook(async, "/stop", hook);
}

void hooks_stop(struct async *async, unsigned ms)
{
	const struct host *host = async->runtime->host;
	struct timeval after = { ms / 1000, (long)(ms % 1000) * 1000 };
	struct event limit;

	if (!async->begun)
		return;
	evtimer_assign(&limit, async->runtime->base, on_limit, async->runtime->base);
	evtimer_add(&limit, &after);
	for (size_t i = host->count; i-- > 0;)
		stop_app(async, host->apps[i]->hooks);
	evtimer_del(&limit);
}
