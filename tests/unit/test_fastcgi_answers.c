/* What protocols/fastcgi*.c write; sections in comments are the FastCGI specification's. */
#include "../support/support.h"
#include <stdio.h>
#include <stdlib.h>

#include "fastcgi_rows.h"

SUITE(fastcgi_answers);

/* More requests than a connection may have open: the next ones are answered and refused, what comes
 * for them is passed over, and the others go on. */
Test(fastcgi_answers, overloaded)
{
	static const char rest[] = PARAMS("\13", "\5") PAIR PARAMS("\13", "\0")
	        STDIN("\13", "\1") "x" STDIN("\13", "\0") ABORT("\13") OPEN("\14") OPEN("\13")
	                PARAMS("\12", "\0") STDIN("\12", "\0") OPEN("\13") PARAMS("\13", "\0");
	static const char wanted[] =
	        "10 begin responder\n" OVERLOADED("0b") "\n" OVERLOADED("0c") "\n" OVERLOADED(
	                "0b") "\n10 head\n10 end\n11 begin responder\n11 head\nmore\n";
	char bytes[11 * 16 + sizeof rest - 1];

	for (size_t i = 0; i < 11; i++) {
		memcpy(bytes + i * 16, OPEN("\1"), 16);
		bytes[i * 16 + 3] = (char)(i + 1);
	}
	memcpy(bytes + sizeof bytes - (sizeof rest - 1), rest, sizeof rest - 1);
	for (size_t step = 1; step <= sizeof bytes; step++) {
		char *events = decoding_events(&protocol_fastcgi, NULL, bytes, sizeof bytes, step);

		cr_expect(strlen(events) > sizeof wanted &&
		                  strcmp(events + strlen(events) + 1 - sizeof wanted, wanted) == 0,
		        "%zu bytes at a time: %s", step, events);
		free(events);
	}
}

