#include "response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "copy.h"
#include "grammar.h"
#include "web/websocket.h"

/* Bytes of body given to the gate in one piece. */
#define PIECE 32768

/* ---- header fields, kept as the lines that will be sent ---- */

/* What anygate says about the connection and the framing, and what gateways would act on. */
static const char reserved[][18] = { "Connection", "Keep-Alive", "Proxy-Connection",
	"Transfer-Encoding", "Trailer", "TE", "Upgrade", "Status", "Date" };

/* Whether two names are the same but for their case: most differ in length or first letter. */
static bool is_named(const char *name, size_t length, const char *other)
{
	return ((name[0] ^ other[0]) & ~0x20) == 0 && strlen(other) == length &&
	       strncasecmp(name, other, length) == 0;
}

static bool is_reserved(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
		if (is_named(name, length, reserved[i]))
			return true;
	return false;
}

static int set_length(struct ag_request *req, const char *digits)
{
	int64_t length = 0;

	for (const char *at = digits; *at; at++) {
		if (*at < '0' || *at > '9' || length > (INT64_MAX - 9) / 10)
			return AG_INVALID;
		length = length * 10 + (*at - '0');
	}
	if (!*digits)
		return AG_INVALID;
	req->announced = length;
	return 0;
}

static void remove_fields(struct ag_request *req, const char *name)
{
	size_t length = strlen(name);

	if (!req->fields_length)
		return;
	char *at = req->fields, *end = req->fields + req->fields_length;

	while (at < end) {
		char *next = memchr(at, '\n', (size_t)(end - at));

		next++;
		if (strncasecmp(at, name, length) != 0 || at[length] != ':') {
			at = next;
			continue;
		}
		memmove(at, next, (size_t)(end - next));
		end -= next - at;
	}
	req->fields_length = (size_t)(end - req->fields);
}

/* Where the handler sets no type. Room for it is kept, so that an answer can always be sent. */
static const char default_type[] = "Content-Type: text/plain; charset=utf-8\r\n";

static bool fields_reserve(struct ag_request *req, size_t size)
{
	size += sizeof(default_type);
	if (size > RESPONSE_FIELDS_MAX - req->fields_length)
		return false;
	if (req->fields_length + size <= req->fields_size)
		return true;
	size_t whole = req->fields_size ? req->fields_size : 256;

	while (whole < req->fields_length + size)
		whole *= 2;
	char *fields = arena_text(&req->arena, whole);

	if (!fields)
		return false;
	if (req->fields_length)
		memcpy(fields, req->fields, req->fields_length);
	req->fields = fields;
	req->fields_size = whole;
	return true;
}

static char *append(char *at, const char *text, size_t length)
{
	copy_short(at, text, length);
	return at + length;
}

int response_append(struct ag_request *req, const char *name, const char *value)
{
	size_t name_length = strlen(name), value_length = strlen(value);

	if (name_length > RESPONSE_FIELDS_MAX || value_length > RESPONSE_FIELDS_MAX ||
	        !fields_reserve(req, name_length + value_length + 4))
		return AG_NOMEM;
	char *at = req->fields + req->fields_length;

	at = append(at, name, name_length);
	at = append(at, ": ", 2);
	at = append(at, value, value_length);
	at = append(at, "\r\n", 2);
	req->fields_length = (size_t)(at - req->fields);
	return 0;
}

static int check_field(
        const struct ag_request *req, const char *name, size_t length, const char *value)
{
	if (req->head_sent || req->ended || !grammar_is_token(name, length) ||
	        !grammar_is_value(value) || is_reserved(name, length))
		return AG_INVALID;
	return 0;
}

/* A field that was checked. */
static int add_field(struct ag_request *req, const char *name, size_t length, const char *value)
{
	if (is_named(name, length, "Content-Length"))
		return set_length(req, value);
	if (!is_named(name, length, "Content-Type"))
		return response_append(req, name, value);
	remove_fields(req, name);
	int error = response_append(req, name, value);

	req->has_type = error == 0;
	return error;
}

int ag_add_header(struct ag_request *req, const char *name, const char *value)
{
	size_t length = strlen(name);
	int error = check_field(req, name, length, value);

	return error ? error : add_field(req, name, length, value);
}

int ag_set_header(struct ag_request *req, const char *name, const char *value)
{
	size_t length = strlen(name);
	int error = check_field(req, name, length, value);

	if (error)
		return error;
	remove_fields(req, name);
	return add_field(req, name, length, value);
}

