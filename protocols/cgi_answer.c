/* Answers as CGI programs write them: see cgi.h. */
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

void cgi_write(const struct portion *portion, struct span name, struct writer *out)
{
	uint8_t *at = portion_room(out, portion);

	if (!at)
		return;
	if (portion->reply) {
		at = put_bytes(at, name.data, name.length);
		at = cgi_put_status(at, portion->reply->status);
		at = cgi_put_fields(at, portion->reply);
		at = put_literal(at, "\r\n");
	}
	out->at = put_bytes(at, portion->body.data, portion->body.length);
}

bool cgi_never_keeps(const void *state, uint16_t id, const struct reply *reply)
{
	(void)state;
	(void)id;
	(void)reply;
	return false;
}
