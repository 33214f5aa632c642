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

/* Whether only a close can end the body: of unknown length for HTTP/1.0, whatever was asked. */
static bool ends_by_close(const struct http *http, const struct reply *reply)
{
	return http->old && reply->length < 0 && !reply->bodiless;
}

static uint8_t *put_connection(uint8_t *at, struct http *http, const struct reply *reply)
{
	if (ends_by_close(http, reply))
		http->keeps = false;
	if (reply->status == 101)
		return put_literal(at, "Connection: Upgrade\r\n");
	if (reply->status < 200)
		return at;
	if (reply->close || !http->keeps)
		return put_literal(at, "Connection: close\r\n");
	return http->old ? put_literal(at, "Connection: keep-alive\r\n") : at;
}

static uint8_t *put_head(uint8_t *at, struct http *http, const struct reply *reply)
{
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
	if (reply->status >= 200)
		http->expects = false;
	return put_literal(at, "\r\n");
}

static uint8_t *put_hex(uint8_t *at, size_t value)
{
	static const char digits[] = "0123456789abcdef";
	int shift = 8 * sizeof(value) - 4;

	while (shift > 0 && !(value >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*at++ = (uint8_t)digits[value >> shift & 15];
	return at;
}

/* A piece of the body, as a chunk where it must be; one of no bytes would end it. */
static uint8_t *put_piece(uint8_t *at, const struct http *http, struct span piece)
{
	if (!http->chunking || !piece.length)
		return put_bytes(at, piece.data, piece.length);
	at = put_hex(at, piece.length);
	at = put_literal(at, "\r\n");
	at = put_bytes(at, piece.data, piece.length);
	return put_literal(at, "\r\n");
}

/* What the peer still sends of the request comes as events yet, and as END. */
static uint8_t *put_end(uint8_t *at, struct http *http)
{
	if (http->chunking)
		at = put_literal(at, "0\r\n\r\n");
	http->chunking = false;
	http->ended = true;
	if (http->phase == HTTP_DONE)
		http_start_over(http);
	return at;
}

void http_write(void *state, uint16_t id, const struct portion *portion, struct writer *out)
{
	struct http *http = state;
	uint8_t *at = portion_room(out, portion);

	(void)id;
	if (!at)
		return;
	if (portion->reply)
		at = put_head(at, http, portion->reply);
	at = put_piece(at, http, portion->body);
	if (portion->end)
		at = put_end(at, http);
	out->at = at;
}

bool http_keeps(const void *state, uint16_t id, const struct reply *reply)
{
	const struct http *http = state;

	(void)id;
	return http->keeps && !(reply && ends_by_close(http, reply));
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
