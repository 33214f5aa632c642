/*
 * The ordered list of CGI variables in which all gates meet (RFC 3875 4.1). Values that arrive are
 * copied once into the request's arena, NUL-terminated, and so are names that have no number; those
 * that have one are constants. Entries are never removed: one that must not be seen is hidden, what
 * replaces it is appended. So the list as it arrived stays readable.
 */
#ifndef APP_ENV_H
#define APP_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "env_names.h"

struct var {
	char *value; /* NUL-terminated; a name without a number stands before it, see env_name */
	uint32_t value_length;
	uint16_t name_length; /* of a name without a number */
	uint8_t id;           /* enum var_id */
	bool hidden : 1;      /* not for the application */
	bool repeated : 1;    /* another one of this name has come behind it */
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

/*
 * Makes zeroed memory an empty list that takes at most `variables` entries of `bytes` bytes in all
 * from the gate.
 */
void env_init(struct env *env, struct arena *arena, unsigned variables, size_t bytes);

/*
 * Appends a variable whose name and value the caller writes into env_text(var) and var->value, and
 * then makes known by env_identify. NULL when a limit is reached.
 */
struct var *env_reserve(struct env *env, size_t name_length, size_t value_length);
void env_identify(struct env *env, struct var *var);

/*
 * Room for `count` variables at once, and for the `size` bytes in which their values stand, with
 * ENV_SLACK bytes behind them. The caller ends each value with a NUL, puts the name of one without
 * a number before it, with a NUL behind it, fills its entry in env->vars, from env->count on, and
 * calls env_note for it; then env_enter, with the bytes of all names and values. NULL when a limit
 * might be reached: then one by one.
 */
#define ENV_SLACK 16
char *env_room(struct env *env, unsigned count, size_t size);
void env_enter(struct env *env, unsigned count, size_t bytes);

/* Appends a variable; NULL when a limit is reached. */
struct var *env_add(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length);

/*
 * The same for an HTTP field: "X-Name" becomes HTTP_X_NAME, Content-Type CONTENT_TYPE, and so on.
 */
struct var *env_add_field(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length);

/* Gives the entry, which has a value only, the name of a field's variable and texts of its own. */
bool env_make_field(struct env *env, struct var *var, const char *name, size_t name_length);

/* Says that all the gate sent is here: what follows is derived, and the limits do not count it. */
void env_arrived(struct env *env);

/* Appends a derived variable; the caller writes both texts and calls env_identify. */
struct var *env_append(struct env *env, size_t name_length, size_t value_length);

/* Sets a variable: hides the entry in force, if any, and appends. False without memory. */
bool env_set(struct env *env, enum var_id id, const char *value, size_t value_length);

/* The same for a value that stays where it is: a constant, or a part of the request. */
bool env_point(struct env *env, enum var_id id, const char *value, size_t value_length);

/* Hides the entry in force of a known variable, if there is one. */
void env_hide(struct env *env, enum var_id id);

/* The entry in force of a known variable, or NULL. */
static inline const struct var *env_known(const struct env *env, enum var_id id)
{
	return env->known[id] ? &env->vars[env->known[id] - 1] : NULL;
}

/* The last visible entry with this name, or NULL. */
const struct var *env_find(const struct env *env, const char *name, size_t name_length);

/* The place of a name that has no number. */
static inline char *env_text(const struct var *var)
{
	return var->value - 1 - var->name_length;
}

/* Any name, NUL-terminated. */
static inline const char *env_name(const struct var *var)
{
	return var->id ? env_texts[var->id] : env_text(var);
}

/* Whether two have the same name. */
static inline bool env_same_name(const struct var *a, const struct var *b)
{
	if (a->id || a->id != b->id)
		return a->id == b->id;
	return a->name_length == b->name_length &&
	       memcmp(env_text(a), env_text(b), a->name_length) == 0;
}

static inline char *env_value(const struct var *var)
{
	return var->value;
}

/*
 * The entry, whose name has no number, is in force from here on. `name` is that name, in its place
 * or where it came from: a processor waits for what it has just written there.
 */
void env_note_other(struct env *env, const struct var *var, const char *name);

/* The same for names with a number, of the entry with this index. */
static inline void env_note_known(struct env *env, enum var_id id, unsigned index)
{
	uint16_t *known = &env->known[id];

	if (*known)
		env->repeated = env->vars[*known - 1].repeated = true;
	*known = (uint16_t)(index + 1);
}

static inline void env_note(struct env *env, const struct var *var)
{
	if (var->id)
		env_note_known(env, var->id, (unsigned)(var - env->vars));
	else
		env_note_other(env, var, env_text(var));
}

#endif
