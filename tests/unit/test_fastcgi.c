/* protocols/fastcgi.c, from the FastCGI specification 1.0; sections in comments are its. */
#include "../support/support.h"
#include <stdio.h>
#include <stdlib.h>

#include "../support/decoding.h"

SUITE(fastcgi);

/* 3.3; all texts are octal, `length` is below 256. */
#define PADDED(type, id, length, padding) "\1" type "\0" id "\0" length padding "\0"
#define RECORD(type, id, length)          PADDED(type, id, length, "\0")

#define AS(id, role, flags) RECORD("\1", id, "\10") "\0" role flags "\0\0\0\0\0"
#define OPEN(id)            AS(id, "\1", "\0")
#define ABORT(id)           RECORD("\2", id, "\0")
#define PARAMS(id, length)  RECORD("\4", id, length)
#define STDIN(id, length)   RECORD("\5", id, length)
#define VALUES(length)      RECORD("\11", "\0", length)

#define PAIR      "\1\2Abc" /* 5 bytes: A=bc */
#define HEAD(id)  OPEN(id) PARAMS(id, "\5") PAIR PARAMS(id, "\0")
#define GET(id)   HEAD(id) STDIN(id, "\0")
#define BEGUN(id) id " begin responder\n"
#define GOT(id)   BEGUN(id) id " var A=bc\n" id " head\n"
#define DONE(id)  GOT(id) id " end\n"

#define END_REQUEST(id, status) "reply 010300" id "0008000000000000" status "000000\n"

/* What is read behind an open request: it gets `events`, and the connection `verdict`. */
#define BEHIND_OPEN(name, bytes, events)                                                           \
	{                                                                                          \
		name, BYTES(OPEN("\1") bytes), BEGUN("1") events "\n", false                       \
	}
#define BAD_START(name, bytes)                                                                     \
	{                                                                                          \
		name, BYTES(bytes), "bad 0\n", false                                               \
	}

#define CHECK(rows) decoding_check(&protocol_fastcgi, NULL, rows, sizeof rows / sizeof *rows)

Test(fastcgi, requests)
{
	static const struct decoding_row rows[] = {
		{ "nothing", BYTES(""), "more\n", false },
		{ "a request", BYTES(GET("\1")), DONE("1") "more\n", false },
		{ "an authorizer (6.3)", BYTES(AS("\7", "\2", "\0") PARAMS("\7", "\0")),
		        "7 begin authorizer\n7 head\nmore\n", false },
		{ "no variables", BYTES(OPEN("\1") PARAMS("\1", "\0") STDIN("\1", "\0")),
		        BEGUN("1") "1 head\n1 end\nmore\n", false },
		{ "reserved bytes (5.1)",
		        BYTES(RECORD("\1", "\1", "\10") "\0\1\0\377\377\377\377\377" PARAMS(
		                "\1", "\0")),
		        BEGUN("1") "1 head\nmore\n", false },
		{ "the largest id",
		        BYTES("\1\1\377\377\0\10\0\0\0\1\0\0\0\0\0\0\1\4\377\377\0\0\0\0"
		              "\1\5\377\377\0\0\0\0"),
		        "65535 begin responder\n65535 head\n65535 end\nmore\n", false },
		{ "one after the other", BYTES(GET("\1") GET("\1") GET("\2")),
		        DONE("1") DONE("1") DONE("2") "more\n", true },
		{ "a body",
		        BYTES(HEAD("\1") STDIN("\1", "\3") "abc" STDIN("\1", "\1") "d" STDIN(
		                "\1", "\0")),
		        GOT("1") "1 body 4 bytes \"abcd\"\n1 end\nmore\n", false },
		{ "a body without end", BYTES(HEAD("\1") STDIN("\1", "\3") "abc"),
		        GOT("1") "1 body 3 bytes \"abc\"\nmore\n", false },
		{ "padding (3.3)",
		        BYTES(PADDED("\1", "\1", "\10", "\2") "\0\1\0\0\0\0\0\0\377\377" PADDED(
		                "\4", "\1", "\5", "\3") PAIR
		                "\1\1\1" PADDED("\4", "\1", "\0", "\1") "x" PADDED("\5", "\1", "\1",
		                        "\2") "y\0\0" PADDED("\5", "\1", "\0", "\4") "abcd"),
		        GOT("1") "1 body 1 bytes \"y\"\n1 end\nmore\n", false },
	};

	CHECK(rows);
}

