/*
 * HTTP/1.0 and HTTP/1.1 as a server speaks them (RFC 9110, RFC 9112), strictly: where two readers
 * could disagree about where a message ends, or about a field's name, the request is refused. Lines
 * end in CRLF only, and there is one field that frames a body, or none.
 *
 * A line stays unread until it is complete, since spans can't be kept; what was found to be good of
 * it is not looked at again. A bad byte is refused as soon as it is seen.
 */
#include "http.h"

#define BLANK_MAX 8 /* empty lines before a request (RFC 9112 2.2 wants one) */

enum line_result {
	LINE_MORE, /* not complete */
	LINE_TEXT, /* a token, the separator, text */
	LINE_NONE, /* an empty line */
	LINE_BAD,  /* a byte that may not stand where it stands */
	LINE_LONG, /* longer than there is room */
};

/* What follows from looking at the next bytes. */
enum step {
	STEP_MORE = DECODE_MORE,
	STEP_EVENT = DECODE_EVENT,
	STEP_BAD = DECODE_BAD,
	STEP_ON, /* no event yet, go on */
};

/* One call of decode(). */
struct turn {
	struct http *http;
	const struct limits *limits;
	struct span *in;
	struct wire_event *event;
};

/* Where the letters, digits and hyphens end that a line begins with; not looked for near `end`. */
static size_t skip_plain(struct span in, size_t end)
{
	unsigned other = 0;
	size_t at = 0;

	for (; !other && end - at >= 16; at += other ? (size_t)__builtin_ctz(other) : 16)
		other = scan_unplain(in.data + at);
	return at;
}

/* Where the bytes end that may stand in a target or in a value, from `at` on. */
static size_t skip_value(struct span in, size_t at, size_t end)
{
	while (end - at >= 16) {
		unsigned unfit = scan_unfit(in.data + at);

		at += unfit ? (size_t)__builtin_ctz(unfit) : 16;
		if (unfit && in.data[at] != '\t')
			return at;
		at += unfit != 0;
	}
	while (at < end && grammar_value[in.data[at]])
		at++;
	return at;
}

/*
 * Looks for the end of a line: a token, `separator`, text, CRLF; or CRLF alone. No further than the
 * head may go. `line` comes without the CRLF; the line is still unread then.
 */
static enum line_result scan_line(struct turn *turn, uint8_t separator, struct span *line)
{
	struct http *http = turn->http;
	struct span in = *turn->in;
	size_t room = turn->limits->header_size - http->taken;
	size_t end = in.length < room ? in.length : room;
	size_t at = http->scanned;

	if (http->separator == 0) {
		if (at == 0) {
			at = skip_plain(in, end);
			http->plain = at < end && in.data[at] == separator;
		}
		while (at < end && grammar_tchar[in.data[at]])
			at++;
		if (at > 0 && at < end && in.data[at] == separator)
			http->separator = ++at;
		else if (at < end && (at > 0 || in.data[at] != '\r'))
			return LINE_BAD;
	}
	if (http->separator > 0)
		at = skip_value(in, at, end);
	http->scanned = at;
	if (at < end && in.data[at] != '\r')
		return LINE_BAD;
	if (end - at < 2)
		return end == room ? LINE_LONG : LINE_MORE;
	if (in.data[at + 1] != '\n')
		return LINE_BAD;
	*line = (struct span){ in.data, at };
	return at > 0 ? LINE_TEXT : LINE_NONE;
}

/* Takes a scanned line and its CRLF off the front. */
static void take_line(struct turn *turn)
{
	struct http *http = turn->http;

	span_take(turn->in, http->scanned + 2);
	http->taken += http->scanned + 2;
	http->scanned = 0;
	http->separator = 0;
	http->plain = false;
}

static enum step refuse(struct http *http, int status, const char *reason)
{
	http_refuse(http, status, reason);
	return STEP_ON;
}

static enum step on_start(struct turn *turn)
{
	struct http *http = turn->http;
	struct http_line parts;
	struct span line;

