/* The characters of HTTP (RFC 9110 5): one set of tables for requests and answers. */
#ifndef APP_GRAMMAR_H
#define APP_GRAMMAR_H

#include <emmintrin.h>
#include <stdbool.h>
#include <stddef.h>

/* tchar of RFC 9110 5.6.2. */
extern const bool grammar_tchar[256];

/* What may stand in a field's value (RFC 9110 5.5): no control byte but the tab. */
extern const bool grammar_value[256];

/* Of sixteen bytes those that are no letter, digit or hyphen: bit i for the i-th. */
static inline unsigned grammar_unplain(__m128i bytes)
{
	__m128i small = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
	__m128i letters = _mm_and_si128(_mm_cmpgt_epi8(small, _mm_set1_epi8('a' - 1)),
	        _mm_cmplt_epi8(small, _mm_set1_epi8('z' + 1)));
	__m128i digits = _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8('0' - 1)),
	        _mm_cmplt_epi8(bytes, _mm_set1_epi8('9' + 1)));
	__m128i hyphens = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-'));

	return 0xffff ^
	       (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(letters, digits), hyphens));
}

/* Of sixteen bytes the tabs, and those that no field value may have: bit i for the i-th. */
static inline unsigned grammar_unfit(__m128i bytes)
{
	__m128i controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
	__m128i deletes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(controls, deletes));
}

/* True for one or more tchar. */
bool grammar_is_token(const char *text, size_t length);

/* True for text that may stand as a field's value; "" may. */
bool grammar_is_value(const char *text, size_t length);

#endif
