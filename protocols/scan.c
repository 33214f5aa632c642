/* Bounded reading and writing of bytes: see scan.h. */
#include "scan.h"

/* RFC 9110 5.6.2 */
const bool scan_tchar[256] = {
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

void write_decimal(struct writer *writer, uint64_t value)
{
	char digits[20]; /* of 2^64 - 1 */
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	write_bytes(writer, digits + at, sizeof digits - at);
}

bool scan_decimal(struct span text, uint64_t *value)
{
	uint64_t number = 0;

	for (size_t i = 0; i < text.length; i++) {
		unsigned digit = (unsigned)text.data[i] - '0';

		if (digit > 9 || number > ((uint64_t)INT64_MAX - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*value = number;
	return text.length > 0;
}

bool scan_token(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (!scan_tchar[text.data[i]])
			return false;
	return text.length > 0;
}

static bool is_blank(uint8_t byte)
{
	return byte == ' ' || byte == '\t';
}

struct span scan_trim(struct span text)
{
	while (text.length > 0 && is_blank(text.data[0]))
		span_take(&text, 1);
	while (text.length > 0 && is_blank(text.data[text.length - 1]))
		text.length--;
	return text;
}

static uint8_t lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

bool scan_same(struct span text, const char *other)
{
	size_t i;

	for (i = 0; i < text.length; i++)
		if (other[i] == '\0' || lower(text.data[i]) != lower((uint8_t)other[i]))
			return false;
	return other[i] == '\0';
}
