#include "deadline.h"

#include <time.h>

#include <event2/event.h>

void deadlines_tick(struct deadlines *clock)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	clock->now = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void arm(struct deadlines *clock, uint64_t due)
{
	uint64_t wait = due > clock->now ? due - clock->now : 0;
	struct timeval after = { (time_t)(wait / 1000), (suseconds_t)(wait % 1000 * 1000) };

	clock->armed = due;
	evtimer_add(&clock->timer, &after);
}

static void expire(struct deadlines *clock, struct deadline_list *list)
{
	while (list->first && list->length && list->first->due <= clock->now) {
		struct deadline *deadline = list->first;

		deadline_clear(deadline);
		list->expired(deadline);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct deadlines *clock = argument;
	uint64_t next = 0;

	(void)fd;
	(void)what;
	clock->armed = 0;
	deadlines_tick(clock);
	for (struct deadline_list *list = clock->lists; list; list = list->next)
		expire(clock, list);
	for (struct deadline_list *list = clock->lists; list; list = list->next)
		if (list->first && list->length && (!next || list->first->due < next))
			next = list->first->due;
	if (next && (!clock->armed || next < clock->armed))
		arm(clock, next);
}

bool deadlines_init(struct deadlines *clock, struct event_base *base)
{
	*clock = (struct deadlines){ 0 };
	deadlines_tick(clock);
	return evtimer_assign(&clock->timer, base, on_timer, clock) == 0;
}

void deadlines_free(struct deadlines *clock)
{
	evtimer_del(&clock->timer);
}

void deadlines_add(struct deadlines *clock, struct deadline_list *list, unsigned length,
        void (*expired)(struct deadline *deadline))
{
	*list = (struct deadline_list){
		.next = clock->lists, .length = length, .expired = expired
	};
	clock->lists = list;
}

void deadline_clear(struct deadline *deadline)
{
	struct deadline_list *list = deadline->list;

	if (!list)
		return;
	*(deadline->previous ? &deadline->previous->next : &list->first) = deadline->next;
	*(deadline->next ? &deadline->next->previous : &list->last) = deadline->previous;
	deadline->list = NULL;
}

void deadline_set(struct deadlines *clock, struct deadline *deadline, struct deadline_list *list)
{
	deadline_clear(deadline);
	deadline->due = clock->now + list->length;
	deadline->list = list;
	deadline->next = NULL;
	deadline->previous = list->last;
	*(list->last ? &list->last->next : &list->first) = deadline;
	list->last = deadline;
	if (list->length && (!clock->armed || deadline->due < clock->armed))
		arm(clock, deadline->due);
}
