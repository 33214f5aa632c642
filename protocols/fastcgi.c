/* FastCGI 1.0 (fastcgi-archives.github.io): sections in comments are the specification's. */
#include "cgi.h"
#include "fastcgi_record.h"

enum slot_phase {
	SLOT_FREE,   /* no exchange */
	SLOT_PARAMS, /* at the lengths of a pair, `have` of whose bytes are in `raw` */
	SLOT_PAIR,   /* inside a pair, `left` bytes of it still to come */
	SLOT_STDIN,  /* the parameters are there */
	SLOT_OVER,   /* the request is complete: waits for the end of its answer */
	SLOT_GONE,   /* aborted or refused: waits for that too, all that comes is passed over */
};

struct slot {
	union {
		uint8_t raw[8]; /* SLOT_PARAMS: up to two lengths of four bytes */
		uint32_t left;  /* SLOT_PAIR: at most two texts of limits.header_size bytes */
	};
	uint16_t id;
	uint8_t phase : 4;
	uint8_t keep : 1;       /* FCGI_KEEP_CONN */
	uint8_t authorizer : 1; /* 6.3: no STDIN comes */
	uint8_t logged : 1;     /* STDERR has been sent */
	uint8_t have;
};

struct fastcgi {
	uint16_t id;      /* of the record */
	uint16_t content; /* bytes of it still to come */
	uint8_t padding;
	uint8_t type;
	uint16_t ending; /* the exchange whose END is to be told without a record, or 0 */
	uint8_t used;    /* slots behind these are free */
	struct slot slots[FASTCGI_OPEN_MAX];
};

/* What a part of the decoder did; the first three are what decode() answers. */
enum step {
	STEP_MORE = DECODE_MORE,
	STEP_EVENT = DECODE_EVENT,
	STEP_BAD = DECODE_BAD,
	STEP_ON, /* something was taken, nothing is to be told */
};

static bool fastcgi_sniff(uint8_t first)
{
	return first == FCGI_VERSION_1;
}

static const struct slot *slot_find(const struct fastcgi *fcgi, uint16_t id)
{
	for (size_t i = 0; i < fcgi->used; i++)
		if (fcgi->slots[i].phase != SLOT_FREE && fcgi->slots[i].id == id)
			return &fcgi->slots[i];
	return NULL;
}

static struct slot *slot_of(struct fastcgi *fcgi, uint16_t id)
{
	return (struct slot *)slot_find(fcgi, id);
}

static struct slot *slot_open(struct fastcgi *fcgi, uint16_t id, uint16_t role, uint8_t flags)
{
	for (size_t i = 0; i < FASTCGI_OPEN_MAX; i++) {
		struct slot *slot = &fcgi->slots[i];

		if (slot->phase != SLOT_FREE)
			continue;
		*slot = (struct slot){ .id = id,
			.phase = SLOT_PARAMS,
			.keep = flags & FCGI_KEEP_CONN,
			.authorizer = role == FCGI_AUTHORIZER };
		if (i >= fcgi->used)
			fcgi->used = (uint8_t)(i + 1);
		return slot;
	}
	return NULL;
}

static void slot_close(struct fastcgi *fcgi, struct slot *slot)
{
	slot->phase = SLOT_FREE;
	while (fcgi->used && fcgi->slots[fcgi->used - 1].phase == SLOT_FREE)
		fcgi->used--;
}

/* An answer is ready to go: to a management record, or with the status of a refusal. */
static enum step told(struct wire_event *event, int status)
{
	event->status = status;
	return (enum step)decode_event(event, EVENT_REPLY, 0);
}

static enum step bad(struct wire_event *event, const char *reason)
{
	return (enum step)decode_bad(event, 0, reason);
}

/* Refuses one exchange; the caller ends it, what still comes for it is passed over. */
static enum step refuse(struct slot *slot, struct wire_event *event, int status, const char *reason)
{
	slot->phase = SLOT_GONE;
	event->status = status;
	event->reason = reason;
	return (enum step)decode_event(event, EVENT_BAD_EXCHANGE, slot->id);
}