/* 3.4: pairs, and streams that are cut into records anywhere. */
Test(fastcgi, pairs)
{
	static const struct decoding_row rows[] = {
		BEHIND_OPEN("long lengths",
		        PARAMS("\1", "\13") "\200\0\0\1\200\0\0\2Abc" PARAMS("\1", "\0"),
		        "1 var A=bc\n1 head\nmore"),
		BEHIND_OPEN("a short and a long one",
		        PARAMS("\1", "\10") "\1\200\0\0\2Abc" PARAMS("\1", "\10") "\200\0\0\1\2Dee",
		        "1 var A=bc\n1 var D=ee\nmore"),
		BEHIND_OPEN("several",
		        PARAMS("\1", "\17") PAIR "\1\1Bd\2\0Ce"
		                                 "\0\0",
		        "1 var A=bc\n1 var B=d\n1 var Ce=\n1 var =\nmore"),
		BEHIND_OPEN("records of a byte",
		        PARAMS("\1", "\1") "\1" PARAMS("\1", "\1") "\2" PARAMS(
		                "\1", "\1") "A" PARAMS("\1", "\1") "b" PARAMS("\1",
		                "\1") "c" PARAMS("\1", "\0"),
		        "1 var A=bc\n1 head\nmore"),
		BEHIND_OPEN("cut in a long length",
		        PARAMS("\1", "\2") "\200\0" PARAMS("\1", "\4") "\0\1\200\0" PARAMS(
		                "\1", "\4") "\0\2Ab" PARAMS("\1", "\6") "c" PAIR,
		        "1 var A=bc\n1 var A=bc\nmore"),
		BEHIND_OPEN("cut between name and value",
		        PARAMS("\1", "\3") "\1\2A" PARAMS("\1", "\2") "bc", "1 var A=bc\nmore"),
		BEHIND_OPEN("an empty pair in two records",
		        PARAMS("\1", "\1") "\0" PARAMS("\1", "\6") "\0" PAIR,
		        "1 var =\n1 var A=bc\nmore"),
		BEHIND_OPEN("17 in a record",
		        PARAMS("\1", "\125") PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR
		                PAIR PAIR PAIR PAIR PAIR PAIR,
		        "1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n"
		        "1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n"
		        "1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\n1 var A=bc\nmore"),
		BEHIND_OPEN("ends in a length", PARAMS("\1", "\1") "\1" PARAMS("\1", "\0"),
		        "1 refused 400\nmore"),
		BEHIND_OPEN("ends in a long length",
		        PARAMS("\1", "\3") "\1\200\0" PARAMS("\1", "\0"), "1 refused 400\nmore"),
		BEHIND_OPEN("ends in a value", PARAMS("\1", "\4") "\1\2Ab" PARAMS("\1", "\0"),
		        "1 refused 400\nmore"),
		BEHIND_OPEN("a name of 2 GiB", PARAMS("\1", "\6") "\377\377\377\377\1A",
		        "1 refused 431\nmore"),
		BEHIND_OPEN("a value of 2 GiB", PARAMS("\1", "\5") "\1\377\377\377\377",
		        "1 refused 431\nmore"),
		BEHIND_OPEN("a sum that wraps",
		        PARAMS("\1", "\10") "\377\377\377\377\377\377\377\377",
		        "1 refused 431\nmore"),
		BEHIND_OPEN("a value above the limit", PARAMS("\1", "\6") "\1\200\1\0\1A",
		        "1 refused 431\nmore"),
	};

	CHECK(rows);
}

