/* Variables for a process: NAME=value as the configuration lists them. */
#ifndef DAEMON_ENVIRONMENT_H
#define DAEMON_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Zeroed means empty. */
struct environment {
	char **entries; /* "NAME=value" */
	size_t count;
};

/* Appends one; an empty text adds nothing. On failure `error` says what was expected. */
bool environment_add(struct environment *environment, const char *text, char *error, size_t size);

/* A line of `name = NAME=value` for each; an empty value without any. */
void environment_print(const struct environment *environment, const char *name, FILE *out);

/* False: no memory; `to`, empty before, can be cleared all the same. */
bool environment_copy(struct environment *to, const struct environment *from);
void environment_clear(struct environment *environment);

/* Sets them in this process, the last of a name in force; false: no memory. */
bool environment_apply(const struct environment *environment);

#endif
