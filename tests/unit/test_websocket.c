/* WebSocket without a socket: the handshake, and what frames lead to. */
#include <string.h>

#include "tests/support/loopback.h"

SUITE(websocket);

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

/* What the application below has seen. */
static struct {
	int answer;
	unsigned code;
	struct bytes messages; /* "t:text|b:bytes|" */
} seen;

static const char *const subprotocols[] = { "v2.chat", "chat", NULL };
static const char *const origins[] = { "https://one.test", NULL }, *const any[] = { "*", NULL };

static int echo(struct ag_request *req, const struct ag_ws_options *options)
{
	struct ag_ws *ws = ag_ws_accept(req, options);
	struct ag_ws_message message;

	while ((seen.answer = ag_ws_recv(ws, &message)) == 0) {
		cr_expect_eq(strlen(message.data), message.length);
		bytes_printf(&seen.messages, "%c:%s|", message.kind == AG_WS_TEXT ? 't' : 'b',
		        message.data);
		ag_ws_send(ws, message.kind, message.data, message.length);
	}
	seen.code = ag_ws_code(ws);
	return ag_ws_status(req);
}

static int usual(struct ag_request *req)
{
	return echo(req, NULL);
}

static int chosen(struct ag_request *req)
{
	return echo(req, &(struct ag_ws_options){ .subprotocols = subprotocols,
	                         .origins = strcmp(ag_path(req), "/any") == 0 ? any : origins,
	                         .message_max = 10 });
}

static int restless(struct ag_request *req)
{
	return echo(req, &(struct ag_ws_options){ .ping_interval = 1 });
}

static int leaves(struct ag_request *req)
{
	struct ag_ws *ws = ag_ws_accept(req, NULL);

	cr_expect_eq(ag_ws_close(ws, 1005, NULL), AG_INVALID);
	cr_expect_eq(ag_ws_close(ws, 4000, "\xff"), AG_INVALID);
	cr_expect_eq(ag_ws_send(ws, AG_WS_TEXT, "\xc3", 1), AG_INVALID);
	cr_expect_eq(ag_ws_printf(ws, "%d", 42), 0);
	seen.answer = ag_ws_close(ws, 4000, "enough");
	cr_expect_eq(ag_ws_send(ws, AG_WS_TEXT, "x", 1), AG_GONE);
	return ag_ws_status(req);
}

static int tell(struct ag_request *req, void *ws)
{
	(void)req;
	return ag_ws_send(ws, AG_WS_TEXT, "news", 4);
}

static int both(struct ag_request *req)
{
	struct ag_ws *ws = ag_ws_accept(
	        req, &(struct ag_ws_options){ .ping_interval = AG_FOREVER });
	struct ag_ws_message message;

	cr_assert_not_null(ag_spawn(req, tell, ws));
	seen.answer = ag_ws_recv(ws, &message);
	cr_expect_eq(ag_ws_send(ws, AG_WS_TEXT, "x", 1), seen.answer);
	ag_join_all(req);
	return ag_ws_status(req);
}

static void begin(struct loopback *loop)
{
	memset(&seen, 0, sizeof seen);
	loopback_open(loop);
	ag_route(loop->app, NULL, "/", usual);
	ag_get(loop->app, "/chosen", chosen);
	ag_get(loop->app, "/any", chosen);
	ag_get(loop->app, "/restless", restless);
	ag_get(loop->app, "/leaves", leaves);
	ag_get(loop->app, "/both", both);
}

static void finish(struct loopback *loop)
{
	bytes_free(&seen.messages);
	loopback_close(loop);
}

/* ---- the handshake ---- */

