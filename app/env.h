/*
 * The ordered list of CGI variables in which all gates meet (RFC 3875 4.1). Names and values are
 * copied once into the request's arena, NUL-terminated. Entries are never removed: one that must
 * not be seen is hidden, what replaces it is appended. So the list as it arrived stays readable.
 */
#ifndef APP_ENV_H
#define APP_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"

/*
 * The variables whose meaning somebody in anygate looks up; any other is VAR_OTHER. In the order of
 * their names' lengths, by which they are found.
 */
enum var_id {
	VAR_OTHER,
	VAR_HTTPS,
	VAR_HTTP_TE,
	VAR_HTTP_HOST,
	VAR_PATH_INFO,
	VAR_HTTP_PROXY,
	VAR_REQUEST_ID,
	VAR_HTTP_COOKIE,
	VAR_HTTP_EXPECT,
	VAR_REMOTE_ADDR,
	VAR_REMOTE_PORT,
	VAR_REQUEST_URI,
	VAR_SCRIPT_NAME,
	VAR_SERVER_NAME,
	VAR_SERVER_PORT,
	VAR_CONTENT_TYPE,
	VAR_DOCUMENT_URI,
	VAR_HTTP_TRAILER,
	VAR_HTTP_UPGRADE,
	VAR_QUERY_STRING,
	VAR_CONTENT_LENGTH,
	VAR_REQUEST_METHOD,
	VAR_REQUEST_SCHEME,
	VAR_HTTP_CONNECTION,
	VAR_HTTP_KEEP_ALIVE,
	VAR_SERVER_PROTOCOL,
	VAR_SERVER_SOFTWARE,
	VAR_GATEWAY_INTERFACE,
	VAR_HTTP_CONTENT_TYPE,
	VAR_HTTP_CONTENT_LENGTH,
	VAR_HTTP_PROXY_CONNECTION,
	VAR_HTTP_TRANSFER_ENCODING,
	VAR_COUNT
};

struct var {
	char *name;            /* NUL-terminated, the value right behind it */
	uint32_t value_length; /* bytes of the value, which is NUL-terminated too */
	uint16_t name_length;
	uint8_t id;  /* enum var_id */
	bool hidden; /* not for the application */
};

struct env {
	struct arena *arena;
	struct var *vars;
	uint16_t count, capacity;
	uint16_t arrived;          /* the first so many came from the gate, in this order */
	uint32_t filled;           /* bytes there are of an entry that comes in pieces */
	uint16_t limit;            /* entries that may come from the gate */
	uint16_t known[VAR_COUNT]; /* 1 + index of the entry in force; 0: none */
	uint64_t seen[4];          /* bits of the hashes of the names so far */
	bool repeated;             /* a name may have come twice: env_find_repeated tells */
	size_t bytes_left;         /* bytes of names and values that may come from the gate */
};

/* An empty list that takes at most `variables` entries of `bytes` bytes in all from the gate. */
void env_init(struct env *env, struct arena *arena, unsigned variables, size_t bytes);

/*
 * Appends a variable whose name and value the caller writes into var->name and env_value(var), and
 * then makes known by env_identify. NULL when a limit is reached.
 */
struct var *env_reserve(struct env *env, size_t name_length, size_t value_length);
void env_identify(struct env *env, struct var *var);

/* Appends a variable; NULL when a limit is reached. */
struct var *env_add(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length);

/* The same for an HTTP field: "X-Name" becomes HTTP_X_NAME, Content-Type CONTENT_TYPE, and so on.
 */
struct var *env_add_field(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length);

/* Says that all the gate sent is here: what follows is derived, and the limits do not count it. */
void env_arrived(struct env *env);

/* Appends a derived variable; the caller writes both texts and calls env_identify. */
struct var *env_append(struct env *env, size_t name_length, size_t value_length);

/* Sets a variable: hides the entry in force, if any, and appends. False without memory. */
bool env_set(struct env *env, enum var_id id, const char *value, size_t value_length);

/* Hides the entry in force of a known variable, if there is one. */
void env_hide(struct env *env, enum var_id id);

/* The entry in force of a known variable, or NULL. */
const struct var *env_known(const struct env *env, enum var_id id);

/* The last visible entry with this name, or NULL. */
const struct var *env_find(const struct env *env, const char *name, size_t name_length);

/* The name of a known variable. */
const char *env_name(enum var_id id);

static inline char *env_value(const struct var *var)
{
	return var->name + var->name_length + 1;
}

#endif
