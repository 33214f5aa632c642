/* Reads a value out of a JSON text by its path. Small and strict; for the inspector's answers. */
#ifndef TESTS_SUPPORT_JSON_H
#define TESTS_SUPPORT_JSON_H

#include "support.h"

/*
 * The value at a path of member names and array indexes, such as "env/HTTP_HOST" or "args/q/0": a
 * string decoded (\u00XX becomes one byte), anything else as it stands. NULL: there is none, or
 * the text is not JSON. To be freed.
 */
char *json_get(const char *text, const char *path);

/* The i-th member of the object at `path`: true and both as above. To be freed. */
bool json_member(const char *text, const char *path, size_t i, char **name, char **value);

/* Expects this value at the path; NULL expects none. */
void json_expect(const char *text, const char *path, const char *expected);

#endif
