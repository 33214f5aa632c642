#include "env.h"

#include <emmintrin.h>
#include <string.h>
#include <strings.h>

#include "copy.h"

/* Byte `at` of a literal, 0 behind its end; eight of them as a little-endian number. */
#define BYTE(text, at)                                                                             \
	((uint64_t)(unsigned char)(text)[(at) < sizeof(text) ? (at) : sizeof(text) - 1])
#define WORD(byte, text, at)                                                                       \
	(byte(text, at) | byte(text, (at) + 1) << 8 | byte(text, (at) + 2) << 16 |                 \
	        byte(text, (at) + 3) << 24 | byte(text, (at) + 4) << 32 |                          \
	        byte(text, (at) + 5) << 40 | byte(text, (at) + 6) << 48 |                          \
	        byte(text, (at) + 7) << 56)
#define WORDS(byte, text, length)                                                                  \
	WORD(byte, text, 0), WORD(byte, text, (length) < 8 ? 0 : (length)-8),                      \
	        (length) > 16 ? WORD(byte, text, 8) : 0, (length)

#define NAME(name, ...) [VAR_##name] = { WORDS(BYTE, #name, sizeof(#name) - 1), VAR_##name },

const struct env_name env_names[VAR_COUNT] = { ENV_SHORT_NAMES(NAME) ENV_NAMES(NAME) };

/* What stands for the variable in an HTTP message: behind "HTTP_", in small letters. */
#define SMALL(byte)          ((byte) == '_' ? '-' : (byte) ? (byte) | 0x20 : 0)
#define FIELD_BYTE(text, at) SMALL(BYTE(text, 5 + (at)))
#define IS_FIELD(text)       (WORD(BYTE, text, 0) << 24 == WORD(BYTE, "HTTP_", 0) << 24)
#define BECOMES(id)                                                                                \
	((id) == VAR_HTTP_CONTENT_TYPE            ? VAR_CONTENT_TYPE                               \
	        : (id) == VAR_HTTP_CONTENT_LENGTH ? VAR_CONTENT_LENGTH                             \
	                                          : (id))