/* 3.3: a connection may carry several requests at a time. */
Test(fastcgi, interleaved)
{
	static const struct decoding_row rows[] = {
		{ "pairs in turn",
		        BYTES(OPEN("\1") OPEN("\2") PARAMS("\1", "\2") "\1\2" PARAMS(
		                "\2", "\4") "\1\2Ab" PARAMS("\1", "\1") "A" PARAMS("\2",
		                "\1") "c" PARAMS("\2", "\0") PARAMS("\1", "\2") "bc" PARAMS("\1",
		                "\0") STDIN("\2", "\1") "x" STDIN("\1", "\1") "y" STDIN("\2", "\0")
		                        STDIN("\1", "\0")),
		        BEGUN("1") BEGUN("2") "2 var A=bc\n2 head\n1 var A=bc\n1 head\n"
		                              "2 body 1 bytes \"x\"\n2 end\n1 body 1 bytes "
		                              "\"y\"\n1 end\nmore\n",
		        false },
		{ "a refused one leaves the other alone",
		        BYTES(HEAD("\2") OPEN("\1") PARAMS("\1", "\1") "\1" PARAMS("\1", "\0")
		                        STDIN("\1", "\1") "x" STDIN("\1", "\0") STDIN("\2", "\0")),
		        GOT("2") BEGUN("1") "1 refused 400\n2 end\nmore\n", false },
		{ "the rest of a refused one is passed over",
		        BYTES(OPEN("\1") PARAMS("\1", "\11") "\377\377\377\377\1ABCD" PARAMS(
		                "\1", "\2") "xy" PARAMS("\1", "\0")
		                        STDIN("\1", "\1") "x" STDIN("\1", "\0") GET("\2")),
		        BEGUN("1") "1 refused 431\n" DONE("2") "more\n", false },
		{ "ids that nobody opened",
		        BYTES(HEAD("\1") PARAMS("\7", "\5") PAIR PARAMS("\7", "\0") STDIN(
		                "\7", "\2") "xy" STDIN("\7", "\0") ABORT("\7") STDIN("\1", "\0")),
		        GOT("1") "1 end\nmore\n", false },
	};

	CHECK(rows);
}

/* 5.4 */
Test(fastcgi, aborts)
{
	static const struct decoding_row rows[] = {
		BEHIND_OPEN("before the parameters", ABORT("\1"), "1 abort\nmore"),
		BEHIND_OPEN("in a pair", PARAMS("\1", "\4") "\1\2Ab" ABORT("\1"), "1 abort\nmore"),
		BEHIND_OPEN("behind a pair", PARAMS("\1", "\5") PAIR ABORT("\1"),
		        "1 var A=bc\n1 abort\nmore"),
		{ "before the body", BYTES(HEAD("\1") ABORT("\1")), GOT("1") "1 abort\nmore\n",
		        false },
		{ "in the body", BYTES(HEAD("\1") STDIN("\1", "\2") "xy" ABORT("\1")),
		        GOT("1") "1 body 2 bytes \"xy\"\n1 abort\nmore\n", false },
		{ "behind the body", BYTES(GET("\1") ABORT("\1")), DONE("1") "1 abort\nmore\n",
		        false },
		{ "twice", BYTES(HEAD("\1") ABORT("\1") ABORT("\1")), GOT("1") "1 abort\nmore\n",
		        true },
		{ "twice before it is ended", BYTES(HEAD("\1") ABORT("\1") ABORT("\1")),
		        GOT("1") "1 abort\nmore\n", false },
		{ "then the id again", BYTES(HEAD("\1") ABORT("\1") GET("\1")),
		        GOT("1") "1 abort\n" DONE("1") "more\n", true },
		{ "what was on its way is passed over",
		        BYTES(OPEN("\1") ABORT("\1") PARAMS("\1", "\5") PAIR PARAMS("\1", "\0")
		                        STDIN("\1", "\1") "x" STDIN("\1", "\0") GET("\2")),
		        BEGUN("1") "1 abort\n" DONE("2") "more\n", false },
	};

	CHECK(rows);
}

#define MAX_CONNS "0e04464347495f4d41585f434f4e4e5331303234"
#define MAX_REQS  "0d02464347495f4d41585f524551533136"
#define MPXS      "0f01464347495f4d5058535f434f4e4e5331"