	if (turn->in->length > 0 && !http_method_begins(http, turn->in->data[0]))
		return STEP_ON;
	switch (scan_line(turn, ' ', &line)) {
	case LINE_MORE:
		return STEP_MORE;
	case LINE_BAD:
		return refuse(http, 400, "bad byte in the request line");
	case LINE_LONG:
		return refuse(http, 414, "request line is too long");
	case LINE_NONE:
		take_line(turn);
		http->taken = 0;
		return http->blank++ < BLANK_MAX ? STEP_ON : refuse(http, 400, "empty lines");
	case LINE_TEXT:
		break;
	}
	if (!http_request_line(http, line, http->separator - 1, &parts))
		return STEP_ON;
	http->phase = HTTP_REQUEST;
	turn->event->kind = EVENT_BEGIN;
	turn->event->role = ROLE_RESPONDER;
	return STEP_EVENT;
}

static void add_variable(struct wire_event *event, const char *name, struct span value)
{
	struct span text = { (const uint8_t *)name, strlen(name) };

	event->pairs[event->count++] = (struct pair){ text, value };
}

/* The line that on_start() found to be good, once more in parts: no span outlives a call. */
static void same_line(struct turn *turn, struct http_line *parts)
{
	struct span line = { turn->in->data, turn->http->scanned };

	http_same_line(turn->http, line, turn->http->separator - 1, parts);
}

/* The request line as variables (RFC 3875 4.1). */
static enum step on_request(struct turn *turn)
{
	struct wire_event *event = turn->event;
	struct http_line parts;

	same_line(turn, &parts);
	event->kind = EVENT_VARIABLES;
	event->count = 0;
	event->together = false;
	add_variable(event, "REQUEST_METHOD", parts.method);
	if (!parts.rootless)
		add_variable(event, "REQUEST_URI", parts.uri);
	add_variable(event, "QUERY_STRING", parts.query);
	add_variable(event, "SERVER_PROTOCOL", parts.version);
	turn->http->absolute = parts.authority.length > 0;
	if (turn->http->absolute)
		add_variable(event, "HTTP_HOST", parts.authority);
	turn->http->phase = parts.rootless ? HTTP_URI : HTTP_FIELDS;
	if (!parts.rootless)
		take_line(turn);
	return STEP_EVENT;
}

/* "http://host?query" is "/?query" (RFC 9112 3.2.1): two places, so it goes out in pieces. */
static enum step on_uri(struct turn *turn)
{
	static const char name[] = "REQUEST_URI";
	struct wire_event *event = turn->event;
	struct http_line parts;

	same_line(turn, &parts);
	event->kind = turn->http->pieces == 0 ? EVENT_PAIR : EVENT_PART;
	switch (turn->http->pieces++) {
	case 0:
		event->pairs[0].name = (struct span){ NULL, sizeof name - 1 };
		event->pairs[0].value = (struct span){ NULL, parts.uri.length + 1 };
		break;
	case 1:
		event->data = (struct span){ (const uint8_t *)name, sizeof name - 1 };
		break;
	case 2:
		event->data = (struct span){ (const uint8_t *)"/", 1 };
		break;
	default:
		event->data = parts.uri;
		turn->http->phase = HTTP_FIELDS;
		take_line(turn);
	}
	return STEP_EVENT;
}

/* Scans a field line of the head or of the trailers. */
static enum line_result scan_field(struct turn *turn, struct pair *field)
{
	struct http *http = turn->http;
	struct span line;
	enum line_result result = scan_line(turn, ':', &line);

	if (result == LINE_BAD) {
		http_refuse(http, 400, "bad byte in a field");
	} else if (result == LINE_LONG) {
		http_refuse(http, 431, "fields are too long");
	} else if (result == LINE_TEXT && ++http->fields > turn->limits->variables) {
		http_refuse(http, 431, "too many fields");
		return LINE_LONG;
	} else if (result == LINE_TEXT) {
		field->name = (struct span){ line.data, http->separator - 1 };
		span_take(&line, http->separator);
		field->value = scan_trim(line);
	}
	return result;
}

