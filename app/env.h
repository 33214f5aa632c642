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
 * The variables that are known by number: those whose meaning somebody in anygate looks up, and
 * what stands in most requests; any other is VAR_OTHER. They are found by a hash of their length,
 * their sixth letter and their last but one, which stand here since C counts no letter of a
 * literal as a constant. No two may have the same: the compiler complains of an entry that is
 * initialised twice then. Names of less than eight letters are looked at one by one.
 */
/* clang-format off */
#define ENV_SHORT_NAMES(X) X(HTTPS) X(HTTP_TE)
#define ENV_NAMES(X) \
	X(HTTP_HOST, 'H', 'S') X(PATH_INFO, 'I', 'F') \
	X(REQUEST_ID, 'S', 'I') X(HTTP_PROXY, 'P', 'X') \
	X(REQUEST_URI, 'S', 'R') X(SERVER_NAME, 'R', 'M') X(SERVER_PORT, 'R', 'R') X(SERVER_ADDR, 'R', 'D') \
	X(SCRIPT_NAME, 'T', 'M') X(REMOTE_ADDR, 'E', 'D') X(REMOTE_PORT, 'E', 'R') X(HTTP_ACCEPT, 'A', 'P') \
	X(HTTP_COOKIE, 'C', 'I') X(HTTP_ORIGIN, 'O', 'I') X(HTTP_EXPECT, 'E', 'C') \
	X(CONTENT_TYPE, 'N', 'P') X(DOCUMENT_URI, 'E', 'R') X(QUERY_STRING, '_', 'N') \
	X(HTTP_REFERER, 'R', 'E') X(HTTP_UPGRADE, 'U', 'D') X(HTTP_TRAILER, 'T', 'E') \
	X(DOCUMENT_ROOT, 'E', 'O') \
	X(REQUEST_METHOD, 'S', 'O') X(REQUEST_SCHEME, 'S', 'M') X(CONTENT_LENGTH, 'N', 'T') \
	X(HTTP_X_REAL_IP, 'X', 'I') \
	X(SERVER_PROTOCOL, 'R', 'O') X(SERVER_SOFTWARE, 'R', 'R') X(HTTP_USER_AGENT, 'U', 'N') \
	X(REDIRECT_STATUS, 'E', 'U') X(SCRIPT_FILENAME, 'T', 'M') X(HTTP_CONNECTION, 'C', 'O') \
	X(HTTP_KEEP_ALIVE, 'K', 'V') \
	X(GATEWAY_INTERFACE, 'A', 'C') X(HTTP_CONTENT_TYPE, 'C', 'P') \
	X(HTTP_CACHE_CONTROL, 'C', 'O') X(HTTP_AUTHORIZATION, 'A', 'O') \
	X(HTTP_IF_NONE_MATCH, 'I', 'C') X(HTTP_CONTENT_LENGTH, 'C', 'T') \
	X(HTTP_ACCEPT_LANGUAGE, 'A', 'G') X(HTTP_ACCEPT_ENCODING, 'A', 'N') \
	X(HTTP_X_FORWARDED_FOR, 'X', 'O') X(HTTP_PROXY_CONNECTION, 'P', 'O') \
	X(HTTP_TRANSFER_ENCODING, 'T', 'N') X(HTTP_X_FORWARDED_PROTO, 'X', 'T') \
	X(HTTP_IF_MODIFIED_SINCE, 'I', 'C')
/* clang-format on */

#define ENV_ID(name, ...) VAR_##name,
enum var_id { VAR_OTHER, ENV_SHORT_NAMES(ENV_ID) ENV_NAMES(ENV_ID) VAR_COUNT };

struct var {
	char *name;            /* NUL-terminated, the value right behind it */
	uint32_t value_length; /* bytes of the value, which is NUL-terminated too */
	uint16_t name_length;
	uint8_t id;        /* enum var_id */
	bool hidden : 1;   /* not for the application */
	bool repeated : 1; /* another one of this name has come behind it */
};

struct env {
	struct arena *arena;
	struct var *vars;
	uint16_t count, capacity;
	uint16_t arrived;          /* the first so many came from the gate, in this order */
	uint32_t filled;           /* bytes there are of an entry that comes in pieces */
	uint16_t limit;            /* entries that may come from the gate */
	uint16_t known[VAR_COUNT]; /* 1 + index of the entry in force; 0: none */
	uint16_t *others;          /* the same for unknown names, by their hashes; 0: free */
	uint16_t others_size, others_count;
	bool repeated;     /* some entry is, or (`unsure`) may be though it does not say so */
	bool unsure;       /* there was no memory for `others` */
	size_t bytes_left; /* bytes of names and values that may come from the gate */
};

/* An empty list that takes at most `variables` entries of `bytes` bytes in all from the gate. */
void env_init(struct env *env, struct arena *arena, unsigned variables, size_t bytes);

/*
 * Appends a variable whose name and value the caller writes into var->name and env_value(var), and
 * then makes known by env_identify. NULL when a limit is reached.
 */
struct var *env_reserve(struct env *env, size_t name_length, size_t value_length);
void env_identify(struct env *env, struct var *var);

/*
 * The same for `count` variables at once: room for the `size` bytes in which they stand, for a byte
 * before and ENV_SLACK bytes behind them. The caller puts each there as "name NUL value NUL" and
 * fills its entry in env->vars, from env->count on; then env_enter makes all known. NULL when a
 * limit might be reached: then one by one.
 */
#define ENV_SLACK 16
char *env_room(struct env *env, unsigned count, size_t size);
void env_enter(struct env *env, unsigned count);

/* The number of a name. */
enum var_id env_lookup(const char *name, size_t length);

/* Appends a variable; NULL when a limit is reached. */
struct var *env_add(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length);

/*
 * The same for an HTTP field: "X-Name" becomes HTTP_X_NAME, Content-Type CONTENT_TYPE, and so on.
 * env_put_field does it in room that env_room has given: ENV_FIELD bytes beside the texts are for
 * each. The next field's place is behind the value's NUL.
 */
#define ENV_FIELD 7
struct var *env_add_field(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length);
struct var *env_put_field(struct env *env, char *at, const char *name, size_t name_length,
        const char *value, size_t value_length);

/* Says that all the gate sent is here: what follows is derived, and the limits do not count it. */
void env_arrived(struct env *env);

/* Appends a derived variable; the caller writes both texts and calls env_identify. */
struct var *env_append(struct env *env, size_t name_length, size_t value_length);

/* Sets a variable: hides the entry in force, if any, and appends. False without memory. */
bool env_set(struct env *env, enum var_id id, const char *value, size_t value_length);

/*
 * The same for a constant, of which nothing is copied: ENV_CONSTANT(SERVER_PORT, "80") makes the
 * last three arguments.
 */
#define ENV_CONSTANT(name, value) VAR_##name, #name "\0" value, sizeof(value) - 1
bool env_set_constant(
        struct env *env, enum var_id id, const char *name_and_value, size_t value_length);

/* Hides the entry in force of a known variable, if there is one. */
void env_hide(struct env *env, enum var_id id);

/* The entry in force of a known variable, or NULL. */
static inline const struct var *env_known(const struct env *env, enum var_id id)
{
	return env->known[id] ? &env->vars[env->known[id] - 1] : NULL;
}

/* The last visible entry with this name, or NULL. */
const struct var *env_find(const struct env *env, const char *name, size_t name_length);

/* The name of a known variable. */
const char *env_name(enum var_id id);

static inline char *env_value(const struct var *var)
{
	return var->name + var->name_length + 1;
}

#endif
