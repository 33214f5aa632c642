#include "deadline.h"

#include <time.h>

#include <event2/event.h>

void deadlines_tick(struct deadlines *clock)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;

	/* it may lie behind what a finer clock has told */
	clock->now = ms > clock->now ? ms : clock->now;
}

static __attribute__((noinline)) void arm(struct deadlines *clock, uint64_t due)
{
	uint64_t wait = due > clock->now ? due - clock->now : 0;
	struct timeval after = { (time_t)(wait / 1000), (suseconds_t)(wait % 1000 * 1000) };

	clock->armed = due;
	evtimer_add(&clock->timer, &after);
}

/* Whether something in the list will be due. */
static bool is_set(const struct deadline_list *list)
{
	return list->length && list->ring.next != &list->ring;
}

static void expire(struct deadlines *clock, struct deadline_list *list)
{
	while (is_set(list) && list->ring.next->due <= clock->now) {
		struct deadline *deadline = list->ring.next;

		deadline_clear(deadline);
		list->expired(deadline);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct deadlines *clock = argument;
	uint64_t next = DEADLINE_NEVER;

	(void)fd;
	(void)what;
	clock->armed = DEADLINE_NEVER;
	deadlines_tick(clock);
	for (struct deadline_list *list = clock->lists; list; list = list->next)
		expire(clock, list);
	for (struct deadline_list *list = clock->lists; list; list = list->next)
		if (is_set(list) && list->ring.next->due < next)
			next = list->ring.next->due;
	if (next < clock->armed)
		arm(clock, next);
}

bool deadlines_init(struct deadlines *clock, struct event_base *base)
{
	*clock = (struct deadlines){ .armed = DEADLINE_NEVER };
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
		.ring = { .previous = &list->ring, .next = &list->ring },
		.next = clock->lists,
		.length = length,
		.expired = expired,
	};
	clock->lists = list;
}

static void unlink_deadline(struct deadline *deadline)
{
	deadline->previous->next = deadline->next;
	deadline->next->previous = deadline->previous;
}

void deadline_clear(struct deadline *deadline)
{
	if (deadline->list)
		unlink_deadline(deadline);
	deadline->list = NULL;
}

void deadline_set(struct deadlines *clock, struct deadline *deadline, struct deadline_list *list)
{
	struct deadline *ring = &list->ring;

	if (deadline->list)
		unlink_deadline(deadline);
	deadline->due = clock->now + list->length;
	deadline->list = list;
	deadline->next = ring;
	deadline->previous = ring->previous;
	ring->previous->next = deadline;
	ring->previous = deadline;
	if (deadline->due < clock->armed && list->length)
		arm(clock, deadline->due);
}