/* The head is complete: HEAD, unless fields wait to be given first. */
static enum step finish_head(struct turn *turn)
{
	if (turn->event->count > 0)
		return STEP_EVENT;
	if (!http_head_complete(turn->http))
		return STEP_ON;
	take_line(turn);
	turn->event->kind = EVENT_HEAD;
	return STEP_EVENT;
}

static enum step on_fields(struct turn *turn)
{
	struct http *http = turn->http;
	struct wire_event *event = turn->event;

	event->kind = EVENT_FIELDS;
	event->count = 0;
	while (event->count < EVENT_PAIRS && http->phase == HTTP_FIELDS) {
		struct pair field;
		enum line_result result = scan_field(turn, &field);

		if (result == LINE_MORE)
			return event->count > 0 ? STEP_EVENT : STEP_MORE;
		if (result == LINE_NONE)
			return finish_head(turn);
		if (result == LINE_TEXT) {
			if (http_field(http, turn->limits, field.name, field.value) == FIELD_PASS)
				event->pairs[event->count++] = field;
			take_line(turn);
		}
	}
	return event->count > 0 ? STEP_EVENT : STEP_ON;
}

/* As much of the body as there is. */
static enum step give_body(struct turn *turn, enum http_phase then)
{
	struct http *http = turn->http;
	size_t there = turn->in->length;
	size_t length = there < http->left ? there : (size_t)http->left;

	if (length == 0)
		return STEP_MORE;
	turn->event->kind = EVENT_BODY;
	turn->event->data = (struct span){ span_take(turn->in, length), length };
	http->left -= length;
	http->expects = false;
	if (http->left == 0)
		http->phase = then;
	return STEP_EVENT;
}

static enum step on_body(struct turn *turn)
{
	return give_body(turn, HTTP_END);
}

static enum step on_data(struct turn *turn)
{
	return give_body(turn, HTTP_CHUNK);
}

static enum step on_chunk(struct turn *turn)
{
	if (turn->in->length == 0)
		return STEP_MORE;
	turn->http->expects = false;
	http_chunk(turn->http, turn->limits, turn->in);
	return STEP_ON;
}

/* Trailers are checked and thrown away: nobody may put a field behind the checks (RFC 9110 6.5). */
static enum step on_trailers(struct turn *turn)
{
	struct pair field;
	enum line_result result = scan_field(turn, &field);

	if (result == LINE_MORE)
		return STEP_MORE;
	if (result == LINE_TEXT || result == LINE_NONE)
		take_line(turn);
	if (result == LINE_NONE)
		turn->http->phase = HTTP_END;
	return STEP_ON;
}

/* The state of the next request, whatever this one was. */
static void start_over(struct http *http)
{
	*http = (struct http){ .phase = HTTP_START };
}

static enum step on_end(struct turn *turn)
{
	turn->http->phase = HTTP_DONE;
	if (turn->http->ended)
		start_over(turn->http);
	turn->event->kind = EVENT_END;
	return STEP_EVENT;
}

static enum step on_done(struct turn *turn)
{
	(void)turn;
	return STEP_MORE;
}

static enum step on_refused(struct turn *turn)
{
	turn->event->status = turn->http->status;
	turn->event->reason = turn->http->reason;
	return STEP_BAD;
}

static enum decode_result http_decode(
        void *state, const struct limits *limits, struct span *in, struct wire_event *event)
{
	static enum step (*const phases[])(struct turn * turn) = {
		[HTTP_START] = on_start,
		[HTTP_REQUEST] = on_request,
		[HTTP_URI] = on_uri,
		[HTTP_FIELDS] = on_fields,
		[HTTP_BODY] = on_body,
		[HTTP_CHUNK] = on_chunk,
		[HTTP_DATA] = on_data,
		[HTTP_TRAILERS] = on_trailers,
		[HTTP_END] = on_end,
		[HTTP_DONE] = on_done,
		[HTTP_REFUSED] = on_refused,
	};
	struct turn turn = { state, limits, in, event };
	enum step step;

	event->id = 1;
	do
		step = phases[turn.http->phase](&turn);
	while (step == STEP_ON);
	return (enum decode_result)step;
}

static void write_span(struct writer *out, struct span text)
{
	if (text.length > 0)
		write_bytes(out, text.data, text.length);
}

