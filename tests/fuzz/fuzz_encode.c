/*
 * Answers written by each protocol, in parts and at once, read back by a reader of its own that
 * knows nothing of the encoders: the same status, fields and body, and no byte more.
 *
 * The input: how (ORed bits below), a status, fields, pieces of a body.
 */
#include <fastcgi.h>
#include <stdio.h>
#include <stdlib.h>

#include "oracle.h"

#define TEXT_MAX 16384
#define WIRE_MAX (2 * TEXT_MAX + 8192)
#define PIECES   16

enum how {
	HOW_UNKNOWN = 1, /* the length is not told */
	HOW_OLD = 2,     /* HTTP/1.0 */
	HOW_ALIVE = 4,   /* Connection: keep-alive */
	HOW_CLOSE = 8,
	HOW_DATE = 16,
	HOW_BODILESS = 32,
};

struct text {
	uint8_t data[TEXT_MAX];
	size_t length;
};

/* What was said, or what was read. */
struct message {
	int status;
	struct text fields, body;
};

struct wire {
	uint8_t data[WIRE_MAX];
	size_t length;
};

static uint8_t next(struct span *in)
{
	return in->length ? *span_take(in, 1) : 0;
}

static void add(struct text *text, const void *data, size_t length)
{
	FUZZ_CHECK(length <= TEXT_MAX - text->length, "more than was put in");
	if (length)
		memcpy(text->data + text->length, data, length);
	text->length += length;
}

/* ---- the readers ---- */

/* The bytes before the next CRLF, which is taken too. */
static struct span read_line(struct span *in)
{
	for (size_t i = 0; i + 1 < in->length; i++)
		if (in->data[i] == '\r' && in->data[i + 1] == '\n') {
			struct span line = { span_take(in, i + 2), i };

			return line;
		}
	FUZZ_CHECK(false, "a line without its end");
	return *in;
}

