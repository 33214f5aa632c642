/*
 * Deadlines that cost nothing while they are kept: one list for each length of time, the newest at
 * its end, and one timer for all lists. Moving a deadline touches a few pointers; the timer is
 * armed again only when it has fired too early.
 */
#ifndef DAEMON_DEADLINE_H
#define DAEMON_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event_struct.h>

struct deadline {
	struct deadline *previous, *next;
	struct deadline_list *list; /* NULL: not set */
	uint64_t due;               /* ms on the monotonic clock */
};

struct deadline_list {
	struct deadline ring;                       /* around them: the first is its next */
	struct deadline_list *next;                 /* of the same clock */
	unsigned length;                            /* ms; 0: nothing in this list is ever due */
	uint64_t quota;                             /* bytes to be moved within it, for conns */
	void (*expired)(struct deadline *deadline); /* called once it is off the list */
};

struct deadlines {
	struct deadline_list *lists;
	struct event timer;
	uint64_t armed; /* when the timer fires, or DEADLINE_NEVER */
	uint64_t now;   /* ms; set by deadlines_tick, or from a finer clock */
};

#define DEADLINE_NEVER UINT64_MAX

bool deadlines_init(struct deadlines *clock, struct event_base *base);
void deadlines_free(struct deadlines *clock);

/* Adds a list; it must live until deadlines_free. */
void deadlines_add(struct deadlines *clock, struct deadline_list *list, unsigned length,
        void (*expired)(struct deadline *deadline));

/* Reads the time. */
void deadlines_tick(struct deadlines *clock);

/* Sets or moves: due when the list's length has passed from now. */
void deadline_set(struct deadlines *clock, struct deadline *deadline, struct deadline_list *list);
void deadline_clear(struct deadline *deadline);

#endif
