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
