/* permessage-deflate (RFC 7692) without a socket: what is agreed on, and packed messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tests/support/loopback.h"

SUITE(websocket_deflate);

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define MAX 100000 /* bytes of a message */

static struct loopback loop;
static struct {
	int answer;
	unsigned code;
	struct bytes message; /* the last one */
} seen;

static int serve(struct ag_request *req)
{
	struct ag_ws *ws = ag_ws_accept(
	        req, &(struct ag_ws_options){
	                     .message_max = MAX, .plain = strcmp(ag_path(req), "/plain") == 0 });
	struct ag_ws_message message;

	while ((seen.answer = ag_ws_recv(ws, &message)) == 0) {
		cr_expect_eq(message.data[message.length], '\0');
		bytes_free(&seen.message);
		bytes_add(&seen.message, message.data, message.length);
		ag_ws_send(ws, message.kind, message.data, message.length);
	}
	seen.code = ag_ws_code(ws);
	return ag_ws_status(req);
}

static void begin(const char *uri, const char *offer)
{
	memset(&seen, 0, sizeof seen);
	loopback_open(&loop);
	ag_route(loop.app, NULL, "/*path", serve);
	loopback_request(&loop,
	        PAIRS({ "REQUEST_METHOD", "GET" }, { "REQUEST_URI", uri },
	                { "HTTP_UPGRADE", "websocket" }, { "HTTP_CONNECTION", "upgrade" },
	                { "HTTP_SEC_WEBSOCKET_VERSION", "13" }, { "HTTP_SEC_WEBSOCKET_KEY", KEY },
	                { "HTTP_SEC_WEBSOCKET_EXTENSIONS", offer }),
	        NULL);
	cr_assert_eq(loop.status, 101);
}

static void finish(void)
{
	if (!loop.finished)
		loopback_gone(&loop, true);
	bytes_free(&seen.message);
	loopback_close(&loop);
}

/* ---- the agreement ---- */

#define AGREED "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
#define OFFER  "permessage-deflate"

static const struct {
	const char *offer, *answer; /* NULL: declined */
} offers[] = {
	{ OFFER, AGREED },
	{ "Permessage-Deflate", AGREED },
	{ OFFER "; client_max_window_bits", AGREED },
	{ OFFER "; client_max_window_bits=8", AGREED },
	{ OFFER ";server_no_context_takeover ; client_no_context_takeover", AGREED },
	{ OFFER "; server_max_window_bits=15", AGREED },
	{ OFFER "; server_max_window_bits=10", AGREED "; server_max_window_bits=10" },
	{ OFFER "; server_max_window_bits=\"9\"", AGREED "; server_max_window_bits=9" },
	{ OFFER "; server_max_window_bits=8, " OFFER, AGREED },
	{ "x-webkit-deflate-frame, " OFFER "; client_max_window_bits", AGREED },
	{ "foo; bar=\"baz\", " OFFER, AGREED },
	{ " , ," OFFER " ,", AGREED },
	{ OFFER "; unknown, " OFFER "; server_max_window_bits=12",
	        AGREED "; server_max_window_bits=12" },
	{ "", NULL },
	{ "permessage-bzip2", NULL },
	{ OFFER "; server_max_window_bits=8", NULL },
	{ OFFER "; server_max_window_bits", NULL },
	{ OFFER "; server_max_window_bits=16", NULL },
	{ OFFER "; server_max_window_bits=7", NULL },
	{ OFFER "; server_max_window_bits=010", NULL },
	{ OFFER "; server_max_window_bits=+9", NULL },
	{ OFFER "; client_max_window_bits=7", NULL },
	{ OFFER "; client_no_context_takeover=1", NULL },
	{ OFFER "; server_no_context_takeover; server_no_context_takeover", NULL },
	{ OFFER "; client_max_window_bits=9; client_max_window_bits=9", NULL },
	{ OFFER "; deflate", NULL },
	/* what is no list at all */
	{ OFFER ";", NULL },
	{ OFFER " x", NULL },
	{ OFFER "; server_max_window_bits=", NULL },
	{ OFFER "; server_max_window_bits=\"9", NULL },
	{ OFFER "; server_max_window_bits=\"\"", NULL },
	{ "; ;", NULL },
	{ "\"", NULL },
};

Test(websocket_deflate, offers)
{
	for (size_t i = 0; i < COUNT(offers); i++) {
		begin("/", offers[i].offer);
		const char *answer = loopback_field(&loop, "Sec-WebSocket-Extensions");

		cr_expect_str_eq(answer ? answer : "(none)",
		        offers[i].answer ? offers[i].answer : "(none)", "%s: %s", offers[i].offer,
		        answer);
		finish();
	}
	begin("/plain", OFFER);
	cr_expect_null(loopback_field(&loop, "Sec-WebSocket-Extensions"));
	finish();
}

