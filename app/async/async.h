/*
 * What waits in the worker's event loop on behalf of tasks: made when the worker starts, ended when
 * no request is served any more.
 */
#ifndef APP_ASYNC_ASYNC_H
#define APP_ASYNC_ASYNC_H

#include <stdbool.h>

#include "../waiting.h"

struct async;

/* runtime->base must be set. False: no memory. */
bool async_start(struct runtime *runtime);

/*
 * Runs what applications have for a worker's begin, each to its end, and starts their timers. False
 * with a line in `error`: one of them says that the worker can't serve.
 */
bool async_begin(struct runtime *runtime, char *error, size_t size);

/*
 * Runs what still waits for its turn or for a thread, then what applications have for a worker's
 * end, for `ms` at most, and ends. Every client must be gone.
 */
void async_stop(struct runtime *runtime, unsigned ms);

/* The task goes on in the next turn of the loop. */
void async_turn(struct runtime *runtime, struct ag_task *task);

/* The request is over: it has no deadline any more, no tick and no subscriptions. */
void async_forget(struct ag_request *req);

/* Takes back a function that no thread has begun; false: one runs it. */
bool async_withdraw(struct ag_task *task);

/*
 * Calls function(req) on the worker's own stack each `ms` from now on, in place of what was said
 * before, until the request is freed: its handler may have returned. 0 or AG_NOMEM.
 */
int async_tick(struct ag_request *req, unsigned ms, void (*function)(struct ag_request *req));

/*
 * Suspends like request_wait, but for `ms` at most: the answer is `over` then. AG_FOREVER: as long
 * as it takes.
 */
int async_wait(struct ag_request *req, enum waiting what, unsigned ms, int over);

#endif
