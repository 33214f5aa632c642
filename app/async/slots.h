/*
 * How many of a kind may run at a time in a worker: programs, from their start until they have been
 * reaped, or fetches. Those who wait for a slot get it in the order they came.
 */
#ifndef APP_ASYNC_SLOTS_H
#define APP_ASYNC_SLOTS_H

#include <stdbool.h>

struct ag_request;

/* Zeroed: no limit. */
struct slots {
	unsigned limit, taken;
	struct slot_waiter *first, *last;
};

/* False: none is free. */
bool slot_take(struct slots *slots);

/* Waits for one. Suspends. Returns 0 with the slot, or AG_... without. */
int slot_await(struct ag_request *req, struct slots *slots);

/* Gives it to who has waited longest. */
void slot_free(struct slots *slots);

#endif
