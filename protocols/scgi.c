/*
 * SCGI (https://python.ca/scgi/protocol.txt): a netstring of NUL-terminated names and values, then
 * the body of CONTENT_LENGTH bytes. One request for each connection; the answer ends with it.
 */
#include "cgi.h"

enum scgi_phase {
	SCGI_LENGTH, /* at the netstring's length */
	SCGI_PAIRS,  /* inside the netstring */
	SCGI_COMMA,  /* behind it, at its comma */
	SCGI_BODY,   /* the variables are there */
	SCGI_OVER,   /* the request is complete; what follows is passed over */
};

struct scgi {
	uint8_t phase;
	bool began, has_length, has_scgi;
	bool named;      /* the end of an incomplete pair's name was found, after `name` bytes */
	uint32_t looked; /* bytes of an incomplete pair that were looked at for its ends */
	uint32_t name;
	uint64_t left; /* bytes of the netstring, then of the body, still to come */
	uint64_t body; /* CONTENT_LENGTH */
};

static bool scgi_sniff(uint8_t first)
{
	return first >= '0' && first <= '9';
}

/* "len:", without leading zeros; refused as soon as it is too large to be a header block. */
static enum decode_result decode_length(
        struct scgi *scgi, const struct limits *limits, struct span *in, struct wire_event *event)
{
	uint64_t length = 0;
	size_t i = 0;

	for (; i < in->length && scgi_sniff(in->data[i]); i++) {
		if (i == 1 && in->data[0] == '0')
			return decode_bad(event, 400, "a leading zero in the netstring's length");
		length = length * 10 + (uint64_t)(in->data[i] - '0');
		if (length > limits->header_size)
			return decode_bad(
			        event, 431, "the netstring is larger than limits.header_size");
	}
	if (i == in->length)
		return DECODE_MORE;
	if (i == 0)
		return decode_bad(event, 0, "the netstring's length is not a number");
	if (in->data[i] != ':' || length == 0)
		return decode_bad(event, 400, "the netstring's length is not a number and a colon");
	span_take(in, i + 1);
	scgi->left = length;
	scgi->phase = SCGI_PAIRS;
	event->role = ROLE_RESPONDER;
	return decode_event(event, EVENT_BEGIN, 1);
}

/* The two variables that frame the request. False: they are wrong. */
static bool note_pair(struct scgi *scgi, const struct pair *pair)
{
	if (pair->id == VAR_SCGI) {
		scgi->has_scgi = span_is(pair->value, "1");
		return scgi->has_scgi;
	}
	if (pair->id != VAR_CONTENT_LENGTH)
		return true;
	if (scgi->has_length || !cgi_length(pair->value, false, &scgi->body))
		return false;
	scgi->has_length = true;
	return true;
}

/* Finds the next NUL behind what was looked at; false, and all is looked at, where there is none.
 */
static bool find_end(struct scgi *scgi, const uint8_t *data, size_t available, size_t *end)
{
	struct nuls nuls = nuls_of(data + scgi->looked, data + available);
	const uint8_t *nul = nuls_next(&nuls);

	*end = nul ? (size_t)(nul - data) : available;
	scgi->looked = (uint32_t)*end + (nul != NULL);
	return nul;
}

/* Takes one pair off the front. False where its end is not there. */
static bool take_pair(struct scgi *scgi, struct span *in, size_t available, struct pair *pair)
{
	size_t end;

	if (!scgi->named) {
		if (!find_end(scgi, in->data, available, &end))
			return false;
		scgi->named = true;
		scgi->name = (uint32_t)end;
	}
	if (!find_end(scgi, in->data, available, &end))
		return false;
	*pair = pair_of(in->data, scgi->name, in->data + scgi->name + 1, end - scgi->name - 1);
	scgi->looked = 0;
	scgi->named = false;
	scgi->left -= end + 1;
	span_take(in, end + 1);
	return true;
}