/* 5.1: a refused request is the last where its BEGIN_REQUEST says so. */
Test(fastcgi_answers, refused_closes)
{
	static const struct {
		const char *bytes;
		bool closes;
	} rows[] = {
		{ AS("\1", "\3", "\0"), true },
		{ AS("\1", "\3", "\1"), false },
		{ AS("\1", "\3", "\376"), true },
		{ RECORD("\14", "\0", "\0") "        ", false },
		{ VALUES("\0") "        ", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		void *state = calloc(1, protocol_fastcgi.state_size);
		struct span in = { (const uint8_t *)rows[i].bytes, 16 };
		struct wire_event event = { .kind = EVENT_BEGIN };

		protocol_fastcgi.decode(state, &decoding_limits, &in, &event);
		cr_expect_eq(event.kind, EVENT_REPLY, "%zu", i);
		cr_expect_eq(event.reply_closes, rows[i].closes, "%zu", i);
		free(state);
	}
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

static void piece(struct peer *peer, uint16_t id, const char *text)
{
	write_piece(&protocol_fastcgi, peer->state, id, span_of(text), &peer->writer);
}

Test(fastcgi_answers, answer)
{
	struct reply reply = {
		.status = 404, .fields = span_of("Content-Type: text/plain\r\n"), .length = 9
	};
	struct peer peer;
	struct record first;
	struct span bytes;

	peer_open(&peer);
	peer_read(&peer, BYTES(GET("\7")));
	write_head(&protocol_fastcgi, peer.state, 7, &reply, &peer.writer);
	piece(&peer, 7, "not ");
	piece(&peer, 7, "found");
	write_end(&protocol_fastcgi, peer.state, 7, &peer.writer);
	expect_records(written(&peer), 7,
	        "Status: 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\n"
	        "not found",
	        0);
	bytes = written(&peer);
	next_record(&bytes, &first);
	cr_expect_eq(first.content[first.length - 1], '\n'); /* the head is one record */
	peer_close(&peer);
}

/* All at once is the same as part after part. */
Test(fastcgi_answers, whole_answer)
{
	static const struct reply rows[] = {
		{ .status = 200, .length = 5 },
		{ .status = 302, .length = 5 },
		{ .status = 200, .length = -1 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		for (unsigned size = 0; size <= 5; size += 5) {
			struct portion whole = { &rows[i], { (const uint8_t *)"hello", size },
				true };
			struct peer parts, once;

			peer_open(&parts);
			peer_open(&once);
			peer_read(&parts, BYTES(GET("\7")));
			peer_read(&once, BYTES(GET("\7")));
			write_head(&protocol_fastcgi, parts.state, 7, &rows[i], &parts.writer);
			write_piece(&protocol_fastcgi, parts.state, 7, whole.body, &parts.writer);
			write_end(&protocol_fastcgi, parts.state, 7, &parts.writer);
			protocol_fastcgi.write(once.state, 7, &whole, &once.writer);
			cr_expect_eq(written(&once).length, written(&parts).length);
			cr_expect_eq(memcmp(once.bytes, parts.bytes, written(&parts).length), 0);
			peer_close(&parts);
			peer_close(&once);
		}
	}
}

/* The records of one id as letters: E and its text, O its length, "!" the end. */
static void expect_order(struct span bytes, unsigned id, const char *wanted)
{
	char text[512] = "";
	struct record record;
	size_t length = 0;

	while (next_record(&bytes, &record)) {
		cr_expect_eq(record.id, id);
		if (record.type == 7)
			length += (size_t)snprintf(text + length, sizeof text - length, "E<%.*s>",
			        (int)record.length, (const char *)record.content);
		else
			length += (size_t)snprintf(text + length, sizeof text - length, "%s%u",
			        record.type == 6 ? "O" : "!", record.length);
	}
	cr_expect_str_eq(text, wanted);
}

static void log_piece(struct peer *peer, uint16_t id, const char *line)
{
	protocol_fastcgi.log(peer->state, id, span_of(line), &peer->writer);
}

/* 6.1: lines may stand anywhere; STDERR has an end only where it has a beginning. */
Test(fastcgi_answers, logged)
{
	const struct reply reply = { .status = 204, .length = -1 };
	struct peer peer;

	peer_open(&peer);
	peer_read(&peer, BYTES(GET("\7") GET("\1")));
	log_piece(&peer, 7, "one");
	write_head(&protocol_fastcgi, peer.state, 7, &reply, &peer.writer);
	log_piece(&peer, 7, "");
	piece(&peer, 7, "abc");
	log_piece(&peer, 7, "three");
	write_end(&protocol_fastcgi, peer.state, 7, &peer.writer);
	log_piece(&peer, 7, "behind the end");
	log_piece(&peer, 9, "of none");
	expect_order(written(&peer), 7, "E<one\n>O26E<\n>O3E<three\n>E<>O0!8");
	peer.writer.at = peer.bytes;
	write_end(&protocol_fastcgi, peer.state, 1, &peer.writer);
	expect_order(written(&peer), 1, "O0!8");
	peer_close(&peer);
}

Test(fastcgi_answers, answer_without_fields_and_length)
{
	const struct reply reply = { .status = 204, .length = -1, .bodiless = true };
	struct peer peer;

	peer_open(&peer);
	peer_read(&peer, BYTES(GET("\1")));
	write_head(&protocol_fastcgi, peer.state, 1, &reply, &peer.writer);
	write_end(&protocol_fastcgi, peer.state, 1, &peer.writer);
	expect_records(written(&peer), 1, "Status: 204 No Content\r\n\r\n", 0);
	peer_close(&peer);
}

/* HAProxy makes 302 of a status that stands before Location. */
Test(fastcgi_answers, status_behind_location)
{
	const struct reply reply = {
		.status = 303, .fields = span_of("Location: /\r\n"), .length = 0
	};
	struct peer peer;

	peer_open(&peer);
	peer_read(&peer, BYTES(GET("\1")));
	write_head(&protocol_fastcgi, peer.state, 1, &reply, &peer.writer);
	write_end(&protocol_fastcgi, peer.state, 1, &peer.writer);
	expect_records(written(&peer), 1,
	        "Location: /\r\nContent-Length: 0\r\nStatus: 303 See Other\r\n\r\n", 0);
	peer_close(&peer);
}

Test(fastcgi_answers, end_alone)
{
	struct peer peer;

	peer_open(&peer);
	peer_read(&peer, BYTES(OPEN("\1") ABORT("\1")));
	write_end(&protocol_fastcgi, peer.state, 1, &peer.writer);
	expect_records(written(&peer), 1, "", 0);
	peer_close(&peer);
}

/* What still comes for an ended exchange is passed over, and the id may be used again. */
Test(fastcgi_answers, early_answer)
{
	static const char rest[] = STDIN("\1", "\1") "x" STDIN("\1", "\0") GET("\1");
	struct span in = { (const uint8_t *)rest, sizeof rest - 1 };
	struct wire_event event;
	unsigned begins = 0, bodies = 0;
	struct peer peer;

	peer_open(&peer);
	peer_read(&peer, BYTES(HEAD("\1")));
	cr_expect_eq(protocol_fastcgi.body_left(peer.state, 1), UINT64_MAX);
	write_end(&protocol_fastcgi, peer.state, 1, &peer.writer);
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
Test(fastcgi_answers, keeps)
{
	struct peer peer;

	peer_open(&peer);
	peer_read(&peer, BYTES(AS("\1", "\1", "\0") AS("\2", "\1", "\1") AS("\3", "\1", "\376")));
	cr_expect(!protocol_fastcgi.keeps(peer.state, 1, NULL));
	cr_expect(protocol_fastcgi.keeps(peer.state, 2, NULL));
	cr_expect(!protocol_fastcgi.keeps(peer.state, 3, NULL));
	cr_expect(!protocol_fastcgi.keeps(peer.state, 4, NULL));
	peer_close(&peer);
}

Test(fastcgi_answers, sniff)
{
	for (unsigned byte = 0; byte < 256; byte++)
		cr_expect_eq(protocol_fastcgi.sniff((uint8_t)byte), byte == 1);
}
