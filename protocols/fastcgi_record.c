#include "fastcgi_record.h"

void fastcgi_write_record(struct writer *out, uint8_t type, uint16_t id, size_t length)
{
	uint8_t *at = write_room(out, FCGI_HEADER_LEN);

	if (at)
		out->at = fastcgi_put_record(at, type, id, length);
}

void fastcgi_write_end(struct writer *out, uint16_t id, uint8_t protocol_status)
{
	uint8_t *at = write_room(out, 2 * FCGI_HEADER_LEN);

	if (at)
		out->at = fastcgi_put_end(at, id, protocol_status);
}

bool fastcgi_take_length(struct span *in, size_t *length)
{
	size_t width = in->length && in->data[0] >> 7 ? 4 : 1;

	if (in->length < width)
		return false;
	*length = width == 4 ? read_u32be(in->data) & 0x7fffffff : in->data[0];
	span_take(in, width);
	return true;
}

/* ---- replies ---- */

static struct writer reply_open(struct wire_event *event)
{
	return (struct writer){ event->reply, event->reply + sizeof(event->reply), false };
}

static void reply_end(struct wire_event *event, const struct writer *out)
{
	event->reply_length = (size_t)(out->at - event->reply);
	event->reply_closes = false;
}

/* The values that may be asked for, in the order in which they are told. */
static const struct {
	const char *name, *value;
} values[] = {
	{ FCGI_MAX_CONNS, "1024" },
	{ FCGI_MAX_REQS, "10" },
	{ FCGI_MPXS_CONNS, "1" },
};
#define VALUE_COUNT (sizeof(values) / sizeof(*values))

/* Marks the known names of a name-value list; false where it does not end with a pair. */
static bool asked_values(struct span list, bool asked[VALUE_COUNT])
{
	while (list.length) {
		size_t name, value;

		if (!fastcgi_take_length(&list, &name) || !fastcgi_take_length(&list, &value) ||
		        name > list.length || value > list.length - name)
			return false;
		struct span text = { span_take(&list, name), name };

		span_take(&list, value);
		for (size_t i = 0; i < VALUE_COUNT; i++)
			asked[i] |= span_is(text, values[i].name);
	}
	return true;
}

/* Told once each, whatever was repeated; unknown names are left out. */
bool fastcgi_reply_values(struct span list, struct wire_event *event)
{
	bool asked[VALUE_COUNT] = { false };
	struct writer header = reply_open(event), out = header;

	if (!asked_values(list, asked))
		return false;
	out.at += FCGI_HEADER_LEN;
	for (size_t i = 0; i < VALUE_COUNT; i++) {
		const uint8_t lengths[2] = { (uint8_t)strlen(values[i].name),
			(uint8_t)strlen(values[i].value) };

		if (!asked[i])
			continue;
		write_bytes(&out, lengths, 2);
		write_bytes(&out, values[i].name, lengths[0]);
		write_bytes(&out, values[i].value, lengths[1]);
	}
	fastcgi_write_record(&header, FCGI_GET_VALUES_RESULT, FCGI_NULL_REQUEST_ID,
	        (size_t)(out.at - header.at) - FCGI_HEADER_LEN);
	reply_end(event, &out);
	return true;
}

void fastcgi_reply_unknown_type(uint8_t type, struct wire_event *event)
{
	const uint8_t body[8] = { type };
	struct writer out = reply_open(event);

	fastcgi_write_record(&out, FCGI_UNKNOWN_TYPE, FCGI_NULL_REQUEST_ID, sizeof(body));
	write_bytes(&out, body, sizeof(body));
	reply_end(event, &out);
}

/* To an overload gateways give no answer of their own but 502: it is said in their language first.
 * No body: the request may be HEAD. */
static const char overloaded[] = "Status: 503 Service Unavailable\r\nRetry-After: 1\r\n"
                                 "Content-Type: text/plain; charset=utf-8\r\n"
                                 "Content-Length: 0\r\n\r\n";

void fastcgi_reply_refused(uint16_t id, uint8_t protocol_status, struct wire_event *event)
{
	struct writer out = reply_open(event);

	if (protocol_status == FCGI_OVERLOADED) {
		fastcgi_write_record(&out, FCGI_STDOUT, id, sizeof(overloaded) - 1);
		write_bytes(&out, overloaded, sizeof(overloaded) - 1);
		fastcgi_write_record(&out, FCGI_STDOUT, id, 0);
	}
	fastcgi_write_end(&out, id, protocol_status);
	reply_end(event, &out);
}
