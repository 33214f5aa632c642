#include "slots.h"

#include <stddef.h>

#include "../request.h"

/* On the stack of the task that waits; in the list until it has its slot or has given up. */
struct slot_waiter {
	struct slot_waiter *next;
	struct ag_task *task;
	bool given;
};

bool slot_take(struct slots *slots)
{
	if (slots->limit && slots->taken >= slots->limit)
		return false;
	slots->taken++;
	return true;
}

static void enter(struct slots *slots, struct slot_waiter *waiter)
{
	*(slots->last ? &slots->last->next : &slots->first) = waiter;
	slots->last = waiter;
}

/* Takes off who gives up. */
static void leave(struct slots *slots, const struct slot_waiter *waiter)
{
	struct slot_waiter **at = &slots->first, *before = NULL;

	while (*at != waiter) {
		before = *at;
		at = &before->next;
	}
	*at = waiter->next;
	if (slots->last == waiter)
		slots->last = before;
}

int slot_await(struct ag_request *req, struct slots *slots)
{
	struct slot_waiter waiter = { .task = waiting_task(req) };
	int answer = request_check(req);

	if (answer || slot_take(slots))
		return answer;
	enter(slots, &waiter);
	answer = request_wait(req, WAITING_QUEUE);
	if (!waiter.given)
		leave(slots, &waiter);
	return answer;
}

void slot_free(struct slots *slots)
{
	/* one that has been woken by something else takes itself off in its turn */
	for (struct slot_waiter *waiter = slots->first; waiter; waiter = waiter->next)
		if (waiting_wake_later(waiter->task, 0)) {
			leave(slots, waiter);
			waiter->given = true;
			return;
		}
	slots->taken--;
}
