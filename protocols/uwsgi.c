/*
 * uwsgi (https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html): a header of four bytes, a
 * block of pairs with 16-bit little-endian lengths, then the body of CONTENT_LENGTH bytes. One
 * request for each connection; the answer ends with it.
 *
 * Of the 256 "modifiers" only those that stand for a plain request are taken; the others load
 * code, reload the server or reach its caches, which is not for the wire to ask.
 */
#include "cgi.h"

enum uwsgi_phase {
	UWSGI_HEADER, /* at the four bytes */
	UWSGI_PAIRS,  /* inside the block */
	UWSGI_BODY,   /* the variables are there */
	UWSGI_OVER,   /* the request is complete; what follows is passed over */
};

struct uwsgi {
	uint8_t phase;
	bool has_length;
	uint64_t left; /* bytes of the block, then of the body, still to come */
	uint64_t body; /* CONTENT_LENGTH */
};

#define HEADER_LENGTH 4
#define MODIFIER_WSGI 0
#define MODIFIER_PSGI 5
#define MODIFIER_CGI  9

static bool uwsgi_sniff(uint8_t first)
{
	return first == MODIFIER_WSGI;
}

static enum decode_result decode_header(
        struct uwsgi *uwsgi, const struct limits *limits, struct span *in, struct wire_event *event)
{
	if (!in->length)
		return DECODE_MORE;
	uint8_t modifier1 = in->data[0];

	if (modifier1 != MODIFIER_WSGI && modifier1 != MODIFIER_PSGI && modifier1 != MODIFIER_CGI)
		return decode_bad(event, 0, "uwsgi modifier1 is none of 0, 5, 9");
	if (in->length < HEADER_LENGTH)
		return DECODE_MORE;
	uwsgi->left = read_u16le(in->data + 1);
	if (uwsgi->left > limits->header_size)
		return decode_bad(event, 431, "the variables are larger than limits.header_size");
	span_take(in, HEADER_LENGTH);
	uwsgi->phase = UWSGI_PAIRS;
	event->role = ROLE_RESPONDER;
	return decode_event(event, EVENT_BEGIN, 1);
}

enum taken {
	TAKEN_PAIR,
	TAKEN_MORE, /* the rest of it has not come yet */
	TAKEN_BAD,  /* it runs past the end of the block */
};

/* Finds `length` behind two bytes of length at `at`; every sum stays below 2^18. */
static enum taken find_text(const struct uwsgi *uwsgi, struct span in, size_t at, size_t *length)
{
	if (uwsgi->left - at < 2)
		return TAKEN_BAD;
	if (in.length < at + 2)
		return TAKEN_MORE;
	*length = read_u16le(in.data + at);
	if (uwsgi->left - at - 2 < *length)
		return TAKEN_BAD;
	return in.length < at + 2 + *length ? TAKEN_MORE : TAKEN_PAIR;
}

static enum taken take_pair(struct uwsgi *uwsgi, struct span *in, struct pair *pair)
{
	size_t name, value;
	enum taken taken = find_text(uwsgi, *in, 0, &name);

	if (taken == TAKEN_PAIR)
		taken = find_text(uwsgi, *in, 2 + name, &value);
	if (taken != TAKEN_PAIR)
		return taken;
	*pair = pair_of(in->data + 2, name, in->data + 4 + name, value);
	span_take(in, 4 + name + value);
	uwsgi->left -= 4 + name + value;
	return TAKEN_PAIR;
}

static bool note_pair(struct uwsgi *uwsgi, const struct pair *pair)
{
	if (pair->id != VAR_CONTENT_LENGTH)
		return true;
	if (uwsgi->has_length || !cgi_length(pair->value, true, &uwsgi->body))
		return false;
	uwsgi->has_length = true;
	return true;
}