/* 5.1, and 5.5 for those that can't be taken. The eight bytes are there. */
static enum step take_begin(struct fastcgi *fcgi, struct span *in, struct wire_event *event)
{
	const uint8_t *body = span_take(in, 8);
	uint16_t role = read_u16be(body);
	uint8_t refusal = FCGI_OVERLOADED;

	fcgi->content = 0;
	if (slot_find(fcgi, fcgi->id))
		return bad(event, "BEGIN_REQUEST for a request that is open");
	if (role != FCGI_RESPONDER && role != FCGI_AUTHORIZER)
		refusal = FCGI_UNKNOWN_ROLE;
	else if (slot_open(fcgi, fcgi->id, role, body[2])) {
		event->role = role == FCGI_RESPONDER ? ROLE_RESPONDER : ROLE_AUTHORIZER;
		return (enum step)decode_event(event, EVENT_BEGIN, fcgi->id);
	}
	/* what still comes for the id is passed over: nothing is open under it */
	fastcgi_reply_refused(fcgi->id, refusal, event);
	event->reply_closes = !(body[2] & FCGI_KEEP_CONN);
	return told(event, refusal == FCGI_UNKNOWN_ROLE ? 501 : 503);
}

/* 4.1; all of it must be there. */
static enum step take_values(struct fastcgi *fcgi, struct span *in, struct wire_event *event)
{
	if (fcgi->content > FASTCGI_VALUES_MAX)
		return bad(event, "GET_VALUES is too long");
	if (in->length < fcgi->content)
		return STEP_MORE;
	struct span list = { span_take(in, fcgi->content), fcgi->content };

	fcgi->content = 0;
	if (!fastcgi_reply_values(list, event))
		return bad(event, "a pair of GET_VALUES runs past its end");
	return told(event, 0);
}

/* The lengths of the pair at `at`, one of which has four bytes; NULL: it is not whole, or too
 * large.
 */
static const uint8_t *long_lengths(const uint8_t *at, const uint8_t *end,
        const struct limits *limits, size_t *name, size_t *value)
{
	struct span rest = { at, (size_t)(end - at) };
	size_t most = limits->header_size;
	bool whole = fastcgi_take_length(&rest, name) && fastcgi_take_length(&rest, value);

	return whole && *name <= most && *value <= most ? rest.data : NULL;
}

/*
 * Takes the whole pairs at the front of the record, as many as one event holds. A length of one
 * byte is below any limits.header_size.
 */
static void take_pairs(struct fastcgi *fcgi, const struct limits *limits, struct span *in,
        struct wire_event *event)
{
	const uint8_t *at = in->data, *text;
	const uint8_t *end = at + (in->length < fcgi->content ? in->length : fcgi->content);
	struct pair *pair = event->pairs, *last = pair + EVENT_PAIRS;

	for (; pair < last && end - at >= 2; pair++) {
		size_t name = at[0], value = at[1];

		text = at + 2;
		if ((name | value) & 0x80 && !(text = long_lengths(at, end, limits, &name, &value)))
			break;
		if (name + value > (size_t)(end - text))
			break;
		*pair = pair_of(text, name, text + name, value);
		at = text + name + value;
	}
	event->count = (unsigned)(pair - event->pairs);
	event->data = (struct span){ in->data, (size_t)(at - in->data) };
	fcgi->content -= (uint16_t)event->data.length;
	span_take(in, event->data.length);
}

