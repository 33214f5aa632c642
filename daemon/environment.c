#include "environment.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The length of a name that shells know too and that "=" ends, or 0. */
static size_t name_length(const char *text)
{
	size_t length = 0;

	if (isdigit((unsigned char)*text))
		return 0;
	while (isalnum((unsigned char)text[length]) || text[length] == '_')
		length++;
	return text[length] == '=' ? length : 0;
}

static bool append(struct environment *environment, const char *text)
{
	char **grown = reallocarray(environment->entries, environment->count + 1, sizeof(*grown));

	if (!grown)
		return false;
	environment->entries = grown;
	grown[environment->count] = strdup(text);
	if (!grown[environment->count])
		return false;
	environment->count++;
	return true;
}

bool environment_add(struct environment *environment, const char *text, char *error, size_t size)
{
	if (*text && !name_length(text)) {
		snprintf(error, size, "expected NAME=value, the name of letters, digits and \"_\"");
		return false;
	}
	if (!*text || append(environment, text))
		return true;
	snprintf(error, size, "out of memory");
	return false;
}

void environment_print(const struct environment *environment, const char *name, FILE *out)
{
	if (!environment->count)
		fprintf(out, "%s =\n", name);
	for (size_t i = 0; i < environment->count; i++)
		fprintf(out, "%s = %s\n", name, environment->entries[i]);
}

bool environment_copy(struct environment *to, const struct environment *from)
{
	for (size_t i = 0; i < from->count; i++)
		if (!append(to, from->entries[i]))
			return false;
	return true;
}

void environment_clear(struct environment *environment)
{
	for (size_t i = 0; i < environment->count; i++)
		free(environment->entries[i]);
	free(environment->entries);
	*environment = (struct environment){ 0 };
}

bool environment_apply(const struct environment *environment)
{
	for (size_t i = 0; i < environment->count; i++) {
		const char *entry = environment->entries[i];
		size_t length = name_length(entry);
		char *name = strndup(entry, length);
		bool set = name && setenv(name, entry + length + 1, 1) == 0;

		free(name);
		if (!set)
			return false;
	}
	return true;
}
