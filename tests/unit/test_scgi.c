/* protocols/scgi.c, from https://python.ca/scgi/protocol.txt. */
#include "../support/support.h"
#include <stdlib.h>

#include "../support/decoding.h"

SUITE(scgi);

#define VAR(name, value) name "\0" value "\0"
#define LENGTH(value)    VAR("CONTENT_LENGTH", value)
#define ONE              VAR("SCGI", "1")
#define EMPTY            "24:" LENGTH("0") ONE ","
#define BEGIN            "1 begin responder\n"
#define EMPTY_HEAD       BEGIN "1 var CONTENT_LENGTH=0\n1 var SCGI=1\n1 head\n"
#define FIVE             "24:" LENGTH("5") ONE ","
#define FIVE_HEAD        BEGIN "1 var CONTENT_LENGTH=5\n1 var SCGI=1\n1 head\n"

#define ROW(name, bytes, events)                                                                   \
	{                                                                                          \
		name, BYTES(bytes), events "\n", false                                             \
	}
#define BAD_LENGTH(count, value)                                                                   \
	{                                                                                          \
		"CONTENT_LENGTH " value, BYTES(count ":" LENGTH(value) ONE ","),                   \
		        BEGIN "bad 400\n", false                                                   \
	}

#define CHECK(rows) decoding_check(&protocol_scgi, NULL, rows, sizeof rows / sizeof *rows)

Test(scgi, requests)
{
	static const struct decoding_row rows[] = {
		ROW("nothing", "", "more"),
		ROW("no body", EMPTY, EMPTY_HEAD "1 end\nmore"),
		ROW("a body", FIVE "hello", FIVE_HEAD "1 body 5 bytes \"hello\"\n1 end\nmore"),
		ROW("a part of it", FIVE "hell", FIVE_HEAD "1 body 4 bytes \"hell\"\nmore"),
		ROW("more than it", FIVE "hello, world" EMPTY,
		        FIVE_HEAD "1 body 5 bytes \"hello\"\n1 end\nmore"),
		ROW("the specification's example",
		        "70:" LENGTH("27") ONE VAR("REQUEST_METHOD", "POST")
		                VAR("REQUEST_URI", "/deepthought") ",What is the answer to life?",
		        BEGIN "1 var CONTENT_LENGTH=27\n1 var SCGI=1\n1 var REQUEST_METHOD=POST\n"
		              "1 var REQUEST_URI=/deepthought\n1 head\n"
		              "1 body 27 bytes \"What is the answer to life?\"\n1 end\nmore"),
		ROW("in another order", "37:" VAR("REQUEST_URI", "") ONE LENGTH("0") ",",
		        BEGIN "1 var REQUEST_URI=\n1 var SCGI=1\n1 var CONTENT_LENGTH=0\n1 head\n"
		              "1 end\nmore"),
		ROW("empty values, commas and colons",
		        "34:" LENGTH("0") ONE VAR("A", "b,5:c=,") ",",
		        BEGIN
		        "1 var CONTENT_LENGTH=0\n1 var SCGI=1\n1 var A=b,5:c=,\n1 head\n1 end\n"
		        "more"),
		ROW("17 variables",
		        "84:" LENGTH("0") ONE VAR("A", "1") VAR("B", "2") VAR("C", "3") VAR(
		                "D", "4") VAR("E", "5") VAR("F", "6") VAR("G", "7") VAR("H", "8")
		                VAR("I", "9") VAR("J", "a") VAR("K", "b") VAR("L", "c")
		                        VAR("M", "d") VAR("N", "e") VAR("O", "f") ",",
		        BEGIN "1 var CONTENT_LENGTH=0\n1 var SCGI=1\n1 var A=1\n1 var B=2\n"
		              "1 var C=3\n1 var D=4\n1 var E=5\n1 var F=6\n1 var G=7\n1 var H=8\n"
		              "1 var I=9\n1 var J=a\n1 var K=b\n1 var L=c\n1 var M=d\n1 var N=e\n"
		              "1 var O=f\n1 head\n1 end\nmore"),
	};

	CHECK(rows);
}

Test(scgi, netstring)
{
	static const struct decoding_row rows[] = {
		ROW("a digit", "2", "more"),
		ROW("digits", "24", "more"),
		ROW("the colon", "24:", BEGIN "more"),
		ROW("a name", "24:CONTENT_LE", BEGIN "more"),
		ROW("no comma yet", "24:" LENGTH("0") ONE,
		        BEGIN "1 var CONTENT_LENGTH=0\n1 var SCGI=1\nmore"),
		ROW("no comma", "24:" LENGTH("0") ONE ";",
		        BEGIN "1 var CONTENT_LENGTH=0\n1 var SCGI=1\nbad 400"),
		ROW("too short by one", "23:" LENGTH("0") ONE ",",
		        BEGIN "1 var CONTENT_LENGTH=0\nbad 400"),
		ROW("too short by a variable", "17:" LENGTH("0") ONE ",",
		        BEGIN "1 var CONTENT_LENGTH=0\nbad 400"),
		ROW("ends behind a name", "22:" LENGTH("0") "SCGI\0,",
		        BEGIN "1 var CONTENT_LENGTH=0\nbad 400"),
		ROW("no NUL at all", "4:abcd,", BEGIN "bad 400"),
		ROW("a leading zero", "024:", "bad 400"),
		ROW("empty", "0:,", "bad 400"),
		ROW("a colon only", ":", "bad 0"),
		ROW("a sign", "-5", "bad 0"),
		ROW("a blank before", " 5", "bad 0"),
		ROW("a blank behind", "24 :", "bad 400"),
		ROW("hexadecimal", "0x18:", "bad 400"),
		ROW("above the limit", "65537", "bad 431"),
		ROW("2 GiB", "2147483648", "bad 431"),
		ROW("32 bits", "4294967320:", "bad 431"),
		ROW("64 bits", "18446744073709551640:", "bad 431"),
		ROW("HTTP", "GET / HTTP/1.1\r\n", "bad 0"),
		ROW("TLS", "\x16\x03\x01", "bad 0"),
		ROW("uwsgi", "\0\4\0\0\1\0A\0", "bad 0"),
	};

	CHECK(rows);
}

