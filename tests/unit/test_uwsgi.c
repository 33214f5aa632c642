/* protocols/uwsgi.c, from https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html. */
#include "../support/support.h"
#include <stdlib.h>

#include "../support/decoding.h"

SUITE(uwsgi);

/* Texts are octal; lengths are below 256, little-endian. */
#define PACKET(modifier1, size)               modifier1 size "\0\0"
#define VAR(name_length, name, length, value) name_length "\0" name length "\0" value
#define ABC                                   VAR("\1", "A", "\2", "bc") /* 7 bytes */
#define LENGTH(length, value)                 VAR("\16", "CONTENT_LENGTH", length, value)
#define BEGIN                                 "1 begin responder\n"
#define IS_ABC                                "1 var A=bc\n"

#define ROW(name, bytes, events)                                                                   \
	{                                                                                          \
		name, BYTES(bytes), events "\n", false                                             \
	}
#define MODIFIER(modifier1)                                                                        \
	{                                                                                          \
		"modifier1", BYTES(modifier1), "bad 0\n", false                                    \
	}
#define BAD_LENGTH(size, length, value)                                                            \
	{                                                                                          \
		"CONTENT_LENGTH " value, BYTES(PACKET("\0", size) ABC LENGTH(length, value)),      \
		        BEGIN IS_ABC "bad 400\n", false                                            \
	}

#define CHECK(rows) decoding_check(&protocol_uwsgi, NULL, rows, sizeof rows / sizeof *rows)

Test(uwsgi, requests)
{
	static const struct decoding_row rows[] = {
		ROW("nothing", "", "more"),
		ROW("no length", PACKET("\0", "\7") ABC, BEGIN IS_ABC "1 head\n1 end\nmore"),
		ROW("an empty length", PACKET("\0", "\31") ABC LENGTH("\0", ""),
		        BEGIN IS_ABC "1 var CONTENT_LENGTH=\n1 head\n1 end\nmore"),
		ROW("a body", PACKET("\0", "\23") LENGTH("\1", "5") "hello",
		        BEGIN "1 var CONTENT_LENGTH=5\n1 head\n1 body 5 bytes \"hello\"\n1 end\n"
		              "more"),
		ROW("a part of it", PACKET("\0", "\23") LENGTH("\1", "5") "hell",
		        BEGIN "1 var CONTENT_LENGTH=5\n1 head\n1 body 4 bytes \"hell\"\nmore"),
		ROW("more than it", PACKET("\0", "\23") LENGTH("\1", "5") "hello world",
		        BEGIN "1 var CONTENT_LENGTH=5\n1 head\n1 body 5 bytes \"hello\"\n1 end\n"
		              "more"),
		ROW("another packet is none", PACKET("\0", "\7") ABC PACKET("\0", "\7") ABC,
		        BEGIN IS_ABC "1 head\n1 end\nmore"),
		ROW("modifier1 5", PACKET("\5", "\7") ABC, BEGIN IS_ABC "1 head\n1 end\nmore"),
		ROW("modifier1 9", PACKET("\11", "\7") ABC, BEGIN IS_ABC "1 head\n1 end\nmore"),
		ROW("modifier2", "\0\7\0\377" ABC, BEGIN IS_ABC "1 head\n1 end\nmore"),
		ROW("an empty value", PACKET("\0", "\5") VAR("\1", "A", "\0", ""),
		        BEGIN "1 var A=\n1 head\n1 end\nmore"),
		ROW("17 variables",
		        PACKET("\0", "\167")
		                ABC ABC ABC ABC ABC ABC ABC ABC ABC ABC ABC ABC ABC ABC ABC ABC ABC,
		        BEGIN IS_ABC IS_ABC IS_ABC IS_ABC IS_ABC IS_ABC IS_ABC IS_ABC IS_ABC IS_ABC
		                IS_ABC IS_ABC IS_ABC IS_ABC IS_ABC IS_ABC IS_ABC
		        "1 head\n1 end\nmore"),
	};

	CHECK(rows);
}

Test(uwsgi, block)
{
	static const struct decoding_row rows[] = {
		ROW("a modifier", "\0", "more"),
		ROW("half a size", "\0\7", "more"),
		ROW("a size", "\0\7\0", "more"),
		ROW("half a variable", PACKET("\0", "\7") "\1\0A\2", BEGIN "more"),
		ROW("a byte left", PACKET("\0", "\10") ABC "\1", BEGIN IS_ABC "bad 400"),
		ROW("two bytes left", PACKET("\0", "\11") ABC "\1\0", BEGIN IS_ABC "bad 400"),
		ROW("a block of a byte", PACKET("\0", "\1") "\1", BEGIN "bad 400"),
		ROW("a name runs out", PACKET("\0", "\7") "\6\0ABCDE", BEGIN "bad 400"),
		ROW("no value", PACKET("\0", "\3") "\1\0A", BEGIN "bad 400"),
		ROW("half a value's length", PACKET("\0", "\4") "\1\0A\2", BEGIN "bad 400"),
		ROW("a value runs into the body", PACKET("\0", "\6") ABC, BEGIN "bad 400"),
		ROW("a name of 65535 bytes", PACKET("\0", "\7") "\377\377ABCDE", BEGIN "bad 400"),
		ROW("a value of 65535 bytes", PACKET("\0", "\7") "\1\0A\377\377xx",
		        BEGIN "bad 400"),
	};

	CHECK(rows);
}