static bool begins(struct span text, const char *with)
{
	return text.length >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

/* What the head says beside the application's fields. */
struct framing {
	int64_t length; /* -1: none */
	bool chunked, close, keep, date;
};

/* Head: a status line that begins with `first`, fields, an empty line. */
static struct framing read_head(struct span *in, const char *first, struct message *message)
{
	struct framing framing = { .length = -1 };
	struct span line = read_line(in);
	char digits[24];

	FUZZ_CHECK(begins(line, first) && line.length >= strlen(first) + 4, "status line");
	memcpy(digits, line.data + strlen(first), 4);
	FUZZ_CHECK(digits[3] == ' ', "status line");
	message->status = atoi(digits);
	while ((line = read_line(in)).length) {
		if (begins(line, "X-")) {
			add(&message->fields, line.data, line.length + 2);
		} else if (begins(line, "Content-Length: ") && line.length < 16 + sizeof digits) {
			FUZZ_CHECK(framing.length < 0, "two lengths");
			snprintf(digits, sizeof digits, "%.*s", (int)line.length - 16,
			        (const char *)line.data + 16);
			framing.length = atoll(digits);
		} else if (span_is(line, "Transfer-Encoding: chunked")) {
			framing.chunked = true;
		} else if (span_is(line, "Connection: close")) {
			framing.close = true;
		} else if (span_is(line, "Connection: keep-alive")) {
			framing.keep = true;
		} else {
			FUZZ_CHECK(begins(line, "Date: "), "a field that nobody set");
			framing.date = true;
		}
	}
	return framing;
}

/* RFC 9112 7.1, without extensions and trailers. */
static void read_chunks(struct span *in, struct text *body)
{
	for (;;) {
		struct span line = read_line(in);
		size_t size = 0;

		FUZZ_CHECK(line.length > 0 && line.length < 8, "chunk size");
		for (size_t i = 0; i < line.length; i++) {
			const char *digits = "0123456789abcdef";
			const char *digit = memchr(digits, line.data[i], 16);

			FUZZ_CHECK(digit, "chunk size");
			size = size * 16 + (size_t)(digit - digits);
		}
		FUZZ_CHECK(size <= in->length, "a chunk longer than what came");
		if (size)
			add(body, span_take(in, size), size);
		FUZZ_CHECK(read_line(in).length == 0, "no CRLF behind a chunk");
		if (!size)
			return;
	}
}

static void read_http(struct span in, struct message *message, uint8_t how)
{
	struct framing framing = read_head(&in, "HTTP/1.1 ", message);
	bool never = message->status < 200 || message->status == 204 || message->status == 304;
	bool keeps = !(how & HOW_CLOSE) && (!(how & HOW_OLD) || how & HOW_ALIVE);

	FUZZ_CHECK(!framing.chunked || framing.length < 0, "two framings");
	FUZZ_CHECK(!framing.chunked || !(how & HOW_OLD), "chunks for HTTP/1.0");
	FUZZ_CHECK(!never || (framing.length < 0 && !framing.chunked), "framing of no body");
	FUZZ_CHECK(framing.date == !!(how & HOW_DATE), "Date");
	FUZZ_CHECK(!(framing.close && framing.keep), "closes and keeps");
	FUZZ_CHECK(message->status < 200 || framing.close || keeps, "a close that is not told");
	FUZZ_CHECK(framing.length >= 0 || framing.chunked || framing.close || never ||
	                   how & HOW_BODILESS,
	        "a body without an end");
	if (framing.chunked) {
		read_chunks(&in, &message->body);
		FUZZ_CHECK(!in.length, "bytes behind the last chunk");
	} else {
		add(&message->body, in.data, in.length);
	}
	FUZZ_CHECK(framing.length < 0 || how & HOW_BODILESS ||
	                   (size_t)framing.length == message->body.length,
	        "Content-Length");
}

/* SCGI and uwsgi: a head, then the body up to the end. */
static void read_plain(struct span in, const char *first, struct message *message)
{
	struct framing framing = read_head(&in, first, message);

	FUZZ_CHECK(!framing.chunked && !framing.close && !framing.keep && !framing.date,
	        "what is the gateway's to say");
	add(&message->body, in.data, in.length);
}

/* Where Status stands behind the other fields, puts it before them. */
static void put_status_first(struct text *text)
{
	static struct text whole;
	uint8_t *end = memmem(text->data, text->length, "\r\n\r\n", 4), *last = end;

	if (!end || memcmp(text->data, "Status: ", 8) == 0)
		return;
	while (last > text->data && last[-1] != '\n')
		last--;
	size_t fields = (size_t)(last - text->data), status = (size_t)(end + 2 - last);

	whole.length = 0;
	add(&whole, text->data, fields);
	memmove(text->data, last, status);
	memcpy(text->data + status, whole.data, fields);
}

/* The records of two requests (ids 1 and 2), each ended by an empty STDOUT and END_REQUEST. */
static void read_fastcgi(struct span in, struct message messages[2])
{
	static struct text out[2];
	bool closed[2] = { false, false }, ended[2] = { false, false };
	enum { LOG_NONE, LOG_LINES, LOG_CLOSED } log[2] = { LOG_NONE, LOG_NONE };

	out[0].length = out[1].length = 0;
	while (in.length) {
		FUZZ_CHECK(in.length >= 8, "half a header");
		const uint8_t *header = span_take(&in, 8);
		size_t content = (size_t)header[4] << 8 | header[5];
		unsigned at = (unsigned)(header[2] << 8 | header[3]) - 1;

		FUZZ_CHECK(header[0] == 1 && at < 2, "version or id");
		FUZZ_CHECK(content + header[6] <= in.length, "half a record");
		FUZZ_CHECK(!ended[at], "a record behind END_REQUEST");
		if (header[1] == FCGI_STDOUT) {
			FUZZ_CHECK(!closed[at], "STDOUT behind its end");
			closed[at] = content == 0;
			add(&out[at], in.data, content);
		} else if (header[1] == FCGI_STDERR) {
			FUZZ_CHECK(log[at] != LOG_CLOSED, "STDERR behind its end");
			FUZZ_CHECK(content || log[at] == LOG_LINES, "the end of no STDERR");
			FUZZ_CHECK(!content || in.data[content - 1] == '\n', "half a line");
			log[at] = content ? LOG_LINES : LOG_CLOSED;
		} else {
			FUZZ_CHECK(header[1] == FCGI_END_REQUEST && content == 8 && closed[at] &&
			                   log[at] != LOG_LINES,
			        "a record that may not come");
			for (size_t i = 0; i < 5; i++)
				FUZZ_CHECK(in.data[i] == 0, "application or protocol status");
			ended[at] = true;
		}
		span_take(&in, content + header[6]);
	}
	FUZZ_CHECK(ended[0] && ended[1], "no END_REQUEST");
	for (size_t i = 0; i < 2; i++) {
		put_status_first(&out[i]);
		read_plain((struct span){ out[i].data, out[i].length }, "Status: ", &messages[i]);
	}
}

/* ---- the answers ---- */

static void decode(const struct protocol *protocol, void *state, const void *bytes, size_t length)
{
	const struct limits limits = {
		.header_size = 65536, .variables = 256, .body_size = 1 << 20
	};
	struct span in = { bytes, length };
	struct wire_event event;
	enum decode_result result;

	while ((result = protocol->decode(state, &limits, &in, &event)) == DECODE_EVENT)
		;
	FUZZ_CHECK(result == DECODE_MORE && !in.length, "the request was not understood");
}

static void ask(const struct protocol *protocol, void *state, uint8_t how)
{
	static const char scgi[] = "24:CONTENT_LENGTH\0000\0SCGI\0001\0,";
	static const uint8_t fastcgi[] = { 1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 4, 0,
		1, 0, 0, 0, 0, 1, 1, 0, 2, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 4, 0, 2, 0, 0, 0,
		0 };
	char http[128];

	if (protocol == &protocol_fastcgi) {
		decode(protocol, state, fastcgi, sizeof fastcgi);
	} else if (protocol == &protocol_scgi) {
		decode(protocol, state, scgi, sizeof scgi - 1);
	} else if (protocol == &protocol_uwsgi) {
		decode(protocol, state, "\0\0\0\0", 4);
	} else {
		snprintf(http, sizeof http, "%s / HTTP/1.%d\r\nHost: a\r\nConnection: %s\r\n\r\n",
		        how & HOW_BODILESS ? "HEAD" : "GET", !(how & HOW_OLD),
		        how & HOW_ALIVE ? "keep-alive" : "x");
		decode(protocol, state, http, strlen(http));
	}
}

/* "X-abc: def" lines of what may stand in names and values. */
static void make_fields(struct span *in, struct text *fields)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz-_.!#$";

	fields->length = 0;
	for (unsigned count = next(in) & 15; count > 0; count--) {
		unsigned name = next(in) & 31, value;

		add(fields, "X-", 2);
		while (name-- > 0)
			add(fields, &letters[next(in) & 31], 1);
		add(fields, ": ", 2);
		for (value = next(in); value > 0; value--) {
			uint8_t byte = next(in);

			byte = byte < 0x20 || byte == 0x7f ? '\t' : byte;
			add(fields, &byte, 1);
		}
		add(fields, "\r\n", 2);
	}
}

