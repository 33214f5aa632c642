#include "../support/support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/anygate.h"
#include "app/response.h"
#include "app/text.h"

SUITE(text);

#define BYTES(string) (string), sizeof(string) - 1

/* Takes what is written; fails when `left` calls have been made. */
struct page {
	char text[16384];
	size_t length;
	unsigned calls, left;
};

static int page_add(void *to, const void *data, size_t size)
{
	struct page *page = to;

	page->calls++;
	if (page->left-- == 0)
		return AG_GONE;
	cr_assert(size > 0 && size <= sizeof page->text - page->length);
	memcpy(page->text + page->length, data, size);
	page->length += size;
	return 0;
}

typedef int writer(text_sink *sink, void *to, const char *text, size_t size);

static void expect(writer *write, const char *text, size_t size, const char *want)
{
	struct page page = { .left = 1000 };
	char *copy = malloc(size ? size : 1); /* of this very size: reading on is caught */

	memcpy(copy, text, size);
	cr_expect_eq(write(page_add, &page, copy, size), 0);
	page.text[page.length] = '\0';
	cr_expect_str_eq(page.text, want, "got %s, want %s", page.text, want);
	free(copy);
}

static const struct text_row {
	const char *text;
	size_t size;
	const char *want;
} json[] = {
	{ BYTES(""), "\"\"" },
	{ BYTES("plain ~"), "\"plain ~\"" },
	{ BYTES("a\"b\\c/"), "\"a\\\"b\\\\c/\"" },
	{ BYTES("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"" },
	{ BYTES("\0\001\037\177"), "\"\\u0000\\u0001\\u001f\177\"" },
	{ BYTES("</script><!--"), "\"\\u003c/script>\\u003c!--\"" },
	{ BYTES("&'>"), "\"&'>\"" },
	/* valid UTF-8, at the ends of each range */
	{ BYTES("\xc2\x80\xdf\xbf"), "\"\xc2\x80\xdf\xbf\"" },
	{ BYTES("\xe0\xa0\x80\xed\x9f\xbf"), "\"\xe0\xa0\x80\xed\x9f\xbf\"" },
	{ BYTES("\xee\x80\x80\xef\xbf\xbf"), "\"\xee\x80\x80\xef\xbf\xbf\"" },
	{ BYTES("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"" },
	{ BYTES("\xe2\x80\xa8"), "\"\xe2\x80\xa8\"" },
	/* lone bytes */
	{ BYTES("\x80"), "\"\\u0080\"" },
	{ BYTES("a\xff"
	        "b"),
	        "\"a\\u00ffb\"" },
	{ BYTES("\xe9t\xe9"), "\"\\u00e9t\\u00e9\"" },
	{ BYTES("\xc3\xa9\xa9"), "\"\xc3\xa9\\u00a9\"" },
	{ BYTES("\xfe\xff"), "\"\\u00fe\\u00ff\"" },
	/* overlong */
	{ BYTES("\xc0\xaf"), "\"\\u00c0\\u00af\"" },
	{ BYTES("\xc1\xbf"), "\"\\u00c1\\u00bf\"" },
	{ BYTES("\xe0\x80\xaf"), "\"\\u00e0\\u0080\\u00af\"" },
	{ BYTES("\xe0\x9f\xbf"), "\"\\u00e0\\u009f\\u00bf\"" },
	{ BYTES("\xf0\x8f\xbf\xbf"), "\"\\u00f0\\u008f\\u00bf\\u00bf\"" },
	/* surrogates, and above U+10FFFF */
	{ BYTES("\xed\xa0\x80"), "\"\\u00ed\\u00a0\\u0080\"" },
	{ BYTES("\xed\xbf\xbf"), "\"\\u00ed\\u00bf\\u00bf\"" },
	{ BYTES("\xf4\x90\x80\x80"), "\"\\u00f4\\u0090\\u0080\\u0080\"" },
	{ BYTES("\xf5\x80\x80\x80"), "\"\\u00f5\\u0080\\u0080\\u0080\"" },
	/* truncated */
	{ BYTES("\xc3"), "\"\\u00c3\"" },
	{ BYTES("\xe2\x82"), "\"\\u00e2\\u0082\"" },
	{ BYTES("\xe2"), "\"\\u00e2\"" },
	{ BYTES("\xf0\x9f\x98"), "\"\\u00f0\\u009f\\u0098\"" },
	{ BYTES("\xe2\x82X"), "\"\\u00e2\\u0082X\"" },
	{ BYTES("\xe2\x82\""), "\"\\u00e2\\u0082\\\"\"" },
	{ BYTES("\xc3\xc3\xa9"), "\"\\u00c3\xc3\xa9\"" },
	{ BYTES("\xf0\x9f\xc3\xa9"), "\"\\u00f0\\u009f\xc3\xa9\"" },
};

Test(text, json)
{
	for (size_t i = 0; i < COUNT(json); i++)
		expect(text_json, json[i].text, json[i].size, json[i].want);
}

static const struct text_row html[] = {
	{ BYTES(""), "" },
	{ BYTES("plain"), "plain" },
	{ BYTES("&<>\"'"), "&amp;&lt;&gt;&quot;&#39;" },
	{ BYTES("a<b>c"), "a&lt;b&gt;c" },
	{ BYTES("&amp;"), "&amp;amp;" },
	{ BYTES("caf\xc3\xa9 \xff"), "caf\xc3\xa9 \xff" },
	{ BYTES("\"><script>alert('x')</script>"),
	        "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" },
};

Test(text, html)
{
	for (size_t i = 0; i < COUNT(html); i++)
		expect(text_html, html[i].text, html[i].size, html[i].want);
}

/* Every length around the buffer's, plain and escaped: nothing is lost, and it comes in pieces. */
Test(text, pieces)
{
	static char text[2000];

	for (size_t size = 0; size < sizeof text; size++) {
		struct page plain = { .left = 1000 }, escaped = { .left = 1000 };

		memset(text, 'a', size);
		cr_expect_eq(text_json(page_add, &plain, text, size), 0);
		cr_expect_eq(plain.length, size + 2);
		cr_expect_leq(plain.calls, 3u);
		memset(text, '\xff', size);
		cr_expect_eq(text_json(page_add, &escaped, text, size), 0);
		cr_expect_eq(escaped.length, 6 * size + 2);
		cr_expect_leq(escaped.calls, 6 * size / 500 + 1);
	}
}

/* The first failure is the answer, and nothing is written after it. */
Test(text, failures)
{
	static char text[2000];

	memset(text, '<', sizeof text);
	for (unsigned left = 0; left < 5; left++) {
		struct page page = { .left = left };

		cr_expect_eq(text_json(page_add, &page, text, sizeof text), AG_GONE);
		cr_expect_eq(page.calls, left + 1);
		page = (struct page){ .left = left };
		cr_expect_eq(text_html(page_add, &page, text, sizeof text), AG_GONE);
		cr_expect_eq(page.calls, left + 1);
	}
}

/* ---- statuses ---- */

static const struct status_row {
	int status;
	const char *reason;
} statuses[] = {
	{ 100, "Continue" },
	{ 200, "OK" },
	{ 404, "Not Found" },
	{ 413, "Content Too Large" },
	{ 431, "Request Header Fields Too Large" },
	{ 511, "Network Authentication Required" },
	{ 599, "Unknown" },
	{ 299, "Unknown" },
	{ 0, "Unknown" },
	{ -1, "Unknown" },
	{ 512, "Unknown" },
	{ 99999, "Unknown" },
};

Test(text, reason)
{
	for (size_t i = 0; i < COUNT(statuses); i++)
		cr_expect_str_eq(ag_reason(statuses[i].status), statuses[i].reason);
}

Test(text, error_page)
{
	char page[64], small[8];

	cr_expect_eq(response_error_page(404, page, sizeof page), strlen("404 Not Found\n"));
	cr_expect_str_eq(page, "404 Not Found\n");
	cr_expect_eq(response_error_page(404, small, sizeof small), 7u);
	cr_expect_str_eq(small, "404 Not");
	cr_expect_eq(response_error_page(404, NULL, 0), 0u);
}