static const struct {
	const char *name;
	const char *method, *uri;
	const char *upgrade, *connection, *version, *key, *origin, *protocols, *http;
	int status;
	const char *protocol; /* chosen */
} handshakes[] = {
#define GOOD "websocket", "Upgrade", "13", KEY
	{ "plain", "GET", "/", GOOD, NULL, NULL, NULL, 101, NULL },
	{ "other case", "GET", "/", "WebSocket", "keep-alive, upgrade", "13", KEY, NULL, NULL, NULL,
	        101, NULL },
	{ "one of several", "GET", "/", "h2c, websocket", "Upgrade", "13", KEY, NULL, NULL, NULL,
	        101, NULL },
	{ "POST", "POST", "/", GOOD, NULL, NULL, NULL, 400, NULL },
	{ "HTTP/1.0", "GET", "/", GOOD, NULL, NULL, "HTTP/1.0", 400, NULL },
	{ "no Upgrade", "GET", "/", NULL, "Upgrade", "13", KEY, NULL, NULL, NULL, 426, NULL },
	{ "Upgrade to h2c", "GET", "/", "h2c", "Upgrade", "13", KEY, NULL, NULL, NULL, 426, NULL },
	{ "not in Connection", "GET", "/", "websocket", "close", "13", KEY, NULL, NULL, NULL, 426,
	        NULL },
	{ "no version", "GET", "/", "websocket", "Upgrade", NULL, KEY, NULL, NULL, NULL, 426,
	        NULL },
	{ "version 8", "GET", "/", "websocket", "Upgrade", "8", KEY, NULL, NULL, NULL, 426, NULL },
	{ "no key", "GET", "/", "websocket", "Upgrade", "13", NULL, NULL, NULL, NULL, 400, NULL },
	{ "two keys", "GET", "/", "websocket", "Upgrade", "13", KEY ", " KEY, NULL, NULL, NULL, 400,
	        NULL },
	{ "15 bytes", "GET", "/", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25j", NULL, NULL,
	        NULL, 400, NULL },
	{ "17 bytes", "GET", "/", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZWU=", NULL,
	        NULL, NULL, 400, NULL },
	{ "bits behind the key", "GET", "/", "websocket", "Upgrade", "13",
	        "dGhlIHNhbXBsZSBub25jZR==", NULL, NULL, NULL, 400, NULL },
	{ "no base64", "GET", "/", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25j!Q==", NULL,
	        NULL, NULL, 400, NULL },
	{ "same origin", "GET", "/", GOOD, "http://a.test", NULL, NULL, 101, NULL },
	{ "same origin, TLS before us", "GET", "/", GOOD, "https://A.test", NULL, NULL, 101, NULL },
	{ "foreign origin", "GET", "/", GOOD, "http://b.test", NULL, NULL, 403, NULL },
	{ "longer origin", "GET", "/", GOOD, "http://a.test.evil.test", NULL, NULL, 403, NULL },
	{ "shorter origin", "GET", "/", GOOD, "http://a", NULL, NULL, 403, NULL },
	{ "other port", "GET", "/", GOOD, "http://a.test:81", NULL, NULL, 403, NULL },
	{ "null origin", "GET", "/", GOOD, "null", NULL, NULL, 403, NULL },
	{ "listed origin", "GET", "/chosen", GOOD, "https://one.test", NULL, NULL, 101, NULL },
	{ "own origin, not listed", "GET", "/chosen", GOOD, "http://a.test", NULL, NULL, 403,
	        NULL },
	{ "any origin", "GET", "/any", GOOD, "null", NULL, NULL, 101, NULL },
	{ "subprotocol", "GET", "/chosen", GOOD, NULL, "soap, chat", NULL, 101, "chat" },
	{ "the better one", "GET", "/chosen", GOOD, NULL, "chat, v2.chat", NULL, 101, "v2.chat" },
	{ "none in common", "GET", "/chosen", GOOD, NULL, "CHAT, cha, chats", NULL, 101, NULL },
	{ "not asked", "GET", "/", GOOD, NULL, "chat", NULL, 101, NULL },
};