/* Takes the pairs that are whole, up to one that is not as it must be. */
static void take_whole_pairs(struct uwsgi *uwsgi, struct span *in, struct wire_event *event)
{
	size_t available = in->length < uwsgi->left ? in->length : (size_t)uwsgi->left;
	const uint8_t *at = in->data, *end = at + available;
	struct pair *pair = event->pairs, *last = pair + EVENT_PAIRS;

	for (; pair < last && end - at >= 4; pair++) {
		size_t left = (size_t)(end - at) - 4, name = read_u16le(at), value;

		if (name > left)
			break;
		value = read_u16le(at + 2 + name);
		if (value > left - name)
			break;
		*pair = pair_of(at + 2, name, at + 4 + name, value);
		if (!note_pair(uwsgi, pair))
			break;
		at += 4 + name + value;
	}
	event->count = (unsigned)(pair - event->pairs);
	uwsgi->left -= (uint64_t)(at - in->data);
	span_take(in, (size_t)(at - in->data));
}

static enum decode_result decode_pairs(
        struct uwsgi *uwsgi, struct span *in, struct wire_event *event)
{
	const uint8_t *begin = in->data;

	take_whole_pairs(uwsgi, in, event);
	while (uwsgi->left && event->count < EVENT_PAIRS) {
		struct pair *pair = &event->pairs[event->count];
		struct span before = *in;
		uint64_t left = uwsgi->left;
		enum taken taken = take_pair(uwsgi, in, pair);

		if (taken == TAKEN_BAD && !event->count)
			return decode_bad(
			        event, 400, "a name or value runs past the end of the block");
		if (taken != TAKEN_PAIR)
			break;
		if (!note_pair(uwsgi, pair)) {
			if (!event->count)
				return decode_bad(
				        event, 400, "CONTENT_LENGTH is repeated or not a number");
			*in = before; /* what came before it is told first */
			uwsgi->left = left;
			break;
		}
		event->count++;
	}
	event->data = (struct span){ begin, (size_t)(in->data - begin) };
	if (event->count)
		return decode_event(event, EVENT_VARIABLES, 1);
	if (uwsgi->left)
		return DECODE_MORE;
	uwsgi->phase = UWSGI_BODY;
	uwsgi->left = uwsgi->body;
	return decode_event(event, EVENT_HEAD, 1);
}

static enum decode_result uwsgi_decode(
        void *state, const struct limits *limits, struct span *in, struct wire_event *event)
{
	struct uwsgi *uwsgi = state;

	switch ((enum uwsgi_phase)uwsgi->phase) {
	case UWSGI_HEADER:
		return decode_header(uwsgi, limits, in, event);
	case UWSGI_PAIRS:
		return decode_pairs(uwsgi, in, event);
	case UWSGI_BODY:
		if (!uwsgi->left)
			uwsgi->phase = UWSGI_OVER;
		return cgi_decode_body(&uwsgi->left, in, event);
	case UWSGI_OVER:
		break;
	}
	span_take(in, in->length);
	return DECODE_MORE;
}

/* mod_proxy_uwsgi demands an HTTP status line, and nginx would leak a Status field. */
static void uwsgi_write(void *state, uint16_t id, const struct portion *portion, struct writer *out)
{
	(void)state;
	(void)id;
	cgi_write(portion, SPAN("HTTP/1.1 "), out);
}

static uint64_t uwsgi_body_left(const void *state, uint16_t id)
{
	const struct uwsgi *uwsgi = state;

	(void)id;
	return uwsgi->phase < UWSGI_BODY ? UINT64_MAX : uwsgi->left;
}

/* nginx passes on what it can't understand once it has seen status 101. */
static void uwsgi_upgrade(void *state, uint16_t id)
{
	struct uwsgi *uwsgi = state;

	(void)id;
	uwsgi->phase = UWSGI_BODY;
	uwsgi->left = UINT64_MAX;
}

const struct protocol protocol_uwsgi = {
	.name = "uwsgi",
	.pass = "uwsgi_pass",
	.number = 2,
	.state_size = sizeof(struct uwsgi),
	.frame_max = 1 << 20,
	.sniff = uwsgi_sniff,
	.decode = uwsgi_decode,
	.write = uwsgi_write,
	.keeps = cgi_never_keeps,
	.body_left = uwsgi_body_left,
	.upgrade = uwsgi_upgrade,
};