Test(scgi, variables)
{
	static const struct decoding_row rows[] = {
		ROW("no CONTENT_LENGTH", "7:" ONE ",", BEGIN "1 var SCGI=1\nbad 400"),
		ROW("no SCGI", "17:" LENGTH("0") ",", BEGIN "1 var CONTENT_LENGTH=0\nbad 400"),
		ROW("another SCGI", "24:" LENGTH("0") VAR("SCGI", "2") ",",
		        BEGIN "1 var CONTENT_LENGTH=0\nbad 400"),
		ROW("two CONTENT_LENGTH", "41:" LENGTH("0") LENGTH("0") ONE ",",
		        BEGIN "1 var CONTENT_LENGTH=0\nbad 400"),
		BAD_LENGTH("23", ""),
		BAD_LENGTH("25", "+5"),
		BAD_LENGTH("25", "-0"),
		BAD_LENGTH("25", " 5"),
		BAD_LENGTH("25", "5 "),
		BAD_LENGTH("26", "0x5"),
		BAD_LENGTH("26", "5.0"),
		BAD_LENGTH("42", "9223372036854775808"),
		BAD_LENGTH("43", "18446744073709551621"),
		ROW("the largest", "42:" LENGTH("9223372036854775807") ONE ",x",
		        BEGIN "1 var CONTENT_LENGTH=9223372036854775807\n1 var SCGI=1\n1 head\n"
		              "1 body 1 bytes \"x\"\nmore"),
		ROW("leading zeros", "26:" LENGTH("005") ONE ",hello",
		        BEGIN "1 var CONTENT_LENGTH=005\n1 var SCGI=1\n1 head\n"
		              "1 body 5 bytes \"hello\"\n1 end\nmore"),
	};

	CHECK(rows);
}

static void expect_head(const struct reply *reply, const char *expected)
{
	char text[PROTOCOL_HEAD_MAX + 16] = "";
	struct writer writer = { (uint8_t *)text, (uint8_t *)text + sizeof text - 1, false };
	void *state = calloc(1, protocol_scgi.state_size);

	decoding_prepare(&protocol_scgi, state, BYTES(EMPTY));
	write_head(&protocol_scgi, state, 1, reply, &writer);
	write_piece(&protocol_scgi, state, 1, span_of("hello"), &writer);
	write_end(&protocol_scgi, state, 1, &writer);
	cr_expect_eq(strncmp(text, expected, strlen(expected)), 0, "%s", text);
	cr_expect_str_eq(text + strlen(expected), "hello");
	memset(text, 0, sizeof text);
	writer.at = (uint8_t *)text;
	protocol_scgi.write(state, 1, &(struct portion){ reply, { NULL, 0 }, true }, &writer);
	cr_expect_str_eq(text, expected);
	cr_expect(!protocol_scgi.keeps(state, 1, NULL));
	free(state);
}

Test(scgi, answers)
{
	const struct reply rows[] = {
		{ .status = 200, .length = 5, .fields = span_of("A: b\r\n") },
		{ .status = 404, .length = -1 },
		{ .status = 204, .length = 0, .bodiless = true },
	};

	expect_head(&rows[0], "Status: 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\n");
	expect_head(&rows[1], "Status: 404 Not Found\r\n\r\n");
	expect_head(&rows[2], "Status: 204 No Content\r\n\r\n");
}

Test(scgi, body_left)
{
	void *state = calloc(1, protocol_scgi.state_size);

	decoding_prepare(&protocol_scgi, state, BYTES("24:"));
	cr_expect_eq(protocol_scgi.body_left(state, 1), UINT64_MAX);
	decoding_prepare(&protocol_scgi, state, BYTES(LENGTH("5") ONE ",he"));
	cr_expect_eq(protocol_scgi.body_left(state, 1), 3);
	decoding_prepare(&protocol_scgi, state, BYTES("llo"));
	cr_expect_eq(protocol_scgi.body_left(state, 1), 0);
	free(state);
}

Test(scgi, sniff)
{
	for (unsigned byte = 0; byte < 256; byte++)
		cr_expect_eq(protocol_scgi.sniff((uint8_t)byte), byte >= '0' && byte <= '9');
}