/* Gathers the lengths of a pair that is not whole in this record, then opens it. */
static enum step take_lengths(struct fastcgi *fcgi, struct slot *slot, const struct limits *limits,
        struct span *in, struct wire_event *event)
{
	while (fcgi->content && in->length) {
		struct span raw = { slot->raw, slot->have + 1u };
		size_t name, value;

		slot->raw[slot->have++] = *span_take(in, 1);
		fcgi->content--;
		if (!fastcgi_take_length(&raw, &name) || !fastcgi_take_length(&raw, &value))
			continue;
		slot->have = 0;
		if (name > limits->header_size || value > limits->header_size)
			return refuse(
			        slot, event, 431, "a parameter larger than limits.header_size");
		slot->left = (uint32_t)(name + value);
		slot->phase = slot->left ? SLOT_PAIR : SLOT_PARAMS;
		event->pairs[0] = (struct pair){ { NULL, name }, { NULL, value }, VAR_OTHER };
		return (enum step)decode_event(event, EVENT_PAIR, slot->id);
	}
	return fcgi->content ? STEP_MORE : STEP_ON;
}

/* The next bytes of the record, at most `most` of them. */
static struct span take_some(struct fastcgi *fcgi, struct span *in, uint64_t most)
{
	size_t n = in->length < fcgi->content ? in->length : fcgi->content;

	n = n < most ? n : (size_t)most;
	fcgi->content -= (uint16_t)n;
	return (struct span){ span_take(in, n), n };
}

static enum step take_params(struct fastcgi *fcgi, struct slot *slot, const struct limits *limits,
        struct span *in, struct wire_event *event)
{
	if (slot->phase == SLOT_PAIR) {
		event->data = take_some(fcgi, in, slot->left);
		slot->left -= (uint32_t)event->data.length;
		if (!slot->left)
			slot->phase = SLOT_PARAMS;
		return (enum step)decode_event(event, EVENT_PART, slot->id);
	}
	if (slot->phase != SLOT_PARAMS)
		return bad(event, "PARAMS after their end");
	if (!slot->have) {
		take_pairs(fcgi, limits, in, event);
		if (event->count)
			return (enum step)decode_event(event, EVENT_VARIABLES, slot->id);
	}
	return take_lengths(fcgi, slot, limits, in, event);
}

static enum step take_stdin(
        struct fastcgi *fcgi, struct slot *slot, struct span *in, struct wire_event *event)
{
	if (slot->phase != SLOT_STDIN)
		return bad(event, "STDIN where it must not be");
	event->data = take_some(fcgi, in, fcgi->content);
	return (enum step)decode_event(event, EVENT_BODY, slot->id);
}

/* Some of the record's content; at least one byte of it is there. */
static enum step take_content(struct fastcgi *fcgi, const struct limits *limits, struct span *in,
        struct wire_event *event)
{
	if (fcgi->type == FCGI_BEGIN_REQUEST)
		return in->length < 8 ? STEP_MORE : take_begin(fcgi, in, event);
	if (fcgi->type == FCGI_GET_VALUES)
		return take_values(fcgi, in, event);
	struct slot *slot = slot_of(fcgi, fcgi->id);
	bool open = slot && slot->phase < SLOT_OVER;

	if (open && fcgi->type == FCGI_PARAMS)
		return take_params(fcgi, slot, limits, in, event);
	if (open && fcgi->type == FCGI_STDIN)
		return take_stdin(fcgi, slot, in, event);
	take_some(fcgi, in, fcgi->content); /* passed over */
	return STEP_ON;
}

/* An authorizer's request ends with its parameters; STDIN that comes anyway is passed over. */
static enum step end_params(struct fastcgi *fcgi, struct slot *slot, struct wire_event *event)
{
	slot->phase = slot->authorizer ? SLOT_OVER : SLOT_STDIN;
	fcgi->ending = slot->authorizer ? slot->id : 0;
	return (enum step)decode_event(event, EVENT_HEAD, slot->id);
}

/* END behind such a HEAD, unless that was answered. */
static enum step tell_end(struct fastcgi *fcgi, struct wire_event *event)
{
	const struct slot *slot = slot_find(fcgi, fcgi->ending);

	fcgi->ending = 0;
	return slot ? (enum step)decode_event(event, EVENT_END, slot->id) : STEP_ON;
}

