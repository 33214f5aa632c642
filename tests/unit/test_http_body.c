/* protocols/http*.c: framing, chunks, limits, one request behind another (RFC 9112 6, 7). */
#include "http_rows.h"

#include <stdio.h>
#include <stdlib.h>

SUITE(http_body);

#define LENGTH(value, verdict)                                                                     \
	{                                                                                          \
		"Content-Length: " value, BYTES(POST "Content-Length: " value "\r\n\r\n"),         \
		        POSTED HAS_HOST verdict "\n", false                                        \
	}
#define CODING(value)                                                                              \
	{                                                                                          \
		"Transfer-Encoding: " value, BYTES(POST "Transfer-Encoding: " value "\r\n\r\n"),   \
		        POSTED HAS_HOST "bad 400\n", false                                         \
	}

Test(http_body, framing)
{
	static const struct decoding_row rows[] = {
		{ "a body", BYTES(POST "Content-Length: 5\r\n\r\nhello"),
		        POSTED HAS_HOST "1 field Content-Length: 5\n1 head\n" HELLO "1 end\nmore\n",
		        false },
		{ "leading zeros are decimal", BYTES(POST "Content-Length: 005\r\n\r\nhello"),
		        POSTED HAS_HOST "1 field Content-Length: 005\n1 head\n" HELLO
		                        "1 end\nmore\n",
		        false },
		{ "a short body", BYTES(POST "Content-Length: 6\r\n\r\nhello"),
		        POSTED HAS_HOST "1 field Content-Length: 6\n1 head\n" HELLO "more\n",
		        false },
		LENGTH("0", "1 field Content-Length: 0\n1 head\n1 end\nmore"),
		LENGTH("9223372036854775807",
		        "1 field Content-Length: 9223372036854775807\n1 head\nmore"),
		LENGTH("9223372036854775808", "bad 400"),
		LENGTH("18446744073709551621", "bad 400"),
		LENGTH("", "bad 400"),
		LENGTH("+5", "bad 400"),
		LENGTH("-0", "bad 400"),
		LENGTH("0x5", "bad 400"),
		LENGTH("5 5", "bad 400"),
		LENGTH("5,5", "bad 400"),
		LENGTH("5_0", "bad 400"),
		LENGTH("5.0", "bad 400"),
		LENGTH("\"5\"", "bad 400"),
		LENGTH("5\r\nContent-Length: 5", "1 field Content-Length: 5\nbad 400"),
		LENGTH("5\r\nTransfer-Encoding: chunked", "1 field Content-Length: 5\nbad 400"),
		CODING("chunked\r\nContent-Length: 5"),
		CODING("chunked\r\nTransfer-Encoding: chunked"),
		CODING(""),
		CODING("gzip"),
		CODING("gzip, chunked"),
		CODING("chunked, gzip"),
		CODING("chunked,chunked"),
		CODING("chunked,"),
		CODING(",chunked"),
		CODING("\"chunked\""),
		CODING("chunked;q=1"),
		CODING("xchunked"),
		CODING("chunkedx"),
		CODING("chunke"),
		CODING("identity"),
		{ "chunks in an old request", BYTES(GET_0 "Transfer-Encoding: chunked\r\n\r\n"),
		        BEGIN_0 "bad 400\n", false },
		{ "a coding in other letters",
		        BYTES(POST "tRANSFER-eNCODING:\tCHUNKED \r\n\r\n0\r\n\r\n"),
		        CHUNKED_HEAD "1 end\nmore\n", false },
	};

	CHECK(rows);
}

