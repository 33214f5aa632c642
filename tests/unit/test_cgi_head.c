/* The head of what a CGI program writes: rows of bytes, each taken whole and byte by byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/host/cgi_head.h"
#include "tests/support/support.h"

SUITE(cgi_head);

#define TYPE "Content-Type: text/plain\r\n"

/*
 * `found` is "status|length|type|location|name: value|...|" with "-" for what is not there, or what
 * is wrong; `body` is what is left behind the head.
 */
static const struct head_row {
	const char *name, *bytes, *found, *body;
} rows[] = {
	{ "document", TYPE "\r\nbody", "0|-1|text/plain|-|", "body" },
	{ "no body", TYPE "\r\n", "0|-1|text/plain|-|", "" },
	{ "line feeds", "Content-Type: a/b\nX-A: 1\n\nx", "0|-1|a/b|-|X-A: 1|", "x" },
	{ "mixed ends", "Content-Type: a/b\nX-A: 1\r\n\nx", "0|-1|a/b|-|X-A: 1|", "x" },
	{ "blank lines in the body", TYPE "\r\n\r\n\r\nx", "0|-1|text/plain|-|", "\r\n\r\nx" },
	{ "blanks around", "Content-Type:a/b\r\nX: \t v \t\r\n\r\n", "0|-1|a/b|-|X: v|", "" },
	{ "blanks within", "X: a \t b\nStatus: 200\n\n", "200|-1|-|-|X: a \t b|", "" },
	{ "empty value", TYPE "X:\r\nY: \r\n\r\n", "0|-1|text/plain|-|X: |Y: |", "" },
	{ "bytes above 127", TYPE "X: \xc3\xa9\r\n\r\n", "0|-1|text/plain|-|X: \xc3\xa9|", "" },
	{ "status", "Status: 404 Not Found\r\n\r\n", "404|-1|-|-|", "" },
	{ "status alone", "Status: 404\n\n", "404|-1|-|-|", "" },
	{ "status last", TYPE "Status: 201 Created\r\n\r\nok", "201|-1|text/plain|-|", "ok" },
	{ "any case", "sTATUS: 418 T\r\ncontent-TYPE: a/b\r\n\r\n", "418|-1|a/b|-|", "" },
	{ "the last status", "Status: 599\n\n", "599|-1|-|-|", "" },
	{ "length", TYPE "Content-Length: 5\r\n\r\nhello", "0|5|text/plain|-|", "hello" },
	{ "location", "Location: http://b.test/x\r\n\r\n", "0|-1|-|http://b.test/x|", "" },
	{ "repeated others", TYPE "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n",
	        "0|-1|text/plain|-|Set-Cookie: a=1|Set-Cookie: b=2|", "" },
	{ "of the connection",
	        TYPE "Connection: close\r\nkeep-alive: 5\r\nTransfer-Encoding: chunked\r\nTE: "
	             "trailers\r\nTrailer: X\r\nUpgrade: h2c\r\nProxy-Connection: close\r\nDate: "
	             "now\r\nX-CGI-Foo: 1\r\nX-A: 1\r\n\r\n",
	        "0|-1|text/plain|-|X-A: 1|", "" },

	{ "nothing in it", "\r\nx", "there is no Content-Type, Location or Status", "x" },
	{ "nothing said", "X-A: 1\r\n\r\nx", "there is no Content-Type, Location or Status", "x" },
	{ "two statuses", "Status: 200\r\nStatus: 200\r\n\r\n", "Status comes twice", "" },
	{ "two types", TYPE TYPE "\r\n", "Content-Type comes twice", "" },
	{ "two locations", "Location: /a\r\nlocation: /b\r\n\r\n", "Location comes twice", "" },
	{ "two lengths", TYPE "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
	        "Content-Length comes twice", "" },
	{ "1xx", "Status: 101 Switching\r\n\r\n", "Status is not from 200 to 599", "" },
	{ "low", "Status: 099\r\n\r\n", "Status is not from 200 to 599", "" },
	{ "zero", "Status: 000\r\n\r\n", "Status is not from 200 to 599", "" },
	{ "high", "Status: 600\r\n\r\n", "Status is not from 200 to 599", "" },
	{ "two digits", "Status: 99\r\n\r\n", "Status is not three digits and a phrase", "" },
	{ "four digits", "Status: 1000\r\n\r\n", "Status is not three digits and a phrase", "" },
	{ "no digits", "Status: OK\r\n\r\n", "Status is not three digits and a phrase", "" },
	{ "no status", "Status:\r\n\r\n", "Status is not three digits and a phrase", "" },
	{ "minus", "Status: -200\r\n\r\n", "Status is not three digits and a phrase", "" },
	{ "glued", "Status: 200OK\r\n\r\n", "Status is not three digits and a phrase", "" },
	{ "length -5", TYPE "Content-Length: -5\r\n\r\n", "Content-Length is not a number", "" },
	{ "length +5", TYPE "Content-Length: +5\r\n\r\n", "Content-Length is not a number", "" },
	{ "length abc", TYPE "Content-Length: abc\r\n\r\n", "Content-Length is not a number", "" },
	{ "length none", TYPE "Content-Length:\r\n\r\n", "Content-Length is not a number", "" },
	{ "length 2^64", TYPE "Content-Length: 18446744073709551616\r\n\r\n",
	        "Content-Length is not a number", "" },
	{ "empty type", "Content-Type: \r\n\r\n", "Content-Type is empty", "" },
	{ "empty location", "Location: \r\n\r\n", "Location is empty", "" },
	{ "fold", TYPE "X: 1\r\n 2\r\n\r\n", "a header field goes on in another line", "" },
	{ "fold by tab", TYPE "\tX: 1\r\n\r\n", "a header field goes on in another line", "" },
	{ "no colon", "HTTP/1.1 203 Odd\r\n" TYPE "\r\n", "a line is not a header field", "" },
	{ "no name", TYPE ": 1\r\n\r\n", "a line is not a header field", "" },
	{ "blank in a name", TYPE "X A: 1\r\n\r\n", "a line is not a header field", "" },
	{ "blank behind a name", TYPE "X : 1\r\n\r\n", "a line is not a header field", "" },
	{ "name above 127", TYPE "\xc3\xa9: 1\r\n\r\n", "a line is not a header field", "" },
	{ "CR in a value", TYPE "X: a\rb\r\n\r\n", "a header field has a control byte", "" },
	{ "CR twice", TYPE "X: a\r\r\n\r\n", "a header field has a control byte", "" },
	{ "CR in a status", "Status: 200\r OK\r\n\r\n", "a header field has a control byte", "" },
	{ "escape", TYPE "X: \x1b[1m\r\n\r\n", "a header field has a control byte", "" },
	{ "delete", TYPE "X: \x7f\r\n\r\n", "a header field has a control byte", "" },
	{ "in what is dropped", TYPE "Date: \x01\r\n\r\n", "a header field has a control byte",
	        "" },
};