/* A stream's end (3.3): an empty record. */
static enum step end_stream(struct fastcgi *fcgi, struct slot *slot, struct wire_event *event)
{
	uint8_t type = fcgi->type;

	if (type == FCGI_PARAMS && slot->phase == SLOT_PARAMS && !slot->have)
		return end_params(fcgi, slot, event);
	if (type == FCGI_PARAMS && slot->phase < SLOT_STDIN)
		return refuse(slot, event, 400, "PARAMS end inside a pair");
	if (type == FCGI_STDIN && slot->phase == SLOT_STDIN) {
		slot->phase = SLOT_OVER;
		return (enum step)decode_event(event, EVENT_END, slot->id);
	}
	return slot->phase >= SLOT_OVER ? STEP_ON : bad(event, "a stream ends where none is open");
}

/* A record's header is there: checks it, and handles the records that have no content. */
static enum step open_record(struct fastcgi *fcgi, struct wire_event *event)
{
	struct slot *slot;

	switch (fcgi->type) {
	case FCGI_BEGIN_REQUEST:
		if (fcgi->id == FCGI_NULL_REQUEST_ID || fcgi->content != 8)
			return bad(event, "BEGIN_REQUEST with the id 0 or a body not of 8 bytes");
		return STEP_ON;
	case FCGI_ABORT_REQUEST:
		slot = slot_of(fcgi, fcgi->id);
		if (!slot || slot->phase == SLOT_GONE)
			return STEP_ON;
		slot->phase = SLOT_GONE;
		return (enum step)decode_event(event, EVENT_ABORT, slot->id);
	case FCGI_PARAMS:
	case FCGI_STDIN:
		if (fcgi->content)
			return STEP_ON;
		slot = slot_of(fcgi, fcgi->id);
		return slot ? end_stream(fcgi, slot, event) : STEP_ON;
	case FCGI_GET_VALUES:
		return fcgi->content
		               ? STEP_ON
		               : take_values(fcgi, &(struct span){ (const uint8_t *)"", 0 }, event);
	case FCGI_DATA:
		return STEP_ON;
	case 0:
	case FCGI_END_REQUEST:
	case FCGI_STDOUT:
	case FCGI_STDERR:
	case FCGI_GET_VALUES_RESULT:
	case FCGI_UNKNOWN_TYPE:
		return bad(event, "a record that only an application sends");
	default:
		if (fcgi->id != FCGI_NULL_REQUEST_ID)
			return STEP_ON;
		fastcgi_reply_unknown_type(fcgi->type, event);
		return told(event, 0);
	}
}

/* 3.3 */
static enum step take_header(struct fastcgi *fcgi, struct span *in, struct wire_event *event)
{
	if (in->length && in->data[0] != FCGI_VERSION_1)
		return bad(event, "a record of another version than 1");
	if (in->length < FCGI_HEADER_LEN)
		return STEP_MORE;
	const uint8_t *header = span_take(in, FCGI_HEADER_LEN);

	fcgi->type = header[1];
	fcgi->id = read_u16be(header + 2);
	fcgi->content = read_u16be(header + 4);
	fcgi->padding = header[6];
	return open_record(fcgi, event);
}

static enum step take_padding(struct fastcgi *fcgi, struct span *in)
{
	size_t n = in->length < fcgi->padding ? in->length : fcgi->padding;

	span_take(in, n);
	fcgi->padding -= (uint8_t)n;
	return fcgi->padding ? STEP_MORE : STEP_ON;
}

static enum decode_result fastcgi_decode(
        void *state, const struct limits *limits, struct span *in, struct wire_event *event)
{
	struct fastcgi *fcgi = state;
	enum step step = fcgi->ending ? tell_end(fcgi, event) : STEP_ON;

	while (step == STEP_ON) {
		if (!in->length)
			return DECODE_MORE;
		if (fcgi->content)
			step = take_content(fcgi, limits, in, event);
		else if (fcgi->padding)
			step = take_padding(fcgi, in);
		else
			step = take_header(fcgi, in, event);
	}
	return (enum decode_result)step;
}

