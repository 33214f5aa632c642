/* What applications have called besides their handlers: by the time, as a worker begins or ends. */
#include <stdlib.h>

#include "router.h"

static void add(
        struct ag_app *app, enum hook_kind kind, unsigned ms, ag_function *function, void *argument)
{
	struct hook **link = &app->hooks, *hook = calloc(1, sizeof(*hook));

	if (!hook || !function) {
		ag_fail(app, hook ? "a hook has no function" : "out of memory");
		free(hook);
		return;
	}
	*hook = (struct hook){ NULL, kind, ms, function, argument };
	while (*link)
		link = &(*link)->next;
	*link = hook;
}

void ag_every(struct ag_app *app, unsigned ms, ag_function *function, void *argument)
{
	if (ms)
		add(app, HOOK_EVERY, ms, function, argument);
	else
		ag_fail(app, "ag_every needs a time of 1 ms at least");
}

void ag_on_start(struct ag_app *app, ag_function *function, void *argument)
{
	add(app, HOOK_START, 0, function, argument);
}

void ag_on_stop(struct ag_app *app, ag_function *function, void *argument)
{
	add(app, HOOK_STOP, 0, function, argument);
}

void hooks_free(struct ag_app *app)
{
	while (app->hooks) {
		struct hook *hook = app->hooks;

		app->hooks = hook->next;
		free(hook);
	}
}
