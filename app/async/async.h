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

/* Runs what still waits for its turn or for a thread, and ends. Every client must be gone. */
void async_stop(struct runtime *runtime);

/* The task goes on in the next turn of the loop. */
void async_turn(struct runtime *runtime, struct ag_task *task);

/* Takes back a function that no thread has begun; false: one runs it. */
bool async_withdraw(struct ag_task *task);

#endif