/* Takes the pairs that are whole, up to one that is not as it must be. */
static void take_whole_pairs(struct scgi *scgi, struct span *in, struct wire_event *event)
{
	size_t available = in->length < scgi->left ? in->length : (size_t)scgi->left;
	const uint8_t *at = in->data, *end = at + available;
	struct pair *pair = event->pairs, *last = pair + EVENT_PAIRS;

	struct nuls nuls = nuls_of(at, end);

	for (; pair < last; pair++) {
		const uint8_t *name = nuls_next(&nuls), *value = name ? nuls_next(&nuls) : NULL;

		if (!value)
			break;
		*pair = pair_of(at, (size_t)(name - at), name + 1, (size_t)(value - name - 1));
		if (!note_pair(scgi, pair))
			break;
		at = value + 1;
	}
	event->count = (unsigned)(pair - event->pairs);
	scgi->left -= (uint64_t)(at - in->data);
	span_take(in, (size_t)(at - in->data));
}

static enum decode_result decode_pairs(struct scgi *scgi, struct span *in, struct wire_event *event)
{
	const uint8_t *begin = in->data;

	event->count = 0;
	if (!scgi->looked)
		take_whole_pairs(scgi, in, event);
	while (scgi->left && event->count < EVENT_PAIRS) {
		size_t available = in->length < scgi->left ? in->length : (size_t)scgi->left;
		struct pair *pair = &event->pairs[event->count];
		struct span before = *in;
		uint64_t left = scgi->left;

		if (!take_pair(scgi, in, available, pair)) {
			if (available == scgi->left && !event->count)
				return decode_bad(event, 400,
				        "a name or value does not end in the netstring");
			break;
		}
		if (!note_pair(scgi, pair)) {
			if (!event->count)
				return decode_bad(
				        event, 400, "CONTENT_LENGTH or SCGI is not as it must be");
			*in = before; /* what came before it is told first */
			scgi->left = left;
			break;
		}
		event->count++;
	}
	if (!scgi->left)
		scgi->phase = SCGI_COMMA;
	event->data = (struct span){ begin, (size_t)(in->data - begin) };
	return event->count ? decode_event(event, EVENT_VARIABLES, 1) : DECODE_MORE;
}

static enum decode_result decode_comma(struct scgi *scgi, struct span *in, struct wire_event *event)
{
	if (!in->length)
		return DECODE_MORE;
	if (*span_take(in, 1) != ',')
		return decode_bad(event, 400, "the netstring does not end with a comma");
	if (!scgi->has_length)
		return decode_bad(event, 400, "no CONTENT_LENGTH");
	if (!scgi->has_scgi)
		return decode_bad(event, 400, "no SCGI variable: include scgi_params in nginx");
	scgi->left = scgi->body;
	scgi->phase = SCGI_BODY;
	return decode_event(event, EVENT_HEAD, 1);
}

static enum decode_result scgi_decode(
        void *state, const struct limits *limits, struct span *in, struct wire_event *event)
{
	struct scgi *scgi = state;

	switch ((enum scgi_phase)scgi->phase) {
	case SCGI_LENGTH:
		return decode_length(scgi, limits, in, event);
	case SCGI_PAIRS:
		return decode_pairs(scgi, in, event);
	case SCGI_COMMA:
		return decode_comma(scgi, in, event);
	case SCGI_BODY:
		if (!scgi->left)
			scgi->phase = SCGI_OVER;
		return cgi_decode_body(&scgi->left, in, event);
	case SCGI_OVER:
		break;
	}
	span_take(in, in->length);
	return DECODE_MORE;
}

static void scgi_write(void *state, uint16_t id, const struct portion *portion, struct writer *out)
{
	(void)state;
	(void)id;
	cgi_write(portion, SPAN("Status: "), out);
}

static uint64_t scgi_body_left(const void *state, uint16_t id)
{
	const struct scgi *scgi = state;

	(void)id;
	return scgi->phase < SCGI_BODY ? UINT64_MAX : scgi->left;
}

/* nginx passes on what it can't understand once it has seen status 101. */
static void scgi_upgrade(void *state, uint16_t id)
{
	struct scgi *scgi = state;

	(void)id;
	scgi->phase = SCGI_BODY;
	scgi->left = UINT64_MAX;
}

const struct protocol protocol_scgi = {
	.name = "scgi",
	.pass = "scgi_pass",
	.number = 1,
	.state_size = sizeof(struct scgi),
	.frame_max = 1 << 20,
	.sniff = scgi_sniff,
	.decode = scgi_decode,
	.write = scgi_write,
	.keeps = cgi_never_keeps,
	.body_left = scgi_body_left,
	.upgrade = scgi_upgrade,
};
