#include "waiters.h"

#include "async_private.h"

static void leave(struct waiters *list, struct waiter *waiter)
{
	if (waiter->listed)
		TAILQ_REMOVE(list, waiter, link);
	waiter->listed = false;
}

int waiters_wait(struct ag_request *req, struct waiters *list, struct waiter *waiter, unsigned ms)
{
	int answer = request_check(req);

	if (answer)
		return answer;
	if (!ms)
		return AG_TIMEOUT;
	waiter->task = waiting_task(req);
	waiter->listed = true;
	TAILQ_INSERT_TAIL(list, waiter, link);
	answer = async_wait(req, WAITING_QUEUE, ms, AG_TIMEOUT);
	leave(list, waiter); /* not where it was woken from it: the list may be gone */
	return answer;
}

struct waiter *waiters_wake(struct waiters *list, int answer)
{
	struct waiter *waiter;

	while ((waiter = TAILQ_FIRST(list))) {
		leave(list, waiter);
		if (waiting_wake_later(waiter->task, answer))
			return waiter;
	}
	return NULL;
}