static void ask(struct loopback *loop, size_t row)
{
	const char *fields[][2] = { { "REQUEST_METHOD", handshakes[row].method },
		{ "REQUEST_URI", handshakes[row].uri }, { "HTTP_HOST", "a.test" },
		{ "HTTP_UPGRADE", handshakes[row].upgrade },
		{ "HTTP_CONNECTION", handshakes[row].connection },
		{ "HTTP_SEC_WEBSOCKET_VERSION", handshakes[row].version },
		{ "HTTP_SEC_WEBSOCKET_KEY", handshakes[row].key },
		{ "HTTP_ORIGIN", handshakes[row].origin },
		{ "HTTP_SEC_WEBSOCKET_PROTOCOL", handshakes[row].protocols },
		{ "SERVER_PROTOCOL", handshakes[row].http } };
	struct pair_text pairs[COUNT(fields) + 1] = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < COUNT(fields); i++)
		if (fields[i][1])
			pairs[count++] = (struct pair_text){ fields[i][0], fields[i][1] };
	loopback_request(loop, pairs, NULL);
}

static void check_field(
        const struct loopback *loop, const char *row, const char *name, const char *wanted)
{
	const char *value = loopback_field(loop, name);

	if (wanted)
		cr_expect_str_eq(value ? value : "(none)", wanted, "%s: %s", row, name);
	else
		cr_expect_null(value, "%s: %s", row, name);
}

Test(websocket, handshake)
{
	for (size_t i = 0; i < COUNT(handshakes); i++) {
		const char *name = handshakes[i].name;
		bool accepted = handshakes[i].status == 101;
		struct loopback loop;

		begin(&loop);
		ask(&loop, i);
		cr_expect_eq(loop.status, handshakes[i].status, "%s: %d", name, loop.status);
		cr_expect_eq(loop.finished, !accepted, "%s", name);
		check_field(&loop, name, "Sec-WebSocket-Accept",
		        accepted ? "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" : NULL);
		check_field(&loop, name, "Sec-WebSocket-Protocol", handshakes[i].protocol);
		check_field(
		        &loop, name, "Content-Type", accepted ? NULL : "text/plain; charset=utf-8");
		check_field(&loop, name, "Sec-WebSocket-Version",
		        handshakes[i].status == 426 ? "13" : NULL);
		if (accepted)
			loopback_gone(&loop, true);
		else
			cr_expect_gt(loop.body.length, 0, "%s: says why", name);
		cr_expect_eq(seen.answer, AG_GONE, "%s", name);
		finish(&loop);
	}
}

/* Who may ask, where the page's port is not the usual one. */
static const struct {
	const char *origin, *host, *port;
	int status;
} ports[] = {
	{ "http://a.test:8080", "a.test:8080", "80", 101 },
	{ "http://a.test:8080", "a.test", "8080", 101 },
	{ "http://a.test:8081", "a.test", "8080", 403 },
	{ "http://a.test:8080", "a.test:8081", "8080", 403 },
	{ "http://a.test", "a.test:80", "8080", 101 },
	{ "https://a.test", "a.test:443", "80", 101 },
	{ "https://a.test", "a.test:80", "80", 403 },
	{ "http://[::1]:8080", "[::1]:8080", "80", 101 },
	{ "http://[::1]:8080", "[::1]", "8080", 101 },
	{ "http://[::1]", "[::1]", "8080", 101 },
	{ "http://[::2]", "[::1]", "8080", 403 },
	{ "http://a.test:", "a.test", "8080", 403 },
};

Test(websocket, ports)
{
	for (size_t i = 0; i < COUNT(ports); i++) {
		struct loopback loop;

		begin(&loop);
		loopback_request(&loop,
		        PAIRS({ "REQUEST_METHOD", "GET" }, { "REQUEST_URI", "/" },
		                { "HTTP_UPGRADE", "websocket" }, { "HTTP_CONNECTION", "upgrade" },
		                { "HTTP_SEC_WEBSOCKET_VERSION", "13" },
		                { "HTTP_SEC_WEBSOCKET_KEY", KEY }, { "HTTP_HOST", ports[i].host },
		                { "SERVER_PORT", ports[i].port },
		                { "HTTP_ORIGIN", ports[i].origin }),
		        NULL);
		cr_expect_eq(loop.status, ports[i].status, "%s, %s: %d", ports[i].origin,
		        ports[i].host, loop.status);
		if (!loop.finished)
			loopback_gone(&loop, true);
		finish(&loop);
	}
}

