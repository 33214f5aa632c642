/* protocols/scan.c */
#include "../support/decoding.h"
#include "../support/support.h"

SUITE(scan);

Test(scan, decimal)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t value;
	} rows[] = {
		{ "0", true, 0 },
		{ "007", true, 7 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "9223372036854775808", false, 0 },
		{ "99999999999999999999999", false, 0 },
		{ "", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "-1", false, 0 },
		{ ":", false, 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t value = 0;
		bool good = scan_decimal(span_of(rows[i].text), &value);

		cr_expect_eq(good, rows[i].good, "%s", rows[i].text);
		cr_expect(!good || value == rows[i].value, "%s", rows[i].text);
	}
}

Test(scan, write_decimal)
{
	char text[24] = "";
	struct writer writer = { (uint8_t *)text, (uint8_t *)text + 20, false };

	write_decimal(&writer, UINT64_MAX);
	cr_expect_str_eq(text, "18446744073709551615");
	cr_expect(!writer.overflow);
	write_decimal(&writer, 0);
	cr_expect(writer.overflow);
}

Test(scan, texts)
{
	cr_expect(scan_token(span_of("X-a!#$%&'*+.^_`|~09")));
	cr_expect(!scan_token(span_of("")));
	cr_expect(!scan_token(span_of("a b")));
	cr_expect(!scan_token(span_of("a\x80")));
	cr_expect(scan_same(span_of("CloSE"), "close"));
	cr_expect(!scan_same(span_of("clos"), "close"));
	cr_expect(!scan_same(span_of("closed"), "close"));
	cr_expect(!scan_same(span_of("[lose"), "{lose"));
	cr_expect(span_is(scan_trim(span_of(" \t a b\t ")), "a b"));
	cr_expect_eq(scan_trim(span_of(" \t ")).length, 0);
}

Test(scan, time)
{
	static const struct {
		const char *text;
		uint64_t us; /* 0: none */
	} rows[] = {
		{ "t=1234567890.123", 1234567890123000 },
		{ "1234567890.123", 1234567890123000 },
		{ "1234567890", 1234567890000000 },
		{ "t=1234567890", 1234567890000000 },
		{ "1234567890.1234567", 1234567890123456 },
		{ "1234567890.000000999999999999999999999999999999", 1234567890000000 },
		{ "1234567890123", 1234567890123000 },
		{ "t=1234567890123.4567", 1234567890123456 },
		{ "1234567890123456", 1234567890123456 },
		{ "1234567890123456.9", 1234567890123456 },
		{ " t=1234567890123\t", 1234567890123000 },
		/* the ends of each unit */
		{ "999999999", 0 },
		{ "1000000000", 1000000000000000 },
		{ "99999999999", 99999999999000000 },
		{ "100000000000", 0 },
		{ "999999999999", 0 },
		{ "1000000000000", 1000000000000000 },
		{ "99999999999999", 99999999999999000 },
		{ "100000000000000", 0 },
		{ "999999999999999", 0 },
		{ "1000000000000000", 1000000000000000 },
		{ "99999999999999999", 99999999999999999 },
		{ "100000000000000000", 0 },
		/* not times */
		{ "", 0 },
		{ "t", 0 },
		{ "t=", 0 },
		{ "=1234567890", 0 },
		{ "T=1234567890", 0 },
		{ "t=t=1234567890", 0 },
		{ "t= 1234567890", 0 },
		{ ".5", 0 },
		{ "t=.5", 0 },
		{ "1234567890.", 0 },
		{ "1234567890.1.2", 0 },
		{ "1234567890.12x", 0 },
		{ "1234567890,123", 0 },
		{ "+1234567890", 0 },
		{ "-1234567890", 0 },
		{ "0x4996022d2", 0 },
		{ "1e12", 0 },
		{ "t=1234567890, t=1234567890", 0 },
		{ "9223372036854775808", 0 },
		{ "18446744073709551616", 0 },
		{ "99999999999999999999999999999999999", 0 },
		{ "yesterday", 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t us = 0;
		bool good = scan_time(span_of(rows[i].text), &us);

		cr_expect_eq(good, rows[i].us != 0, "%s", rows[i].text);
		cr_expect_eq(us, rows[i].us, "%s: %llu", rows[i].text, (unsigned long long)us);
	}
}
