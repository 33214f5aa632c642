/* Requests with the variables of Debian's fastcgi_params, scgi_params and uwsgi_params. */
#include "gate.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const variables[][2] = {
	{ "CONTENT_LENGTH", "0" }, /* first, as SCGI wants it */
	{ "QUERY_STRING", "page=1&order=name" },
	{ "REQUEST_METHOD", "GET" },
	{ "CONTENT_TYPE", "" },
	{ "SCRIPT_NAME", "/shop/items" },
	{ "REQUEST_URI", "/shop/items?page=1&order=name" },
	{ "DOCUMENT_URI", "/shop/items" },
	{ "DOCUMENT_ROOT", "/var/www/html" },
	{ "SERVER_PROTOCOL", "HTTP/1.1" },
	{ "REQUEST_SCHEME", "http" },
	{ "GATEWAY_INTERFACE", "CGI/1.1" },
	{ "SERVER_SOFTWARE", "nginx/1.22.1" },
	{ "REMOTE_ADDR", "192.0.2.17" },
	{ "REMOTE_PORT", "50412" },
	{ "SERVER_ADDR", "192.0.2.1" },
	{ "SERVER_PORT", "80" },
	{ "SERVER_NAME", "shop.example" },
	{ "REDIRECT_STATUS", "200" },
	{ "HTTP_HOST", "shop.example" },
	{ "HTTP_USER_AGENT", "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101" },
	{ "HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" },
	{ "HTTP_ACCEPT_LANGUAGE", "en-GB,en;q=0.5" },
	{ "HTTP_ACCEPT_ENCODING", "gzip, deflate" },
};

#define VARIABLES (sizeof(variables) / sizeof(*variables))

/* ---- requests ---- */

static void add(struct gate_buffer *out, const void *data, size_t length)
{
	if (out->length + length > sizeof(out->bytes))
		abort(); /* the table above has outgrown GATE_REQUEST_MAX */
	if (length)
		memcpy(out->bytes + out->length, data, length);
	out->length += length;
}

static void add_text(struct gate_buffer *out, const char *text)
{
	add(out, text, strlen(text));
}

static void add_record(struct gate_buffer *out, uint8_t type, const void *content, size_t length)
{
	uint8_t padding = (uint8_t)(-length & 7);

	add(out, (uint8_t[]){ 1, type, 0, 1, (uint8_t)(length >> 8), (uint8_t)length, padding, 0 },
	        8);
	add(out, content, length);
	add(out, "\0\0\0\0\0\0\0", padding);
}

/* Names and values here are shorter than 128 bytes: one byte for each length. */
static void request_fastcgi(struct gate_buffer *out, bool keep)
{
	enum { BEGIN_REQUEST = 1, PARAMS = 4, STDIN = 5 };
	struct gate_buffer pairs = { .length = 0 };

	for (size_t i = 0; i < VARIABLES; i++) {
		const char *name = variables[i][0], *value = variables[i][1];

		add(&pairs, (uint8_t[]){ (uint8_t)strlen(name), (uint8_t)strlen(value) }, 2);
		add_text(&pairs, name);
		add_text(&pairs, value);
	}
	add_record(out, BEGIN_REQUEST, (uint8_t[]){ 0, 1, keep, 0, 0, 0, 0, 0 }, 8);
	add_record(out, PARAMS, pairs.bytes, pairs.length);
	add_record(out, PARAMS, NULL, 0);
	add_record(out, STDIN, NULL, 0);
}

static void request_scgi(struct gate_buffer *out, bool keep)
{
	struct gate_buffer head = { .length = 0 };
	char digits[24];
	size_t at = sizeof(digits);

	(void)keep;
	for (size_t i = 0; i < VARIABLES; i++) {
		add(&head, variables[i][0], strlen(variables[i][0]) + 1);
		add(&head, variables[i][1], strlen(variables[i][1]) + 1);
	}
	add(&head, "SCGI\0001", 7);
	digits[--at] = ':';
	for (size_t left = head.length; left; left /= 10)
		digits[--at] = (char)('0' + left % 10);
	add(out, digits + at, sizeof(digits) - at);
	add(out, head.bytes, head.length);
	add_text(out, ",");
}

static void add_uwsgi(struct gate_buffer *out, const char *text)
{
	size_t length = strlen(text);

	add(out, (uint8_t[]){ (uint8_t)length, (uint8_t)(length >> 8) }, 2);
	add(out, text, length);
}