Test(websocket, fastcgi)
{
	struct loopback loop;

	begin(&loop);
	loop.old_gateway = true;
	ask(&loop, 0);
	cr_expect_eq(loop.status, 501);
	cr_expect_not_null(strstr(loop.body.data, "scgi_pass"));
	finish(&loop);
}

/* ---- frames ---- */

/* A frame whose mask is zero: opcode with FIN, and what follows the length. */
#define FRAME(first, length, text) first length "\0\0\0\0" text
#define GOODBYE                    "\x88\x80\0\0\0\0"

static const struct {
	const char *name;
	const char *bytes;
	size_t length;
	const char *messages;
	int answer;
	unsigned code;
	const char *sent; /* begins with this */
	size_t sent_length;
} frames[] = {
#define BYTES(text) text, sizeof(text) - 1
	{ "text", BYTES(FRAME("\x81", "\x82", "ab") GOODBYE), "t:ab|", AG_GONE, 1005,
	        BYTES("\x81\x02"
	              "ab\x88\x00") },
	{ "binary", BYTES(FRAME("\x82", "\x82", "\xff\xfe") GOODBYE), "b:\xff\xfe|", AG_GONE, 1005,
	        BYTES("\x82\x02\xff\xfe\x88\x00") },
	{ "masked", BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58" GOODBYE), "t:Hello|",
	        AG_GONE, 1005, BYTES("\x81\x05Hello\x88\x00") },
	{ "ping in fragments",
	        BYTES(FRAME("\x01", "\x81", "a") FRAME("\x89", "\x81", "p")
	                        FRAME("\x80", "\x81", "b") GOODBYE),
	        "t:ab|", AG_GONE, 1005,
	        BYTES("\x8a\x01p\x81\x02"
	              "ab\x88\x00") },
	{ "UTF-8 in fragments",
	        BYTES(FRAME("\x01", "\x82", "\xe2\x82") FRAME("\x80", "\x81", "\xac") GOODBYE),
	        "t:\xe2\x82\xac|", AG_GONE, 1005, BYTES("\x81\x03\xe2\x82\xac\x88\x00") },
	{ "close with a code", BYTES(FRAME("\x88", "\x84", "\x0f\xa0ok")), "", AG_GONE, 4000,
	        BYTES("\x88\x02\x0f\xa0") },
	{ "close with 1006", BYTES(FRAME("\x88", "\x82", "\x03\xee")), "", AG_REFUSED, 1002,
	        BYTES("\x88\x02\x03\xea") },
	{ "close with one byte", BYTES(FRAME("\x88", "\x81", "\x03")), "", AG_REFUSED, 1002,
	        BYTES("\x88\x02\x03\xea") },
	{ "close with a bad reason", BYTES(FRAME("\x88", "\x83", "\x03\xe8\xff")), "", AG_REFUSED,
	        1007, BYTES("\x88\x02\x03\xef") },
	{ "unmasked", BYTES("\x81\x01x"), "", AG_REFUSED, 1002, BYTES("\x88\x02\x03\xea") },
	{ "RSV1", BYTES(FRAME("\xc1", "\x81", "x")), "", AG_REFUSED, 1002,
	        BYTES("\x88\x02\x03\xea") },
	{ "RSV1 on a ping", BYTES(FRAME("\xc9", "\x80", "")), "", AG_REFUSED, 1002,
	        BYTES("\x88\x02\x03\xea") },
	{ "opcode 3", BYTES(FRAME("\x83", "\x80", "")), "", AG_REFUSED, 1002,
	        BYTES("\x88\x02\x03\xea") },
	{ "opcode 11", BYTES(FRAME("\x8b", "\x80", "")), "", AG_REFUSED, 1002,
	        BYTES("\x88\x02\x03\xea") },
	{ "ping of 126", BYTES(FRAME("\x89", "\xfe\0\x7e", "")), "", AG_REFUSED, 1002,
	        BYTES("\x88\x02\x03\xea") },
	{ "ping in pieces", BYTES(FRAME("\x09", "\x80", "")), "", AG_REFUSED, 1002,
	        BYTES("\x88\x02\x03\xea") },
	{ "nothing to continue", BYTES(FRAME("\x80", "\x80", "")), "", AG_REFUSED, 1002,
	        BYTES("\x88\x02\x03\xea") },
	{ "text in text", BYTES(FRAME("\x01", "\x81", "a") FRAME("\x81", "\x81", "b")), "",
	        AG_REFUSED, 1002, BYTES("\x88\x02\x03\xea") },
	{ "length not minimal", BYTES(FRAME("\x81", "\xfe\0\x01", "a")), "", AG_REFUSED, 1002,
	        BYTES("\x88\x02\x03\xea") },
	{ "top bit of the length", BYTES(FRAME("\x82", "\xff\x80\0\0\0\0\0\0\x01", "a")), "",
	        AG_REFUSED, 1002, BYTES("\x88\x02\x03\xea") },
	{ "huge", BYTES(FRAME("\x82", "\xff\0\0\x01\0\0\0\0\0", "a")), "", AG_REFUSED, 1009,
	        BYTES("\x88\x02\x03\xf1") },
	{ "no UTF-8", BYTES(FRAME("\x81", "\x82", "\xc0\xaf")), "", AG_REFUSED, 1007,
	        BYTES("\x88\x02\x03\xef") },
	{ "no UTF-8, the rest not there", BYTES(FRAME("\x01", "\xfe\x01\0", "ab\xff")), "",
	        AG_REFUSED, 1007, BYTES("\x88\x02\x03\xef") },
	{ "UTF-8 cut short", BYTES(FRAME("\x81", "\x82", "\xe2\x82")), "", AG_REFUSED, 1007,
	        BYTES("\x88\x02\x03\xef") },
	{ "surrogate", BYTES(FRAME("\x81", "\x83", "\xed\xa0\x80")), "", AG_REFUSED, 1007,
	        BYTES("\x88\x02\x03\xef") },
	{ "above U+10FFFF", BYTES(FRAME("\x81", "\x84", "\xf4\x90\x80\x80")), "", AG_REFUSED, 1007,
	        BYTES("\x88\x02\x03\xef") },
	{ "nothing behind close", BYTES(GOODBYE FRAME("\x81", "\x81", "a")), "", AG_GONE, 1005,
	        BYTES("\x88\x00") },
};

