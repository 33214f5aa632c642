/* Texts from the wire: percent-encoding, the path rule, query arguments, cookies. */
#ifndef APP_PATH_H
#define APP_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "arena.h"

/*
 * Decodes %XX in place, and "+" to a blank where `plus`; returns the new length, NUL-terminated.
 * A "%" without two hexadecimal digits stays as it is.
 */
size_t text_decode(char *text, size_t length, bool plus);

/*
 * Writes the path of a raw request target to `path`, which has room for length + 1 bytes, and
 * returns its length: without scheme and authority (absolute-form), query and fragment; decoded
 * once (RFC 3986 2.4), dot segments and repeated slashes removed (5.2.4), never above the root. "*"
 * stays "*". 0: not a path (no "/" at its start, a broken %XX, a NUL in it).
 */
size_t path_of_target(char *path, const char *target, size_t length);

/*
 * The same rule for a path that is decoded already, in place: only dot segments and slashes. It has
 * room for the NUL behind it.
 */
size_t path_normalise(char *path, size_t length);

/* The arguments of a query string in order, decoded. */
struct arguments {
	size_t count;
	struct argument {
		const char *name, *value;
	} * list;
};

/* Splits at "&"; a name without "=" has the value "". NULL without memory. */
struct arguments *query_parse(struct arena *arena, const char *query, size_t length);

/*
 * The value of a cookie, copied, or NULL. Cookies are separated by ";" or ",", with blanks; quotes
 * around a value stay (RFC 6265 5.2). A comma inside a quoted value does not separate.
 */
const char *cookie_find(struct arena *arena, const char *cookies, const char *name);

#endif
