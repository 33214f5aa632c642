/* protocols/http.c: answers, and what a connection asks between requests. */
#include "http_rows.h"

#include <stdio.h>
#include <stdlib.h>

SUITE(http_answers);

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

/* Sends an answer with `body` in two pieces, unless it is NULL. */
static void answer(struct peer *peer, const struct reply *reply, const char *body)
{
	struct writer *out = &peer->writer;
	size_t half = body ? (strlen(body) + 1) / 2 : 0;

	write_head(&protocol_http, peer->state, 1, reply, out);
	for (size_t at = 0; body && at < strlen(body); at += half) {
		size_t piece = strlen(body) - at < half ? strlen(body) - at : half;
		struct span span = { (const uint8_t *)body + at, piece };

		write_piece(&protocol_http, peer->state, 1, span, out);
	}
	write_end(&protocol_http, peer->state, 1, out);
}

struct answer_row {
	const char *request;
	struct reply reply;
	const char *body;
	const char *expected;
};

#define REPLY(number, ...)                                                                         \
	{                                                                                          \
		.status = number, __VA_ARGS__                                                      \
	}
#define OLD_KEPT GET_0 "Connection: keep-alive\r\n\r\n"

Test(http_answers, answers)
{
	static const struct answer_row rows[] = {
		{ GET HOST "\r\n", REPLY(200, .length = 5), "hello",
		        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" },
		{ GET HOST "\r\n", REPLY(200, .length = 5, .close = true), "hello",
		        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello" },
		{ GET HOST "\r\n", REPLY(404, .length = 0), NULL,
		        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" },
		{ GET HOST "\r\n", REPLY(200, .length = -1), "0123456789abcdef0123456789abcde",
		        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		        "10\r\n0123456789abcdef\r\nf\r\n0123456789abcde\r\n0\r\n\r\n" },
		{ GET HOST "\r\n", REPLY(200, .length = -1), NULL,
		        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
		{ GET_0 "\r\n", REPLY(200, .length = -1, .close = true), "hello",
		        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello" },
		{ OLD_KEPT, REPLY(200, .length = -1), "hello",
		        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello" },
		{ OLD_KEPT, REPLY(200, .length = 5), "hello",
		        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"
		        "hello" },
		{ "HEAD / HTTP/1.1\r\n" HOST "\r\n", REPLY(200, .length = 9, .bodiless = true),
		        NULL, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" },
		{ "HEAD / HTTP/1.1\r\n" HOST "\r\n", REPLY(200, .length = -1, .bodiless = true),
		        NULL, "HTTP/1.1 200 OK\r\n\r\n" },
		{ GET HOST "\r\n", REPLY(306, .length = 0), NULL,
		        "HTTP/1.1 306 Unknown\r\nContent-Length: 0\r\n\r\n" },
		{ GET HOST "\r\n", REPLY(599, .length = 1234567890), NULL,
		        "HTTP/1.1 599 Unknown\r\nContent-Length: 1234567890\r\n\r\n" },
		{ GET HOST "\r\n", REPLY(204, .length = 0, .bodiless = true), NULL,
		        "HTTP/1.1 204 No Content\r\n\r\n" },
		{ GET HOST "\r\n", REPLY(304, .length = 0, .bodiless = true), NULL,
		        "HTTP/1.1 304 Not Modified\r\n\r\n" },
		{ GET HOST "\r\n", REPLY(101, .length = -1, .close = true), "ab",
		        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\nab" },
		{ GET HOST "\r\n", REPLY(103, .length = -1), NULL,
		        "HTTP/1.1 103 Early Hints\r\n\r\n" },
		{ "", REPLY(503, .length = 2, .close = true), "no",
		        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n"
		        "Connection: close\r\n\r\nno" },
		{ "GET\n", REPLY(400, .length = 2, .close = true), "no",
		        "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n"
		        "Connection: close\r\n\r\nno" },
		{ POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
		        REPLY(413, .length = 0, .close = true), NULL,
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

Test(http_answers, answer_fields_and_date)
{
	const struct reply reply = { .status = 200,
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
Test(http_answers, empty_frame)
{
	const struct reply reply = { .status = 200, .length = -1 };
	struct peer peer;
	uint8_t *before;

	peer_open(&peer, GET HOST "\r\n");
	write_head(&protocol_http, peer.state, 1, &reply, &peer.writer);
	before = peer.writer.at;
	write_piece(&protocol_http, peer.state, 1, (struct span){ NULL, 0 }, &peer.writer);
	cr_expect_eq(peer.writer.at, before);
	peer_close(&peer);
}

/* The second exchange knows nothing of the first. */
Test(http_answers, answers_in_turn)
{
	const struct reply unknown = { .status = 200, .length = -1 };
	const struct reply known = { .status = 200, .length = 1 };
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
Test(http_answers, early_answer)
{
	const struct reply reply = { .status = 200, .length = 0 };
	struct peer peer;

	peer_open(&peer, POST "Content-Length: 5\r\n\r\nhe");
	cr_expect_eq(protocol_http.body_left(peer.state, 1), 3);
	answer(&peer, &reply, NULL);
	cr_expect_eq(protocol_http.body_left(peer.state, 1), 3);
	cr_expect_eq(count_events(peer.state, "llo" NEXT, EVENT_END), 2);
	peer_close(&peer);
}

/* Without the end of the answer nothing follows END. */
Test(http_answers, waits_for_the_answer)
{
	struct peer peer;

	peer_open(&peer, GET HOST "\r\n");
	cr_expect_eq(count_events(peer.state, NEXT, EVENT_BEGIN), 0);
	write_end(&protocol_http, peer.state, 1, &peer.writer);
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

Test(http_answers, keeps)
{
	for (size_t i = 0; i < sizeof keepings / sizeof *keepings; i++) {
		struct peer peer;

		peer_open(&peer, keepings[i].request);
		cr_expect_eq(protocol_http.keeps(peer.state, 1, NULL), keepings[i].keeps, "%s",
		        keepings[i].request);
		peer_close(&peer);
	}
}

/* An old client learns the end of a body of unknown length by the close alone. */
Test(http_answers, keeps_behind_a_reply)
{
	const struct reply known = { .length = 5 }, unknown = { .length = -1 };
	const struct reply bodiless = { .length = -1, .bodiless = true };
	struct peer peer;

	peer_open(&peer, OLD_KEPT);
	cr_expect(protocol_http.keeps(peer.state, 1, &known));
	cr_expect(protocol_http.keeps(peer.state, 1, &bodiless));
	cr_expect(!protocol_http.keeps(peer.state, 1, &unknown));
	peer_close(&peer);
	peer_open(&peer, GET HOST "\r\n");
	cr_expect(protocol_http.keeps(peer.state, 1, &unknown));
	peer_close(&peer);
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

Test(http_answers, body_left)
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

Test(http_answers, want_body)
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

Test(http_answers, want_body_after_the_answer)
{
	const struct reply hints = { .status = 103 };
	const struct reply reply = { .status = 200 };
	struct peer peer;

	peer_open(&peer, POST EXPECTS "Content-Length: 5\r\n\r\n");
	write_head(&protocol_http, peer.state, 1, &hints, &peer.writer);
	write_head(&protocol_http, peer.state, 1, &reply, &peer.writer);
	protocol_http.want_body(peer.state, &peer.writer);
	cr_expect_null(strstr(peer.text, "100 Continue"));
	peer_close(&peer);
}

Test(http_answers, sniff)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		bool digit = byte >= '0' && byte <= '9';
		bool expected = (grammar_tchar[byte] && !digit) || byte == '\r' || byte == '\n';

		cr_expect_eq(protocol_http.sniff((uint8_t)byte), expected, "%u", byte);
	}
}

/* A refusal has a status and a reason, and the connection can't be kept. */
Test(http_answers, refused)
{
	struct span in = span_of("GET /\n");
	struct wire_event event;
	struct peer peer;

	peer_open(&peer, "");
	cr_expect_eq(protocol_http.decode(peer.state, &decoding_limits, &in, &event), DECODE_BAD);
	cr_expect_eq(event.status, 400);
	cr_expect_str_eq(event.reason, "bad byte in the request line");
	cr_expect(!protocol_http.keeps(peer.state, 1, NULL));
	peer_close(&peer);
}