/* 4.1, 4.2 */
Test(fastcgi, management)
{
	static const struct decoding_row rows[] = {
		{ "one value", BYTES(VALUES("\21") "\17\0FCGI_MPXS_CONNS"),
		        "reply 010a000000120000" MPXS "\nmore\n", false },
		{ "all",
		        BYTES(VALUES("\60") "\17\0FCGI_MPXS_CONNS\15\0FCGI_MAX_REQS"
		                            "\16\0FCGI_MAX_CONNS"),
		        "reply 010a000000370000" MAX_CONNS MAX_REQS MPXS "\nmore\n", false },
		{ "a value and padding",
		        BYTES(PADDED("\11", "\0", "\22", "\2") "\15\3FCGI_MAX_REQSxyz\0\0"),
		        "reply 010a000000110000" MAX_REQS "\nmore\n", false },
		{ "twice the same", BYTES(VALUES("\36") "\15\0FCGI_MAX_REQS\15\0FCGI_MAX_REQS"),
		        "reply 010a000000110000" MAX_REQS "\nmore\n", false },
		{ "unknown names", BYTES(VALUES("\11") "\3\0XYZ\1\1AB"),
		        "reply 010a000000000000\nmore\n", false },
		{ "none", BYTES(VALUES("\0")), "reply 010a000000000000\nmore\n", false },
		{ "in a request", BYTES(HEAD("\1") VALUES("\0") STDIN("\1", "\0")),
		        GOT("1") "reply 010a000000000000\n1 end\nmore\n", false },
		BAD_START("a name runs out", VALUES("\3") "\4\0A"),
		BAD_START("a value runs out", VALUES("\3") "\1\1A"),
		BAD_START("a length runs out", VALUES("\3") "\1\200\0"),
		BAD_START("no value length", VALUES("\1") "\1"),
		{ "an unknown type", BYTES(RECORD("\14", "\0", "\0")),
		        "reply 010b0000000800000c00000000000000\nmore\n", false },
		{ "with content and padding",
		        BYTES(PADDED("\377", "\0", "\2", "\1") "xyz" GET("\1")),
		        "reply 010b000000080000ff00000000000000\n" DONE("1") "more\n", false },
	};

	CHECK(rows);
}

Test(fastcgi, begin)
{
	static const struct decoding_row rows[] = {
		{ "an unknown role (5.5)", BYTES(AS("\1", "\11", "\0") GET("\2")),
		        END_REQUEST("01", "03") DONE("2") "more\n", false },
		{ "what comes for an unknown role",
		        BYTES(AS("\1", "\11", "\0") PARAMS("\1", "\5") PAIR PARAMS("\1", "\0")
		                        STDIN("\1", "\0") ABORT("\1") GET("\1")),
		        END_REQUEST("01", "03") DONE("1") "more\n", false },
		{ "the filter role", BYTES(AS("\1", "\3", "\1")), END_REQUEST("01", "03") "more\n",
		        false },
		{ "role 0", BYTES(AS("\1", "\0", "\0")), END_REQUEST("01", "03") "more\n", false },
		{ "an open id", BYTES(OPEN("\1") OPEN("\1")), BEGUN("1") "bad 0\n", false },
		{ "an open id, in the body", BYTES(HEAD("\1") STDIN("\1", "\1") "x" OPEN("\1")),
		        GOT("1") "1 body 1 bytes \"x\"\nbad 0\n", false },
		{ "an open id, complete", BYTES(GET("\1") OPEN("\1")), DONE("1") "bad 0\n", false },
		BAD_START("id 0", AS("\0", "\1", "\0")),
		BAD_START("empty", RECORD("\1", "\1", "\0")),
		BAD_START("7 bytes", RECORD("\1", "\1", "\7") "\0\1\0\0\0\0\0"),
		BAD_START("9 bytes", RECORD("\1", "\1", "\11") "\0\1\0\0\0\0\0\0\0"),
	};

	CHECK(rows);
}

Test(fastcgi, rules)
{
	static const struct decoding_row rows[] = {
		BAD_START("version 0", "\0\1\0\1"),
		BAD_START("version 2", "\2"),
		BAD_START("HTTP", "GET / HTTP/1.1\r\n"),
		BAD_START("TLS", "\26\3\1\2\0"),
		{ "a wrong version behind a request", BYTES(GET("\1") "\2"), DONE("1") "bad 0\n",
		        false },
		BAD_START("type 0", RECORD("\0", "\1", "\0")),
		BAD_START("END_REQUEST", RECORD("\3", "\1", "\10")),
		BAD_START("STDOUT", RECORD("\6", "\1", "\0")),
		BAD_START("STDERR", RECORD("\7", "\1", "\0")),
		BAD_START("GET_VALUES_RESULT", RECORD("\12", "\0", "\0")),
		BAD_START("UNKNOWN_TYPE", RECORD("\13", "\0", "\10")),
		BEHIND_OPEN("STDIN before the end of PARAMS", STDIN("\1", "\1") "x", "bad 0"),
		BEHIND_OPEN("the end of STDIN before PARAMS", STDIN("\1", "\0"), "bad 0"),
		{ "PARAMS after their end", BYTES(HEAD("\1") PARAMS("\1", "\5") PAIR),
		        GOT("1") "bad 0\n", false },
		{ "an unknown type for a request",
		        BYTES(HEAD("\1") RECORD("\24", "\1", "\2") "xy" STDIN("\1", "\0")),
		        GOT("1") "1 end\nmore\n", false },
		{ "DATA without a filter",
		        BYTES(HEAD("\1") RECORD("\10", "\1", "\2") "xy" RECORD("\10", "\1", "\0")
		                        STDIN("\1", "\0")),
		        GOT("1") "1 end\nmore\n", false },
	};

	CHECK(rows);
}

