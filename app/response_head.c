/* The answer's head: its status and its header fields, kept as the lines that will be sent. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "copy.h"
#include "grammar.h"
#include "response.h"

/* Whether it is this name, of letters and hyphens, whatever its case. */
static inline bool is_named(const char *name, size_t length, const char *wanted)
{
	const uint64_t letters = UINT64_C(0x4040404040404040); /* hyphens have not this bit */
	uint64_t differ = 0;

	if (length != strlen(wanted))
		return false;
	if (length < 8)
		return strncasecmp(name, wanted, length) == 0;
	for (size_t at = 0; at < length; at += 8) {
		size_t from = at + 8 <= length ? at : length - 8;
		uint64_t word, wanted_word;

		memcpy(&word, name + from, 8);
		memcpy(&wanted_word, wanted + from, 8);
		differ |= (word ^ wanted_word) & ~((wanted_word & letters) >> 1);
	}
	return !differ;
}

/* What anygate says about the connection and the framing, and what gateways would act on. */
static bool is_reserved(const char *name, size_t length)
{
	switch (length) {
	case 2:
		return is_named(name, 2, "TE");
	case 4:
		return is_named(name, 4, "Date");
	case 6:
		return is_named(name, 6, "Status");
	case 7:
		return is_named(name, 7, "Trailer") || is_named(name, 7, "Upgrade");
	case 10:
		return is_named(name, 10, "Connection") || is_named(name, 10, "Keep-Alive");
	case 16:
		return is_named(name, 16, "Proxy-Connection");
	case 17:
		return is_named(name, 17, "Transfer-Encoding");
	default:
		return false;
	}
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

static void remove_fields(struct ag_request *req, const char *name, size_t length)
{
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

/* A line for the answer's head. */
struct field {
	const char *name, *value;
	size_t name_length, value_length;
};

static struct field field_of(const char *name, const char *value)
{
	return (struct field){ name, value, strlen(name), strlen(value) };
}

static int append_field(struct ag_request *req, const struct field *field)
{
	if (field->name_length > RESPONSE_FIELDS_MAX || field->value_length > RESPONSE_FIELDS_MAX ||
	        !fields_reserve(req, field->name_length + field->value_length + 4))
		return AG_NOMEM;
	char *at = req->fields + req->fields_length;

	at = append(at, field->name, field->name_length);
	at = append(at, ": ", 2);
	at = append(at, field->value, field->value_length);
	at = append(at, "\r\n", 2);
	req->fields_length = (size_t)(at - req->fields);
	return 0;
}

int response_append(struct ag_request *req, const char *name, const char *value)
{
	struct field field = field_of(name, value);

	return append_field(req, &field);
}

/* `replace`: those of this name go, as with a type, of which there is one. */
static int add_field(struct ag_request *req, const char *name, const char *value, bool replace)
{
	struct field field = field_of(name, value);
	bool is_type = is_named(name, field.name_length, "Content-Type");
	bool may_be = is_type || (grammar_is_token(name, field.name_length) &&
	                                 !is_reserved(name, field.name_length));

	if (!may_be || req->head_sent || req->ended || !grammar_is_value(value, field.value_length))
		return AG_INVALID;
	if (is_named(name, field.name_length, "Content-Length"))
		return set_length(req, value);
	if (req->fields_length && (replace || is_type))
		remove_fields(req, name, field.name_length);
	int error = is_type && !*value ? 0 : append_field(req, &field);

	if (is_type)
		req->has_type = error == 0;
	return error;
}

int ag_add_header(struct ag_request *req, const char *name, const char *value)
{
	return add_field(req, name, value, false);
}

int ag_set_header(struct ag_request *req, const char *name, const char *value)
{
	return add_field(req, name, value, true);
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

void response_build_head(struct ag_request *req, struct head *head, int64_t length)
{
	if (!req->status)
		req->status = 200;
	bool no_body = response_has_no_body(req->status);

	*head = (struct head){ .status = req->status,
		.fields = req->fields,
		.fields_length = req->fields_length,
		.length = no_body ? -1 : length,
		.bodiless = no_body || req->is_head };
	if (req->has_type || no_body)
		return;
	if (req->fields_length)
		memcpy(req->fields + req->fields_length, default_type, sizeof(default_type) - 1);
	else
		head->fields = default_type;
	head->fields_length += sizeof(default_type) - 1;
}
