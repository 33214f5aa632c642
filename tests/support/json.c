#include "json.h"

#include <stdlib.h>
#include <string.h>

/* All of these return the place behind what they read, or NULL: not JSON. */
static const char *skip_value(const char *at, int depth);

static const char *blanks(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
	if (*at++ != '"')
		return NULL;
	while (*at != '"') {
		if ((unsigned char)*at < ' ')
			return NULL; /* the end included */
		if (*at++ != '\\')
			continue;
		if (*at == 'u' && strspn(at + 1, "0123456789abcdefABCDEF") < 4)
			return NULL;
		if (!*at || !strchr("\"\\/bfnrtu", *at++))
			return NULL;
	}
	return at + 1;
}

static const char *skip_list(const char *at, char close, int depth)
{
	at = blanks(at + 1);
	if (*at == close)
		return at + 1;
	for (;;) {
		if (close == '}') {
			at = skip_string(at);
			at = at ? blanks(at) : "";
			if (*at++ != ':')
				return NULL;
		}
		at = skip_value(blanks(at), depth + 1);
		if (!at)
			return NULL;
		at = blanks(at);
		if (*at == close)
			return at + 1;
		if (*at++ != ',')
			return NULL;
		at = blanks(at);
	}
}

static const char *skip_value(const char *at, int depth)
{
	size_t length;

	if (depth > 32)
		return NULL;
	if (*at == '"')
		return skip_string(at);
	if (*at == '{' || *at == '[')
		return skip_list(at, *at == '{' ? '}' : ']', depth);
	length = strspn(at, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
	return length ? at + length : NULL;
}

static char unescape(const char **at)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	char hex[5] = { 0 };
	char letter = *(*at)++;
	const char *found = strchr(from, letter);

	if (letter != 'u')
		return found ? to[found - from] : letter;
	memcpy(hex, *at, 4);
	*at += 4;
	return (char)strtoul(hex, NULL, 16);
}

/* The value from `at` to `end`. */
static char *decode(const char *at, const char *end)
{
	struct bytes out = { 0 };

	if (*at != '"')
		return strndup(at, (size_t)(end - at));
	bytes_text(&out, "");
	for (at++; at < end - 1;) {
		char one = *at++;

		if (one == '\\')
			one = unescape(&at);
		bytes_add(&out, &one, 1);
	}
	return out.data;
}

/* The value of the i-th member or element of what stands at `at`, and its name; or NULL. */
static const char *nth(const char *at, size_t i, char **name)
{
	bool object = *at == '{';

	*name = NULL;
	if (!object && *at != '[')
		return NULL;
	for (at = blanks(at + 1); *at != '}' && *at != ']'; at = blanks(at + (*at == ','))) {
		const char *key = at;

		if (object) {
			const char *end = skip_string(at);

			if (i == 0)
				*name = decode(key, end);
			at = blanks(blanks(end) + 1);
		}
		if (i-- == 0)
			return at;
		at = blanks(skip_value(at, 0));
	}
	return NULL;
}

/* Where the value of one step of a path begins, or NULL. */
static const char *step(const char *at, const char *key, size_t length)
{
	const char *value;
	char *name;

	if (*at == '[')
		return nth(at, strtoul(key, NULL, 10), &name);
	for (size_t i = 0; (value = nth(at, i, &name)); i++) {
		bool same = name && strlen(name) == length && memcmp(name, key, length) == 0;

		free(name);
		if (same)
			return value;
	}
	return NULL;
}

static const char *find(const char *text, const char *path)
{
	const char *at = text ? blanks(text) : "", *end = skip_value(at, 0);

	if (!end || *blanks(end))
		return NULL;
	while (at && *path) {
		size_t length = strcspn(path, "/");

		at = step(at, path, length);
		path += length + (path[length] == '/');
	}
	return at;
}

char *json_get(const char *text, const char *path)
{
	const char *at = find(text, path);

	return at ? decode(at, skip_value(at, 0)) : NULL;
}

bool json_member(const char *text, const char *path, size_t i, char **name, char **value)
{
	const char *at = find(text, path);

	at = at ? nth(at, i, name) : NULL;
	if (at)
		*value = decode(at, skip_value(at, 0));
	return at != NULL;
}

void json_expect(const char *text, const char *path, const char *expected)
{
	char *value = json_get(text, path);

	cr_expect(expected ? value && strcmp(value, expected) == 0 : !value,
	        "%s is %s, not %s, in:\n%s", path, value ? value : "missing",
	        expected ? expected : "missing", text ? text : "(nothing)");
	free(value);
}
