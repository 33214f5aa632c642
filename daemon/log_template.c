#include "log_template.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_keys.h"
#include "log_fields.h"

/* One piece of a line: a field, or text as it stands. */
struct part {
	const struct log_field *field; /* NULL: text */
	char *text;                    /* or the variable of {header:NAME} and {env:NAME} */
	size_t length;
};

struct log_template {
	bool json, timed;
	size_t count;
	struct part *parts;
};

#define COMBINED                                                                                   \
	"{remote_addr} - {remote_user} [{time_local}] \"{request}\" {status} {bytes} "             \
	"\"{referer}\" \"{user_agent}\""

#define JSON                                                                                       \
	"{{\"time\":{time},\"remote_addr\":{remote_addr},\"remote_user\":{remote_user},"           \
	"\"method\":{method},\"uri\":{uri},\"protocol\":{protocol},\"host\":{host},"               \
	"\"status\":{status},\"bytes\":{bytes},\"bytes_in\":{bytes_in},"                           \
	"\"duration_ms\":{duration_ms},\"wait_ms\":{wait_ms},\"run_ms\":{run_ms},"                 \
	"\"gate\":{gate},\"worker\":{worker},\"request_id\":{request_id},"                         \
	"\"referer\":{referer},\"user_agent\":{user_agent},\"cut\":{cut}}}"

static const struct log_field variable_field = { "env", log_tell_variable, NULL, 0 };

/* ---- parsing ---- */

struct parser {
	struct log_template *made;
	char *error;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static bool fail(
        struct parser *parser, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(parser->error, parser->size, format, arguments);
	va_end(arguments);
	return false;
}

static bool add(
        struct parser *parser, const struct log_field *field, const char *text, size_t length)
{
	struct log_template *made = parser->made;
	struct part *parts = reallocarray(made->parts, made->count + 1, sizeof(*parts));

	if (!parts)
		return fail(parser, "out of memory");
	made->parts = parts;
	parts[made->count] = (struct part){ field, strndup(text, length), length };
	if (!parts[made->count++].text)
		return fail(parser, "out of memory");
	return true;
}

/* The CGI variable of an HTTP field (RFC 3875 4.1.18). */
static bool add_header(struct parser *parser, const char *name, size_t length)
{
	char variable[128] = "HTTP_";

	if (!length || length > sizeof(variable) - 6)
		return fail(parser, "expected {header:NAME} with a header's name");
	for (size_t i = 0; i < length; i++) {
		char c = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);

		if (!isalnum((unsigned char)c) && c != '_')
			return fail(parser, "\"%.*s\" is not a header's name", (int)length, name);
		variable[5 + i] = c;
	}
	variable[5 + length] = '\0';
	bool bare = strcmp(variable, "HTTP_CONTENT_TYPE") == 0 ||
	            strcmp(variable, "HTTP_CONTENT_LENGTH") == 0;

	return add(parser, &variable_field, variable + (bare ? 5 : 0), length + (bare ? 0 : 5));
}

static bool fail_unknown(struct parser *parser, const char *name, size_t length)
{
	char wanted[32];
	struct nearest nearest = { .wanted = wanted };

	snprintf(wanted, sizeof(wanted), "%.*s", (int)(length < 31 ? length : 31), name);
	for (size_t i = 0; i < log_field_count; i++)
		nearest_offer(&nearest, log_fields[i].name);
	if (nearest.best)
		return fail(parser, "unknown field {%s}; did you mean {%s}?", wanted, nearest.best);
	return fail(parser, "unknown field {%s}; anygate(8) lists them", wanted);
}

/* What stands between braces. */
static bool add_field(struct parser *parser, const char *name, size_t length)
{
	if (length > 7 && strncmp(name, "header:", 7) == 0)
		return add_header(parser, name + 7, length - 7);
	if (length > 4 && strncmp(name, "env:", 4) == 0)
		return add(parser, &variable_field, name + 4, length - 4);
	for (size_t i = 0; i < log_field_count; i++) {
		const struct log_field *field = &log_fields[i];

		if (strlen(field->name) != length || strncmp(field->name, name, length) != 0)
			continue;
		parser->made->timed |= field->flags & FIELD_TIMED;
		return add(parser, field, field->variable ? field->variable : "",
		        field->variable ? strlen(field->variable) : 0);
	}
	return fail_unknown(parser, name, length);
}

static bool parse(struct parser *parser, const char *at)
{
	bool fine = true;

	while (fine && *at) {
		size_t text = strcspn(at, "{}");

		if (text) {
			fine = add(parser, NULL, at, text);
			at += text;
		} else if (at[0] == at[1]) {
			fine = add(parser, NULL, at, 1);
			at += 2;
		} else if (*at == '}' || !strchr(at, '}')) {
			return fail(parser,
			        "a single \"%c\"; write {FIELD}, or %c%c for one in "
			        "the text",
			        *at, *at, *at);
		} else {
			size_t length = strcspn(at, "}") - 1;

			fine = add_field(parser, at + 1, length);
			at += length + 2;
		}
	}
	return fine;
}

/* A word without a field would write the same line for every request. */
static bool check_format(struct parser *parser, const char *format)
{
	struct nearest nearest = { .wanted = format };

	if (strchr(format, '{'))
		return true;
	nearest_offer(&nearest, "combined");
	nearest_offer(&nearest, "json");
	if (nearest.best)
		return fail(parser, "unknown format; did you mean %s?", nearest.best);
	return fail(parser, "expected combined, json or a template with a {FIELD} in it");
}

struct log_template *log_template_new(const char *format, char *error, size_t size)
{
	struct parser parser = { calloc(1, sizeof(*parser.made)), error, size };

	if (!parser.made) {
		fail(&parser, "out of memory");
		return NULL;
	}
	parser.made->json = strcmp(format, "json") == 0;
	if (parser.made->json)
		format = JSON;
	else if (strcmp(format, "combined") == 0)
		format = COMBINED;
	if (check_format(&parser, format) && parse(&parser, format))
		return parser.made;
	log_template_free(parser.made);
	return NULL;
}

void log_template_free(struct log_template *log_template)
{
	if (!log_template)
		return;
	for (size_t i = 0; i < log_template->count; i++)
		free(log_template->parts[i].text);
	free(log_template->parts);
	free(log_template);
}

bool log_template_is_timed(const struct log_template *log_template)
{
	return log_template->timed;
}

/* ---- writing ---- */

void log_template_write(const struct log_template *log_template, const struct log_entry *entry,
        size_t most, struct writer *out)
{
	struct line line = { .out = out, .entry = entry, .most = most, .json = log_template->json };

	for (size_t i = 0; i < log_template->count && !out->overflow; i++) {
		const struct part *part = &log_template->parts[i];

		line.variable = part->text;
		line.word = part->field && part->field->flags & FIELD_WORD;
		if (part->field)
			part->field->tell(&line);
		else
			write_bytes(out, part->text, part->length);
	}
}
