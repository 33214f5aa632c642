#include "env.h"

#include <string.h>

#define NAME(name) [VAR_##name] = { #name, sizeof(#name) - 1 }

static const struct {
	const char *text;
	uint8_t length;
} names[VAR_COUNT] = {
	NAME(HTTPS),
	NAME(HTTP_TE),
	NAME(HTTP_HOST),
	NAME(PATH_INFO),
	NAME(HTTP_PROXY),
	NAME(REQUEST_ID),
	NAME(HTTP_COOKIE),
	NAME(HTTP_EXPECT),
	NAME(REMOTE_ADDR),
	NAME(REMOTE_PORT),
	NAME(REQUEST_URI),
	NAME(SCRIPT_NAME),
	NAME(SERVER_NAME),
	NAME(SERVER_PORT),
	NAME(CONTENT_TYPE),
	NAME(DOCUMENT_URI),
	NAME(HTTP_TRAILER),
	NAME(HTTP_UPGRADE),
	NAME(QUERY_STRING),
	NAME(CONTENT_LENGTH),
	NAME(REQUEST_METHOD),
	NAME(REQUEST_SCHEME),
	NAME(HTTP_CONNECTION),
	NAME(HTTP_KEEP_ALIVE),
	NAME(SERVER_PROTOCOL),
	NAME(SERVER_SOFTWARE),
	NAME(GATEWAY_INTERFACE),
	NAME(HTTP_CONTENT_TYPE),
	NAME(HTTP_CONTENT_LENGTH),
	NAME(HTTP_PROXY_CONNECTION),
	NAME(HTTP_TRANSFER_ENCODING),
};

/* The first known variable of each length; those of one length stand together. */
#define LENGTH_MAX 22
static const uint8_t first_of[LENGTH_MAX + 1] = {
	[5] = VAR_HTTPS,
	[7] = VAR_HTTP_TE,
	[9] = VAR_HTTP_HOST,
	[10] = VAR_HTTP_PROXY,
	[11] = VAR_HTTP_COOKIE,
	[12] = VAR_CONTENT_TYPE,
	[14] = VAR_CONTENT_LENGTH,
	[15] = VAR_HTTP_CONNECTION,
	[17] = VAR_GATEWAY_INTERFACE,
	[19] = VAR_HTTP_CONTENT_LENGTH,
	[21] = VAR_HTTP_PROXY_CONNECTION,
	[22] = VAR_HTTP_TRANSFER_ENCODING,
};

static enum var_id identify(const char *name, size_t length)
{
	if (length > LENGTH_MAX || !first_of[length])
		return VAR_OTHER;
	for (unsigned id = first_of[length]; id < VAR_COUNT && names[id].length == length; id++)
		if (memcmp(names[id].text, name, length) == 0)
			return id;
	return VAR_OTHER;
}

const char *env_name(enum var_id id)
{
	return names[id].text;
}

void env_init(struct env *env, struct arena *arena, unsigned variables, size_t bytes)
{
	*env = (struct env){ .arena = arena, .limit = (uint16_t)variables, .bytes_left = bytes };
}

/* Entries of the first list; most requests need no other. */
#define FIRST_CAPACITY 48

static bool env_grow(struct env *env)
{
	size_t capacity = env->capacity ? env->capacity * 2u : FIRST_CAPACITY;

	if (capacity > UINT16_MAX)
		return false;
	struct var *vars = arena_alloc(env->arena, capacity * sizeof(*vars));

	if (!vars)
		return false;
	if (env->count)
		memcpy(vars, env->vars, env->count * sizeof(*vars));
	env->vars = vars;
	env->capacity = (uint16_t)capacity;
	return true;
}

