/* Requests with the variables of Debian's fastcgi_params, scgi_params and uwsgi_params. */
#include "gate.h"

#include <stdio.h>
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
#define TARGET    "/shop/items?page=1&order=name"
#define CHUNK_MAX 32768 /* bytes of a body in a record of nginx */

/* ---- buffers ---- */

void gate_add(struct gate_buffer *out, const void *data, size_t length)
{
	if (out->room - out->length < length) {
		out->room = (out->room + length) * 2;
		out->bytes = realloc(out->bytes, out->room);
		if (!out->bytes)
			abort();
	}
	if (length)
		memcpy(out->bytes + out->length, data, length);
	out->length += length;
}

static void add_text(struct gate_buffer *out, const char *text)
{
	gate_add(out, text, strlen(text));
}

void gate_add_body(struct gate_buffer *out, size_t length)
{
	static const char text[] =
	        "abcdefghijklmnopqrstuvwxyz0123456789.:,;-_+*#~<>|!?/()=&%$@^ \n";

	for (size_t left = length; left;) {
		size_t some = left < sizeof(text) - 1 ? left : sizeof(text) - 1;

		gate_add(out, text, some);
		left -= some;
	}
}

/* ---- requests ---- */

/* What a pair has to say of the request; others stay as they are in the table. */
static void fill(char *value, size_t room, const char *name, const struct gate_request *request)
{
	const char *target = request->target ? request->target : TARGET;
	size_t path = strcspn(target, "?");

	if (strcmp(name, "CONTENT_LENGTH") == 0)
		snprintf(value, room, "%zu", request->body);
	else if (strcmp(name, "CONTENT_TYPE") == 0 && request->body)
		snprintf(value, room, "text/plain");
	else if (strcmp(name, "REQUEST_METHOD") == 0 && request->body)
		snprintf(value, room, "POST");
	else if (strcmp(name, "QUERY_STRING") == 0)
		snprintf(value, room, "%s", target[path] ? target + path + 1 : "");
	else if (strcmp(name, "REQUEST_URI") == 0)
		snprintf(value, room, "%s", target);
	else if (strcmp(name, "SCRIPT_NAME") == 0 || strcmp(name, "DOCUMENT_URI") == 0)
		snprintf(value, room, "%.*s", (int)path, target);
}

/* Calls `add` with every pair, by number. */
static void each_pair(struct gate_buffer *out, const struct gate_request *request,
        void (*add)(struct gate_buffer *out, const char *name, const char *value))
{
	unsigned count = request->variables ? request->variables : VARIABLES;
	char name[64], value[1024];

	for (unsigned i = 0; i < count; i++) {
		bool known = i < VARIABLES;

		snprintf(name, sizeof(name), known ? "%s" : "HTTP_X_MORE_%s%u",
		        known ? variables[i][0] : "", i);
		snprintf(value, sizeof(value), known ? "%s" : "value %s%u",
		        known ? variables[i][1] : "", i);
		fill(value, sizeof(value), name, request);
		add(out, name, value);
	}
	if (request->script)
		add(out, "SCRIPT_FILENAME", request->script);
}

static void add_record(
        struct gate_buffer *out, uint8_t type, uint16_t id, const void *content, size_t length)
{
	uint8_t padding = (uint8_t)(-length & 7);

	gate_add(out,
	        (uint8_t[]){ 1, type, (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)(length >> 8),
	                (uint8_t)length, padding, 0 },
	        8);
	gate_add(out, content, length);
	gate_add(out, "\0\0\0\0\0\0\0", padding);
}

/* Names and values here are shorter than 128 bytes: one byte for each length. */
static void add_fastcgi(struct gate_buffer *out, const char *name, const char *value)
{
	gate_add(out, (uint8_t[]){ (uint8_t)strlen(name), (uint8_t)strlen(value) }, 2);
	add_text(out, name);
	add_text(out, value);
}

static void request_fastcgi(struct gate_buffer *out, const struct gate_request *request)
{
	enum { BEGIN_REQUEST = 1, PARAMS = 4, STDIN = 5 };
	uint16_t id = request->id ? request->id : 1;
	struct gate_buffer pairs = { .length = 0 }, body = { .length = 0 };

	each_pair(&pairs, request, add_fastcgi);
	gate_add_body(&body, request->body);
	add_record(out, BEGIN_REQUEST, id, (uint8_t[]){ 0, 1, request->keep, 0, 0, 0, 0, 0 }, 8);
	add_record(out, PARAMS, id, pairs.bytes, pairs.length);
	add_record(out, PARAMS, id, NULL, 0);
	for (size_t at = 0; at < body.length; at += CHUNK_MAX) {
		size_t left = body.length - at;

		add_record(out, STDIN, id, body.bytes + at, left < CHUNK_MAX ? left : CHUNK_MAX);
	}
	add_record(out, STDIN, id, NULL, 0);
	free(pairs.bytes);
	free(body.bytes);
}

static void add_scgi(struct gate_buffer *out, const char *name, const char *value)
{
	gate_add(out, name, strlen(name) + 1);
	gate_add(out, value, strlen(value) + 1);
}

