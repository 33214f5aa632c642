#include "path.h"

#include <emmintrin.h>
#include <stdint.h>
#include <string.h>

#include "copy.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte of "%XX" at the start of `left` bytes, or -1. */
static int escaped_byte(const char *at, size_t left)
{
	if (left < 3 || at[0] != '%')
		return -1;

	int high = hex_digit(at[1]), low = hex_digit(at[2]);

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* `keep`: a byte whose escape stays as it is, -1: none. */
static size_t decode(char *text, size_t length, bool plus, int keep)
{
	size_t out = 0;

	for (size_t in = 0; in < length; in++) {
		int byte = text[in] == '%' ? escaped_byte(text + in, length - in) : -1;

		if (byte >= 0 && byte != keep) {
			text[out++] = (char)byte;
			in += 2;
		} else {
			text[out++] = plus && text[in] == '+' ? ' ' : text[in];
		}
	}
	text[out] = '\0';
	return out;
}

size_t text_decode(char *text, size_t length, bool plus)
{
	return decode(text, length, plus, -1);
}

/* ---- the path ---- */

static bool is_scheme_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '-' || c == '.';
}

/*
 * The bytes of "scheme://authority" (RFC 3986 3), or 0 where the target does not begin with them.
 */
static size_t origin_length(const char *target, size_t length)
{
	size_t at = 0;

	while (at < length && is_scheme_byte(target[at]))
		at++;
	if (at == 0 || length - at <= 3 || memcmp(target + at, "://", 3) != 0)
		return 0;
	at += 3;

	size_t authority = at;

	while (at < length && !memchr("/?#", target[at], 3))
		at++;
	return at > authority ? at : 0;
}

/* Bytes before the query or the fragment. */
static size_t path_length(const char *path, size_t length)
{
	size_t at = 0;

	while (at < length && path[at] != '?' && path[at] != '#')
		at++;
	return at;
}

/* No NUL, plain or escaped, and no "%" without its digits. */
static bool path_is_clean(const char *path, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!path[i] || (path[i] == '%' && escaped_byte(path + i, length - i) <= 0))
			return false;
	return true;
}

/*
 * Removes dot segments and repeated slashes in place (RFC 3986 5.2.4) and returns the new length.
 * It begins with a slash.
 */
static size_t path_clean(char *path, size_t length)
{
	size_t out = 0, at = 0; /* path[0..out) is done and has no slash at its end */
	bool directory = false; /* what is done ends in a slash */

	while (at < length) {
		while (at < length && path[at] == '/')
			at++;

		size_t start = at;

		while (at < length && path[at] != '/')
			at++;

		size_t size = at - start;

		directory = size == 0 ||
		            (path[start] == '.' &&
		                    (size == 1 || (size == 2 && path[start + 1] == '.')));
		if (!directory) {
			path[out++] = '/';
			memmove(path + out, path + start, size);
			out += size;
		} else if (size == 2) {
			while (out > 0 && path[--out] != '/')
				;
		}
	}
	if (directory || out == 0)
		path[out++] = '/';
	path[out] = '\0';
	return out;
}

/* Of sixteen bytes, behind which there is another, those that a clean path may not have. */
static unsigned unclean(const char *path)
{
	__m128i bytes = _mm_loadu_si128((const __m128i *)path);
	__m128i next = _mm_loadu_si128((const __m128i *)(path + 1));
	__m128i ends = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('?')),
	        _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#')));
	__m128i escapes = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('%')),
	        _mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
	__m128i segments = _mm_and_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('/')),
	        _mm_or_si128(_mm_cmpeq_epi8(next, _mm_set1_epi8('/')),
	                _mm_cmpeq_epi8(next, _mm_set1_epi8('.'))));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(ends, escapes), segments));
}

/*
 * The bytes of a target's path that is as it should be: no escape, no dot segment, no repeated
 * slash. 0: it may be otherwise.
 */
static size_t clean_length(const char *target, size_t length)
{
	/* what may be of another meaning than itself */
	static const bool special[256] = {
		[0] = true, ['%'] = true, ['?'] = true, ['#'] = true, ['/'] = true
	};
	size_t at = 0;
	unsigned found = 0;

	while (at + 16 < length && !(found = unclean(target + at)))
		at += 16;
	if (found)
		at += (unsigned)__builtin_ctz(found);
	for (; at < length; at++) {
		char c = target[at];

		if (!special[(unsigned char)c])
			continue;
		if (c == '?' || c == '#')
			break;
		if (c != '/' ||
		        (at + 1 < length && (target[at + 1] == '/' || target[at + 1] == '.')))
			return 0;
	}
	return at;
}

