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

/* The line that on_start() found to be good, once more in parts: no span outlives a call. */
static void same_line(struct turn *turn, struct http_line *parts)
{
	struct span line = { turn->in->data, turn->http->scanned };

	http_same_line(turn->http, line, turn->http->separator - 1, parts);
}

static void add_variable(struct wire_event *event, enum var_id id, struct span value)
{
	struct span name = { (const uint8_t *)env_texts[id], env_names[id].length };

	event->pairs[event->count++] = (struct pair){ name, value, id };
}

/* The request line as variables (RFC 3875 4.1). */
static enum step on_request(struct turn *turn)
{
	struct wire_event *event = turn->event;
	struct http_line parts;

	same_line(turn, &parts);
	event->kind = EVENT_VARIABLES;
	event->count = 0;
	turn->http->absolute = parts.authority.length > 0;
	/* the parts of an absolute URI stand too close together */
	event->data = (struct span){ turn->in->data,
		turn->http->absolute ? 0 : turn->http->scanned };
	add_variable(event, VAR_REQUEST_METHOD, parts.method);
	if (!parts.rootless)
		add_variable(event, VAR_REQUEST_URI, parts.uri);
	add_variable(event, VAR_QUERY_STRING, parts.query);
	add_variable(event, VAR_SERVER_PROTOCOL, parts.version);
	if (turn->http->absolute)
		add_variable(event, VAR_HTTP_HOST, parts.authority);
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
		event->pairs[0] = (struct pair){ { NULL, sizeof name - 1 },
			{ NULL, parts.uri.length + 1 }, VAR_OTHER };
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
	} else if (result == LINE_TEXT) {
		field->name = (struct span){ line.data, http->separator - 1 };
		span_take(&line, http->separator);
		field->value = scan_trim(line);
		field->id = http_field_id(field->name);
	}
	return result;
}

/* The first byte from `at` on that `among` finds, sixteen at a time, or NULL; `from` is before it.
 */
static inline const uint8_t *find_byte(unsigned (*among)(const uint8_t *), const uint8_t *from,
        const uint8_t *at, const uint8_t *end)
{
	unsigned found = 0;

	for (; end - at >= 16; at += 16)
		if ((found = among(at)))
			return at + __builtin_ctz(found);
	if (at < end && end - from >= 16)
		found = among(end - 16) >> (16 - (end - at));
	return found ? at + __builtin_ctz(found) : NULL;
}

/*
 * A field line as most are: whole, its name of letters, digits and hyphens, one blank or none
 * around its value, and no tab in it. What is behind it, or NULL: it is to be looked at more
 * closely.
 */
static const uint8_t *plain_field(const uint8_t *line, const uint8_t *end, struct pair *field)
{
	const uint8_t *colon = find_byte(scan_unplain, line, line, end);

	if (!colon || colon == line || *colon != ':' || end - line < 8)
		return NULL;
	const uint8_t *value = colon + 1 + (colon + 1 < end && colon[1] == ' ');
	const uint8_t *behind = find_byte(scan_unfit, line, value, end);

	if (!behind || end - behind < 2 || behind[0] != '\r' || behind[1] != '\n')
		return NULL;
	if (behind > value && (value[0] == ' ' || behind[-1] == ' '))
		return NULL;
	size_t length = (size_t)(colon - line);

	*field = (struct pair){ { line, length }, { value, (size_t)(behind - value) },
		env_lookup_field(line, length) };
	return behind + 2;
}

/* Where the next field is read to: it is one of the event's if take_field() gives it. */
static struct pair *next_field(const struct turn *turn)
{
	return &turn->event->pairs[turn->event->count];
}

/* Counts that field, obeys it, and gives it to the application if that may have it. */
static void take_field(struct turn *turn, bool plain)
{
	struct http *http = turn->http;

	if (++http->fields > turn->limits->variables)
		http_refuse(http, 431, "too many fields");
	else if (http_field(http, turn->limits, next_field(turn), plain) == FIELD_PASS)
		turn->event->count++;
}

/* Takes the plain lines at the front. */
static void take_plain_fields(struct turn *turn)
{
	struct http *http = turn->http;
	const uint8_t *begin = turn->in->data, *at = begin, *next;
	size_t room = turn->limits->header_size - http->taken;
	const uint8_t *end = begin + (turn->in->length < room ? turn->in->length : room);

	for (; turn->event->count < EVENT_PAIRS && http->phase == HTTP_FIELDS; at = next) {
		next = plain_field(at, end, next_field(turn));
		if (!next)
			break;
		take_field(turn, true);
	}
	http->taken += (size_t)(at - begin);
	span_take(turn->in, (size_t)(at - begin));
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

static enum step take_fields(struct turn *turn)
{
	struct http *http = turn->http;
	struct wire_event *event = turn->event;

	while (event->count < EVENT_PAIRS && http->phase == HTTP_FIELDS) {
		if (!http->scanned)
			take_plain_fields(turn);
		if (event->count == EVENT_PAIRS || http->phase != HTTP_FIELDS)
			break;
		enum line_result result = scan_field(turn, next_field(turn));

		if (result == LINE_MORE)
			return event->count > 0 ? STEP_EVENT : STEP_MORE;
		if (result == LINE_NONE)
			return finish_head(turn);
		if (result == LINE_TEXT) {
			take_field(turn, false);
			take_line(turn);
		}
	}
	return event->count > 0 ? STEP_EVENT : STEP_ON;
}

static enum step on_fields(struct turn *turn)
{
	const uint8_t *begin = turn->in->data;

	turn->event->kind = EVENT_FIELDS;
	turn->event->count = 0;
	enum step step = take_fields(turn);

	turn->event->data = (struct span){ begin, (size_t)(turn->in->data - begin) };
	return step;
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
	if (result == LINE_TEXT && ++turn->http->fields > turn->limits->variables)
		return refuse(turn->http, 431, "too many fields");
	if (result == LINE_TEXT || result == LINE_NONE)
		take_line(turn);
	if (result == LINE_NONE)
		turn->http->phase = HTTP_END;
	return STEP_ON;
}

static enum step on_end(struct turn *turn)
{
	turn->http->phase = HTTP_DONE;
	if (turn->http->ended)
		http_start_over(turn->http);
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

const struct protocol protocol_http = {
	.name = "http",
	.pass = "proxy_pass",
	.number = 3,
	.direct = true,
	.multiplexes = false,
	.state_size = sizeof(struct http),
	.frame_max = 1 << 20,
	.sniff = http_sniff,
	.decode = http_decode,
	.write = http_write,
	.keeps = http_keeps,
	.body_left = http_body_left,
	.want_body = http_want_body,
	.upgrade = http_upgrade,
};