/* ---- frames ---- */

#define FRAME(first, length, text) first length "\0\0\0\0" text
#define BYTES(text)                text, sizeof(text) - 1
#define BAD                        BYTES("\x88\x02\x03\xea")
#define NO_TEXT                    BYTES("\x88\x02\x03\xef")
#define HELLO                      BYTES("\x81\x05Hello")

/* The first five are RFC 7692's (7.2.3). */
static const struct {
	const char *name, *bytes;
	size_t length;
	const char *sent;
	size_t sent_length;
} frames[] = {
	{ "one block", BYTES(FRAME("\xc1", "\x87", "\xf2\x48\xcd\xc9\xc9\x07\x00")), HELLO },
	{ "two frames",
	        BYTES(FRAME("\x41", "\x83", "\xf2\x48\xcd")
	                        FRAME("\x80", "\x84", "\xc9\xc9\x07\x00")),
	        HELLO },
	{ "not compressed",
	        BYTES(FRAME("\xc1", "\x8b", "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")),
	        HELLO },
	{ "a last block", BYTES(FRAME("\xc1", "\x88", "\xf3\x48\xcd\xc9\xc9\x07\x00\x00")), HELLO },
	{ "two blocks",
	        BYTES(FRAME(
	                "\xc1", "\x8d", "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")),
	        HELLO },
	{ "a last block, then one that looks back",
	        BYTES(FRAME("\xc1", "\x8c", "\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00")),
	        BYTES("\x81\x0aHelloHello") },
	{ "empty", BYTES(FRAME("\xc1", "\x81", "\x00")), BYTES("\x81\x00") },
	{ "one that is not packed", BYTES(FRAME("\x81", "\x85", "Hello")), HELLO },
	{ "a ping within",
	        BYTES(FRAME("\x41", "\x83", "\xf2\x48\xcd") FRAME("\x89", "\x81", "p")
	                        FRAME("\x80", "\x84", "\xc9\xc9\x07\x00")),
	        BYTES("\x8a\x01p\x81\x05Hello") },
	{ "RSV1 on a continuation",
	        BYTES(FRAME("\x41", "\x83", "\xf2\x48\xcd")
	                        FRAME("\xc0", "\x84", "\xc9\xc9\x07\x00")),
	        BAD },
	{ "RSV1 on a ping", BYTES(FRAME("\xc9", "\x80", "")), BAD },
	{ "RSV1 on a close", BYTES(FRAME("\xc8", "\x80", "")), BAD },
	{ "RSV2", BYTES(FRAME("\xa1", "\x80", "")), BAD },
	{ "RSV1 and RSV3", BYTES(FRAME("\xd1", "\x81", "\x00")), BAD },
	{ "a reserved block", BYTES(FRAME("\xc1", "\x81", "\x06")), NO_TEXT },
	{ "nothing", BYTES(FRAME("\xc1", "\x80", "")), NO_TEXT },
	{ "cut in a block", BYTES(FRAME("\xc1", "\x83", "\xf2\x48\xcd")), NO_TEXT },
	{ "cut in a last block", BYTES(FRAME("\xc1", "\x83", "\xf3\x48\xcd")), NO_TEXT },
	{ "looks too far back", BYTES(FRAME("\xc1", "\x85", "\xf2\x00\x11\x00\x00")), NO_TEXT },
	{ "no UTF-8", BYTES(FRAME("\xc1", "\x87", "\x00\x01\x00\xfe\xff\xff\x00")), NO_TEXT },
};

static void check_frames(size_t row, size_t piece)
{
	const char *name = frames[row].name;

	begin("/", OFFER);
	for (size_t at = 0; at < frames[row].length && !loop.finished; at += piece) {
		size_t left = frames[row].length - at;

		loopback_body(&loop, frames[row].bytes + at, left < piece ? left : piece);
	}
	cr_assert_eq(
	        loop.body.length, frames[row].sent_length, "%s: %zu bytes", name, loop.body.length);
	cr_expect_eq(
	        memcmp(loop.body.data, frames[row].sent, frames[row].sent_length), 0, "%s", name);
	cr_expect_eq(loop.finished, frames[row].sent[0] == '\x88', "%s", name);
	finish();
}

Test(websocket_deflate, frames)
{
	for (size_t i = 0; i < COUNT(frames); i++) {
		check_frames(i, frames[i].length);
		check_frames(i, 1);
	}
}

/* ---- whole messages ---- */