/* Plays a row in pieces of `piece` bytes. */
static void check_frames(size_t row, size_t piece)
{
	const char *name = frames[row].name;
	struct loopback loop;

	begin(&loop);
	ask(&loop, 0);
	for (size_t at = 0; at < frames[row].length && !loop.finished; at += piece) {
		size_t left = frames[row].length - at;

		loopback_body(&loop, frames[row].bytes + at, left < piece ? left : piece);
	}
	cr_assert(loop.finished, "%s, %zu at a time", name, piece);
	cr_expect_eq(seen.answer, frames[row].answer, "%s: %d", name, seen.answer);
	cr_expect_eq(seen.code, frames[row].code, "%s: %u", name, seen.code);
	cr_expect_str_eq(
	        seen.messages.data ? seen.messages.data : "", frames[row].messages, "%s", name);
	cr_expect_eq(loop.body.length, frames[row].sent_length, "%s", name);
	cr_expect_eq(
	        memcmp(loop.body.data, frames[row].sent, frames[row].sent_length), 0, "%s", name);
	cr_expect(loop.ended && !loop.cut_short, "%s", name);
	finish(&loop);
}

Test(websocket, frames)
{
	for (size_t i = 0; i < COUNT(frames); i++) {
		check_frames(i, frames[i].length);
		check_frames(i, 1);
		check_frames(i, 3);
	}
}

static void open_at(struct loopback *loop, const char *uri)
{
	begin(loop);
	loopback_request(loop,
	        PAIRS({ "REQUEST_METHOD", "GET" }, { "REQUEST_URI", uri },
	                { "HTTP_UPGRADE", "websocket" }, { "HTTP_CONNECTION", "upgrade" },
	                { "HTTP_SEC_WEBSOCKET_VERSION", "13" }, { "HTTP_SEC_WEBSOCKET_KEY", KEY }),
	        NULL);
	cr_assert_eq(loop->status, 101);
}

