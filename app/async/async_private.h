/* What the parts of app/async share; for app/async/ only. */
#ifndef APP_ASYNC_ASYNC_PRIVATE_H
#define APP_ASYNC_ASYNC_PRIVATE_H

#include <event2/event_struct.h>

#include "../request.h"
#include "async.h"

struct fetcher;
struct offload;
struct periodic;
TAILQ_HEAD(background_list, background);

struct async {
	struct runtime *runtime;
	struct event turn; /* due at once where `turns` has somebody */
	struct task_list turns;
	struct background_list background;
	struct periodic *periodics;
	struct offload *offload;                  /* NULL: nothing was handed to a thread yet */
	struct fetcher *fetcher;                  /* NULL: nothing was fetched yet */
	struct channel_counters channel_counters; /* where nobody else counts */
	bool begun; /* the applications' start hooks have ended well */
};

/* ---- background.c ---- */

/*
 * Runs a function in a task for which nobody has asked; `name` is its REQUEST_URI. over(to, result)
 * is called when it has returned, perhaps before this has. False: no memory, nothing ran.
 */
bool background_start(struct async *async, const char *name, ag_function *function, void *argument,
        void (*over)(void *to, int result), void *to);

/* Ends what they wait for. */
void background_end(struct async *async);

/* ---- hooks.c ---- */

void periodics_stop(struct async *async);

/* Runs the applications' functions for the worker's end, for `ms` in all. */
void hooks_stop(struct async *async, unsigned ms);

/* ---- offload.c ---- */

/* Whether a function is with the threads, or on its way there. */
bool offload_is_busy(const struct async *async);

/* Waits for the end of one, where there is one, and goes on with its task. */
void offload_wait(struct async *async);

/* Ends the threads; none may be busy. */
void offload_stop(struct async *async);

/* ---- fetch_multi.c ---- */

/* Closes the connections that were kept; nothing is on its way. */
void fetcher_stop(struct async *async);

/* ---- async.c ---- */

/* Everybody's turn, until nobody waits for one, or for a thread. */
void async_drain(struct async *async);

#endif