Test(uwsgi, refused)
{
	static const struct decoding_row rows[] = {
		MODIFIER("\1"),
		MODIFIER("\4"),
		MODIFIER("\12"),
		MODIFIER("\21"),  /* 17: spooler */
		MODIFIER("\26"),  /* 22: evaluates code */
		MODIFIER("\37"),  /* 31 */
		MODIFIER("\60"),  /* 48: file or SCGI */
		MODIFIER("\141"), /* 97: reload */
		MODIFIER("\142"),
		MODIFIER("\143"),
		MODIFIER("\144"), /* 100: ping */
		MODIFIER("\157"), /* 111: cache */
		MODIFIER("\255"),
		MODIFIER("\377"),
		ROW("HTTP", "GET / HTTP/1.1\r\n", "bad 0"),
		ROW("TLS", "\26\3\1", "bad 0"),
		ROW("FastCGI", "\1\1\0\1\0\10\0\0", "bad 0"),
		ROW("two CONTENT_LENGTH", PACKET("\0", "\46") LENGTH("\1", "5") LENGTH("\1", "5"),
		        BEGIN "1 var CONTENT_LENGTH=5\nbad 400"),
		BAD_LENGTH("\33", "\2", "+5"),
		BAD_LENGTH("\33", "\2", " 5"),
		BAD_LENGTH("\33", "\2", "5 "),
		BAD_LENGTH("\34", "\3", "0x5"),
		BAD_LENGTH("\54", "\23", "9223372036854775808"),
	};

	CHECK(rows);
}

Test(uwsgi, limit)
{
	const struct limits tight = { .header_size = 14, .variables = 9, .body_size = 9 };
	const struct decoding_row rows[] = {
		ROW("fits", PACKET("\0", "\16") ABC ABC, BEGIN IS_ABC IS_ABC "1 head\n1 end\nmore"),
		ROW("does not fit", PACKET("\0", "\17"), "bad 431"),
	};

	decoding_check(&protocol_uwsgi, &tight, rows, 2);
}

static void expect_head(const struct reply *reply, const char *expected)
{
	char text[PROTOCOL_HEAD_MAX + 16] = "";
	struct writer writer = { (uint8_t *)text, (uint8_t *)text + sizeof text - 1, false };
	void *state = calloc(1, protocol_uwsgi.state_size);

	decoding_prepare(&protocol_uwsgi, state, BYTES(PACKET("\0", "\7") ABC));
	write_head(&protocol_uwsgi, state, 1, reply, &writer);
	write_piece(&protocol_uwsgi, state, 1, span_of("hello"), &writer);
	write_end(&protocol_uwsgi, state, 1, &writer);
	cr_expect_eq(strncmp(text, expected, strlen(expected)), 0, "%s", text);
	cr_expect_str_eq(text + strlen(expected), "hello");
	memset(text, 0, sizeof text);
	writer.at = (uint8_t *)text;
	protocol_uwsgi.write(state, 1, &(struct portion){ reply, { NULL, 0 }, true }, &writer);
	cr_expect_str_eq(text, expected);
	cr_expect(!protocol_uwsgi.keeps(state, 1, NULL));
	free(state);
}

/* mod_proxy_uwsgi demands an HTTP status line. */
Test(uwsgi, answers)
{
	const struct reply rows[] = {
		{ .status = 200, .length = 5, .fields = span_of("A: b\r\n") },
		{ .status = 404, .length = -1 },
		{ .status = 204, .length = 0, .bodiless = true },
	};

	expect_head(&rows[0], "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\n");
	expect_head(&rows[1], "HTTP/1.1 404 Not Found\r\n\r\n");
	expect_head(&rows[2], "HTTP/1.1 204 No Content\r\n\r\n");
}

Test(uwsgi, body_left)
{
	void *state = calloc(1, protocol_uwsgi.state_size);

	decoding_prepare(&protocol_uwsgi, state, BYTES(PACKET("\0", "\23")));
	cr_expect_eq(protocol_uwsgi.body_left(state, 1), UINT64_MAX);
	decoding_prepare(&protocol_uwsgi, state, BYTES(LENGTH("\1", "5") "he"));
	cr_expect_eq(protocol_uwsgi.body_left(state, 1), 3);
	decoding_prepare(&protocol_uwsgi, state, BYTES("llo"));
	cr_expect_eq(protocol_uwsgi.body_left(state, 1), 0);
	free(state);
}

Test(uwsgi, sniff)
{
	for (unsigned byte = 0; byte < 256; byte++)
		cr_expect_eq(protocol_uwsgi.sniff((uint8_t)byte), byte == 0);
}

/* Which protocol a connection speaks, of all (protocols.c). */
Test(uwsgi, among_the_others)
{
	static const struct {
		uint8_t first;
		const char *name, *guess;
	} rows[] = {
		{ 0, "uwsgi", "uwsgi" },
		{ 1, "fastcgi", "fastcgi" },
		{ '7', "scgi", "scgi" },
		{ 'G', "http", "http" },
		{ '\r', "http", "http" },
		{ 0x16, NULL, "TLS" },
		{ 0x80, NULL, "no protocol anygate knows" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct protocol *protocol = protocol_sniff(rows[i].first);

		cr_expect_str_eq(protocol_guess(rows[i].first), rows[i].guess);
		cr_expect_eq(protocol, rows[i].name ? protocol_find(rows[i].name) : NULL);
	}
	cr_expect_null(protocol_find("fcgi"));
	for (unsigned i = 0; protocols[i]; i++)
		cr_expect_eq(protocols[i]->number, i, "%s", protocols[i]->name);
}
