/* protocols/http*.c: RFC 9110, RFC 9112, and what SECURITY.md 1.3 lists. */
#include "../support/support.h"
#include <stdio.h>
#include <stdlib.h>

#include "../support/decoding.h"

SUITE(http);
SUITE(scan);

#define BEGIN_AS(method, uri, query, version)                                                      \
	"1 begin responder\n1 var REQUEST_METHOD=" method "\n1 var REQUEST_URI=" uri               \
	"\n1 var QUERY_STRING=" query "\n1 var SERVER_PROTOCOL=" version "\n"
#define BEGIN    BEGIN_AS("GET", "/", "", "HTTP/1.1")
#define BEGIN_0  BEGIN_AS("GET", "/", "", "HTTP/1.0")
#define POSTED   BEGIN_AS("POST", "/p", "", "HTTP/1.1")
#define GET      "GET / HTTP/1.1\r\n"
#define GET_0    "GET / HTTP/1.0\r\n"
#define POST     "POST /p HTTP/1.1\r\nHost: a\r\n"
#define HOST     "Host: a\r\n"
#define HAS_HOST "1 field Host: a\n"
#define DONE     "1 head\n1 end\n"

/* A request line that gives an accepted request. */
#define GOOD_LINE(line, begin)                                                                     \
	{                                                                                          \
		line, BYTES(line "\r\n" HOST "\r\n"), begin HAS_HOST DONE "more\n", false          \
	}

/* Bytes that are refused before anything begins. */
#define BAD_START(bytes, verdict)                                                                  \
	{                                                                                          \
		bytes, BYTES(bytes), verdict "\n", false                                           \
	}

/* Field lines behind a good line and Host. */
#define BAD_FIELDS(fields, seen, verdict)                                                          \
	{                                                                                          \
		fields, BYTES(GET HOST fields "\r\n"), BEGIN HAS_HOST seen verdict "\n", false     \
	}
#define GOOD_FIELDS(fields, seen)                                                                  \
	{                                                                                          \
		fields, BYTES(GET HOST fields "\r\n"), BEGIN HAS_HOST seen DONE "more\n", false    \
	}

/* A Host value in a request without other fields. */
#define GOOD_HOST(value)                                                                           \
	{                                                                                          \
		"Host " value, BYTES(GET "Host: " value "\r\n\r\n"),                               \
		        BEGIN "1 field Host: " value "\n" DONE "more\n", false                     \
	}
#define BAD_HOST(value)                                                                            \
	{                                                                                          \
		"Host " value, BYTES(GET "Host: " value "\r\n\r\n"), BEGIN "bad 400\n", false      \
	}

#define CHUNKED      POST "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD POSTED HAS_HOST "1 head\n"
#define GOOD_CHUNKS(bytes, body)                                                                   \
	{                                                                                          \
		bytes, BYTES(CHUNKED bytes), CHUNKED_HEAD body "1 end\nmore\n", false              \
	}
#define BAD_CHUNKS(bytes, body, verdict)                                                           \
	{                                                                                          \
		bytes, BYTES(CHUNKED bytes), CHUNKED_HEAD body verdict "\n", false                 \
	}
#define HELLO "1 body 5 bytes \"hello\"\n"

#define CHECK(rows) decoding_check(&protocol_http, NULL, rows, sizeof rows / sizeof *rows)

