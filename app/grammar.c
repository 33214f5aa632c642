#include "grammar.h"

const bool grammar_tchar[256] = {
	['!'] = true,
	['#' ... '\''] = true, /* # $ % & ' */
	['*'] = true,
	['+'] = true,
	['-'] = true,
	['.'] = true,
	['0' ... '9'] = true,
	['A' ... 'Z'] = true,
	['^'] = true,
	['_'] = true,
	['`'] = true,
	['a' ... 'z'] = true,
	['|'] = true,
	['~'] = true,
};

const bool grammar_value[256] = {
	['\t'] = true,
	[' ' ... '~'] = true,
	[0x80 ... 0xff] = true,
};

/* Whether the table has every byte. */
static bool all_in(const bool table[256], const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!table[(unsigned char)text[i]])
			return false;
	return true;
}

/*
 * Whether `find` finds none of its bytes in eight or more, sixteen at a time. The last ones, which
 * need not be sixteen, are looked at together with some that were looked at before.
 */
static inline bool has_none(unsigned find(__m128i bytes), const char *text, size_t length)
{
	const char *last = text + length - 16;
	unsigned found = 0;

	if (length < 16)
		return !find(_mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)text),
		        _mm_loadl_epi64((const __m128i *)(last + 8))));
	for (; text < last; text += 16)
		found |= find(_mm_loadu_si128((const __m128i *)text));
	return !(found | find(_mm_loadu_si128((const __m128i *)last)));
}

bool grammar_is_token(const char *text, size_t length)
{
	if (length >= 8 && has_none(grammar_unplain, text, length))
		return true;
	return length > 0 && all_in(grammar_tchar, text, length);
}

bool grammar_is_value(const char *text, size_t length)
{
	if (length >= 8 && has_none(grammar_unfit, text, length))
		return true;
	return all_in(grammar_value, text, length);
}