/* FastCGI 6.3: the gateway takes the prefix off and makes the rest a variable of the request. */
int ag_set_variable(struct ag_request *req, const char *name, const char *value)
{
	static const char prefix[] = "Variable-";
	size_t length = strlen(name);

	if (!req->authorizer || !grammar_is_token(name, length) || strchr(value, '\t'))
		return AG_INVALID;
	if (length > RESPONSE_FIELDS_MAX)
		return AG_NOMEM;
	char *text = ag_alloc(req, sizeof(prefix) + length);

	if (!text)
		return AG_NOMEM;
	memcpy(text, prefix, sizeof(prefix) - 1);
	memcpy(text + sizeof(prefix) - 1, name, length + 1);
	return ag_set_header(req, text, value);
}

/* RFC 6265 4.1.1: cookie-octet is visible ASCII without these. */
static bool is_cookie_value(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f || strchr("\",;\\", *text))
			return false;
	return true;
}

int ag_set_cookie(
        struct ag_request *req, const char *name, const char *value, const char *attributes)
{
	size_t size = strlen(name) + strlen(value) + (attributes ? strlen(attributes) : 0) + 4;

	if (!grammar_is_token(name, strlen(name)) || !is_cookie_value(value))
		return AG_INVALID;
	if (size > RESPONSE_FIELDS_MAX)
		return AG_NOMEM;
	char *text = ag_alloc(req, size);

	if (!text)
		return AG_NOMEM;
	snprintf(text, size, "%s=%s%s%s", name, value, attributes ? "; " : "",
	        attributes ? attributes : "");
	return ag_add_header(req, "Set-Cookie", text);
}

int ag_redirect(struct ag_request *req, int status, const char *location)
{
	return ag_set_header(req, "Location", location) == 0 ? status : 500;
}

int ag_status(struct ag_request *req, int status)
{
	if (req->head_sent || req->ended || status < 200 || status > 599)
		return AG_INVALID;
	req->status = status;
	return 0;
}

/* ---- the body ---- */

static bool has_no_body(int status)
{
	return status == 204 || status == 304;
}

/* Bytes that will not be sent because there must be no body count all the same. */
static bool is_silent(const struct ag_request *req)
{
	return req->is_head || has_no_body(req->status);
}

static void build_head(struct ag_request *req, struct head *head, int64_t length)
{
	if (!req->status)
		req->status = 200;
	head->status = req->status;
	head->fields = req->fields;
	head->fields_length = req->fields_length;
	if (!req->has_type && !has_no_body(req->status)) {
		size_t length_of_type = sizeof(default_type) - 1;

		if (req->fields_length)
			memcpy(req->fields + req->fields_length, default_type, length_of_type);
		else
			head->fields = default_type;
		head->fields_length += length_of_type;
	}
	head->length = has_no_body(req->status) ? -1 : length;
	head->bodiless = req->is_head || has_no_body(req->status);
}

/*
 * nginx stops sending the body as soon as it sees an answer begin, so one that begins before its
 * handler has returned waits until all of the body is here, in memory or on disk.
 */
int response_await_body(struct ag_request *req)
{
	while (!req->body_ended && !req->body_error) {
		int answer = request_wait(req, WAITING_END);

		if (answer < 0)
			return answer;
	}
	return req->body_error;
}

/* Gives a piece to the gate, the head before it where it is the first; waits while it is slow. */
static int send_piece(
        struct ag_request *req, const void *data, size_t size, bool end, int64_t length)
{
	struct head head;
	bool first = !req->head_sent;

	if (req->broken)
		return AG_GONE;
	if (first && !end && !req->upgraded) {
		int error = response_await_body(req);

		if (error)
			return error;
	}
	if (first)
		build_head(req, &head, length);
	if (is_silent(req))
		size = 0; /* written before the status was known */
	req->head_sent = true;
	int answer = req->gate->send(req, first ? &head : NULL, data, size, end);

	if (answer < 0)
		return AG_GONE;
	return answer > 0 && !end ? request_wait(req, WAITING_ROOM) : 0;
}

static int send_buffer(struct ag_request *req)
{
	size_t size = req->buffered;

	req->buffered = 0;
	return send_piece(req, req->buffer, size, false, req->announced);
}

static int send_through(struct ag_request *req, const char *data, size_t size)
{
	int error = req->buffered || !req->head_sent ? send_buffer(req) : 0;

	while (!error && size > 0) {
		size_t piece = size < PIECE ? size : PIECE;

		error = send_piece(req, data, piece, false, -1);
		data += piece;
		size -= piece;
	}
	return error;
}

static bool buffer_get(struct ag_request *req)
{
	if (!req->buffer)
		req->buffer = block_get(&req->runtime->buffers, REQUEST_BUFFER);
	return req->buffer;
}