static size_t put_path(char *path, const char *text, size_t length)
{
	copy_short(path, text, length);
	path[length] = '\0';
	return length;
}

/* The same of a target whose path may not be as it should be. */
static __attribute__((noinline)) size_t path_of_odd(char *path, const char *target, size_t length)
{
	bool absolute = length > 0 && target[0] != '/';
	size_t origin = absolute ? origin_length(target, length) : 0;

	if (length == 1 && target[0] == '*')
		return put_path(path, "*", 1);
	if (length == 0 || (absolute && origin == 0))
		return 0;
	target += origin;
	length = path_length(target, length - origin);
	if (length == 0)
		return put_path(path, "/", 1); /* "http://host" and "http://host?query" */
	if (!path_is_clean(target, length))
		return 0;
	put_path(path, target, length);
	return path_clean(path, text_decode(path, length, false));
}

size_t path_of_target(char *path, const char *target, size_t length)
{
	bool absolute = length > 0 && target[0] != '/';
	size_t clean = absolute ? 0 : clean_length(target, length);

	return clean ? put_path(path, target, clean) : path_of_odd(path, target, length);
}

size_t path_normalise(char *path, size_t length)
{
	if (length == 1 && path[0] == '*')
		return 1;
	if (length == 0 || path[0] != '/' || memchr(path, '\0', length))
		return 0;
	return path_clean(path, length);
}

/* ---- the query ---- */

static size_t query_count(const char *query, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += query[i] != '&' && (i == 0 || query[i - 1] == '&');
	return count;
}

/*
 * Decodes name and value of one piece in place; it has a byte behind it for the NUL. "%00" stays as
 * it is: decoded, it would hide what follows it.
 */
static void argument_take(struct argument *argument, char *piece, size_t length)
{
	char *equals = memchr(piece, '=', length);
	size_t name_length = equals ? (size_t)(equals - piece) : length;

	argument->name = piece;
	argument->value = "";
	if (equals) {
		argument->value = equals + 1;
		decode(equals + 1, length - name_length - 1, true, 0);
	}
	decode(piece, name_length, true, 0);
}

struct arguments *query_parse(struct arena *arena, const char *query, size_t length)
{
	size_t count = query_count(query, length);
	struct arguments *arguments = arena_alloc(arena, sizeof *arguments);

	if (!arguments)
		return NULL;
	*arguments = (struct arguments){ 0, NULL };
	if (!count)
		return arguments;
	struct argument *list = arena_alloc(arena, count * sizeof *list);
	char *text = arena_copy(arena, query, length);

	if (!list || !text)
		return NULL;
	arguments->list = list;
	for (char *at = text, *end = text + length; arguments->count < count; at++) {
		char *separator = memchr(at, '&', (size_t)(end - at));
		size_t size = (size_t)((separator ? separator : end) - at);

		if (size > 0)
			argument_take(&list[arguments->count++], at, size);
		at += size;
	}
	return arguments;
}

/* ---- cookies ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * The end of the cookie at `at`. Gateways that join fields do so by ", ", and browsers send commas
 * inside values: only a comma before a blank separates.
 */
static const char *cookie_end(const char *at)
{
	const char *value = at + strcspn(at, "=;,");

	if (value[0] == '=' && value[1] == '"') {
		const char *quote = value + 2 + strcspn(value + 2, "\";");

		at = *quote == '"' ? quote : value;
	}
	for (;; at++) {
		at += strcspn(at, ";,");
		if (*at != ',' || is_blank(at[1]))
			return at;
	}
}

/* The length of a text without the blanks at its end. */
static size_t trimmed(const char *text, const char *end)
{
	while (end > text && is_blank(end[-1]))
		end--;
	return (size_t)(end - text);
}

const char *cookie_find(struct arena *arena, const char *cookies, const char *name)
{
	size_t name_length = strlen(name);

	for (const char *at = cookies, *end; *at; at = *end ? end + 1 : end) {
		at += strspn(at, " \t");
		end = cookie_end(at);

		const char *equals = memchr(at, '=', (size_t)(end - at));

		if (!equals || trimmed(at, equals) != name_length ||
		        memcmp(at, name, name_length) != 0)
			continue;

		const char *value = equals + 1 + strspn(equals + 1, " \t");

		return arena_copy(arena, value, trimmed(value, end));
	}
	return NULL;
}