Test(http_body, chunks)
{
	static const struct decoding_row rows[] = {
		GOOD_CHUNKS("5\r\nhello\r\n0\r\n\r\n", HELLO),
		GOOD_CHUNKS("0005\r\nhello\r\n000\r\n\r\n", HELLO),
		GOOD_CHUNKS("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", HELLO),
		GOOD_CHUNKS("A\r\n0123456789\r\n0\r\n\r\n", "1 body 10 bytes \"0123456789\"\n"),
		GOOD_CHUNKS("a\r\n0123456789\r\n0\r\n\r\n", "1 body 10 bytes \"0123456789\"\n"),
		GOOD_CHUNKS("5\r\n0\r\n\r\n\r\n0\r\n\r\n",
		        "1 body 5 bytes \"0\\x0d\\x0a\\x0d\\x0a\"\n"),
		GOOD_CHUNKS("0\r\n\r\n", ""),
		GOOD_CHUNKS("5;foo\r\nhello\r\n0;bar;baz\r\n\r\n", HELLO),
		GOOD_CHUNKS("5;foo=bar;b=c\r\nhello\r\n0\r\n\r\n", HELLO),
		GOOD_CHUNKS("5 ;\tfoo = bar ; a ; b=c\r\nhello\r\n0\r\n\r\n", HELLO),
		GOOD_CHUNKS("5;f=\"a;b=\\\"c\\\\\\d\t \x80\"\r\nhello\r\n0\r\n\r\n", HELLO),
		GOOD_CHUNKS("5;f=\"\" ;g=\"\";h\r\nhello\r\n0\r\n\r\n", HELLO),
		BAD_CHUNKS("\r\n", "", "bad 400"),
		BAD_CHUNKS(";a\r\n", "", "bad 400"),
		BAD_CHUNKS("g", "", "bad 400"),
		BAD_CHUNKS(" 5", "", "bad 400"),
		BAD_CHUNKS("-5", "", "bad 400"),
		BAD_CHUNKS("0x5", "", "bad 400"),
		BAD_CHUNKS("0_2e", "", "bad 400"),
		BAD_CHUNKS("5,5", "", "bad 400"),
		BAD_CHUNKS("5\n", "", "bad 400"),
		BAD_CHUNKS("5\0", "", "bad 400"),
		BAD_CHUNKS("5 \r\n", "", "bad 400"),
		BAD_CHUNKS("5\r\r\n", "", "bad 400"),
		BAD_CHUNKS("5\rX", "", "bad 400"),
		BAD_CHUNKS("5;\r\n", "", "bad 400"),
		BAD_CHUNKS("5;a=\r\n", "", "bad 400"),
		BAD_CHUNKS("5;a \r\n", "", "bad 400"),
		BAD_CHUNKS("5;a=b \r\n", "", "bad 400"),
		BAD_CHUNKS("5;a=b=c\r\n", "", "bad 400"),
		BAD_CHUNKS("5;a b\r\n", "", "bad 400"),
		BAD_CHUNKS("5;a\nb", "", "bad 400"),
		BAD_CHUNKS("5;a\rb", "", "bad 400"),
		BAD_CHUNKS("5;a=\"b\r\n", "", "bad 400"),
		BAD_CHUNKS("5;a=\"b\\\r", "", "bad 400"),
		BAD_CHUNKS("5;a=\"b\x7f", "", "bad 400"),
		BAD_CHUNKS("5;a=\"b\"c", "", "bad 400"),
		BAD_CHUNKS("5\r\nhelloXX", HELLO, "bad 400"),
		BAD_CHUNKS("5\r\nhello\n", HELLO, "bad 400"),
		BAD_CHUNKS("5\r\nhello\rX", HELLO, "bad 400"),
		BAD_CHUNKS("5\r\nhello world\r\n", HELLO, "bad 400"),
		BAD_CHUNKS("00000000000000000\r\n", "", "bad 400"),
		BAD_CHUNKS("0000000003200001\r\n", "", "bad 413"),
		BAD_CHUNKS("8000000000000005\r\n", "", "bad 413"),
		BAD_CHUNKS("ffffffffffffffff\r\n", "", "bad 413"),
		{ "largest", BYTES(CHUNKED "3200000\r\nx"),
		        CHUNKED_HEAD "1 body 1 bytes \"x\"\nmore\n", false },
	};

	CHECK(rows);
}

Test(http_body, trailers)
{
	static const struct decoding_row rows[] = {
		GOOD_CHUNKS("0\r\nX-T: a\r\nHost: b\r\nContent-Length: 4\r\nx_y:\r\n\r\n", ""),
		GOOD_CHUNKS("0\r\nTransfer-Encoding: chunked\r\nHost: b\r\nHost: b\r\n\r\n", ""),
		BAD_CHUNKS("0\r\nX-T : a\r\n\r\n", "", "bad 400"),
		BAD_CHUNKS("0\r\nX-T: a\r\n b\r\n\r\n", "", "bad 400"),
		BAD_CHUNKS("0\r\nX-T: a\r\r\n\r\n", "", "bad 400"),
		BAD_CHUNKS("0\r\nXXGET /next HTTP/1.1\r\n\r\n", "", "bad 400"),
		BAD_CHUNKS("0\r\n\n", "", "bad 400"),
		BAD_CHUNKS("0\r\n\rX", "", "bad 400"),
	};

	CHECK(rows);
}

/* The first `length` bytes of a repeated text behind a head; to be freed. */
static char *repeated(const char *head, const char *piece, size_t times, const char *tail)
{
	char *text = malloc(strlen(head) + times * strlen(piece) + strlen(tail) + 1);

	strcpy(text, head);
	for (size_t i = 0, at = strlen(head); i < times; i++, at += strlen(piece))
		strcpy(text + at, piece);
	strcat(text, tail);
	return text;
}

static void check_long(
        const char *name, const struct limits *limits, char *bytes, const char *events)
{
	const struct decoding_row row = { name, bytes, strlen(bytes), events, false };

	decoding_check(&protocol_http, limits, &row, 1);
	free(bytes);
}