static uint8_t *put_status(uint8_t *at, const struct reply *reply)
{
	return cgi_put_status(put_literal(at, "Status: "), reply->status);
}

/*
 * The whole header block in one record: HAProxy 2.6 aborts on two. Where a Location
 * has a meaning (RFC 9110 10.2.2), Status stands behind it: HAProxy makes 302 of one that stands
 * before (its issue 2865).
 */
static uint8_t *put_head(uint8_t *record, uint16_t id, const struct reply *reply)
{
	bool late = reply->status == 201 || reply->status / 100 == 3;
	uint8_t *content = record + FCGI_HEADER_LEN, *at = content;

	if (!late)
		at = put_status(at, reply);
	at = cgi_put_fields(at, reply);
	if (late)
		at = put_status(at, reply);
	at = put_literal(at, "\r\n");
	fastcgi_put_record(record, FCGI_STDOUT, id, (size_t)(at - content));
	return at;
}

/* 6.1: a STDERR that was sent is ended as STDOUT is, one that was not needs no record. */
static uint8_t *put_end(uint8_t *at, uint16_t id, bool logged)
{
	if (logged)
		at = fastcgi_put_record(at, FCGI_STDERR, id, 0);
	at = fastcgi_put_record(at, FCGI_STDOUT, id, 0);
	return fastcgi_put_end(at, id, FCGI_REQUEST_COMPLETE);
}

static void fastcgi_write(
        void *state, uint16_t id, const struct portion *portion, struct writer *out)
{
	uint8_t *at = portion_room(out, portion);

	if (!at)
		return;
	if (portion->reply)
		at = put_head(at, id, portion->reply);
	if (portion->body.length) {
		at = fastcgi_put_record(at, FCGI_STDOUT, id, portion->body.length);
		at = put_bytes(at, portion->body.data, portion->body.length);
	}
	if (portion->end) {
		struct slot *slot = slot_of(state, id);

		at = put_end(at, id, slot && slot->logged);
		if (slot)
			slot_close(state, slot);
	}
	out->at = at;
}

/* A whole record each, so that a gateway that logs by records has it in one piece. */
static void fastcgi_log(void *state, uint16_t id, struct span line, struct writer *out)
{
	struct slot *slot = slot_of(state, id);

	if (!slot)
		return;
	slot->logged = true;
	fastcgi_write_record(out, FCGI_STDERR, id, line.length + 1);
	write_bytes(out, line.data, line.length);
	write_literal(out, "\n");
}

/*
 * FastCGI has no word for it, and a request that is sent while the connection closes is lost. nginx
 * keeps a connection only if nothing stands behind END_REQUEST; an empty management record may.
 */
static void fastcgi_bye(struct writer *out)
{
	fastcgi_write_record(out, FCGI_GET_VALUES_RESULT, FCGI_NULL_REQUEST_ID, 0);
}

static bool fastcgi_keeps(const void *state, uint16_t id, const struct reply *reply)
{
	const struct slot *slot = slot_find(state, id);

	(void)reply;
	return slot && slot->keep;
}

static uint64_t fastcgi_body_left(const void *state, uint16_t id)
{
	const struct slot *slot = slot_find(state, id);

	return slot && slot->phase < SLOT_OVER ? UINT64_MAX : 0;
}

const struct protocol protocol_fastcgi = {
	.name = "fastcgi",
	.pass = "fastcgi_pass",
	.number = 0,
	.multiplexes = true,
	.state_size = sizeof(struct fastcgi),
	.frame_max = 65528, /* the largest multiple of 8 that a record holds */
	.sniff = fastcgi_sniff,
	.decode = fastcgi_decode,
	.write = fastcgi_write,
	.log = fastcgi_log,
	.keeps = fastcgi_keeps,
	.bye = fastcgi_bye,
	.body_left = fastcgi_body_left,
};
