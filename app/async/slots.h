/*
 * How many programs may run at a time in a worker. A slot is taken before a program starts and goes
 * back once it has been reaped; those who wait for one get it in the order they came.
 */
#ifndef APP_ASYNC_SLOTS_H
#define APP_ASYNC_SLOTS_H

#include <stdbool.h>

struct ag_request;
struct runtime;

/* Zeroed: no limit. */
struct slots {
	unsigned limit, taken;
	struct slot_waiter *first, *last;
};

/* False: none is free. */
bool slot_take(struct runtime *runtime);

/* Waits for one. Suspends. Returns 0 with the slot, or AG_... without. */
int slot_await(struct ag_request *req);

/* Gives it to who has waited longest. */
void slot_free(struct runtime *runtime);

#endif
