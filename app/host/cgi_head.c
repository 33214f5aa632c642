#include "cgi_head.h"

#include <string.h>
#include <strings.h>

#include "../grammar.h"

void cgi_head_begin(struct cgi_head *head)
{
	head->status = 0;
	head->length = -1;
	head->type = head->location = NULL;
	head->count = head->used = head->line = 0;
	head->complete = false;
}

size_t cgi_head_take(struct cgi_head *head, const char *data, size_t size)
{
	size_t taken = 0;

	while (taken < size && !head->complete && head->used < sizeof(head->text)) {
		char c = data[taken++];
		size_t length = head->used - head->line;

		head->text[head->used++] = c;
		if (c != '\n')
			continue;
		head->complete = length == 0 || (length == 1 && head->text[head->line] == '\r');
		head->line = head->used;
	}
	return taken;
}

/* ---- one field ---- */

/* RFC 9110 5.5: no control bytes but the tab, so no CR in the middle of a line either. */
static bool is_value(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* 6.3.3: three digits and perhaps a phrase. A program answers once, so 1xx is no answer. */
static const char *take_status(struct cgi_head *head, const char *value)
{
	if (head->status)
		return "Status comes twice";
	if (strspn(value, "0123456789") != 3 || (value[3] && !is_blank(value[3])))
		return "Status is not three digits and a phrase";
	head->status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
	if (head->status < 200 || head->status > 599)
		return "Status is not from 200 to 599";
	return NULL;
}

static const char *take_length(struct cgi_head *head, const char *value)
{
	int64_t length = 0;

	if (head->length >= 0)
		return "Content-Length comes twice";
	for (const char *at = value; *at; at++) {
		if (*at < '0' || *at > '9' || length > (INT64_MAX - 9) / 10)
			return "Content-Length is not a number";
		length = length * 10 + (*at - '0');
	}
	if (!*value)
		return "Content-Length is not a number";
	head->length = length;
	return NULL;
}

static const char *take_type(struct cgi_head *head, const char *value)
{
	if (head->type)
		return "Content-Type comes twice";
	head->type = value;
	return *value ? NULL : "Content-Type is empty";
}

static const char *take_location(struct cgi_head *head, const char *value)
{
	if (head->location)
		return "Location comes twice";
	head->location = value;
	return *value ? NULL : "Location is empty";
}

static const char *take_other(struct cgi_head *head, const char *name, const char *value)
{
	/* of the connection, or the server's to say */
	static const char *const dropped[] = { "Connection", "Keep-Alive", "Proxy-Connection",
		"Transfer-Encoding", "Trailer", "TE", "Upgrade", "Date" };

	for (size_t i = 0; i < sizeof(dropped) / sizeof(*dropped); i++)
		if (strcasecmp(name, dropped[i]) == 0)
			return NULL;
	if (strncasecmp(name, "X-CGI-", 6) == 0)
		return NULL;
	if (head->count == CGI_FIELDS_MAX)
		return "too many header fields";
	head->fields[head->count++] = (struct cgi_field){ name, value };
	return NULL;
}

static const char *take_field(struct cgi_head *head, const char *name, const char *value)
{
	if (strcasecmp(name, "Status") == 0)
		return take_status(head, value);
	if (strcasecmp(name, "Content-Length") == 0)
		return take_length(head, value);
	if (strcasecmp(name, "Content-Type") == 0)
		return take_type(head, value);
	if (strcasecmp(name, "Location") == 0)
		return take_location(head, value);
	return take_other(head, name, value);
}

/* ---- the head ---- */

/* A line without its end; both texts get a NUL of their own. */
static const char *take_line(struct cgi_head *head, char *line, size_t length)
{
	char *colon = memchr(line, ':', length), *end = line + length;

	if (is_blank(*line))
		return "a header field goes on in another line";
	if (!colon || !grammar_is_token(line, (size_t)(colon - line)))
		return "a line is not a header field";
	char *value = colon + 1;

	while (value < end && is_blank(*value))
		value++;
	while (end > value && is_blank(end[-1]))
		end--;
	if (!is_value(value, (size_t)(end - value)))
		return "a header field has a control byte";
	*colon = *end = '\0';
	return take_field(head, line, value);
}

const char *cgi_head_parse(struct cgi_head *head)
{
	char *at = head->text, *end = head->text + head->used;
	const char *problem = NULL;

	while (!problem && at < end) {
		char *feed = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)(feed - at);

		if (length > 0 && at[length - 1] == '\r')
			length--;
		if (length > 0)
			problem = take_line(head, at, length);
		at = feed + 1;
	}
	if (!problem && !head->status && !head->type && !head->location)
		problem = "there is no Content-Type, Location or Status";
	return problem;
}
