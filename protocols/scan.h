/* Bounded reading and writing of bytes; nothing here reads or writes past an end. */
#ifndef PROTOCOLS_SCAN_H
#define PROTOCOLS_SCAN_H

#include <emmintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../app/copy.h"
#include "../app/grammar.h"

/* Bytes that somebody else owns. */
struct span {
	const uint8_t *data;
	size_t length;
};

/* Of a literal, without its NUL. */
#define SPAN(text) ((struct span){ (const uint8_t *)(text), sizeof(text) - 1 })

/* Takes `length` bytes off the front; the caller has made sure that they are there. */
static inline const uint8_t *span_take(struct span *span, size_t length)
{
	const uint8_t *taken = span->data;

	span->data += length;
	span->length -= length;
	return taken;
}

static inline bool span_is(struct span span, const char *text)
{
	size_t length = strlen(text);

	return span.length == length && memcmp(span.data, text, length) == 0;
}

static inline uint16_t read_u16be(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint16_t read_u16le(const uint8_t *at)
{
	return (uint16_t)(at[1] << 8 | at[0]);
}

static inline uint32_t read_u32be(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/*
 * Whether a byte from 0 to `most` is among these. The memory must be readable for 15 bytes behind
 * them.
 */
static inline bool scan_has_upto(char most, const char *text, size_t length)
{
	const __m128i last = _mm_set1_epi8(most);

	for (;; text += 16, length -= 16) {
		__m128i some = _mm_loadu_si128((const __m128i *)text);
		__m128i found = _mm_cmpeq_epi8(_mm_min_epu8(some, last), some);
		unsigned first = (unsigned)__builtin_ctz(
		        1u << 16 | (unsigned)_mm_movemask_epi8(found));

		if (first >= length)
			return false;
		if (first < 16)
			return true;
	}
}

/* NULs one after the other: of the 64 bytes at `at`, bit i of `found` is one not told yet. */
struct nuls {
	const uint8_t *at, *end;
	uint64_t found;
};

/* Of sixteen bytes those that are NUL: bit i for at[i]. */
static inline uint64_t nuls_of_16(const uint8_t *at)
{
	__m128i bytes = _mm_loadu_si128((const __m128i *)at);

	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
}

/* The same of at most 64. */
static inline uint64_t nuls_among(const uint8_t *at, const uint8_t *end)
{
	uint64_t found = 0;
	size_t i = 0;

	if (end - at >= 64)
		return nuls_of_16(at) | nuls_of_16(at + 16) << 16 | nuls_of_16(at + 32) << 32 |
		       nuls_of_16(at + 48) << 48;
	for (; end - at - i >= 16; i += 16)
		found |= nuls_of_16(at + i) << i;
	for (; at + i < end; i++)
		found |= (uint64_t)!at[i] << i;
	return found;
}

static inline struct nuls nuls_of(const uint8_t *at, const uint8_t *end)
{
	return (struct nuls){ at, end, nuls_among(at, end) };
}

/* The next one, or NULL. */
static inline const uint8_t *nuls_next(struct nuls *nuls)
{
	while (!nuls->found) {
		if (nuls->end - nuls->at <= 64)
			return NULL;
		nuls->at += 64;
		nuls->found = nuls_among(nuls->at, nuls->end);
	}
	const uint8_t *next = nuls->at + __builtin_ctzll(nuls->found);

	nuls->found &= nuls->found - 1;
	return next;
}

/* grammar_unplain and grammar_unfit of what is at `text`, for find_byte. */
static inline unsigned scan_unplain(const uint8_t *text)
{
	return grammar_unplain(_mm_loadu_si128((const __m128i *)text));
}

static inline unsigned scan_unfit(const uint8_t *text)
{
	return grammar_unfit(_mm_loadu_si128((const __m128i *)text));
}

/* Where an encoder writes. What does not fit is not written, and `overflow` says so. */
struct writer {
	uint8_t *at;
	uint8_t *end;
	bool overflow;
};

static inline void write_bytes(struct writer *writer, const void *data, size_t length)
{
	if ((size_t)(writer->end - writer->at) < length) {
		writer->overflow = true;
		return;
	}
	copy_short(writer->at, data, length);
	writer->at += length;
}

#define write_literal(writer, text) write_bytes(writer, text, sizeof(text) - 1)

/* `value` in decimal digits. */
void write_decimal(struct writer *writer, uint64_t value);

/*
 * Where to put_bytes() `most` bytes, or NULL where they may not fit: an encoder that knows how much
 * it writes asks once. Where it has come to is the writer's new `at`.
 */
static inline uint8_t *write_room(struct writer *writer, size_t most)
{
	if ((size_t)(writer->end - writer->at) >= most)
		return writer->at;
	writer->overflow = true;
	return NULL;
}

/* These return where what they put ends. */
static inline uint8_t *put_bytes(uint8_t *at, const void *data, size_t length)
{
	copy_short(at, data, length);
	return at + length;
}

#define put_literal(at, text) put_bytes(at, text, sizeof(text) - 1)

/* At most 20 bytes. */
static inline uint8_t *put_decimal(uint8_t *at, uint64_t value)
{
	size_t length = 1;

	for (uint64_t rest = value; rest > 9; rest /= 10)
		length++;
	for (size_t i = length; i > 0; value /= 10)
		at[--i] = (uint8_t)('0' + value % 10);
	return at + length;
}

/* 1*DIGIT and nothing else, below 2^63 (RFC 3875 4.1.2, RFC 9110 8.6). */
bool scan_decimal(struct span text, uint64_t *value);

/*
 * A time of the present: seconds, ms or us since 1970 with or without a fraction, and perhaps "t="
 * before. Which unit it is the number tells: 1e9 to 1e11, 1e12 to 1e14, or 1e15 to 1e17. In us.
 */
bool scan_time(struct span text, uint64_t *us);

/* True for one or more tchar (RFC 9110 5.6.2). */
bool scan_token(struct span text);

/* Takes blanks and tabs off both ends (OWS, RFC 9110 5.6.3). */
struct span scan_trim(struct span text);

/* Whether two texts are the same but for the case of ASCII letters. */
bool scan_same(struct span text, const char *other);

#endif
