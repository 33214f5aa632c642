/* protocols/http_head.c: the request line, the target, the fields (RFC 9110, RFC 9112). */
#include "http_rows.h"

#include <stdio.h>
#include <stdlib.h>

SUITE(http);

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

/* Those that a name with a hyphen decides stay out. */
Test(http, underscores)
{
	static const struct decoding_row rows[] = {
		GOOD_FIELDS("X_A: 1\r\nX.A: 2\r\nX~: 3\r\nX-A: 4\r\n_: 5\r\n",
		        "1 field X_A: 1\n1 field X-A: 4\n1 field _: 5\n"),
		GOOD_FIELDS("Content_Length: 4\r\nTRANSFER_ENCODING: chunked\r\nContent_Type: a\r\n"
		            "Content_Lengths: 4\r\n",
		        "1 field Content_Lengths: 4\n"),
	};
	struct limits limits = decoding_limits;

	limits.underscores = true;
	decoding_check(&protocol_http, &limits, rows, COUNT(rows));
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
