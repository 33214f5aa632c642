/* Answers of HTTP/1.1: the head, the framing of the body, and what follows for the connection. */
#include "http.h"

void http_start_over(struct http *http)
{
	*http = (struct http){ .phase = HTTP_START };
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

void http_head(void *state, uint16_t id, const struct reply *reply, struct writer *out)
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
void http_frame(
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