/* A frame with this payload packed; RFC 7692 7.2.1. */
static void send_packed(const void *data, size_t length)
{
	size_t size = deflateBound(NULL, length) + 64, made;
	uint8_t *out = malloc(size);
	z_stream stream = { .next_in = (uint8_t *)data,
		.avail_in = (unsigned)length,
		.next_out = out,
		.avail_out = (unsigned)size };

	cr_assert_eq(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
	cr_assert_eq(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
	made = stream.total_out - 4;
	deflateEnd(&stream);
	const uint8_t head[] = { 0xc2, 0xff, 0, 0, 0, 0, (uint8_t)(made >> 24),
		(uint8_t)(made >> 16), (uint8_t)(made >> 8), (uint8_t)made, 0, 0, 0, 0 };
	const uint8_t short_head[] = { 0xc2, (uint8_t)(0x80 | made), 0, 0, 0, 0 };
	const uint8_t middle_head[] = { 0xc2, 0xfe, (uint8_t)(made >> 8), (uint8_t)made, 0, 0, 0,
		0 };

	if (made < 126)
		loopback_body(&loop, short_head, sizeof short_head);
	else if (made < 65536)
		loopback_body(&loop, middle_head, sizeof middle_head);
	else
		loopback_body(&loop, head, sizeof head);
	loopback_body(&loop, out, made);
	free(out);
}

/* The answer's payload, inflated with a window of so many bits. */
static void check_answer(const char *data, size_t length, int window)
{
	const uint8_t *at = (const uint8_t *)loop.body.data;
	size_t head = at[1] < 126 ? 2 : at[1] == 126 ? 4 : 10, payload = loop.body.length - head;
	char *out = malloc(length + 1);
	uint8_t *in = malloc(payload + 4);
	z_stream stream = { .next_in = in,
		.avail_in = (unsigned)payload + 4,
		.next_out = (uint8_t *)out,
		.avail_out = (unsigned)length + 1 };

	cr_expect_eq(at[0], 0xc2);
	memcpy(in, at + head, payload);
	memcpy(in + payload, "\0\0\xff\xff", 4);
	cr_assert_eq(inflateInit2(&stream, -window), Z_OK);
	cr_expect_eq(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
	cr_expect(!stream.avail_in && stream.total_out == length, "%zu of %zu bytes",
	        (size_t)stream.total_out, length);
	cr_expect_eq(memcmp(out, data, length), 0);
	inflateEnd(&stream);
	free(out);
	free(in);
}

static const struct {
	size_t length;
	bool packed; /* comes back so */
} lengths[] = { { 0, false }, { 127, false }, { 128, true }, { 513, true }, { 40000, true },
	{ MAX, true } };

Test(websocket_deflate, messages)
{
	static const int windows[] = { 9, 12, 15 };
	char *data = malloc(MAX), offer[64];

	for (size_t i = 0; i < MAX; i++)
		data[i] = "0123456789abcdef"[i * i % 97 % 16];
	for (size_t i = 0; i < COUNT(lengths) * COUNT(windows); i++) {
		size_t length = lengths[i / COUNT(windows)].length;
		int window = windows[i % COUNT(windows)];

		snprintf(offer, sizeof offer, OFFER "; server_max_window_bits=%d", window);
		begin("/", offer);
		send_packed(data, length);
		cr_assert_eq(seen.message.length, length, "%zu: %zu", length, seen.message.length);
		cr_expect(!length || memcmp(seen.message.data, data, length) == 0);
		if (lengths[i / COUNT(windows)].packed)
			check_answer(data, length, window);
		else
			cr_expect_eq((uint8_t)loop.body.data[0], 0x82, "%zu", length);
		finish();
	}
	free(data);
}

/* What can't be made shorter goes as it is, and comes a little longer than message_max. */
Test(websocket_deflate, noise)
{
	char *noise = support_noise(MAX);

	begin("/", OFFER);
	send_packed(noise, MAX);
	cr_assert_eq(seen.message.length, MAX);
	cr_expect_eq(memcmp(seen.message.data, noise, MAX), 0);
	cr_expect_eq((uint8_t)loop.body.data[0], 0x82);
	cr_expect_eq(loop.body.length, 10 + MAX);
	finish();
	free(noise);
}

/* 100 KB that stand for 100 MB: no more than message_max of it is made. */
Test(websocket_deflate, bombs)
{
	static const size_t bombs[] = { MAX + 1, 100000000 };

	for (size_t i = 0; i < COUNT(bombs); i++) {
		char *zeros = calloc(1, bombs[i]);

		begin("/", OFFER);
		send_packed(zeros, bombs[i]);
		free(zeros);
		cr_expect(loop.finished);
		cr_expect_eq(seen.answer, AG_REFUSED);
		cr_expect_eq(seen.code, 1009);
		finish();
	}
}