static void request_uwsgi(struct gate_buffer *out, bool keep)
{
	struct gate_buffer pairs = { .length = 0 };

	(void)keep;
	for (size_t i = 0; i < VARIABLES; i++) {
		add_uwsgi(&pairs, variables[i][0]);
		add_uwsgi(&pairs, variables[i][1]);
	}
	add(out, (uint8_t[]){ 0, (uint8_t)pairs.length, (uint8_t)(pairs.length >> 8), 0 }, 4);
	add(out, pairs.bytes, pairs.length);
}

/* What nginx's proxy_pass sends with proxy_http_version 1.1 and the usual proxy_params. */
static void request_http(struct gate_buffer *out, bool keep)
{
	add_text(out, "GET /shop/items?page=1&order=name HTTP/1.1\r\n"
	              "Host: shop.example\r\n"
	              "X-Real-IP: 192.0.2.17\r\n"
	              "X-Forwarded-For: 192.0.2.17\r\n"
	              "X-Forwarded-Proto: http\r\n");
	if (!keep)
		add_text(out, "Connection: close\r\n");
	add_text(out, "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101\r\n"
	              "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
	              "Accept-Language: en-GB,en;q=0.5\r\n"
	              "Accept-Encoding: gzip, deflate\r\n\r\n");
}

/* ---- answers ---- */

/* The value of Content-Length in a head, or -1. */
static long content_length(const uint8_t *head, const uint8_t *end)
{
	static const char name[] = "\r\ncontent-length:";

	for (const uint8_t *at = head; end - at >= (long)sizeof(name); at++)
		if (strncasecmp((const char *)at, name, sizeof(name) - 1) == 0)
			return atol((const char *)at + sizeof(name) - 1);
	return -1;
}

/* `prefix` and what stands before the status; a CGI answer without it means 200. */
static enum gate_verdict judge(const uint8_t *data, size_t length, bool eof, const char *body,
        const char *prefix, bool is_cgi)
{
	const uint8_t *end = memmem(data, length, "\r\n\r\n", 4);
	size_t prefix_length = strlen(prefix), body_length = strlen(body);

	if (!end)
		return eof ? GATE_WRONG : GATE_MORE;
	long announced = content_length(data, end + 2);
	size_t arrived = length - (size_t)(end + 4 - data);
	bool has_status = (size_t)(end - data) > prefix_length + 3 &&
	                  memcmp(data, prefix, prefix_length) == 0;

	if (has_status ? memcmp(data + prefix_length, "200", 3) != 0 : !is_cgi)
		return GATE_WRONG;
	if (announced >= 0 ? (size_t)announced > arrived : !eof)
		return eof ? GATE_WRONG : GATE_MORE;
	return arrived == body_length && memcmp(end + 4, body, body_length) == 0 ? GATE_RIGHT
	                                                                         : GATE_WRONG;
}

static enum gate_verdict answer_http(const uint8_t *data, size_t length, bool eof, const char *body)
{
	return judge(data, length, eof, body, "HTTP/1.1 ", false);
}

static enum gate_verdict answer_scgi(const uint8_t *data, size_t length, bool eof, const char *body)
{
	return judge(data, length, eof, body, "Status: ", true);
}

static enum gate_verdict answer_fastcgi(
        const uint8_t *data, size_t length, bool eof, const char *body)
{
	enum { END_REQUEST = 3, STDOUT = 6 };
	struct gate_buffer text = { .length = 0 };

	for (size_t at = 0; length - at >= 8;) {
		const uint8_t *record = data + at;
		size_t content = (size_t)record[4] << 8 | record[5];
		size_t whole = 8 + content + record[6];

		if (record[0] != 1 || record[2] != 0 || record[3] != 1)
			return GATE_WRONG;
		if (length - at < whole)
			break;
		at += whole;
		if (record[1] == STDOUT) {
			if (text.length + content > sizeof(text.bytes))
				return GATE_WRONG;
			add(&text, record + 8, content);
		} else if (record[1] == END_REQUEST) {
			if (content != 8 || record[12] != 0 ||
			        judge(text.bytes, text.length, true, body, "Status: ", true) !=
			                GATE_RIGHT)
				return GATE_WRONG;
			/* nginx uses a connection again only where nothing follows */
			return at == length ? GATE_RIGHT : GATE_LAST;
		}
	}
	return eof ? GATE_WRONG : GATE_MORE;
}

static const struct gate gates[] = {
	{ "fastcgi", true, request_fastcgi, answer_fastcgi },
	{ "scgi", false, request_scgi, answer_scgi },
	{ "uwsgi", false, request_uwsgi, answer_http },
	{ "http", true, request_http, answer_http },
};

const struct gate *gate_find(const char *name)
{
	for (size_t i = 0; i < sizeof(gates) / sizeof(*gates); i++)
		if (strcmp(gates[i].name, name) == 0)
			return &gates[i];
	return NULL;
}