static void check_sent(const struct loopback *loop, const char *wanted, size_t length)
{
	cr_assert_eq(loop->body.length, length, "%zu bytes", loop->body.length);
	cr_expect_arr_eq(loop->body.data, wanted, length);
}

/* message_max is the sum of the fragments, and its last byte still fits. */
Test(websocket, message_max)
{
	static const char fits[] = FRAME("\x02", "\x89", "123456789") FRAME("\x80", "\x81", "0");
	static const char over[] = FRAME("\x02", "\x89", "123456789") FRAME("\x80", "\x82", "01");
	struct loopback loop;

	open_at(&loop, "/chosen");
	loopback_body(&loop, fits, sizeof fits - 1);
	cr_expect_str_eq(seen.messages.data, "b:1234567890|");
	loopback_body(&loop, over, sizeof over - 1);
	cr_expect(loop.finished);
	cr_expect_eq(seen.code, 1009);
	finish(&loop);
}

/* A body's limit is none of a WebSocket's, nor does it go to disk. */
Test(websocket, no_body_limits)
{
	static const char frame[] = FRAME("\x82", "\x84", "1234");
	struct loopback loop;

	begin(&loop);
	loop.limits.body_size = 16;
	loop.limits.body_memory = 4;
	ask(&loop, 0);
	for (unsigned i = 0; i < 20; i++)
		loopback_body(&loop, frame, sizeof frame - 1);
	cr_expect_eq(loop.body.length, 20 * 6);
	loopback_gone(&loop, false);
	cr_expect_eq(seen.answer, AG_GONE);
	finish(&loop);
}

Test(websocket, silent_client)
{
	struct loopback loop;

	open_at(&loop, "/restless");
	loopback_run(&loop);
	cr_expect(loop.finished);
	cr_expect_eq(seen.answer, AG_TIMEOUT);
	check_sent(&loop, "\x89\x00", 2);
	finish(&loop);
}

Test(websocket, worker_ends)
{
	struct loopback loop;

	open_at(&loop, "/");
	request_leave(loop.req);
	cr_expect(loop.finished);
	cr_expect_eq(seen.code, 1001);
	check_sent(&loop, "\x88\x02\x03\xe9", 4);
	finish(&loop);
}

/* What the client still says is passed over until it closes too. */
Test(websocket, close)
{
	static const char rest[] = FRAME("\x81", "\x81", "a") FRAME("\x88", "\x82", "\x0f\xa0");
	struct loopback loop;

	open_at(&loop, "/leaves");
	cr_expect_not(loop.finished);
	loopback_body(&loop, rest, sizeof rest - 1);
	cr_expect(loop.finished);
	cr_expect_eq(seen.answer, 0);
	check_sent(&loop,
	        "\x81\x02"
	        "42\x88\x08\x0f\xa0"
	        "enough",
	        14);
	finish(&loop);
}

/* One task sends, another receives: what is to be answered waits until the message is sent. */
Test(websocket, two_tasks)
{
	static const char bad[] = FRAME("\x89", "\x81", "p") FRAME("\x83", "\x80", "");
	static const char sent[] = "\x81\x04news\x8a\x01p\x88\x02\x03\xea";
	struct loopback loop;

	open_at(&loop, "/both");
	loop.slow = true;
	loopback_run(&loop);
	check_sent(&loop, sent, 6);
	loopback_body(&loop, bad, sizeof bad - 1);
	check_sent(&loop, sent, 6);
	for (unsigned i = 0; i < 8 && !loop.finished; i++) {
		loopback_room(&loop);
		loopback_run(&loop);
	}
	cr_assert(loop.finished);
	cr_expect_eq(seen.answer, AG_REFUSED);
	check_sent(&loop, sent, sizeof sent - 1);
	finish(&loop);
}