/* The last line of the events of `bytes`, which are freed. */
static void check_verdict(const char *name, char *bytes, const char *verdict)
{
	char *events = decoding_events(&protocol_http, NULL, bytes, strlen(bytes), 1000);
	size_t length = strlen(events), wanted = strlen(verdict);

	cr_expect(length >= wanted && strcmp(events + length - wanted, verdict) == 0, "%s: %s",
	        name, events);
	free(events);
	free(bytes);
}

Test(http_body, chunk_overhead)
{
	check_verdict("an extension of 256 bytes",
	        repeated(CHUNKED "5;", "e", 255, "\r\nhello\r\n0\r\n\r\n"), "1 end\nmore\n");
	check_verdict("one of 257", repeated(CHUNKED "5;", "e", 256, "\r\nhello"), "bad 400\n");
	check_verdict("a quoted one of 257", repeated(CHUNKED "5;a=\"", "e", 254, ""), "bad 400\n");
	check_verdict("blanks of 257", repeated(CHUNKED "5", " ", 257, ""), "bad 400\n");
	check_verdict("2000 chunks of a byte", repeated(CHUNKED, "1\r\nx\r\n", 2000, "0\r\n\r\n"),
	        "1 end\nmore\n");
	check_verdict("4000 chunks of a byte", repeated(CHUNKED, "1\r\nx\r\n", 4000, "0\r\n\r\n"),
	        "bad 400\n");
	check_verdict("4000 chunks of 32 bytes",
	        repeated(CHUNKED, "20\r\n0123456789abcdef0123456789abcdef\r\n", 4000, "0\r\n\r\n"),
	        "1 end\nmore\n");
	check_verdict("extensions in all",
	        repeated(CHUNKED, "1;eeeeeeeeeeeeeeeeeeeeeeeeeeeee\r\nx\r\n", 500, "0\r\n\r\n"),
	        "bad 400\n");
}

Test(http_body, limits)
{
	const struct limits tight = { .header_size = 64, .variables = 3, .body_size = 10 };

	check_long("a line that fits", &tight, repeated("GET /", "x", 48, " HTTP/1.1\r\n"),
	        "1 begin responder\n1 var REQUEST_METHOD=GET\n1 var REQUEST_URI="
	        "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n1 var QUERY_STRING=\n"
	        "1 var SERVER_PROTOCOL=HTTP/1.1\nbad 431\n");
	check_long(
	        "a longer line", &tight, repeated("GET /", "x", 49, " HTTP/1.1\r\n"), "bad 414\n");
	check_long("an endless line", &tight, repeated("GET /", "x", 300, ""), "bad 414\n");
	check_long("a method without end", &tight, repeated("", "G", 300, ""), "bad 414\n");
	check_long("a head that fits", &tight, repeated(GET HOST "X: ", "x", 32, "\r\n\r\n"),
	        BEGIN HAS_HOST "1 field X: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n" DONE "more\n");
	check_long("a longer head", &tight, repeated(GET HOST "X: ", "x", 33, "\r\n\r\n"),
	        BEGIN HAS_HOST "1 field X: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\nbad 431\n");
	check_long("an endless field", &tight, repeated(GET HOST "X: ", "x", 300, ""),
	        BEGIN HAS_HOST "bad 431\n");
	check_long("three fields", &tight, repeated(GET HOST, "X: 1\r\n", 2, "\r\n"),
	        BEGIN HAS_HOST "1 field X: 1\n1 field X: 1\n" DONE "more\n");
	check_long("four fields", &tight, repeated(GET HOST, "X: 1\r\n", 3, "\r\n"),
	        BEGIN HAS_HOST "1 field X: 1\n1 field X: 1\nbad 431\n");
	check_long("empty lines do not count", &tight, repeated("\r\n\r\n", GET HOST "\r\n", 1, ""),
	        BEGIN HAS_HOST DONE "more\n");
	check_verdict("a field of 100 KB",
	        repeated(GET HOST "X: ", "vvvvvvvvvv", 10000, "\r\n\r\n"), "bad 431\n");
	check_verdict("257 fields", repeated(GET HOST, "X_Y: 1\r\n", 256, "\r\n"), "bad 431\n");
	check_verdict("256 fields", repeated(GET HOST, "X_Y: 1\r\n", 255, "\r\n"), "1 end\nmore\n");
	check_verdict(
	        "257 trailers", repeated(CHUNKED "0\r\n", "X: 1\r\n", 257, "\r\n"), "bad 431\n");
	check_verdict("256 trailers", repeated(CHUNKED "0\r\n", "X: 1\r\n", 256, "\r\n"),
	        "1 end\nmore\n");
	check_verdict("a trailer of 70 KB",
	        repeated(CHUNKED "0\r\nX: ", "0123456789", 7000, "\r\n\r\n"), "bad 431\n");
}