static struct cgi_head head;

/* Feeds the head in pieces; returns what it took in all. */
static size_t feed(const char *bytes, size_t length, size_t piece)
{
	size_t at = 0, taken = 1;

	cgi_head_begin(&head);
	while (at < length && taken > 0 && !head.complete) {
		taken = cgi_head_take(&head, bytes + at, length - at < piece ? length - at : piece);
		at += taken;
	}
	return at;
}

static char *describe(void)
{
	const char *problem = cgi_head_parse(&head);
	struct bytes text = { 0 };

	if (problem) {
		bytes_text(&text, problem);
		return text.data;
	}
	bytes_printf(&text, "%d|%ld|%s|%s|", head.status, (long)head.length,
	        head.type ? head.type : "-", head.location ? head.location : "-");
	for (size_t i = 0; i < head.count; i++)
		bytes_printf(&text, "%s: %s|", head.fields[i].name, head.fields[i].value);
	return text.data;
}

Test(cgi_head, rows)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t length = strlen(rows[i].bytes), behind = strlen(rows[i].body);

		for (size_t piece = 1; piece <= length; piece++) {
			size_t taken = feed(rows[i].bytes, length, piece);
			char *found = describe();

			cr_expect(head.complete, "%s by %zu", rows[i].name, piece);
			cr_expect_eq(taken, length - behind, "%s by %zu: %zu bytes", rows[i].name,
			        piece, taken);
			cr_expect_str_eq(
			        found, rows[i].found, "%s by %zu: %s", rows[i].name, piece, found);
			free(found);
		}
	}
}

/* A head that is cut anywhere is not complete. */
Test(cgi_head, cut)
{
	static const char bytes[] = "Content-Type: text/plain\r\nX-A: 1\n\r\n";

	for (size_t length = 0; length < sizeof bytes - 1; length++) {
		cr_expect_eq(feed(bytes, length, length + 1), length);
		cr_expect(!head.complete, "%zu bytes", length);
	}
	feed(bytes, sizeof bytes - 1, sizeof bytes);
	cr_expect(head.complete);
}

Test(cgi_head, nul)
{
	static const char name[] = "Content-Type: a/b\r\nX\0Y: 1\r\n\r\n";
	static const char value[] = "Content-Type: a/b\r\nX: 1\0 2\r\n\r\n";

	feed(name, sizeof name - 1, sizeof name);
	cr_expect_str_eq(cgi_head_parse(&head), "a line is not a header field");
	feed(value, sizeof value - 1, sizeof value);
	cr_expect_str_eq(cgi_head_parse(&head), "a header field has a control byte");
}

/* The longest head that fits, and one byte more. */
Test(cgi_head, too_long)
{
	for (int more = 0; more < 2; more++) {
		struct bytes bytes = { 0 };

		bytes_text(&bytes, "Content-Type: ");
		while (bytes.length < CGI_HEAD_MAX - 2 + (size_t)more)
			bytes_text(&bytes, "x");
		bytes_text(&bytes, "\n\n");
		cr_expect_eq(feed(bytes.data, bytes.length, 1000), CGI_HEAD_MAX);
		cr_expect_eq(head.complete, !more);
		bytes_free(&bytes);
	}
}

Test(cgi_head, too_many_fields)
{
	for (size_t more = 0; more < 2; more++) {
		struct bytes bytes = { 0 };

		bytes_text(&bytes, "Status: 200\n");
		for (size_t i = 0; i < CGI_FIELDS_MAX + more; i++)
			bytes_printf(&bytes, "X-%zu: %zu\n", i, i);
		bytes_text(&bytes, "\n");
		feed(bytes.data, bytes.length, bytes.length);
		const char *problem = cgi_head_parse(&head);

		if (more)
			cr_expect_str_eq(problem, "too many header fields");
		else
			cr_expect(!problem && head.count == CGI_FIELDS_MAX, "%s", problem);
		bytes_free(&bytes);
	}
}
