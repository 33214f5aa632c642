/* Answers of HTTP/1.1: the head, the framing of the body, and what follows for the connection. */
#include "cgi.h"
#include "http.h"

void http_start_over(struct http *http)
{
	*http = (struct http){ .phase = HTTP_START };
}

/* How the body ends: RFC 9112 6.3, seen from the server. */
static uint8_t *put_framing(uint8_t *at, struct http *http, const struct reply *reply)
{
	bool never = reply->status < 200 || reply->status == 204 || reply->status == 304;

	http->chunking = false;
	if (never)
		return at;
	if (reply->length >= 0) {
		at = put_literal(at, "Content-Length: ");
		at = put_decimal(at, (uint64_t)reply->length);
		return put_literal(at, "\r\n");
	}
	if (reply->bodiless || http->old)
		return at;
	http->chunking = true;
	return put_literal(at, "Transfer-Encoding: chunked\r\n");
}

/* A body of unknown length for HTTP/1.0 ends with the connection, whatever the client asked. */
static uint8_t *put_connection(uint8_t *at, struct http *http, const struct reply *reply)
{
	if (http->old && reply->length < 0 && !reply->bodiless)
		http->keeps = false;
	if (reply->status == 101)
		return put_literal(at, "Connection: Upgrade\r\n");
	if (reply->status < 200)
		return at;
	if (reply->close || !http->keeps)
		return put_literal(at, "Connection: close\r\n");
	return http->old ? put_literal(at, "Connection: keep-alive\r\n") : at;
}

void http_head(void *state, uint16_t id, const struct reply *reply, struct writer *out)
{
	struct http *http = state;
	uint8_t *at = write_room(out, reply->fields.length + PROTOCOL_HEAD_MAX);

	(void)id;
	if (!at)
		return;
	at = put_literal(at, "HTTP/1.1 ");
	at = cgi_put_status(at, reply->status);
	at = put_bytes(at, reply->fields.data, reply->fields.length);
	if (reply->date.length > 0) {
		at = put_literal(at, "Date: ");
		at = put_bytes(at, reply->date.data, reply->date.length);
		at = put_literal(at, "\r\n");
	}
	at = put_framing(at, http, reply);
	at = put_connection(at, http, reply);
	out->at = put_literal(at, "\r\n");
	if (reply->status >= 200)
		http->expects = false;
}

/* A piece of the body as a chunk; one of no bytes would end it. */
struct span http_frame(void *state, uint16_t id, size_t length, struct writer *out)
{
	static const char digits[] = "0123456789abcdef";
	const struct http *http = state;
	char hex[2 * sizeof length];
	size_t at = sizeof hex;

	(void)id;
	if (!http->chunking || length == 0)
		return (struct span){ NULL, 0 };
	for (; length > 0; length >>= 4)
		hex[--at] = digits[length & 15];
	write_bytes(out, hex + at, sizeof hex - at);
	write_literal(out, "\r\n");
	return SPAN("\r\n");
}

/* What the peer still sends of the request comes as events yet, and as END. */
void http_end(void *state, uint16_t id, struct writer *out)
{
	struct http *http = state;

	(void)id;
	if (http->chunking)
		write_literal(out, "0\r\n\r\n");
	http->chunking = false;
	http->ended = true;
	if (http->phase == HTTP_DONE)
		http_start_over(http);
}

bool http_keeps(const void *state, uint16_t id)
{
	const struct http *http = state;

	(void)id;
	return http->keeps;
}

uint64_t http_body_left(const void *state, uint16_t id)
{
	const struct http *http = state;

	(void)id;
	if (http->phase == HTTP_BODY)
		return http->left;
	return http->phase == HTTP_START || http->phase >= HTTP_END ? 0 : UINT64_MAX;
}

void http_want_body(void *state, struct writer *out)
{
	struct http *http = state;

	if (!http->expects || (http->phase != HTTP_BODY && http->phase != HTTP_CHUNK))
		return;
	write_literal(out, "HTTP/1.1 100 Continue\r\n\r\n");
	http->expects = false;
}