/* How the body ends: RFC 9112 6.3, seen from the server. */
static void write_framing(struct http *http, const struct reply *reply, struct writer *out)
{
	bool never = reply->status < 200 || reply->status == 204 || reply->status == 304;

	http->chunking = false;
	if (never)
		return;
	if (reply->length >= 0) {
		write_literal(out, "Content-Length: ");
		write_decimal(out, (uint64_t)reply->length);
		write_literal(out, "\r\n");
	} else if (!reply->bodiless && !http->old) {
		http->chunking = true;
		write_literal(out, "Transfer-Encoding: chunked\r\n");
	}
}

/* A body of unknown length for HTTP/1.0 ends with the connection, whatever the client asked. */
static void write_connection(struct http *http, const struct reply *reply, struct writer *out)
{
	if (http->old && reply->length < 0 && !reply->bodiless)
		http->keeps = false;
	if (reply->status == 101)
		write_literal(out, "Connection: Upgrade\r\n");
	else if (reply->status < 200)
		return;
	else if (reply->close || !http->keeps)
		write_literal(out, "Connection: close\r\n");
	else if (http->old)
		write_literal(out, "Connection: keep-alive\r\n");
}

static void http_head(void *state, uint16_t id, const struct reply *reply, struct writer *out)
{
	struct http *http = state;

	(void)id;
	write_literal(out, "HTTP/1.1 ");
	write_status(out, reply->status);
	write_bytes(out, reply->reason, strlen(reply->reason));
	write_literal(out, "\r\n");
	write_span(out, reply->fields);
	if (reply->date.length > 0) {
		write_literal(out, "Date: ");
		write_span(out, reply->date);
		write_literal(out, "\r\n");
	}
	write_framing(http, reply, out);
	write_connection(http, reply, out);
	write_literal(out, "\r\n");
	if (reply->status >= 200)
		http->expects = false;
}

/* A piece of the body as a chunk; one of no bytes would end it. */
static void http_frame(
        void *state, uint16_t id, size_t length, struct writer *before, struct writer *after)
{
	static const char digits[] = "0123456789abcdef";
	const struct http *http = state;
	char hex[2 * sizeof length];
	size_t at = sizeof hex;

	(void)id;
	if (!http->chunking || length == 0)
		return;
	for (; length > 0; length >>= 4)
		hex[--at] = digits[length & 15];
	write_bytes(before, hex + at, sizeof hex - at);
	write_literal(before, "\r\n");
	write_literal(after, "\r\n");
}

/* What the peer still sends of the request comes as events yet, and as END. */
static void http_end(void *state, uint16_t id, struct writer *out)
{
	struct http *http = state;

	(void)id;
	if (http->chunking)
		write_literal(out, "0\r\n\r\n");
	http->chunking = false;
	http->ended = true;
	if (http->phase == HTTP_DONE)
		start_over(http);
}

static bool http_keeps(const void *state, uint16_t id)
{
	const struct http *http = state;

	(void)id;
	return http->keeps;
}

static uint64_t http_body_left(const void *state, uint16_t id)
{
	const struct http *http = state;

	(void)id;
	if (http->phase == HTTP_BODY)
		return http->left;
	return http->phase == HTTP_START || http->phase >= HTTP_END ? 0 : UINT64_MAX;
}

static void http_want_body(void *state, struct writer *out)
{
	struct http *http = state;

	if (!http->expects || (http->phase != HTTP_BODY && http->phase != HTTP_CHUNK))
		return;
	write_literal(out, "HTTP/1.1 100 Continue\r\n\r\n");
	http->expects = false;
}

const struct protocol protocol_http = {
	.name = "http",
	.pass = "proxy_pass",
	.direct = true,
	.multiplexes = false,
	.state_size = sizeof(struct http),
	.frame_max = 1 << 20,
	.sniff = http_sniff,
	.decode = http_decode,
	.head = http_head,
	.frame = http_frame,
	.end = http_end,
	.keeps = http_keeps,
	.body_left = http_body_left,
	.want_body = http_want_body,
	.upgrade = http_upgrade,
};