struct body {
	struct span pieces[PIECES];
	size_t count;
	struct text all;
};

static void make_body(struct span *in, struct body *body)
{
	body->count = 0;
	body->all.length = 0;
	while (in->length && body->count < PIECES) {
		size_t length = next(in);

		length = length < in->length ? length : in->length;
		if (!length)
			continue; /* the contract has no empty pieces */
		body->pieces[body->count++] = (struct span){ in->data, length };
		add(&body->all, span_take(in, length), length);
	}
}

/* A head within what it may write. */
static void put_head(const struct protocol *protocol, void *state, uint16_t id,
        const struct reply *reply, struct wire *wire)
{
	uint8_t *room = malloc(PROTOCOL_HEAD_MAX + reply->fields.length);
	struct writer out = { room, room + PROTOCOL_HEAD_MAX + reply->fields.length, false };

	protocol->write(state, id, &(struct portion){ .reply = reply }, &out);
	FUZZ_CHECK(!out.overflow, "a head writes more than it may");
	memcpy(wire->data + wire->length, room, (size_t)(out.at - room));
	wire->length += (size_t)(out.at - room);
	free(room);
}

static void put(struct wire *wire, struct writer *out, const uint8_t *from)
{
	FUZZ_CHECK(!out->overflow, "a piece or an end writes more than it may");
	memcpy(wire->data + wire->length, from, (size_t)(out->at - from));
	wire->length += (size_t)(out->at - from);
}

static void put_piece(const struct protocol *protocol, void *state, uint16_t id, struct span piece,
        struct wire *wire)
{
	uint8_t *room = malloc(piece.length + PROTOCOL_FRAME_MAX);
	struct writer out = { room, room + piece.length + PROTOCOL_FRAME_MAX, false };

	protocol->write(state, id, &(struct portion){ .body = piece }, &out);
	put(wire, &out, room);
	free(room);
}

/* A line for the gateway's log, where the protocol can tell it. */
static void put_log(const struct protocol *protocol, void *state, uint16_t id, struct wire *wire)
{
	uint8_t room[3 + PROTOCOL_FRAME_MAX];
	struct writer out = { room, room + sizeof room, false };

	if (protocol->log)
		protocol->log(state, id, (struct span){ (const uint8_t *)"abc", 3 }, &out);
	put(wire, &out, room);
}