#define BEHIND(text) ((sizeof(text) > 6) * (sizeof(text) - 6)) /* "HTTP_" */
#define FIELD(name, ...)                                                                           \
	[VAR_##name] = { WORDS(FIELD_BYTE, #name, IS_FIELD(#name) ? BEHIND(#name) : 0),            \
		BECOMES(VAR_##name) },

const struct env_name env_fields[VAR_COUNT] = { ENV_SHORT_NAMES(FIELD) ENV_NAMES(FIELD) };

#define PLACE(name, sixth, last_but_one)                                                           \
	[ENV_HASH(sizeof(#name) - 1, sixth, last_but_one)] = VAR_##name,
const uint8_t env_places[256] = { ENV_NAMES(PLACE) };

#define TEXT(name, ...) [VAR_##name] = #name,
const char *const env_texts[VAR_COUNT] = { ENV_SHORT_NAMES(TEXT) ENV_NAMES(TEXT) };

enum var_id env_lookup_short(const void *name, size_t length)
{
	if (length == 4 && memcmp(name, "SCGI", 4) == 0)
		return VAR_SCGI;
	if (length == 5 && memcmp(name, "HTTPS", 5) == 0)
		return VAR_HTTPS;
	return length == 7 && memcmp(name, "HTTP_TE", 7) == 0 ? VAR_HTTP_TE : VAR_OTHER;
}

enum var_id env_lookup_short_field(const void *name, size_t length)
{
	return length == 2 && strncasecmp(name, "TE", 2) == 0 ? VAR_HTTP_TE : VAR_OTHER;
}

void env_init(struct env *env, struct arena *arena, unsigned variables, size_t bytes)
{
	env->arena = arena;
	env->limit = (uint16_t)variables;
	env->bytes_left = bytes;
}

/* Entries of the first list; most requests need no other. */
#define FIRST_CAPACITY 48

static bool env_grow(struct env *env, size_t more)
{
	size_t capacity = env->capacity ? env->capacity * 2u : FIRST_CAPACITY;

	while (capacity < env->count + more)
		capacity *= 2;
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

/* ---- names that have come before ---- */

/* Knuth's multiplicative hash, of eight bytes at a time; its first bits are the best. */
static uint64_t hash_name(const char *name, size_t length)
{
	const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t hash = length;

	if (length < 8) {
		for (size_t i = 0; i < length; i++)
			hash = hash << 8 ^ (unsigned char)name[i];
		return hash * factor;
	}
	for (size_t at = 0; at < length - 8; at += 8)
		hash = (hash ^ env_word(name + at)) * factor;
	return (hash ^ env_word(name + length - 8)) * factor;
}

/* The place of a name in the table: the one where it is, or a free one. */
static uint16_t *place_of(const struct env *env, const char *name, size_t length)
{
	size_t at = hash_name(name, length) >> __builtin_clzll(env->others_size - UINT64_C(1));

	for (;; at++) {
		uint16_t *place = &env->others[at & (env->others_size - 1u)];
		const struct var *var = env->vars + *place;

		if (!*place || (var[-1].name_length == length &&
		                       memcmp(env_text(&var[-1]), name, length) == 0))
			return place;
	}
}

#define OTHERS_FIRST 32

/* A table of which at most half is used; false without memory. */
static bool grow_others(struct env *env)
{
	const uint16_t *old = env->others;
	size_t old_size = env->others_size, size = old_size ? old_size * 4 : OTHERS_FIRST;

	if (size > UINT16_MAX)
		return false;
	env->others = arena_zeroed(env->arena, size * sizeof(*old));
	if (!env->others)
		return false;
	env->others_size = (uint16_t)size;
	for (size_t i = 0; i < old_size; i++) {
		const struct var *var = env->vars + old[i];

		if (old[i])
			*place_of(env, env_text(&var[-1]), var[-1].name_length) = old[i];
	}
	return true;
}

void env_note_other(struct env *env, const struct var *var, const char *name)
{
	if (env->unsure)
		return;
	if (env->others_count * 2 >= env->others_size && !grow_others(env)) {
		env->unsure = env->repeated = true;
		return;
	}
	uint16_t *place = place_of(env, name, var->name_length);

	if (*place)
		env->repeated = env->vars[*place - 1].repeated = true;
	else
		env->others_count++;
	*place = (uint16_t)(var - env->vars + 1);
}

struct var *env_append(struct env *env, size_t name_length, size_t value_length)
{
	if (env->count == env->capacity && !env_grow(env, 1))
		return NULL;
	if (name_length > UINT16_MAX || value_length > UINT32_MAX)
		return NULL;
	char *text = arena_text(env->arena, name_length + value_length + 2 + ENV_SLACK);

	if (!text)
		return NULL;
	struct var *var = &env->vars[env->count++];

	*var = (struct var){ .value = text + name_length + 1,
		.value_length = (uint32_t)value_length,
		.name_length = (uint16_t)name_length };
	text[name_length] = '\0';
	var->value[value_length] = '\0';
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
	var->id = (uint8_t)env_lookup(env_text(var), var->name_length);
	env_note(env, var);
}

/* Whether so much may come, and there are entries for it. */
static bool fits(struct env *env, unsigned count, size_t size)
{
	if (count > (unsigned)env->limit - env->count || size > env->bytes_left)
		return false;
	return count <= (unsigned)env->capacity - env->count || env_grow(env, count);
}

char *env_room(struct env *env, unsigned count, size_t size)
{
	return fits(env, count, size) ? arena_text(env->arena, size + ENV_SLACK) : NULL;
}

void env_enter(struct env *env, unsigned count, size_t bytes)
{
	env->count = (uint16_t)(env->count + count);
	env->bytes_left -= bytes;
}

struct var *env_add(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length)
{
	struct var *var = env_reserve(env, name_length, value_length);

	if (!var)
		return NULL;
	memcpy(env_text(var), name, name_length);
	memcpy(var->value, value, value_length);
	env_identify(env, var);
	return var;
}

/* To capital letters and underscores, sixteen at a time: memory behind the end is changed too. */
static void capitalise(char *text, size_t length)
{
	const __m128i before_a = _mm_set1_epi8('a' - 1), behind_z = _mm_set1_epi8('z' + 1);

	for (char *end = text + length; text < end; text += 16) {
		__m128i c = _mm_loadu_si128((const __m128i *)text);
		__m128i small = _mm_and_si128(
		        _mm_cmpgt_epi8(c, before_a), _mm_cmplt_epi8(c, behind_z));
		__m128i hyphen = _mm_cmpeq_epi8(c, _mm_set1_epi8('-'));

		c = _mm_xor_si128(c, _mm_and_si128(small, _mm_set1_epi8('a' ^ 'A')));
		c = _mm_xor_si128(c, _mm_and_si128(hyphen, _mm_set1_epi8('-' ^ '_')));
		_mm_storeu_si128((__m128i *)text, c);
	}
}

/* capitalise() writes up to 15 bytes behind the name, where the value comes then, or slack. */
bool env_make_field(struct env *env, struct var *var, const char *name, size_t name_length)
{
	size_t length = 5 + name_length;
	char *text = length <= UINT16_MAX
	                     ? arena_text(env->arena, length + var->value_length + 2 + ENV_SLACK)
	                     : NULL;

	if (!text)
		return false;
	memcpy(text, "HTTP_", 5);
	copy_short(text + 5, name, name_length);
	capitalise(text + 5, name_length);
	text[length] = '\0';
	copy_short(text + length + 1, var->value, var->value_length);
	var->value = text + length + 1;
	var->value[var->value_length] = '\0';
	var->name_length = (uint16_t)length;
	var->id = (uint8_t)env_fields[env_lookup(text, length)].id;
	return true;
}

struct var *env_add_field(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length)
{
	size_t bytes = 5 + name_length + value_length;

	if (!fits(env, 1, bytes))
		return NULL;
	struct var *var = &env->vars[env->count];

	*var = (struct var){ .value = (char *)value, .value_length = (uint32_t)value_length };
	if (!env_make_field(env, var, name, name_length))
		return NULL;
	env_note(env, var);
	env_enter(env, 1, bytes);
	return var;
}

void env_arrived(struct env *env)
{
	env->arrived = env->count;
}

bool env_set(struct env *env, enum var_id id, const char *value, size_t value_length)
{
	char *copy = arena_copy(env->arena, value, value_length);

	return copy && env_point(env, id, copy, value_length);
}

bool env_point(struct env *env, enum var_id id, const char *value, size_t value_length)
{
	if (env->count == env->capacity)
		return env_grow(env, 1) && env_point(env, id, value, value_length);
	env_hide(env, id);
	/* derived entries are never written to */
	env->vars[env->count++] = (struct var){
		.value = (char *)value, .value_length = (uint32_t)value_length, .id = (uint8_t)id
	};
	env->known[id] = env->count;
	return true;
}

void env_hide(struct env *env, enum var_id id)
{
	if (env->known[id])
		env->vars[env->known[id] - 1].hidden = true;
	env->known[id] = 0;
}

const struct var *env_find(const struct env *env, const char *name, size_t name_length)
{
	enum var_id id = env_lookup(name, name_length);

	if (id)
		return env_known(env, id);
	for (size_t i = env->count; i-- > 0;) {
		const struct var *var = &env->vars[i];

		if (!var->id && !var->hidden && var->name_length == name_length &&
		        memcmp(env_text(var), name, name_length) == 0)
			return var;
	}
	return NULL;
}
