/*
 * Tasks that wait for other tasks, first come first served: what queues, conditions and semaphores
 * have in common. A waiter lies on its task's stack.
 */
#ifndef APP_ASYNC_WAITERS_H
#define APP_ASYNC_WAITERS_H

#include "../waiting.h"

struct waiter {
	TAILQ_ENTRY(waiter) link;
	struct ag_task *task;
	void *item; /* a queue's: to be put, or what was got */
	bool listed;
};

TAILQ_HEAD(waiters, waiter);

/*
 * Suspends behind those of the list, for `ms` at most. Returns what it is woken with; or AG_TIMEOUT
 * (at once where `ms` is 0), AG_GONE, AG_CANCELED, AG_INVALID, AG_NOMEM: it has left the list then.
 */
int waiters_wait(struct ag_request *req, struct waiters *list, struct waiter *waiter, unsigned ms);

/*
 * Wakes the first that still waits, off the list, and gives it; NULL: there is none. It goes on in
 * a later turn, with `answer`.
 */
struct waiter *waiters_wake(struct waiters *list, int answer);

#endif