/* Notes that a name nobody looks up is there, and whether one with the same hash was before it. */
static void note_name(struct env *env, const struct var *var)
{
	const unsigned char *name = (const unsigned char *)var->name;
	size_t n = var->name_length;
	unsigned hash = (unsigned)n;

	if (n) {
		hash = (unsigned)(n * 7 + name[n - 1] * 31u + name[n / 2] * 5u);
		hash += n > 5 ? name[5] * 11u + name[n - 3] * 3u : name[0];
	}
	uint64_t bit = UINT64_C(1) << (hash & 63);
	uint64_t *word = &env->seen[hash >> 6 & 3];

	if (*word & bit)
		env->repeated = true;
	*word |= bit;
}

static void note(struct env *env, struct var *var)
{
	var->id = (uint8_t)identify(var->name, var->name_length);
	if (!var->id) {
		note_name(env, var);
		return;
	}
	env->repeated |= env->known[var->id] != 0;
	env->known[var->id] = (uint16_t)(var - env->vars + 1);
}

struct var *env_append(struct env *env, size_t name_length, size_t value_length)
{
	if (env->count == env->capacity && !env_grow(env))
		return NULL;
	if (name_length > UINT16_MAX || value_length > UINT32_MAX)
		return NULL;
	char *text = arena_text(env->arena, name_length + value_length + 2);

	if (!text)
		return NULL;
	struct var *var = &env->vars[env->count++];

	*var = (struct var){ text, (uint32_t)value_length, (uint16_t)name_length, VAR_OTHER,
		false };
	text[name_length] = '\0';
	text[name_length + 1 + value_length] = '\0';
	return var;
}

struct var *env_reserve(struct env *env, size_t name_length, size_t value_length)
{
	if (env->count >= env->limit || name_length > env->bytes_left ||
	        value_length > env->bytes_left - name_length)
		return NULL;
	env->bytes_left -= name_length + value_length;
	return env_append(env, name_length, value_length);
}

void env_identify(struct env *env, struct var *var)
{
	note(env, var);
}

struct var *env_add(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length)
{
	struct var *var = env_reserve(env, name_length, value_length);

	if (!var)
		return NULL;
	memcpy(var->name, name, name_length);
	memcpy(env_value(var), value, value_length);
	note(env, var);
	return var;
}

struct var *env_add_field(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length)
{
	struct var *var = env_reserve(env, name_length + 5, value_length);

	if (!var)
		return NULL;
	memcpy(var->name, "HTTP_", 5);
	for (size_t i = 0; i < name_length; i++) {
		char c = name[i];

		var->name[5 + i] = (char)(c == '-' ? '_' : c >= 'a' && c <= 'z' ? c - 32 : c);
	}
	memcpy(env_value(var), value, value_length);
	/* RFC 3875 4.1.2 and 4.1.3: these two have names of their own */
	enum var_id id = identify(var->name, var->name_length);

	if (id == VAR_HTTP_CONTENT_TYPE || id == VAR_HTTP_CONTENT_LENGTH) {
		var->name += 5;
		var->name_length = (uint16_t)name_length;
	}
	note(env, var);
	return var;
}

void env_arrived(struct env *env)
{
	env->arrived = env->count;
}

bool env_set(struct env *env, enum var_id id, const char *value, size_t value_length)
{
	struct var *var = env_append(env, names[id].length, value_length);

	if (!var)
		return false;
	env_hide(env, id);
	memcpy(var->name, names[id].text, names[id].length);
	memcpy(env_value(var), value, value_length);
	var->id = (uint8_t)id;
	env->known[id] = env->count;
	return true;
}

void env_hide(struct env *env, enum var_id id)
{
	if (env->known[id])
		env->vars[env->known[id] - 1].hidden = true;
	env->known[id] = 0;
}

const struct var *env_known(const struct env *env, enum var_id id)
{
	return env->known[id] ? &env->vars[env->known[id] - 1] : NULL;
}

const struct var *env_find(const struct env *env, const char *name, size_t name_length)
{
	for (size_t i = env->count; i-- > 0;) {
		const struct var *var = &env->vars[i];

		if (!var->hidden && var->name_length == name_length &&
		        memcmp(var->name, name, name_length) == 0)
			return var;
	}
	return NULL;
}
