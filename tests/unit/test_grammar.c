/* app/grammar.c */
#include <stdlib.h>
#include <string.h>

#include "../../app/grammar.h"
#include "../support/support.h"

SUITE(grammar);

/* More than two times the sixteen bytes that are looked at in one go. */
#define LONGEST 40

static const struct {
	const char *name;
	bool (*is)(const char *text, size_t length);
	const bool *table;
	bool empty;
} rules[] = {
	{ "token", grammar_is_token, grammar_tchar, false },
	{ "value", grammar_is_value, grammar_value, true },
};

/* Every byte at every place of texts of every length, behind which nothing can be read. */
Test(grammar, every_byte_at_every_place)
{
	for (size_t i = 0; i < 2 * LONGEST; i++) {
		size_t rule = i / LONGEST, length = i % LONGEST + 1;
		char *text = malloc(length);

		memset(text, 'a', length);
		for (size_t n = 0; n < length * 256; n++) {
			unsigned char byte = (unsigned char)n;

			text[n / 256] = (char)byte;
			cr_assert_eq(rules[rule].is(text, length), rules[rule].table[byte],
			        "%s of %zu: %02x at %zu", rules[rule].name, length, byte, n / 256);
			text[n / 256] = 'a';
		}
		cr_expect_eq(rules[rule].is(text, 0), rules[rule].empty);
		free(text);
	}
}
