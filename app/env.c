#include "env.h"

#include <emmintrin.h>
#include <endian.h>
#include <string.h>

#include "copy.h"

/* Eight bytes of a literal as a little-endian number: its first, its last, and those between. */
#define BYTE(text, at) ((uint64_t)(unsigned char)(text)[at])
#define WORD(text, at)                                                                             \
	(BYTE(text, at) | BYTE(text, (at) + 1) << 8 | BYTE(text, (at) + 2) << 16 |                 \
	        BYTE(text, (at) + 3) << 24 | BYTE(text, (at) + 4) << 32 |                          \
	        BYTE(text, (at) + 5) << 40 | BYTE(text, (at) + 6) << 48 |                          \
	        BYTE(text, (at) + 7) << 56)
#define HEAD(text)   WORD(text, 0)
#define TAIL(text)   WORD(text, sizeof(text) - 9)
#define MIDDLE(text) (sizeof(text) > 17 ? WORD(text, sizeof(text) > 17 ? 8 : 0) : 0)

#define SHORT(name) [VAR_##name] = { #name, 0, 0, 0, sizeof(#name) - 1 },
#define NAME(name, sixth, last_but_one)                                                            \
	[VAR_##name] = { #name, HEAD(#name), MIDDLE(#name), TAIL(#name), sizeof(#name) - 1 },

static const struct {
	const char *text;
	uint64_t head, middle, tail; /* `middle`: from the ninth byte on, where there are 17 */
	size_t length;
} names[VAR_COUNT] = { ENV_SHORT_NAMES(SHORT) ENV_NAMES(NAME) };

/* The known variables by their hashes. */
#define HASH(length, sixth, last_but_one) (((length)*2 + (sixth)*9 + (last_but_one)*7) & 255)
#define PLACE(name, sixth, last_but_one)                                                           \
	[HASH(sizeof(#name) - 1, sixth, last_but_one)] = VAR_##name,
static const uint8_t places[256] = { ENV_NAMES(PLACE) };

#define SHORTEST 8  /* of the names that have a hash */
#define LONGEST  24 /* that three words cover */

static uint64_t word_at(const char *text)
{
	uint64_t word;

	memcpy(&word, text, sizeof(word));
	return le64toh(word);
}

/* Rare: what is inlined shall stay small. */
__attribute__((noinline)) static enum var_id identify_short(const char *name, size_t length)
{
	for (unsigned id = VAR_HTTPS; names[id].length < SHORTEST; id++)
		if (names[id].length == length && memcmp(names[id].text, name, length) == 0)
			return id;
	return VAR_OTHER;
}

enum var_id env_lookup(const char *name, size_t length)
{
	if (length - SHORTEST > LONGEST - SHORTEST)
		return length < SHORTEST ? identify_short(name, length) : VAR_OTHER;
	unsigned id = places[HASH(length, (unsigned char)name[5], (unsigned char)name[length - 2])];

	uint64_t other = (names[id].length ^ length) | (names[id].head ^ word_at(name)) |
	                 (names[id].tail ^ word_at(name + length - 8));

	if (length > 16)
		other |= names[id].middle ^ word_at(name + 8);
	return other ? VAR_OTHER : id;
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

static bool same_name(const struct var *a, const struct var *b)
{
	return a->name_length == b->name_length && memcmp(a->name, b->name, a->name_length) == 0;
}

/* Knuth's multiplicative hash, of eight bytes at a time. */
static size_t hash_name(const struct var *var)
{
	const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t hash = var->name_length, word = 0;
	size_t at = 0;

	for (; at + 8 <= var->name_length; at += 8)
		hash = (hash ^ word_at(var->name + at)) * factor;
	memcpy(&word, var->name + at, var->name_length - at);
	hash = (hash ^ word) * factor;
	return hash >> 40;
}

/* The place of a name in the table: the one where it is, or a free one. */
static uint16_t *place_of(const struct env *env, const struct var *var)
{
	size_t at = hash_name(var);

	for (;; at++) {
		uint16_t *place = &env->others[at & (env->others_size - 1u)];

		if (!*place || same_name(&env->vars[*place - 1], var))
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
	env->others = arena_alloc(env->arena, size * sizeof(*old));
	if (!env->others)
		return false;
	memset(env->others, 0, size * sizeof(*old));
	env->others_size = (uint16_t)size;
	for (size_t i = 0; i < old_size; i++)
		if (old[i])
			*place_of(env, &env->vars[old[i] - 1]) = old[i];
	return true;
}

/* Notes an unknown name, and whether it has been there before. */
__attribute__((noinline)) static void note_name(struct env *env, const struct var *var)
{
	if (env->unsure)
		return;
	if (env->others_count * 2 >= env->others_size && !grow_others(env)) {
		env->unsure = env->repeated = true;
		return;
	}
	uint16_t *place = place_of(env, var);

	if (*place)
		env->repeated = env->vars[*place - 1].repeated = true;
	else
		env->others_count++;
	*place = (uint16_t)(var - env->vars + 1);
}

/* Its number is there: it is in force from here on. */
static inline void note(struct env *env, const struct var *var)
{
	if (!var->id) {
		note_name(env, var);
		return;
	}
	if (env->known[var->id])
		env->repeated = env->vars[env->known[var->id] - 1].repeated = true;
	env->known[var->id] = (uint16_t)(var - env->vars + 1);
}

struct var *env_append(struct env *env, size_t name_length, size_t value_length)
{
	if (env->count == env->capacity && !env_grow(env, 1))
		return NULL;
	if (name_length > UINT16_MAX || value_length > UINT32_MAX)
		return NULL;
	char *text = arena_text(env->arena, name_length + value_length + 2);

	if (!text)
		return NULL;
	struct var *var = &env->vars[env->count++];

	*var = (struct var){ .name = text,
		.value_length = (uint32_t)value_length,
		.name_length = (uint16_t)name_length };
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
	var->id = (uint8_t)env_lookup(var->name, var->name_length);
	note(env, var);
}

char *env_room(struct env *env, unsigned count, size_t size)
{
	if (count > (unsigned)env->limit - env->count || size > env->bytes_left)
		return NULL;
	if (count > (unsigned)env->capacity - env->count && !env_grow(env, count))
		return NULL;
	return arena_text(env->arena, 1 + size + ENV_SLACK);
}

void env_enter(struct env *env, unsigned count)
{
	size_t bytes = 0;

	for (struct var *var = env->vars + env->count, *end = var + count; var < end; var++) {
		bytes += var->name_length + (size_t)var->value_length;
		note(env, var);
	}
	env->bytes_left -= bytes;
	env->count = (uint16_t)(env->count + count);
}

struct var *env_add(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length)
{
	struct var *var = env_reserve(env, name_length, value_length);

	if (!var)
		return NULL;
	memcpy(var->name, name, name_length);
	memcpy(env_value(var), value, value_length);
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

struct var *env_put_field(struct env *env, char *at, const char *name, size_t name_length,
        const char *value, size_t value_length)
{
	struct var *var = &env->vars[env->count++];

	memcpy(at, "HTTP_", 5);
	copy_short(at + 5, name, name_length);
	capitalise(at + 5, name_length);
	*var = (struct var){ .name = at,
		.value_length = (uint32_t)value_length,
		.name_length = (uint16_t)(name_length + 5),
		.id = (uint8_t)env_lookup(at, name_length + 5) };
	env_value(var)[-1] = '\0';
	copy_short(env_value(var), value, value_length);
	env_value(var)[value_length] = '\0';
	env->bytes_left -= name_length + 5 + value_length;
	/* RFC 3875 4.1.2 and 4.1.3: these two have names of their own */
	if (var->id == VAR_HTTP_CONTENT_TYPE || var->id == VAR_HTTP_CONTENT_LENGTH) {
		var->name += 5;
		var->name_length = (uint16_t)name_length;
		var->id = var->id == VAR_HTTP_CONTENT_TYPE ? VAR_CONTENT_TYPE : VAR_CONTENT_LENGTH;
	}
	note(env, var);
	return var;
}

struct var *env_add_field(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length)
{
	char *room = env_room(env, 1, name_length + 5 + value_length);

	return room ? env_put_field(env, room, name, name_length, value, value_length) : NULL;
}

void env_arrived(struct env *env)
{
	env->arrived = env->count;
}

/* The last entry takes the place of the one in force. */
static void enforce(struct env *env, enum var_id id)
{
	env_hide(env, id);
	env->vars[env->count - 1].id = (uint8_t)id;
	env->known[id] = env->count;
}

bool env_set(struct env *env, enum var_id id, const char *value, size_t value_length)
{
	struct var *var = env_append(env, names[id].length, value_length);

	if (!var)
		return false;
	copy_short(var->name, names[id].text, names[id].length);
	copy_short(env_value(var), value, value_length);
	enforce(env, id);
	return true;
}

bool env_set_constant(
        struct env *env, enum var_id id, const char *name_and_value, size_t value_length)
{
	if (env->count == env->capacity && !env_grow(env, 1))
		return false;
	/* derived entries are never written to */
	env->vars[env->count++] = (struct var){ .name = (char *)name_and_value,
		.value_length = (uint32_t)value_length,
		.name_length = (uint16_t)names[id].length };
	enforce(env, id);
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
	for (size_t i = env->count; i-- > 0;) {
		const struct var *var = &env->vars[i];

		if (!var->hidden && var->name_length == name_length &&
		        memcmp(var->name, name, name_length) == 0)
			return var;
	}
	return NULL;
}
