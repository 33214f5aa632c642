/*
 * A WebSocket without a socket: the handshake, or what frames lead to in a handler that echoes.
 *
 * The input: "h", then a line for each variable that is not as it should be, its letter (see below)
 * and its value. Or "p" (plain) or "d" (with permessage-deflate), a capital one for a client that
 * is slow, a byte that says in which pieces the frames come, and the frames.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../../app/async/async.h"
#include "../../app/request.h"
#include "../../app/router.h"
#include "../../app/text.h"
#include "../../protocols/cgi.h"
#include "oracle.h"

#define MAX 4096 /* bytes of a message */

static const struct limits limits = {
	.header_size = 65536, .variables = 64, .body_size = 50 << 20, .body_memory = 65536
};

struct buffer {
	uint8_t *data;
	size_t length, size;
};

/* One delivery and what came of it. */
struct run {
	struct buffer in;  /* messages that the handler got: kind, length, text */
	struct buffer out; /* what was sent behind the head */
	int status, answer;
	unsigned code;
	bool packs; /* the head says so */
	bool slow, finished;
};

static struct run *current;

static void add(struct buffer *buffer, const void *data, size_t length)
{
	if (buffer->length + length > buffer->size) {
		buffer->size = 2 * (buffer->length + length);
		buffer->data = realloc(buffer->data, buffer->size);
		FUZZ_CHECK(buffer->data, "no memory");
	}
	if (length)
		memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
}

static bool is_text(const uint8_t *data, size_t length)
{
	while (length) {
		size_t step = *data < 0x80 ? 1 : text_utf8_length(data, length);

		if (!step)
			return false;
		data += step;
		length -= step;
	}
	return true;
}

/* ---- the gate ---- */

static void look_at_head(const struct head *head)
{
	static const char agreed[] = "Sec-WebSocket-Extensions: permessage-deflate; "
	                             "server_no_context_takeover; client_no_context_takeover";
	const char *extensions = memmem(
	        head->fields, head->fields_length, "Sec-WebSocket-Extensions", 24);

	current->status = head->status;
	current->packs = extensions;
	FUZZ_CHECK(!extensions || strncmp(extensions, agreed, sizeof agreed - 1) == 0, "agreed");
	FUZZ_CHECK(!extensions || head->status == 101, "an extension of nothing");
}

static int gate_send(
        struct ag_request *req, const struct head *head, const void *body, size_t size, bool end)
{
	(void)req;
	if (head)
		look_at_head(head);
	if (current->status == 101)
		add(&current->out, body, size);
	return current->slow && !end;
}

static void gate_waits(struct ag_request *req)
{
	(void)req;
}

static void gate_finished(struct ag_request *req)
{
	current->finished = true;
	request_free(req);
}

static void gate_log(struct ag_request *req, const char *line)
{
	(void)req, (void)line;
}

static bool gate_upgrade(struct ag_request *req)
{
	(void)req;
	return true;
}

static const struct gate gate = { "fuzz", gate_send, gate_waits, gate_finished, gate_log,
	gate_upgrade };

/* ---- the application ---- */

static int echo(struct ag_request *req)
{
	static const char *const spoken[] = { "chat", NULL };
	struct ag_ws *ws = ag_ws_accept(req,
	        &(struct ag_ws_options){
	                .subprotocols = spoken, .message_max = MAX, .ping_interval = AG_FOREVER });
	struct ag_ws_message message;

	while ((current->answer = ag_ws_recv(ws, &message)) == 0) {
		FUZZ_CHECK(message.length <= MAX, "longer than message_max");
		FUZZ_CHECK(message.data[message.length] == '\0', "no NUL behind it");
		FUZZ_CHECK(message.kind != AG_WS_TEXT ||
		                   is_text((const uint8_t *)message.data, message.length),
		        "text that is none");
		add(&current->in, &(uint8_t){ (uint8_t)message.kind }, 1);
		add(&current->in, &message.length, sizeof message.length);
		add(&current->in, message.data, message.length);
		ag_ws_send(ws, message.kind, message.data, message.length);
	}
	current->code = ag_ws_code(ws);
	return ag_ws_status(req);
}

static struct runtime *worker(void)
{
	static struct ag_app *app;
	static struct host host = { &app, 1 };
	static struct runtime runtime;

	if (!app) {
		app = app_new("main", "/", NULL);
		ag_route(app, NULL, "/*path", echo);
		runtime = (struct runtime){
			.base = event_base_new(), .limits = &limits, .host = &host, .worker = 1
		};
		FUZZ_CHECK(runtime.base && async_start(&runtime), "no loop");
		task_pool_init(&runtime.tasks, 256 * 1024);
	}
	return &runtime;
}

