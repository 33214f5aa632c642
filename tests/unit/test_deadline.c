#include <event2/event.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "daemon/deadline.h"
#include "tests/support/support.h"

SUITE(deadline);

#define LISTS 4
#define MARKS 8

static struct event_base *base;
static struct deadlines timers;
static struct deadline_list lists[LISTS];

/* A deadline with a letter; what was due is written down in `due`. */
static struct mark {
	struct deadline deadline;
	char letter;
	unsigned again; /* how many times it sets itself anew */
} marks[MARKS];
static char due[64];
static uint64_t set_at;

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static struct mark *mark_of(struct deadline *deadline)
{
	return (struct mark *)((char *)deadline - offsetof(struct mark, deadline));
}

static void expired(struct deadline *deadline)
{
	struct mark *mark = mark_of(deadline);
	size_t length = strlen(due);

	cr_expect_null(deadline->list, "%c is still on its list", mark->letter);
	cr_expect_geq(now(), deadline->due, "%c came too early", mark->letter);
	cr_assert_lt(length, sizeof due - 1);
	due[length] = mark->letter;
	if (mark->again && mark->again--)
		deadline_set(&timers, deadline, &lists[0]);
}

/* Lists of these lengths in ms; marks 'a', 'b', ... */
static void begin(const unsigned lengths[LISTS])
{
	base = event_base_new();
	cr_assert(base);
	cr_assert(deadlines_init(&timers, base));
	for (int i = 0; i < LISTS; i++)
		deadlines_add(&timers, &lists[i], lengths[i], expired);
	for (int i = 0; i < MARKS; i++)
		marks[i].letter = (char)('a' + i);
	set_at = timers.now;
}

/* Until no deadline is left. */
static void end(const char *wanted)
{
	cr_assert_geq(event_base_dispatch(base), 0);
	cr_expect_str_eq(due, wanted, "\"%s\", not \"%s\"", due, wanted);
	cr_expect_eq(timers.armed, DEADLINE_NEVER);
	deadlines_free(&timers);
	event_base_free(base);
}

static void set(char letter, int list)
{
	deadline_set(&timers, &marks[letter - 'a'].deadline, &lists[list]);
}

/*
 * Steps: "a0" sets a on list 0 (also moves it), "-a" clears it. Lists of 4, 40, 80 and 0 ms: far
 * enough apart for the coarse clock, whose tick is 4 ms, sometimes 10.
 */
static const struct {
	const char *name, *steps, *due;
} rows[] = {
	{ "none", "", "" },
	{ "one", "a0", "a" },
	{ "in the order they were set", "a0 b0 c0", "abc" },
	{ "several lists", "a2 b0 c1", "bca" },
	{ "short ones behind long ones", "a2 b1 c0 d2 e1 f0", "cfbead" },
	{ "cleared", "a0 b0 c0 -b", "ac" },
	{ "the first cleared", "a0 b0 -a", "b" },
	{ "the last cleared, then one more", "a0 b0 -b c0", "ac" },
	{ "all cleared", "a0 b1 -a -b", "" },
	{ "cleared twice", "a0 -a -a b0", "b" },
	{ "cleared, never set", "-a b0", "b" },
	{ "moved to its list's end", "a0 b0 c0 a0", "bca" },
	{ "moved, alone", "a0 a0 a0", "a" },
	{ "moved to a later list", "a0 b1 a2", "ba" },
	{ "moved to an earlier list", "a2 b1 a0", "ab" },
	{ "moved to its own place", "a0 b0 b0", "ab" },
	{ "set again after clearing", "a0 b0 -a a0", "ba" },
	{ "never due", "a3 b0 c3", "b" },
	{ "moved to where it is never due", "a0 b0 a3", "b" },
	{ "moved from where it is never due", "a3 b1 a0", "ab" },
};

static void step(const char *at)
{
	if (*at == '-')
		deadline_clear(&marks[at[1] - 'a'].deadline);
	else
		set(at[0], at[1] - '0');
}

Test(deadline, order)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		memset(marks, 0, sizeof marks);
		memset(due, 0, sizeof due);
		begin((const unsigned[]){ 4, 40, 80, 0 });
		for (const char *at = rows[i].steps; *at; at += at[2] ? 3 : 2)
			step(at);
		cr_assert_geq(event_base_dispatch(base), 0);
		cr_expect_str_eq(due, rows[i].due, "%s: \"%s\"", rows[i].name, due);
		for (int n = 0; n < MARKS; n++)
			deadline_clear(&marks[n].deadline);
		for (int n = 0; n < LISTS; n++)
			cr_expect(lists[n].ring.next == &lists[n].ring, "%s: list %d is not empty",
			        rows[i].name, n);
		deadlines_free(&timers);
		event_base_free(base);
	}
}

Test(deadline, sets_itself_again)
{
	begin((const unsigned[]){ 2, 0, 0, 0 });
	marks[0].again = 3;
	set('a', 0);
	set('b', 0);
	end("abaaa");
}

/* The clock's time is read once for each turn: what is set between is due from that on. */
Test(deadline, due_from_the_last_tick)
{
	begin((const unsigned[]){ 5, 50, 0, 0 });
	set('a', 0);
	set('b', 1);
	cr_expect_eq(marks[0].deadline.due, set_at + 5);
	cr_expect_eq(marks[1].deadline.due, set_at + 50);
	end("ab");
	cr_expect_geq(now(), set_at + 50);
}

/* Moving a deadline arms nothing: the timer fires too early once, and is armed for the rest. */
Test(deadline, moving_costs_nothing)
{
	begin((const unsigned[]){ 20, 60, 0, 0 });
	set('a', 0);
	uint64_t armed = timers.armed;

	cr_expect_eq(armed, marks[0].deadline.due);
	for (int i = 0; i < 1000; i++)
		set('a', 1);
	cr_expect_eq(timers.armed, armed);
	set('b', 1);
	cr_expect_eq(timers.armed, armed, "a later one arms nothing");
	end("ab");
}

/* One that is due before all others arms the timer for itself. */
Test(deadline, an_earlier_one)
{
	begin((const unsigned[]){ 5, 60000, 0, 0 });
	set('a', 1);
	cr_expect_eq(timers.armed, set_at + 60000);
	set('b', 0);
	cr_expect_eq(timers.armed, set_at + 5);
	cr_assert_geq(event_base_loop(base, EVLOOP_ONCE), 0);
	while (!*due)
		cr_assert_geq(event_base_loop(base, EVLOOP_ONCE), 0);
	cr_expect_eq(timers.armed, set_at + 60000, "armed again for the one that is left");
	deadline_clear(&marks[0].deadline);
	deadlines_free(&timers);
	event_base_free(base);
	cr_expect_str_eq(due, "b");
}

static struct deadline *victim;

static void clears_another(struct deadline *deadline)
{
	expired(deadline);
	deadline_clear(victim);
}

/* A callback may clear a deadline that is due in the same turn. */
Test(deadline, cleared_by_another)
{
	begin((const unsigned[]){ 3, 3, 0, 0 });
	lists[0].expired = clears_another;
	victim = &marks[1].deadline;
	set('a', 0);
	set('b', 0);
	set('c', 1);
	end("ca"); /* the list added last is looked at first */
}

Test(deadline, two_clocks)
{
	struct deadlines other;
	struct deadline_list list;

	begin((const unsigned[]){ 3, 0, 0, 0 });
	cr_assert(deadlines_init(&other, base));
	deadlines_add(&other, &list, 30, expired);
	deadline_set(&other, &marks[1].deadline, &list);
	set('a', 0);
	end("ab");
	deadlines_free(&other);
}
