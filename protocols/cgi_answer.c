/* Answers as CGI programs write them, and protocols that add no framing: see cgi.h. */
#include "../app/status.h"
#include "cgi.h"

uint8_t *cgi_put_status(uint8_t *at, int status)
{
	size_t length;
	const char *line = status_line(status, &length);

	if (line) {
		at = put_bytes(at, line, length);
	} else {
		at = put_decimal(at, (unsigned)status);
		at = put_literal(at, " Unknown");
	}
	return put_literal(at, "\r\n");
}

uint8_t *cgi_put_fields(uint8_t *at, const struct reply *reply)
{
	at = put_bytes(at, reply->fields.data, reply->fields.length);
	if (reply->length < 0 || reply->status == 204 || reply->status == 304)
		return at;
	at = put_literal(at, "Content-Length: ");
	at = put_decimal(at, (uint64_t)reply->length);
	return put_literal(at, "\r\n");
}

void cgi_write_head(const struct reply *reply, struct span name, struct writer *out)
{
	uint8_t *at = write_room(out, reply->fields.length + PROTOCOL_HEAD_MAX);

	if (!at)
		return;
	at = put_bytes(at, name.data, name.length);
	at = cgi_put_status(at, reply->status);
	at = cgi_put_fields(at, reply);
	out->at = put_literal(at, "\r\n");
}

struct span cgi_no_frame(void *state, uint16_t id, size_t length, struct writer *out)
{
	(void)state;
	(void)id;
	(void)length;
	(void)out;
	return (struct span){ NULL, 0 };
}

void cgi_no_end(void *state, uint16_t id, struct writer *out)
{
	(void)state;
	(void)id;
	(void)out;
}

bool cgi_never_keeps(const void *state, uint16_t id)
{
	(void)state;
	(void)id;
	return false;
}
