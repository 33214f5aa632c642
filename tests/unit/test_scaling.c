/* daemon/scaling.c: from how many workers are spare to how many there should be. */
#include "../support/support.h"

#include "daemon/scaling.h"

SUITE(scaling);

#define SECONDS 16

struct row {
	const char *name;
	unsigned min, max, spare_min, spare_max, wanted;
	struct {
		unsigned spare, wanted; /* in a second, and after it */
	} seconds[SECONDS];             /* ends with wanted 0 */
};

static const struct row rows[] = {
	{ "enough", 1, 10, 1, 3, 4, { { 1, 4 }, { 2, 4 }, { 3, 4 }, { 1, 4 } } },
	{ "none is spare: doubling", 1, 40, 1, 3, 2,
	        { { 0, 3 }, { 0, 5 }, { 0, 9 }, { 0, 17 }, { 0, 25 }, { 0, 33 }, { 0, 40 },
	                { 0, 40 } } },
	{ "doubling begins again", 1, 40, 2, 3, 4,
	        { { 1, 5 }, { 0, 7 }, { 2, 7 }, { 1, 8 }, { 1, 10 }, { 1, 14 } } },
	{ "not at the most: neither", 1, 4, 2, 3, 4, { { 0, 4 }, { 0, 4 } } },
	{ "a burst that passes the most", 1, 6, 2, 3, 4, { { 1, 5 }, { 1, 6 }, { 1, 6 } } },
	{ "too many, for five seconds", 1, 10, 1, 3, 8,
	        { { 8, 8 }, { 8, 8 }, { 8, 8 }, { 8, 8 }, { 8, 7 }, { 7, 6 }, { 6, 5 }, { 5, 4 },
	                { 4, 3 }, { 3, 3 } } },
	{ "... but not in a row", 1, 10, 1, 3, 8,
	        { { 8, 8 }, { 8, 8 }, { 8, 8 }, { 8, 8 }, { 3, 8 }, { 8, 8 }, { 4, 8 }, { 4, 8 },
	                { 4, 8 }, { 4, 7 } } },
	{ "down to the least", 2, 10, 1, 1, 4,
	        { { 4, 4 }, { 4, 4 }, { 4, 4 }, { 4, 4 }, { 4, 3 }, { 3, 2 }, { 2, 2 },
	                { 2, 2 } } },
	{ "TTIN went above the most", 1, 4, 1, 3, 6, { { 2, 4 }, { 2, 4 } } },
	{ "TTOU went below the least", 3, 8, 1, 3, 2, { { 1, 3 }, { 1, 3 } } },
	{ "all the same number", 3, 3, 1, 1, 3, { { 0, 3 }, { 3, 3 }, { 1, 3 } } },
	{ "a thousand", 1, 1024, 1024, 1024, 1020, { { 0, 1021 }, { 0, 1023 }, { 0, 1024 } } },
};

Test(scaling, next)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];
		const struct daemon_config config = { .workers_min = row->min,
			.workers_max = row->max,
			.spare_min = row->spare_min,
			.spare_max = row->spare_max };
		struct scaling scaling = { 0 };
		unsigned wanted = row->wanted;

		for (size_t s = 0; s < SECONDS && row->seconds[s].wanted; s++) {
			wanted = scaling_next(&scaling, &config, wanted, row->seconds[s].spare);
			cr_expect_eq(wanted, row->seconds[s].wanted, "%s, second %zu: %u",
			        row->name, s, wanted);
		}
	}
}

Test(scaling, first)
{
	const struct daemon_config fixed = { .workers = 4, .workers_min = 1 };
	const struct daemon_config scaled = { .workers = 4, .workers_min = 2, .workers_max = 8 };

	cr_expect_eq(scaling_first(&fixed, 0), 4);
	cr_expect_eq(scaling_first(&fixed, 7), 4);
	cr_expect_eq(scaling_first(&scaled, 0), 4);
	cr_expect_eq(scaling_first(&scaled, 1), 2);
	cr_expect_eq(scaling_first(&scaled, 7), 7);
	cr_expect_eq(scaling_first(&scaled, 9), 8);
}

/* Half of ten samples, or half of a second. */
Test(scaling, busy)
{
	cr_expect(!scaling_busy(0, 10, 0));
	cr_expect(!scaling_busy(4, 10, 499999));
	cr_expect(scaling_busy(5, 10, 0));
	cr_expect(scaling_busy(0, 10, 500000));
}