int ag_write(struct ag_request *req, const void *data, size_t size)
{
	if (req->ended || req->broken)
		return AG_GONE;
	if (req->writer)
		return AG_INVALID;
	if (req->announced >= 0 && size > (uint64_t)req->announced - req->body_sent)
		return AG_INVALID;
	req->body_sent += size;
	if (is_silent(req) || !size)
		return 0;
	if (req->buffered + size > REQUEST_BUFFER)
		return send_through(req, data, size);
	if (!buffer_get(req))
		return AG_NOMEM;
	memcpy(req->buffer + req->buffered, data, size);
	req->buffered += size;
	return 0;
}

int ag_flush(struct ag_request *req)
{
	if (req->ended || req->broken)
		return AG_GONE;
	if (req->writer)
		return AG_INVALID;
	int error = req->buffered || !req->head_sent ? send_buffer(req) : 0;

	if (!error)
		response_release(req); /* sent, so its block is free for others while this waits */
	return error;
}

int ag_puts(struct ag_request *req, const char *text)
{
	return ag_write(req, text, strlen(text));
}

int ag_vprintf(struct ag_request *req, const char *format, va_list arguments)
{
	char small[512];
	va_list again;

	va_copy(again, arguments);
	int length = vsnprintf(small, sizeof(small), format, arguments);
	int answer = AG_INVALID;

	if (length >= 0 && (size_t)length < sizeof(small)) {
		answer = ag_write(req, small, (size_t)length);
	} else if (length >= 0) {
		char *large = malloc((size_t)length + 1);

		answer = AG_NOMEM;
		if (large) {
			vsnprintf(large, (size_t)length + 1, format, again);
			answer = ag_write(req, large, (size_t)length);
		}
		free(large);
	}
	va_end(again);
	return answer;
}

int ag_printf(struct ag_request *req, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int answer = ag_vprintf(req, format, arguments);

	va_end(arguments);
	return answer;
}

void ag_log(struct ag_request *req, const char *format, ...)
{
	char line[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	req->gate->log(req, line);
}

/* ---- the end ---- */

/* Forgets what the handler said: its answer can't be given. */
static void replace_answer(struct ag_request *req, int status)
{
	req->status = status;
	req->fields_length = 0;
	req->buffered = 0;
	req->body_sent = 0;
	req->announced = -1;
	req->has_type = false;
}

static void write_error_page(struct ag_request *req)
{
	char page[128];
	size_t length = response_error_page(req->status, page, sizeof(page));

	ag_write(req, page, length);
	if (req->refused == 503)
		ag_puts(req, "Too many others ask at the moment. Please try again in a second.\n");
}

/* Sets the status of an answer of which nothing was sent. */
static void settle(struct ag_request *req, int status)
{
	if (req->refused) {
		replace_answer(req, req->refused);
		if (req->refused == 503)
			ag_add_header(req, "Retry-After", "1");
	} else if (status < 200 || status > 599) {
		ag_log(req, "the handler returned %d, which is no status; answered 500", status);
		replace_answer(req, 500);
	} else if (req->announced >= 0 && req->body_sent != (uint64_t)req->announced &&
	           !req->is_head && !has_no_body(status)) {
		ag_log(req, "the handler announced %lld bytes and wrote %llu; answered 500",
		        (long long)req->announced, (unsigned long long)req->body_sent);
		replace_answer(req, 500);
	} else {
		req->status = status;
	}
	if (req->status >= 400 && !req->body_sent && !req->has_type)
		write_error_page(req);
}

void response_finish(struct ag_request *req, int status)
{
	int64_t length = -1;

	if (req->expired && !req->refused)
		req->refused = 504;
	if (req->websocket)
		websocket_end(req->websocket);
	if (!req->head_sent) {
		settle(req, status);
		length = req->is_head && req->announced >= 0 ? req->announced
		                                             : (int64_t)req->body_sent;
	}
	bool cut = req->head_sent && !req->upgraded &&
	           ((req->announced >= 0 && !is_silent(req) &&
	                    req->body_sent < (uint64_t)req->announced) ||
	                   req->refused || status < 0);

	req->cut_short = cut && !req->broken; /* nobody takes the rest of an aborted one */
	if (!req->broken && send_piece(req, req->buffer, req->buffered, true, length) < 0)
		req->broken = true;
	req->buffered = 0;
	req->ended = true;
	response_release(req);
}

void response_release(struct ag_request *req)
{
	if (req->buffer)
		block_put(&req->runtime->buffers, req->buffer);
	req->buffer = NULL;
}