Test(http, request_line)
{
	static const struct decoding_row rows[] = {
		GOOD_LINE("GET / HTTP/1.1", BEGIN),
		GOOD_LINE("HEAD /h HTTP/1.1", BEGIN_AS("HEAD", "/h", "", "HTTP/1.1")),
		GOOD_LINE("M-SEARCH /h HTTP/1.1", BEGIN_AS("M-SEARCH", "/h", "", "HTTP/1.1")),
		GOOD_LINE("GET /x HTTP/1.0", BEGIN_AS("GET", "/x", "", "HTTP/1.0")),
		GOOD_LINE("GET /x HTTP/1.9", BEGIN_AS("GET", "/x", "", "HTTP/1.9")),
		GOOD_LINE("\r\n\r\nGET / HTTP/1.1", BEGIN),
		{ "lines only", BYTES("\r\n\r\n"), "more\n", false },
		{ "nothing", BYTES(""), "more\n", false },
		{ "cut", BYTES("GET / HTTP/1.1\r"), "more\n", false },
		{ "cut head", BYTES(GET HOST "\r"), BEGIN HAS_HOST "more\n", false },
		BAD_START("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" GET, "bad 400"),
		BAD_START("\n", "bad 400"),
		BAD_START("\rG", "bad 400"),
		BAD_START("\x16\x03\x01", "bad 400"),
		BAD_START("\x80", "bad 400"),
		BAD_START(" GET", "bad 400"),
		BAD_START("get / HTTP/1.1\r\n", "bad 501"),
		BAD_START("def", "bad 501"),
		BAD_START("7", "bad 501"),
		BAD_START("GET\t/ HTTP/1.1\r\n", "bad 400"),
		BAD_START("GE(T / HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET/ HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET\r\n", "bad 400"),
		BAD_START("GET \r\n", "bad 400"),
		BAD_START("GET /\r\n", "bad 400"),
		BAD_START("GET / \r\n", "bad 400"),
		BAD_START("GET  / HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET /  HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET / HTTP/1.1 \r\n", "bad 400"),
		BAD_START("GET /a b HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET / HTTP/1.1\n", "bad 400"),
		BAD_START("GET / HTTP/1.1\rHost", "bad 400"),
		BAD_START("GET /\r/ HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET /a\0", "bad 400"),
		BAD_START("GET /a\x7f", "bad 400"),
		BAD_START("GET / http/1.1\r\n", "bad 400"),
		BAD_START("GET / HTTP/1\r\n", "bad 400"),
		BAD_START("GET / HTTP/1.10\r\n", "bad 400"),
		BAD_START("GET / HTTP/1,1\r\n", "bad 400"),
		BAD_START("GET / HTTP/x.1\r\n", "bad 400"),
		BAD_START("GET / HTTP/1.x\r\n", "bad 400"),
		BAD_START("GET / HTTP/2.0\r\n", "bad 505"),
		BAD_START("GET / HTTP/0.9\r\n", "bad 505"),
		BAD_START("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "bad 505"),
		BAD_START("CONNECT a.test:443 HTTP/1.1\r\n", "bad 501"),
	};

	CHECK(rows);
}

#define ABSOLUTE(target, uri, query, host)                                                         \
	{                                                                                          \
		target, BYTES("GET " target " HTTP/1.1\r\nHost: other\r\nX: 1\r\n\r\n"),           \
		        BEGIN_AS("GET", uri, query, "HTTP/1.1") "1 var HTTP_HOST=" host            \
		                                                "\n1 field X: 1\n" DONE "more\n",  \
		        false                                                                      \
	}

Test(http, target)
{
	static const struct decoding_row rows[] = {
		GOOD_LINE("GET /a?b?c=/d HTTP/1.1",
		        BEGIN_AS("GET", "/a?b?c=/d", "b?c=/d", "HTTP/1.1")),
		GOOD_LINE("GET /a? HTTP/1.1", BEGIN_AS("GET", "/a?", "", "HTTP/1.1")),
		GOOD_LINE("GET //b.test/x HTTP/1.1", BEGIN_AS("GET", "//b.test/x", "", "HTTP/1.1")),
		GOOD_LINE("GET /%zz%00 HTTP/1.1", BEGIN_AS("GET", "/%zz%00", "", "HTTP/1.1")),
		GOOD_LINE("GET /\"<>^`{|}\x80\xff HTTP/1.1",
		        BEGIN_AS("GET", "/\"<>^`{|}\\x80\\xff", "", "HTTP/1.1")),
		GOOD_LINE("GET /?\\ HTTP/1.1", BEGIN_AS("GET", "/?\\x5c", "\\x5c", "HTTP/1.1")),
		GOOD_LINE("OPTIONS * HTTP/1.1", BEGIN_AS("OPTIONS", "*", "", "HTTP/1.1")),
		ABSOLUTE("http://b.test/q?r=1", "/q?r=1", "r=1", "b.test"),
		ABSOLUTE("HTTPS://b.test:8080", "/", "", "b.test:8080"),
		ABSOLUTE("http://[2001:db8::1]:81/z", "/z", "", "[2001:db8::1]:81"),
		{ "a query without a path",
		        BYTES("GET http://b.test?x=1 HTTP/1.1\r\nHost: b.test\r\n\r\n"),
		        "1 begin responder\n1 var REQUEST_METHOD=GET\n1 var QUERY_STRING=x=1\n"
		        "1 var SERVER_PROTOCOL=HTTP/1.1\n1 var HTTP_HOST=b.test\n"
		        "1 var REQUEST_URI=/?x=1\n" DONE "more\n",
		        false },
		{ "an old one has no Host", BYTES("GET http://b.test/ HTTP/1.0\r\n\r\n"),
		        BEGIN_0 "1 var HTTP_HOST=b.test\n" DONE "more\n", false },
		{ "Host is checked yet", BYTES("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n"),
		        BEGIN "1 var HTTP_HOST=b\nbad 400\n", false },
		{ "Host is needed yet", BYTES("GET http://b/ HTTP/1.1\r\n\r\n"),
		        BEGIN "1 var HTTP_HOST=b\nbad 400\n", false },
		BAD_START("GET * HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET a/b HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET a.test:80 HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET http:/a/b HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET http:// HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET http:///x HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET http://?x HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET http://:80/ HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET http://u@b/ HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET ftp://b/ HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET http://b/#f HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET /#f HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET /a\tb HTTP/1.1\r\n", "bad 400"),
		BAD_START("GET /a\\b HTTP/1.1\r\n", "bad 400"),
	};

	CHECK(rows);
}

Test(http, fields)
{
	static const struct decoding_row rows[] = {
		GOOD_FIELDS("X-A:1\r\n", "1 field X-A: 1\n"),
		GOOD_FIELDS("X-A: \t a:b\t c \t \r\n", "1 field X-A: a:b\\x09 c\n"),
		GOOD_FIELDS("X-A:\r\nX-A: \"\x80\xff\r\n",
		        "1 field X-A: \n1 field X-A: \"\\x80\\xff\n"),
		GOOD_FIELDS("X_A: 1\r\nX.A: 2\r\nX~: 3\r\nX-A: 4\r\n", "1 field X-A: 4\n"),
		GOOD_FIELDS("Content_Length: 4\r\nTransfer_Encoding: chunked\r\n", ""),
		GOOD_FIELDS("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\nH: 8\r\n"
		            "I: 9\r\nJ: 10\r\nK: 11\r\nL: 12\r\nM: 13\r\nN: 14\r\nO: 15\r\n"
		            "P: 16\r\nQ: 17\r\n",
		        "1 field A: 1\n1 field B: 2\n1 field C: 3\n1 field D: 4\n1 field E: 5\n"
		        "1 field F: 6\n1 field G: 7\n1 field H: 8\n1 field I: 9\n1 field J: 10\n"
		        "1 field K: 11\n1 field L: 12\n1 field M: 13\n1 field N: 14\n"
		        "1 field O: 15\n1 field P: 16\n1 field Q: 17\n"),
		BAD_FIELDS("X-A : 1\r\n", "", "bad 400"),
		BAD_FIELDS("X-A\t: 1\r\n", "", "bad 400"),
		BAD_FIELDS(" X-A: 1\r\n", "", "bad 400"),
		BAD_FIELDS("X-A: 1\r\n\tfold\r\n", "1 field X-A: 1\n", "bad 400"),
		BAD_FIELDS(": 1\r\n", "", "bad 400"),
		BAD_FIELDS("X-A\r\n", "", "bad 400"),
		BAD_FIELDS("X(A): 1\r\n", "", "bad 400"),
		BAD_FIELDS("X\xa0: 1\r\n", "", "bad 400"),
		BAD_FIELDS("X\0A: 1\r\n", "", "bad 400"),
		BAD_FIELDS("X-A: a\0\r\n", "", "bad 400"),
		BAD_FIELDS("X-A: a\x0b\r\n", "", "bad 400"),
		BAD_FIELDS("X-A: a\x7f\r\n", "", "bad 400"),
		BAD_FIELDS("X-A: a\rb\r\n", "", "bad 400"),
		BAD_FIELDS("X-A: a\nX-B: b\r\n", "", "bad 400"),
		BAD_FIELDS("X-A: a\r\r\n", "", "bad 400"),
		BAD_FIELDS("\n", "", "bad 400"),
		BAD_FIELDS("\rX-A: 1\r\n", "", "bad 400"),
		BAD_FIELDS("Content-Type: a/b\r\ncontent-type: a/b\r\n",
		        "1 field Content-Type: a/b\n", "bad 400"),
	};

	CHECK(rows);
}

Test(http, host)
{
	static const struct decoding_row rows[] = {
		GOOD_HOST("a.test"),
		GOOD_HOST("A-b_c~!$&'()*+;=%2f"),
		GOOD_HOST(""),
		GOOD_HOST("a.test:"),
		GOOD_HOST("a.test:65535"),
		GOOD_HOST("127.0.0.1:80"),
		GOOD_HOST("[::1]"),
		GOOD_HOST("[::ffff:1.2.3.4]:8080"),
		BAD_HOST("a.test:65536"),
		BAD_HOST("a.test:8x"),
		BAD_HOST("a.test:-1"),
		BAD_HOST("a:1:2"),
		BAD_HOST(":80"),
		BAD_HOST("a b"),
		BAD_HOST("a,b"),
		BAD_HOST("u@a"),
		BAD_HOST("a/b"),
		BAD_HOST("a\\b"),
		BAD_HOST("a#b"),
		BAD_HOST("a?b"),
		BAD_HOST("a%2"),
		BAD_HOST("a%g0"),
		BAD_HOST("a%0g"),
		BAD_HOST("\xc3\xa9"),
		BAD_HOST("["),
		BAD_HOST("[]"),
		BAD_HOST("[::1"),
		BAD_HOST("[::1]x"),
		BAD_HOST("[::1]:x"),
		BAD_HOST("[:::1]"),
		BAD_HOST("[fe80::1%eth0]"),
		BAD_HOST("[1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111]"),
		{ "none", BYTES(GET "\r\n"), BEGIN "bad 400\n", false },
		{ "none behind a field", BYTES(GET "X: 1\r\n\r\n"), BEGIN "1 field X: 1\nbad 400\n",
		        false },
		{ "none in an old request", BYTES(GET_0 "\r\n"), BEGIN_0 DONE "more\n", false },
		{ "two", BYTES(GET HOST HOST "\r\n"), BEGIN HAS_HOST "bad 400\n", false },
	};

	CHECK(rows);
}

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

Test(http, framing)
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

Test(http, chunks)
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

Test(http, trailers)
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

Test(http, chunk_overhead)
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

Test(http, limits)
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

Test(http, body_limit)
{
	const struct limits tight = { .header_size = 4096, .variables = 30, .body_size = 10 };

	check_long("a chunk of the limit", &tight,
	        repeated(CHUNKED, "a\r\n0123456789\r\n", 2, "0\r\n\r\n"),
	        CHUNKED_HEAD "1 body 20 bytes \"01234567890123456789\"\n1 end\nmore\n");
	check_long("a chunk above it", &tight, repeated(CHUNKED, "b\r\n", 1, "0123456789x\r\n"),
	        CHUNKED_HEAD "bad 413\n");
}

Test(http, expect)
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

#define NEXT    "GET /n HTTP/1.1\r\nHost: a\r\n\r\n"
#define IS_NEXT BEGIN_AS("GET", "/n", "", "HTTP/1.1") HAS_HOST DONE

Test(http, pipeline)
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
Test(http, mutations)
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

/* A connection that has read some bytes, and what is written to it. */
struct peer {
	void *state;
	char text[1024];
	struct writer writer;
};

static void peer_open(struct peer *peer, const char *bytes)
{
	peer->state = calloc(1, protocol_http.state_size);
	peer->writer.at = (uint8_t *)peer->text;
	peer->writer.end = (uint8_t *)peer->text + sizeof peer->text - 1;
	peer->writer.overflow = false;
	memset(peer->text, 0, sizeof peer->text);
	decoding_prepare(&protocol_http, peer->state, bytes, strlen(bytes));
}

static void peer_close(struct peer *peer)
{
	cr_expect(!peer->writer.overflow);
	free(peer->state);
}

static struct span span_of(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

/* Sends an answer with `body` in two pieces, unless it is NULL. */
static void answer(struct peer *peer, const struct reply *reply, const char *body)
{
	struct writer *out = &peer->writer;
	size_t half = body ? (strlen(body) + 1) / 2 : 0;

	protocol_http.head(peer->state, 1, reply, out);
	for (size_t at = 0; body && at < strlen(body); at += half) {
		size_t piece = strlen(body) - at < half ? strlen(body) - at : half;
		char after[PROTOCOL_FRAME_MAX];
		struct writer behind = { (uint8_t *)after, (uint8_t *)after + sizeof after, false };

		protocol_http.frame(peer->state, 1, piece, out, &behind);
		write_bytes(out, body + at, piece);
		write_bytes(out, after, (size_t)(behind.at - (uint8_t *)after));
	}
	protocol_http.end(peer->state, 1, out);
}

struct answer_row {
	const char *request;
	struct reply reply;
	const char *body;
	const char *expected;
};

#define REPLY(number, words, ...)                                                                  \
	{                                                                                          \
		.status = number, .reason = words, __VA_ARGS__                                     \
	}
#define OLD_KEPT GET_0 "Connection: keep-alive\r\n\r\n"

Test(http, answers)
{
	static const struct answer_row rows[] = {
		{ GET HOST "\r\n", REPLY(200, "OK", .length = 5), "hello",
		        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" },
		{ GET HOST "\r\n", REPLY(200, "OK", .length = 5, .close = true), "hello",
		        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello" },
		{ GET HOST "\r\n", REPLY(404, "Not Found", .length = 0), NULL,
		        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" },
		{ GET HOST "\r\n", REPLY(200, "OK", .length = -1),
		        "0123456789abcdef0123456789abcde",
		        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		        "10\r\n0123456789abcdef\r\nf\r\n0123456789abcde\r\n0\r\n\r\n" },
		{ GET HOST "\r\n", REPLY(200, "OK", .length = -1), NULL,
		        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
		{ GET_0 "\r\n", REPLY(200, "OK", .length = -1, .close = true), "hello",
		        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello" },
		{ OLD_KEPT, REPLY(200, "OK", .length = -1), "hello",
		        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello" },
		{ OLD_KEPT, REPLY(200, "OK", .length = 5), "hello",
		        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"
		        "hello" },
		{ "HEAD / HTTP/1.1\r\n" HOST "\r\n",
		        REPLY(200, "OK", .length = 9, .bodiless = true), NULL,
		        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" },
		{ "HEAD / HTTP/1.1\r\n" HOST "\r\n",
		        REPLY(200, "OK", .length = -1, .bodiless = true), NULL,
		        "HTTP/1.1 200 OK\r\n\r\n" },
		{ GET HOST "\r\n", REPLY(204, "No Content", .length = 0, .bodiless = true), NULL,
		        "HTTP/1.1 204 No Content\r\n\r\n" },
		{ GET HOST "\r\n", REPLY(304, "Not Modified", .length = 0, .bodiless = true), NULL,
		        "HTTP/1.1 304 Not Modified\r\n\r\n" },
		{ GET HOST "\r\n", REPLY(101, "Switching Protocols", .length = -1, .close = true),
		        "ab", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\nab" },
		{ GET HOST "\r\n", REPLY(103, "Early Hints", .length = -1), NULL,
		        "HTTP/1.1 103 Early Hints\r\n\r\n" },
		{ "", REPLY(503, "Service Unavailable", .length = 2, .close = true), "no",
		        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n"
		        "Connection: close\r\n\r\nno" },
		{ "GET\n", REPLY(400, "Bad Request", .length = 2, .close = true), "no",
		        "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n"
		        "Connection: close\r\n\r\nno" },
		{ POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
		        REPLY(413, "Content Too Large", .length = 0, .close = true), NULL,
		        "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n"
		        "Connection: close\r\n\r\n" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct peer peer;

		peer_open(&peer, rows[i].request);
		answer(&peer, &rows[i].reply, rows[i].body);
		cr_expect_str_eq(peer.text, rows[i].expected);
		peer_close(&peer);
	}
}

Test(http, answer_fields_and_date)
{
	const struct reply reply = { .status = 200,
		.reason = "OK",
		.length = 0,
		.fields = span_of("X: 1\r\nY: 2\r\n"),
		.date = span_of("Sun, 06 Nov 1994 08:49:37 GMT") };
	struct peer peer;

	peer_open(&peer, GET HOST "\r\n");
	answer(&peer, &reply, NULL);
	cr_expect_str_eq(peer.text, "HTTP/1.1 200 OK\r\nX: 1\r\nY: 2\r\n"
	                            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
	                            "Content-Length: 0\r\n\r\n");
	peer_close(&peer);
}

/* A frame without bytes would end a chunked body. */
Test(http, empty_frame)
{
	const struct reply reply = { .status = 200, .reason = "OK", .length = -1 };
	struct peer peer;
	uint8_t *before;

	peer_open(&peer, GET HOST "\r\n");
	protocol_http.head(peer.state, 1, &reply, &peer.writer);
	before = peer.writer.at;
	protocol_http.frame(peer.state, 1, 0, &peer.writer, &peer.writer);
	cr_expect_eq(peer.writer.at, before);
	peer_close(&peer);
}

/* The second exchange knows nothing of the first. */
Test(http, answers_in_turn)
{
	const struct reply unknown = { .status = 200, .reason = "OK", .length = -1 };
	const struct reply known = { .status = 200, .reason = "OK", .length = 1 };
	static const char next[] = GET_0 "\r\n";
	struct peer peer;

	peer_open(&peer, GET HOST "\r\n");
	answer(&peer, &unknown, "x");
	decoding_prepare(&protocol_http, peer.state, next, sizeof next - 1);
	answer(&peer, &known, "y");
	cr_expect_str_eq(peer.text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	                            "1\r\nx\r\n0\r\n\r\n"
	                            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
	                            "Connection: close\r\n\r\ny");
	peer_close(&peer);
}

static unsigned count_events(void *state, const char *bytes, enum event_kind kind)
{
	struct span in = span_of(bytes);
	struct wire_event event;
	unsigned count = 0;

	while (protocol_http.decode(state, &decoding_limits, &in, &event) == DECODE_EVENT)
		count += event.kind == kind;
	return count;
}

/* The answer is over before the body: the rest of it comes yet, and then the next request. */
Test(http, early_answer)
{
	const struct reply reply = { .status = 200, .reason = "OK", .length = 0 };
	struct peer peer;

	peer_open(&peer, POST "Content-Length: 5\r\n\r\nhe");
	cr_expect_eq(protocol_http.body_left(peer.state, 1), 3);
	answer(&peer, &reply, NULL);
	cr_expect_eq(protocol_http.body_left(peer.state, 1), 3);
	cr_expect_eq(count_events(peer.state, "llo" NEXT, EVENT_END), 2);
	peer_close(&peer);
}

/* Without end() nothing follows END. */
Test(http, waits_for_the_answer)
{
	struct peer peer;

	peer_open(&peer, GET HOST "\r\n");
	cr_expect_eq(count_events(peer.state, NEXT, EVENT_BEGIN), 0);
	protocol_http.end(peer.state, 1, &peer.writer);
	cr_expect_eq(count_events(peer.state, NEXT, EVENT_BEGIN), 1);
	peer_close(&peer);
}

static const struct keeping {
	const char *request;
	bool keeps;
} keepings[] = {
	{ GET HOST "\r\n", true },
	{ GET HOST "Connection: close\r\n\r\n", false },
	{ GET HOST "Connection: foo,  CLOSE , bar\r\n\r\n", false },
	{ GET HOST "Connection: closed, xclose\r\n\r\n", true },
	{ GET HOST "Connection: keep-alive\r\nConnection: close\r\n\r\n", false },
	{ GET HOST "Connection: ,, ,\r\n\r\n", true },
	{ "GET / HTTP/1.2\r\n" HOST "\r\n", true },
	{ GET_0 "\r\n", false },
	{ GET_0 "Connection: Keep-Alive\r\n\r\n", true },
	{ GET_0 "Connection: keep-alive, close\r\n\r\n", false },
	{ CHUNKED "0\r\n", true },
	{ GET HOST, false },    /* the head is not complete */
	{ CHUNKED "x", false }, /* refused */
	{ "", false },
};

Test(http, keeps)
{
	for (size_t i = 0; i < sizeof keepings / sizeof *keepings; i++) {
		struct peer peer;

		peer_open(&peer, keepings[i].request);
		cr_expect_eq(protocol_http.keeps(peer.state, 1), keepings[i].keeps, "%s",
		        keepings[i].request);
		peer_close(&peer);
	}
}

static const struct leaving {
	const char *request;
	uint64_t left;
} leavings[] = {
	{ "", 0 },
	{ GET, UINT64_MAX },
	{ GET HOST "\r\n", 0 },
	{ POST "Content-Length: 5\r\n\r\n", 5 },
	{ POST "Content-Length: 5\r\n\r\nhell", 1 },
	{ POST "Content-Length: 5\r\n\r\nhello", 0 },
	{ CHUNKED, UINT64_MAX },
	{ CHUNKED "5\r\nhe", UINT64_MAX },
	{ CHUNKED "5\r\nhello\r\n0\r\n", UINT64_MAX },
	{ CHUNKED "5\r\nhello\r\n0\r\n\r\n", 0 },
};

Test(http, body_left)
{
	for (size_t i = 0; i < sizeof leavings / sizeof *leavings; i++) {
		struct peer peer;

		peer_open(&peer, leavings[i].request);
		cr_expect_eq(protocol_http.body_left(peer.state, 1), leavings[i].left, "%s",
		        leavings[i].request);
		peer_close(&peer);
	}
}

#define EXPECTS "Expect: 100-continue\r\n"

static const struct wanting {
	const char *request;
	bool writes;
} wantings[] = {
	{ POST EXPECTS "Content-Length: 5\r\n\r\n", true },
	{ POST EXPECTS "Transfer-Encoding: chunked\r\n\r\n", true },
	{ POST EXPECTS "Transfer-Encoding: chunked\r\n\r\n5", false },
	{ POST EXPECTS "Content-Length: 5\r\n\r\nh", false },
	{ POST EXPECTS "Content-Length: 0\r\n\r\n", false },
	{ POST EXPECTS "Content-Length: 5\r\n", false }, /* the head is not complete */
	{ POST "Content-Length: 5\r\n\r\n", false },
	{ GET HOST EXPECTS "\r\n", false },
	{ GET_0 EXPECTS "Content-Length: 5\r\n\r\n", false },
};

Test(http, want_body)
{
	for (size_t i = 0; i < sizeof wantings / sizeof *wantings; i++) {
		struct peer peer;

		peer_open(&peer, wantings[i].request);
		protocol_http.want_body(peer.state, &peer.writer);
		protocol_http.want_body(peer.state, &peer.writer);
		cr_expect_str_eq(peer.text,
		        wantings[i].writes ? "HTTP/1.1 100 Continue\r\n\r\n" : "", "%s",
		        wantings[i].request);
		peer_close(&peer);
	}
}

Test(http, want_body_after_the_answer)
{
	const struct reply hints = { .status = 103, .reason = "Early Hints" };
	const struct reply reply = { .status = 200, .reason = "OK" };
	struct peer peer;

	peer_open(&peer, POST EXPECTS "Content-Length: 5\r\n\r\n");
	protocol_http.head(peer.state, 1, &hints, &peer.writer);
	protocol_http.head(peer.state, 1, &reply, &peer.writer);
	protocol_http.want_body(peer.state, &peer.writer);
	cr_expect_null(strstr(peer.text, "100 Continue"));
	peer_close(&peer);
}

Test(http, sniff)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		bool digit = byte >= '0' && byte <= '9';
		bool expected = (scan_tchar[byte] && !digit) || byte == '\r' || byte == '\n';

		cr_expect_eq(protocol_http.sniff((uint8_t)byte), expected, "%u", byte);
	}
}

/* A refusal has a status and a reason, and the connection can't be kept. */
Test(http, refused)
{
	struct span in = span_of("GET /\n");
	struct wire_event event;
	struct peer peer;

	peer_open(&peer, "");
	cr_expect_eq(protocol_http.decode(peer.state, &decoding_limits, &in, &event), DECODE_BAD);
	cr_expect_eq(event.status, 400);
	cr_expect_str_eq(event.reason, "bad byte in the request line");
	cr_expect(!protocol_http.keeps(peer.state, 1));
	peer_close(&peer);
}

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
