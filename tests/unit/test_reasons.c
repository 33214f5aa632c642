/* The reasons' table: whole, and fit to be the values of labels. */
#include <string.h>

#include "daemon/reasons.h"
#include "tests/support/support.h"

SUITE(reasons);

static void check_table(const struct reason *table, size_t count)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";

	for (size_t i = 0; i < count; i++) {
		cr_assert(table[i].symbol && *table[i].symbol, "row %zu", i);
		cr_assert(table[i].text && *table[i].text, "row %zu", i);
		cr_expect_eq(strspn(table[i].symbol, letters), strlen(table[i].symbol), "%s",
		        table[i].symbol);
		for (size_t n = 0; n < i; n++)
			cr_expect_str_neq(table[i].symbol, table[n].symbol);
	}
}

Test(reasons, symbols)
{
	check_table(close_reasons, CLOSE_REASON_COUNT);
	check_table(refusals, REFUSAL_COUNT);
}

Test(reasons, errors)
{
	static const enum close_reason fine[] = { CLOSE_NOT, CLOSE_ANSWERED, CLOSE_PEER, CLOSE_IDLE,
		CLOSE_LINGERED, CLOSE_DRAINED };
	size_t errors = 0;

	for (size_t i = 0; i < CLOSE_REASON_COUNT; i++)
		errors += close_reasons[i].is_error;
	for (size_t i = 0; i < COUNT(fine); i++)
		cr_expect(!close_reasons[fine[i]].is_error, "%s", close_reasons[fine[i]].symbol);
	cr_expect_eq(errors, CLOSE_REASON_COUNT - COUNT(fine));
	for (size_t i = 0; i < REFUSAL_COUNT; i++)
		cr_expect(refusals[i].is_error, "%s", refusals[i].symbol);
}