/* More requests than a connection may have open: the next is refused, and the others go on. */
Test(fastcgi, overloaded)
{
	char bytes[17 * 16 + 8];
	char *events;

	for (size_t i = 0; i < 17; i++) {
		memcpy(bytes + i * 16, OPEN("\1"), 16);
		bytes[i * 16 + 3] = (char)(i + 1);
	}
	memcpy(bytes + sizeof bytes - 8, PARAMS("\20", "\0"), 8);
	events = decoding_events(&protocol_fastcgi, NULL, bytes, sizeof bytes, 5);
	cr_expect_not_null(
	        strstr(events, "16 begin responder\n" END_REQUEST("11", "02") "16 head\nmore\n"),
	        "%s", events);
	free(events);
}

/* A record of what was written, read by other code than the encoder's. */
struct record {
	unsigned version, type, id, length, padding;
	const uint8_t *content;
};

static bool next_record(struct span *bytes, struct record *record)
{
	const uint8_t *at = bytes->data;

	if (bytes->length == 0)
		return false;
	cr_assert_geq(bytes->length, 8);
	*record = (struct record){ at[0], at[1], at[2] * 256U + at[3], at[4] * 256U + at[5], at[6],
		at + 8 };
	cr_assert_geq(bytes->length, 8 + record->length + record->padding);
	bytes->data += 8 + record->length + record->padding;
	bytes->length -= 8 + record->length + record->padding;
	return true;
}

/* The streams of one id as text: the pieces of STDOUT, then the end. */
static void expect_records(struct span bytes, unsigned id, const char *out, uint8_t protocol_status)
{
	char text[512] = "";
	size_t length = 0;
	bool closed = false, ended = false;
	struct record record;

	while (next_record(&bytes, &record)) {
		cr_expect_eq(record.version, 1);
		cr_expect_eq(record.id, id);
		cr_expect(!ended);
		if (record.type == 6) {
			cr_expect(!closed);
			closed = record.length == 0;
			memcpy(text + length, record.content, record.length);
			length += record.length;
		} else {
			cr_expect_eq(record.type, 3);
			cr_assert_eq(record.length, 8);
			cr_expect_arr_eq(record.content, "\0\0\0\0", 4);
			cr_expect_eq(record.content[4], protocol_status);
			ended = true;
		}
	}
	cr_expect(ended);
	cr_expect_str_eq(text, out);
}

struct peer {
	void *state;
	uint8_t bytes[1024];
	struct writer writer;
};

static void peer_read(struct peer *peer, const void *bytes, size_t length)
{
	decoding_prepare(&protocol_fastcgi, peer->state, bytes, length);
}

static void peer_open(struct peer *peer)
{
	peer->state = calloc(1, protocol_fastcgi.state_size);
	peer->writer = (struct writer){ peer->bytes, peer->bytes + sizeof peer->bytes, false };
}

static void peer_close(struct peer *peer)
{
	cr_expect(!peer->writer.overflow);
	free(peer->state);
}

static struct span written(const struct peer *peer)
{
	return (struct span){ peer->bytes, (size_t)(peer->writer.at - peer->bytes) };
}

static void write_piece(struct peer *peer, uint16_t id, const char *piece)
{
	uint8_t after[PROTOCOL_FRAME_MAX];
	struct writer behind = { after, after + sizeof after, false };

	protocol_fastcgi.frame(peer->state, id, strlen(piece), &peer->writer, &behind);
	write_bytes(&peer->writer, piece, strlen(piece));
	write_bytes(&peer->writer, after, (size_t)(behind.at - after));
}