static void put_end(const struct protocol *protocol, void *state, uint16_t id, struct wire *wire)
{
	uint8_t room[PROTOCOL_FRAME_MAX];
	struct writer out = { room, room + sizeof room, false };

	protocol->write(state, id, &(struct portion){ .end = true }, &out);
	put(wire, &out, room);
}

/* The same answer on each id, piece after piece in turn. */
static void send(const struct protocol *protocol, uint8_t how, const struct reply *reply,
        const struct body *body, struct wire *wire)
{
	uint16_t ids = protocol->multiplexes ? 2 : 1;
	void *state = calloc(1, protocol->state_size);

	wire->length = 0;
	ask(protocol, state, how);
	for (uint16_t id = 1; id <= ids; id++)
		if (body->count & id)
			put_log(protocol, state, id, wire);
	for (uint16_t id = 1; id <= ids; id++)
		put_head(protocol, state, id, reply, wire);
	for (size_t i = 0; i < body->count && !reply->bodiless; i++)
		for (uint16_t id = 1; id <= ids; id++)
			put_piece(protocol, state, id, body->pieces[i], wire);
	for (uint16_t id = 1; id <= ids; id++)
		put_end(protocol, state, id, wire);
	free(state);
}

/* The same in one go, where the body is one piece, comes to the same bytes. */
static void check_whole(const struct protocol *protocol, uint8_t how, const struct reply *reply,
        const struct body *body, const struct wire *wire)
{
	struct portion whole = { .reply = reply, .end = true };
	size_t most = PROTOCOL_HEAD_MAX + reply->fields.length + body->all.length;
	void *state = calloc(1, protocol->state_size);
	uint8_t *room = malloc(most);
	struct writer out = { room, room + most, false };

	if (body->count && !reply->bodiless)
		whole.body = body->pieces[0];
	ask(protocol, state, how);
	protocol->write(state, 1, &whole, &out);
	FUZZ_CHECK(!out.overflow, "an answer writes more than it may");
	FUZZ_CHECK((size_t)(out.at - room) == wire->length &&
	                   memcmp(room, wire->data, wire->length) == 0,
	        "an answer is not its parts");
	free(room);
	free(state);
}

static void compare(
        const struct message *message, const struct reply *reply, const struct text *body)
{
	size_t length = reply->bodiless ? 0 : body->length;

	FUZZ_CHECK(message->status == reply->status, "status");
	FUZZ_CHECK(
	        message->fields.length == reply->fields.length &&
	                memcmp(message->fields.data, reply->fields.data, reply->fields.length) == 0,
	        "fields");
	FUZZ_CHECK(message->body.length == length &&
	                   memcmp(message->body.data, body->data, length) == 0,
	        "body");
}

static void check(const struct protocol *protocol, uint8_t how, const struct reply *reply,
        const struct body *body)
{
	static struct message messages[2];
	static struct wire wire;

	for (size_t i = 0; i < 2; i++)
		messages[i].fields.length = messages[i].body.length = 0;
	send(protocol, how, reply, body, &wire);
	if (!protocol->multiplexes && body->count < 2)
		check_whole(protocol, how, reply, body, &wire);
	struct span in = { wire.data, wire.length };

	if (protocol == &protocol_fastcgi)
		read_fastcgi(in, messages);
	else if (protocol == &protocol_http)
		read_http(in, messages, how);
	else
		read_plain(in, protocol == &protocol_scgi ? "Status: " : "HTTP/1.1 ", messages);
	compare(&messages[0], reply, &body->all);
	if (protocol->multiplexes)
		compare(&messages[1], reply, &body->all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";
	static struct text fields;
	static struct body body;
	struct span in = { data, size };
	uint8_t how = next(&in);
	int status = 200 + next(&in) * 2 % 400;

	if (size > TEXT_MAX / 2)
		return 0;
	if (status == 204 || status == 304)
		how |= HOW_BODILESS;
	make_fields(&in, &fields);
	make_body(&in, &body);
	for (size_t i = 0; protocols[i]; i++) {
		bool http = protocols[i] == &protocol_http;
		struct reply reply = { .status = status,
			.fields = { fields.data, fields.length },
			.length = how & HOW_UNKNOWN ? -1 : (int64_t)body.all.length,
			.bodiless = how & HOW_BODILESS,
			.close = how & HOW_CLOSE,
			.date = { (const uint8_t *)date,
			        http && how & HOW_DATE ? sizeof date - 1 : 0 } };

		check(protocols[i], how, &reply, &body);
	}
	return 0;
}
