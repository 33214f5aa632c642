/* Bounded reading and writing of bytes: see scan.h. */
#include "scan.h"

void write_decimal(struct writer *writer, uint64_t value)
{
	uint8_t digits[20]; /* of 2^64 - 1 */

	write_bytes(writer, digits, (size_t)(put_decimal(digits, value) - digits));
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
	return grammar_is_token((const char *)text.data, text.length);
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

static bool is_digits(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	return text.length > 0;
}

/* The digits behind a point, of a unit that has `us`. */
static uint64_t fraction_us(struct span digits, uint64_t us)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < digits.length && us; i++) {
		us /= 10;
		sum += us * (uint64_t)(digits.data[i] - '0');
	}
	return sum;
}

bool scan_time(struct span text, uint64_t *us)
{
	static const struct {
		uint64_t from, below, us;
	} units[] = {
		{ UINT64_C(1000000000), UINT64_C(100000000000), 1000000 },
		{ UINT64_C(1000000000000), UINT64_C(100000000000000), 1000 },
		{ UINT64_C(1000000000000000), UINT64_C(100000000000000000), 1 },
	};
	uint64_t value;

	text = scan_trim(text);
	if (text.length > 2 && memcmp(text.data, "t=", 2) == 0)
		span_take(&text, 2);
	const uint8_t *point = memchr(text.data, '.', text.length);
	struct span whole = { text.data, point ? (size_t)(point - text.data) : text.length };

	span_take(&text, point ? whole.length + 1 : whole.length);
	if (!scan_decimal(whole, &value) || (point && !is_digits(text)))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (value < units[i].from || value >= units[i].below)
			continue;
		*us = value * units[i].us + fraction_us(text, units[i].us);
		return true;
	}
	return false;
}