Test(fastcgi, answer)
{
	struct reply reply = { .status = 404,
		.reason = "Not Found",
		.fields = span_of("Content-Type: text/plain\r\n"),
		.length = 9 };
	struct peer peer;
	struct record first;
	struct span bytes;

	peer_open(&peer);
	peer_read(&peer, BYTES(GET("\7")));
	protocol_fastcgi.head(peer.state, 7, &reply, &peer.writer);
	write_piece(&peer, 7, "not ");
	write_piece(&peer, 7, "found");
	protocol_fastcgi.end(peer.state, 7, &peer.writer);
	expect_records(written(&peer), 7,
	        "Status: 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n"
	        "not found",
	        0);
	bytes = written(&peer);
	next_record(&bytes, &first);
	cr_expect_eq(first.content[first.length - 1], '\n'); /* the head is one record */
	peer_close(&peer);
}

Test(fastcgi, answer_without_fields_and_length)
{
	const struct reply reply = {
		.status = 204, .reason = "No Content", .length = -1, .bodiless = true
	};
	struct peer peer;

	peer_open(&peer);
	peer_read(&peer, BYTES(GET("\1")));
	protocol_fastcgi.head(peer.state, 1, &reply, &peer.writer);
	protocol_fastcgi.end(peer.state, 1, &peer.writer);
	expect_records(written(&peer), 1, "Status: 204 No Content\r\n\r\n", 0);
	peer_close(&peer);
}

/* HAProxy makes 302 of a status that stands before Location. */
Test(fastcgi, status_behind_location)
{
	const struct reply reply = { .status = 303,
		.reason = "See Other",
		.fields = span_of("Location: /\r\n"),
		.length = 0 };
	struct peer peer;

	peer_open(&peer);
	peer_read(&peer, BYTES(GET("\1")));
	protocol_fastcgi.head(peer.state, 1, &reply, &peer.writer);
	protocol_fastcgi.end(peer.state, 1, &peer.writer);
	expect_records(written(&peer), 1,
	        "Location: /\r\nContent-Length: 0\r\nStatus: 303 See Other\r\n\r\n", 0);
	peer_close(&peer);
}

Test(fastcgi, end_alone)
{
	struct peer peer;

	peer_open(&peer);
	peer_read(&peer, BYTES(OPEN("\1") ABORT("\1")));
	protocol_fastcgi.end(peer.state, 1, &peer.writer);
	expect_records(written(&peer), 1, "", 0);
	peer_close(&peer);
}

/* What still comes for an ended exchange is passed over, and the id may be used again. */
Test(fastcgi, early_answer)
{
	static const char rest[] = STDIN("\1", "\1") "x" STDIN("\1", "\0") GET("\1");
	struct span in = { (const uint8_t *)rest, sizeof rest - 1 };
	struct wire_event event;
	unsigned begins = 0, bodies = 0;
	struct peer peer;

	peer_open(&peer);
	peer_read(&peer, BYTES(HEAD("\1")));
	cr_expect_eq(protocol_fastcgi.body_left(peer.state, 1), UINT64_MAX);
	protocol_fastcgi.end(peer.state, 1, &peer.writer);
	while (protocol_fastcgi.decode(peer.state, &decoding_limits, &in, &event) == DECODE_EVENT) {
		begins += event.kind == EVENT_BEGIN;
		bodies += event.kind == EVENT_BODY;
	}
	cr_expect_eq(begins, 1);
	cr_expect_eq(bodies, 0);
	cr_expect_eq(protocol_fastcgi.body_left(peer.state, 1), 0);
	peer_close(&peer);
}

/* 5.1: FCGI_KEEP_CONN is each request's own. */
Test(fastcgi, keeps)
{
	struct peer peer;

	peer_open(&peer);
	peer_read(&peer, BYTES(AS("\1", "\1", "\0") AS("\2", "\1", "\1") AS("\3", "\1", "\376")));
	cr_expect(!protocol_fastcgi.keeps(peer.state, 1));
	cr_expect(protocol_fastcgi.keeps(peer.state, 2));
	cr_expect(!protocol_fastcgi.keeps(peer.state, 3));
	cr_expect(!protocol_fastcgi.keeps(peer.state, 4));
	peer_close(&peer);
}

Test(fastcgi, sniff)
{
	for (unsigned byte = 0; byte < 256; byte++)
		cr_expect_eq(protocol_fastcgi.sniff((uint8_t)byte), byte == 1);
}