Test(http_body, body_limit)
{
	const struct limits tight = { .header_size = 4096, .variables = 30, .body_size = 10 };

	check_long("a chunk of the limit", &tight,
	        repeated(CHUNKED, "a\r\n0123456789\r\n", 2, "0\r\n\r\n"),
	        CHUNKED_HEAD "1 body 20 bytes \"01234567890123456789\"\n1 end\nmore\n");
	check_long("a chunk above it", &tight, repeated(CHUNKED, "b\r\n", 1, "0123456789x\r\n"),
	        CHUNKED_HEAD "bad 413\n");
}

Test(http_body, expect)
{
#define EXPECT(value) POST "Expect: " value "\r\nContent-Length: 5\r\n\r\nhello"
	static const struct decoding_row rows[] = {
		{ "continue", BYTES(EXPECT("100-Continue")),
		        POSTED HAS_HOST "1 field Expect: 100-Continue\n1 field Content-Length: 5\n"
		                        "1 head\n" HELLO "1 end\nmore\n",
		        false },
		{ "other", BYTES(EXPECT("200-ok")), POSTED HAS_HOST "bad 417\n", false },
		{ "empty", BYTES(EXPECT("")), POSTED HAS_HOST "bad 417\n", false },
		{ "old", BYTES(GET_0 "Expect: x\r\n\r\n"),
		        BEGIN_0 "1 field Expect: x\n" DONE "more\n", false },
	};

	CHECK(rows);
}

Test(http_body, pipeline)
{
	static const struct decoding_row rows[] = {
		{ "two", BYTES(GET HOST "\r\n" NEXT), BEGIN HAS_HOST DONE IS_NEXT "more\n", false },
		{ "behind a length", BYTES(POST "Content-Length: 5\r\n\r\nhello\r\n" NEXT),
		        POSTED HAS_HOST "1 field Content-Length: 5\n1 head\n" HELLO
		                        "1 end\n" IS_NEXT "more\n",
		        false },
		{ "behind chunks", BYTES(CHUNKED "5\r\nhello\r\n0\r\nX: y\r\n\r\n" NEXT),
		        CHUNKED_HEAD HELLO "1 end\n" IS_NEXT "more\n", false },
		{ "chunks behind chunks",
		        BYTES(CHUNKED "5;a\r\nhello\r\n0\r\n\r\n" CHUNKED "0\r\n\r\n"),
		        CHUNKED_HEAD HELLO "1 end\n" CHUNKED_HEAD "1 end\nmore\n", false },
		{ "a rootless target, then another",
		        BYTES("GET http://b?x HTTP/1.1\r\nHost: b\r\n\r\n" NEXT),
		        "1 begin responder\n1 var REQUEST_METHOD=GET\n1 var QUERY_STRING=x\n"
		        "1 var SERVER_PROTOCOL=HTTP/1.1\n1 var HTTP_HOST=b\n"
		        "1 var REQUEST_URI=/?x\n" DONE IS_NEXT "more\n",
		        false },
		{ "a bad second", BYTES(GET HOST "\r\nGET / HTTP/1.1\n"),
		        BEGIN HAS_HOST DONE "bad 400\n", false },
		{ "more than the length", BYTES(POST "Content-Length: 3\r\n\r\nabcdef"),
		        POSTED HAS_HOST "1 field Content-Length: 3\n1 head\n"
		                        "1 body 3 bytes \"abc\"\n1 end\nbad 501\n",
		        false },
	};

	CHECK(rows);
}

/* Whatever one byte is changed to, all deliveries must agree. */
Test(http_body, mutations)
{
	static const char input[] = "\r\nPUT http://b.test/p?q HTTP/1.1\r\nHost: a.test:80\r\n"
	                            "X-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"
	                            "5;a=\"b\"\r\nhello\r\n0\r\nT: u\r\n\r\nGET / HTTP/1.0\r\n\r\n";
	static const char changes[] = "\0\t\n\r \":;,/%[\\_0aG\x7f\x80";
	char bytes[sizeof input - 1];

	for (size_t at = 0; at < sizeof bytes; at++) {
		for (size_t i = 0; i < sizeof changes - 1; i++) {
			char *whole, *single, *sevens;

			memcpy(bytes, input, sizeof bytes);
			bytes[at] = changes[i];
			whole = decoding_events(&protocol_http, NULL, bytes, sizeof bytes, 9999);
			single = decoding_events(&protocol_http, NULL, bytes, sizeof bytes, 1);
			sevens = decoding_events(&protocol_http, NULL, bytes, sizeof bytes, 7);
			cr_expect_str_eq(single, whole);
			cr_expect_str_eq(sevens, whole);
			cr_expect_null(strstr(whole, "CONTRACT"), "%s", whole);
			free(whole);
			free(single);
			free(sevens);
		}
	}
}