static void request_scgi(struct gate_buffer *out, const struct gate_request *request)
{
	struct gate_buffer head = { .length = 0 };
	char digits[24];

	each_pair(&head, request, add_scgi);
	add_scgi(&head, "SCGI", "1");
	snprintf(digits, sizeof(digits), "%zu:", head.length);
	add_text(out, digits);
	gate_add(out, head.bytes, head.length);
	add_text(out, ",");
	gate_add_body(out, request->body);
	free(head.bytes);
}

static void add_uwsgi_text(struct gate_buffer *out, const char *text)
{
	size_t length = strlen(text);

	gate_add(out, (uint8_t[]){ (uint8_t)length, (uint8_t)(length >> 8) }, 2);
	gate_add(out, text, length);
}

static void add_uwsgi(struct gate_buffer *out, const char *name, const char *value)
{
	add_uwsgi_text(out, name);
	add_uwsgi_text(out, value);
}

static void request_uwsgi(struct gate_buffer *out, const struct gate_request *request)
{
	struct gate_buffer pairs = { .length = 0 };

	each_pair(&pairs, request, add_uwsgi);
	gate_add(out, (uint8_t[]){ 0, (uint8_t)pairs.length, (uint8_t)(pairs.length >> 8), 0 }, 4);
	gate_add(out, pairs.bytes, pairs.length);
	gate_add_body(out, request->body);
	free(pairs.bytes);
}

/* What nginx's proxy_pass sends with proxy_http_version 1.1 and the usual proxy_params. */
static void request_http(struct gate_buffer *out, const struct gate_request *request)
{
	char text[256];
	int length = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: shop.example\r\n",
	        request->body ? "POST" : "GET", request->target ? request->target : TARGET);

	gate_add(out, text, (size_t)length);
	add_text(out, "X-Real-IP: 192.0.2.17\r\n"
	              "X-Forwarded-For: 192.0.2.17\r\n"
	              "X-Forwarded-Proto: http\r\n");
	if (!request->keep)
		add_text(out, "Connection: close\r\n");
	if (request->body) {
		snprintf(text, sizeof(text), "Content-Type: text/plain\r\nContent-Length: %zu\r\n",
		        request->body);
		add_text(out, text);
	}
	for (unsigned i = GATE_VARIABLES_MIN; i < request->variables; i++) {
		snprintf(text, sizeof(text), "X-More-%u: value %u\r\n", i, i);
		add_text(out, text);
	}
	add_text(out, "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101\r\n"
	              "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
	              "Accept-Language: en-GB,en;q=0.5\r\n"
	              "Accept-Encoding: gzip, deflate\r\n\r\n");
	gate_add_body(out, request->body);
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
static enum gate_verdict judge(const uint8_t *data, size_t length, bool eof,
        const struct gate_buffer *body, const char *prefix, bool is_cgi)
{
	const uint8_t *end = memmem(data, length, "\r\n\r\n", 4);
	size_t prefix_length = strlen(prefix);

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
	return arrived == body->length && memcmp(end + 4, body->bytes, arrived) == 0 ? GATE_RIGHT
	                                                                             : GATE_WRONG;
}

static enum gate_verdict answer_http(
        const uint8_t *data, size_t length, bool eof, const struct gate_buffer *body)
{
	bool is_old = length > 7 && data[7] == '0';

	return judge(data, length, eof, body, is_old ? "HTTP/1.0 " : "HTTP/1.1 ", false);
}

static enum gate_verdict answer_scgi(
        const uint8_t *data, size_t length, bool eof, const struct gate_buffer *body)
{
	return judge(data, length, eof, body, "Status: ", true);
}

enum gate_verdict gate_judge_cgi(const uint8_t *data, size_t length, const struct gate_buffer *body)
{
	return judge(data, length, true, body, "Status: ", true);
}

/* Whether the records are a whole answer; appends its STDOUT. */
static enum gate_verdict read_records(const uint8_t *data, size_t length, struct gate_buffer *text)
{
	enum { END_REQUEST = 3, STDOUT = 6 };

	for (size_t at = 0; length - at >= 8;) {
		const uint8_t *record = data + at;
		size_t content = (size_t)record[4] << 8 | record[5];
		size_t whole = 8 + content + record[6];

		if (record[0] != 1 || record[2] != 0 || record[3] != 1)
			return GATE_WRONG;
		if (length - at < whole)
			break;
		at += whole;
		if (record[1] == STDOUT)
			gate_add(text, record + 8, content);
		else if (record[1] == END_REQUEST)
			/* nginx uses a connection again only where nothing follows */
			return content != 8 || record[12] != 0 ? GATE_WRONG
			       : at == length                  ? GATE_RIGHT
			                                       : GATE_LAST;
	}
	return GATE_MORE;
}

static enum gate_verdict answer_fastcgi(
        const uint8_t *data, size_t length, bool eof, const struct gate_buffer *body)
{
	struct gate_buffer text = { .length = 0 };
	enum gate_verdict verdict = read_records(data, length, &text);

	if (verdict >= GATE_RIGHT && gate_judge_cgi(text.bytes, text.length, body) != GATE_RIGHT)
		verdict = GATE_WRONG;
	free(text.bytes);
	return verdict == GATE_MORE && eof ? GATE_WRONG : verdict;
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