/* ---- the request ---- */

static struct variable {
	char letter;
	const char *name, *good;
} const variables[] = {
	{ 'm', "REQUEST_METHOD", "GET" },
	{ 'u', "REQUEST_URI", "/" },
	{ 's', "SERVER_PROTOCOL", "HTTP/1.1" },
	{ 'h', "HTTP_HOST", "a.test" },
	{ 'U', "HTTP_UPGRADE", "websocket" },
	{ 'C', "HTTP_CONNECTION", "Upgrade" },
	{ 'V', "HTTP_SEC_WEBSOCKET_VERSION", "13" },
	{ 'K', "HTTP_SEC_WEBSOCKET_KEY", "dGhlIHNhbXBsZSBub25jZQ==" },
	{ 'O', "HTTP_ORIGIN", NULL },
	{ 'P', "HTTP_SEC_WEBSOCKET_PROTOCOL", NULL },
	{ 'E', "HTTP_SEC_WEBSOCKET_EXTENSIONS", NULL },
};

static struct span text_span(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

/* The last line with this letter, or what is good; false: none. */
static bool find_value(const struct variable *variable, struct span lines, struct span *value)
{
	bool found = variable->good;

	if (found)
		*value = text_span(variable->good);
	while (lines.length) {
		const uint8_t *end = memchr(lines.data, '\n', lines.length);
		size_t length = end ? (size_t)(end - lines.data) : lines.length;

		if (length && lines.data[0] == (uint8_t)variable->letter) {
			*value = (struct span){ lines.data + 1, length - 1 };
			found = true;
		}
		length += end != NULL;
		lines = (struct span){ lines.data + length, lines.length - length };
	}
	return found;
}

static struct verdict take_variables(struct env *env, struct span lines)
{
	struct verdict verdict = { 0, NULL };

	for (size_t i = 0; i < sizeof variables / sizeof *variables && !verdict.status; i++) {
		struct wire_event event = { .kind = EVENT_VARIABLES, .count = 1 };

		if (!find_value(&variables[i], lines, &event.pairs[0].value))
			continue;
		event.pairs[0].name = text_span(variables[i].name);
		event.pairs[0].id = env_lookup(variables[i].name, strlen(variables[i].name));
		verdict = cgi_take(env, &event);
	}
	return verdict.status ? verdict : cgi_check(env, &limits);
}

/* The handler runs, or has already ended; NULL: no request came of it. */
static struct ag_request *ask(struct run *run, struct span lines)
{
	struct ag_request *req = request_new(worker(), &gate, NULL, 1);

	FUZZ_CHECK(req, "no memory");
	current = run;
	run->answer = 1;
	if (take_variables(&req->env, lines).status || request_head(req)) {
		request_free(req);
		return NULL;
	}
	request_body_end(req);
	request_start(req);
	return req;
}

/* The client goes, and the handler with it. */
static void end(struct run *run, struct ag_request *req)
{
	for (int i = 0; run->slow && !run->finished && i < 64; i++)
		request_room(req);
	if (!run->finished)
		request_gone(req, true);
	FUZZ_CHECK(run->finished, "the handler still waits");
	FUZZ_CHECK(run->status != 101 || run->answer < 0, "the handler has not been told");
}

static void give(struct run *run, struct ag_request *req, struct span bytes, size_t piece)
{
	for (size_t at = 0; at < bytes.length && !run->finished; at += piece) {
		size_t left = bytes.length - at;

		if (request_body(req, bytes.data + at, left < piece ? left : piece))
			break;
		request_body_wake(req);
		if (run->slow && !run->finished)
			request_room(req);
	}
	end(run, req);
}

/* ---- what was sent ---- */

/* A packed payload is put in `message`. */
static struct span unpack(struct span payload, uint8_t message[MAX + 64])
{
	static const uint8_t tail[] = { 0, 0, 0xff, 0xff };
	z_stream stream = { .next_in = (uint8_t *)payload.data,
		.avail_in = (unsigned)payload.length,
		.next_out = message,
		.avail_out = MAX + 64 };

	FUZZ_CHECK(inflateInit2(&stream, -15) == Z_OK, "no memory");
	FUZZ_CHECK(inflate(&stream, Z_SYNC_FLUSH) == Z_OK && !stream.avail_in, "badly packed");
	stream.next_in = (uint8_t *)tail;
	stream.avail_in = sizeof tail;
	inflate(&stream, Z_SYNC_FLUSH);
	FUZZ_CHECK(!stream.avail_in, "badly packed at its end");
	struct span whole = { message, stream.total_out };

	inflateEnd(&stream);
	FUZZ_CHECK(payload.length < whole.length, "packed for nothing");
	return whole;
}

/* The next of the messages that the handler got, which is this one. */
static void check_echo(struct span *in, uint8_t kind, struct span payload)
{
	size_t length;

	FUZZ_CHECK(in->length > sizeof length && in->data[0] == kind, "an answer to nothing");
	memcpy(&length, in->data + 1, sizeof length);
	*in = (struct span){ in->data + 1 + sizeof length, in->length - 1 - sizeof length };
	FUZZ_CHECK(length == payload.length, "an answer of another length");
	FUZZ_CHECK(!length || memcmp(in->data, payload.data, length) == 0, "another answer");
	*in = (struct span){ in->data + length, in->length - length };
}

static void check_control(const struct run *run, uint8_t opcode, struct span payload)
{
	FUZZ_CHECK(opcode == 8 || opcode == 10, "an opcode that we don't send");
	FUZZ_CHECK(payload.length < 126, "a long control frame");
	if (opcode == 10 || !payload.length)
		return;
	FUZZ_CHECK(payload.length == 2, "a close frame");
	FUZZ_CHECK((payload.data[0] << 8 | payload.data[1]) == (int)run->code, "a close code");
}

/* Header and payload of the frame at the front, which goes (RFC 6455 5.2). */
static struct span take_frame(struct span *out)
{
	uint64_t length = out->length > 1 ? out->data[1] : 0;
	size_t extended = length < 126 ? 0 : length == 126 ? 2 : 8;

	FUZZ_CHECK(out->length >= 2 + extended && length < 128, "half a header, or a mask");
	for (size_t i = 0, more = 0; i < extended; i++, length = more)
		more = more << 8 | out->data[2 + i];
	FUZZ_CHECK(!extended || length >= (extended == 2 ? 126 : 65536), "a long length");
	FUZZ_CHECK(out->length - 2 - extended >= length, "half a frame");
	struct span payload = { out->data + 2 + extended, (size_t)length };

	*out = (struct span){ payload.data + length, out->length - 2 - extended - (size_t)length };
	return payload;
}

static void check_sent(const struct run *run)
{
	struct span out = { run->out.data, run->out.length };
	struct span in = { run->in.data, run->in.length };
	uint8_t message[MAX + 64];
	bool closed = false;

	while (out.length) {
		uint8_t first = out.data[0], opcode = first & 15;
		struct span payload = take_frame(&out);
		bool packed = first & 0x40;

		FUZZ_CHECK(!closed, "something behind a close frame");
		FUZZ_CHECK((first & 0xb0) == 0x80, "a fragment, or reserved bits");
		FUZZ_CHECK(!packed || (run->packs && opcode < 3), "packed");
		if (opcode == 1 || opcode == 2)
			check_echo(&in, opcode, packed ? unpack(payload, message) : payload);
		else
			check_control(run, opcode, payload);
		closed = opcode == 8;
	}
	FUZZ_CHECK(!in.length || run->slow, "a message without an answer");
	FUZZ_CHECK(run->answer != AG_REFUSED || closed || run->slow, "refused, and not told");
}

static void forget(struct run *run)
{
	free(run->in.data);
	free(run->out.data);
	*run = (struct run){ 0 };
}

static bool same(const struct buffer *one, const struct buffer *other)
{
	return one->length == other->length &&
	       (!one->length || memcmp(one->data, other->data, one->length) == 0);
}

/* ---- both kinds of input ---- */

static void fuzz_handshake(struct span lines)
{
	struct run run = { 0 };
	struct ag_request *req = ask(&run, lines);

	if (!req)
		return;
	FUZZ_CHECK(run.finished || run.status == 101, "it waits for what?");
	end(&run, req);
	forget(&run);
}

static void fuzz_frames(struct span bytes, size_t piece, bool packs, bool slow)
{
	struct span offer = text_span(packs ? "Epermessage-deflate" : "");
	struct run whole = { .slow = slow }, parts = { .slow = slow };

	give(&parts, ask(&parts, offer), bytes, piece);
	check_sent(&parts);
	if (!slow) {
		give(&whole, ask(&whole, offer), bytes, bytes.length + 1);
		check_sent(&whole);
		FUZZ_CHECK(same(&whole.in, &parts.in), "other messages in pieces");
		FUZZ_CHECK(same(&whole.out, &parts.out), "other answers in pieces");
		FUZZ_CHECK(whole.answer == parts.answer && whole.code == parts.code, "the end");
	}
	forget(&whole);
	forget(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	if (data[0] == 'h')
		fuzz_handshake((struct span){ data + 1, size - 1 });
	else
		fuzz_frames((struct span){ data + 2, size - 2 }, data[1] ? data[1] : 1,
		        (data[0] | 0x20) == 'd', !(data[0] & 0x20));
	return 0;
}
