#include "cgi.h"
#include "../app/copy.h"

static const struct verdict fine = { 0, NULL };

static struct verdict refuse(int status, const char *reason)
{
	return (struct verdict){ status, reason };
}

static bool is_field(const struct var *var)
{
	if (var->id)
		return env_fields[var->id].length > 0;
	return var->name_length > 5 && memcmp(env_text(var), "HTTP_", 5) == 0;
}

/* Blanks around a field's value are not part of it (RFC 9110 5.5); some gateways pass them on. */
static void trim_value(struct var *var)
{
	char *value = var->value;
	struct span trimmed = scan_trim((struct span){ (uint8_t *)value, var->value_length });

	if (trimmed.length == var->value_length)
		return;
	memmove(value, trimmed.data, trimmed.length);
	value[trimmed.length] = '\0';
	var->value_length = (uint32_t)trimmed.length;
}

static struct verdict check_name(const char *name, size_t length)
{
	if (length == 0)
		return refuse(400, "a variable without a name");
	if (memchr(name, '\0', length) || memchr(name, '=', length))
		return refuse(400, "a NUL or = in a variable's name");
	return fine;
}

static struct verdict check_value(const struct var *var)
{
	const char *value = env_value(var);

	if (memchr(value, '\0', var->value_length))
		return refuse(400, "a NUL in a variable's value");
	if (is_field(var) &&
	        (memchr(value, '\r', var->value_length) || memchr(value, '\n', var->value_length)))
		return refuse(400, "a line break in a header field's value");
	return fine;
}

/* What the first look did not find to be good. `name` is read where there is no number. */
static struct verdict look_closely(struct var *var, const char *name)
{
	struct verdict verdict = var->id ? fine : check_name(name, var->name_length);

	if (!verdict.status && scan_has_upto('\x1f', var->value, var->value_length))
		verdict = check_value(var);
	if (!verdict.status && is_field(var))
		trim_value(var);
	return verdict;
}

static const char too_large[] = "more or larger variables than limits.variables or header_size";

/* Makes an entry of a value that is in its place; a name without a number is still to come. */
static inline void fill(struct var *var, const struct pair *pair, char *value)
{
	size_t length = pair->value.length;

	*var = (struct var){
		.value = value, .value_length = (uint32_t)length, .id = (uint8_t)pair->id
	};
	value[length] = '\0';
}

/*
 * The same for entry `index`. True: its name has a number, its value neither control bytes nor
 * blanks, and so it is known now. That is read before anything is written there: a processor waits
 * for bytes that it has written in part.
 */
static inline bool enter(
        struct env *env, struct var *var, unsigned index, const struct pair *pair, char *value)
{
	enum var_id id = pair->id;
	bool good = id && !scan_has_upto(' ', value, pair->value.length);

	fill(var, pair, value);
	if (good)
		env_note_known(env, id, index);
	return good;
}

/* What is to be looked at more closely; a name without a number goes before the value. */
static struct verdict enter_rest(struct env *env, struct var *var, const struct pair *pair)
{
	const char *name = (const char *)pair->name.data;

	if (pair->id) {
		env_note(env, var);
		return look_closely(var, name);
	}
	if (pair->name.length > UINT16_MAX)
		return refuse(431, too_large);
	var->name_length = (uint16_t)pair->name.length;
	env_note_other(env, var, name);
	copy_short(env_text(var), name, pair->name.length);
	var->value[-1] = '\0';
	return look_closely(var, name);
}

static struct verdict take_singly(struct env *env, const struct wire_event *event)
{
	struct verdict verdict = fine;

	for (unsigned i = 0; i < event->count && !verdict.status; i++) {
		const struct pair *pair = &event->pairs[i];
		size_t bytes = pair->name.length + pair->value.length;
		char *room = env_room(env, 1, bytes);

		if (!room)
			return refuse(431, too_large);
		char *value = room + pair->name.length + 1;

		copy_short(value, pair->value.data, pair->value.length);

		if (!enter(env, env->vars + env->count, env->count, pair, value))
			verdict = enter_rest(env, env->vars + env->count, pair);
		env_enter(env, 1, bytes);
	}
	return verdict;
}

/*
 * Where all stand together they are copied in one piece, of which the framing becomes NULs. Not
 * inlined: the loop needs the registers.
 */
static __attribute__((noinline)) struct verdict take_variables(
        struct env *env, const struct wire_event *event)
{
	struct span all = event->data;
	char *room = all.length ? env_room(env, event->count, all.length) : NULL;

	if (!room)
		return take_singly(env, event);
	memcpy(room, all.data, all.length);
	const struct pair *pair = event->pairs, *end = pair + event->count;
	struct verdict verdict = fine;
	unsigned index = env->count;
	struct var *var = env->vars + index;
	size_t bytes = 0;

	for (; pair < end; pair++, var++, index++) {
		bytes += pair->name.length + pair->value.length;
		if (enter(env, var, index, pair, room + (pair->value.data - all.data)))
			continue;
		verdict = enter_rest(env, var, pair);
		if (verdict.status)
			end = pair + 1; /* none behind it */
	}
	env_enter(env, index - env->count, bytes);
	return verdict;
}

static struct verdict take_fields_singly(struct env *env, const struct wire_event *event)
{
	for (unsigned i = 0; i < event->count; i++) {
		struct span name = event->pairs[i].name, value = event->pairs[i].value;

		if (!env_add_field(env, (const char *)name.data, name.length,
		            (const char *)value.data, value.length))
			return refuse(431, too_large);
	}
	return fine;
}

/* The same for fields. They are as they must be, and most have a number. */
static struct verdict take_fields(struct env *env, const struct wire_event *event)
{
	struct span all = event->data;
	char *room = all.length ? env_room(env, event->count, all.length + 5 * event->count) : NULL;

	if (!room)
		return take_fields_singly(env, event);
	memcpy(room, all.data, all.length);
	const struct pair *pair = event->pairs, *end = pair + event->count;
	unsigned index = env->count;
	struct var *var = env->vars + index;
	size_t bytes = 0;

	for (; pair < end; pair++, var++, index++) {
		bytes += 5 + pair->name.length + pair->value.length;
		fill(var, pair, room + (pair->value.data - all.data));
		if (pair->id)
			env_note_known(env, pair->id, index);
		else if (env_make_field(env, var, (const char *)pair->name.data, pair->name.length))
			env_note(env, var);
		else
			return refuse(431, too_large);
	}
	env_enter(env, event->count, bytes);
	return fine;
}

/* A variable is whole: it must stand as a C string and in a program's environment. */
static struct verdict admit(struct env *env, struct var *var)
{
	env_identify(env, var);
	return look_closely(var, env_text(var));
}

static struct verdict take_pair(struct env *env, const struct wire_event *event)
{
	const struct pair *pair = &event->pairs[0];
	struct var *var = env_reserve(env, pair->name.length, pair->value.length);

	if (!var)
		return refuse(431, too_large);
	env->filled = 0;
	return pair->name.length + pair->value.length ? fine : admit(env, var);
}

/* A piece may end in the name, and begin in the name and end in the value. */
static struct verdict take_part(struct env *env, const struct wire_event *event)
{
	struct var *var = &env->vars[env->count - 1];
	struct span data = event->data;
	size_t whole = var->name_length + (size_t)var->value_length;

	if (env->filled < var->name_length) {
		size_t n = var->name_length - env->filled;

		n = n < data.length ? n : data.length;
		memcpy(env_text(var) + env->filled, span_take(&data, n), n);
		env->filled += (uint32_t)n;
	}
	if (data.length) {
		memcpy(env_value(var) + env->filled - var->name_length, data.data, data.length);
		env->filled += (uint32_t)data.length;
	}
	return env->filled < whole ? fine : admit(env, var);
}

struct verdict cgi_take(struct env *env, const struct wire_event *event)
{
	switch (event->kind) {
	case EVENT_VARIABLES:
		return take_variables(env, event);
	case EVENT_FIELDS:
		return take_fields(env, event);
	case EVENT_PAIR:
		return take_pair(env, event);
	case EVENT_PART:
		return take_part(env, event);
	default:
		return fine;
	}
}

/* What becomes of a name that comes more than once. */
enum repeat {
	REPEAT_LAST,   /* the last one counts, as in php-fpm: configurations do that */
	REPEAT_JOIN,   /* a list field (RFC 9110 5.3) */
	REPEAT_SAME,   /* allowed where all are the same */
	REPEAT_REFUSE, /* two could mean different things to different readers */
};

static enum repeat repeat_rule(const struct var *var)
{
	switch (var->id) {
	case VAR_REQUEST_METHOD:
	case VAR_CONTENT_LENGTH:
	case VAR_CONTENT_TYPE:
	case VAR_HTTP_HOST:
		return REPEAT_REFUSE;
	case VAR_REQUEST_URI:
	case VAR_QUERY_STRING:
		return REPEAT_SAME;
	default:
		return is_field(var) ? REPEAT_JOIN : REPEAT_LAST;
	}
}

static bool same_value(const struct var *a, const struct var *b)
{
	return a->value_length == b->value_length &&
	       memcmp(env_value(a), env_value(b), a->value_length) == 0;
}

/* Appends one variable with the values of all that have the name of the one at `first`. */
static bool join(struct env *env, size_t first, size_t length)
{
	size_t name_length = strlen(env_name(&env->vars[first]));
	struct var *joined = env_append(env, name_length, length);

	if (!joined)
		return false;
	const struct var *like = &env->vars[first];
	const char *separator = like->id == VAR_HTTP_COOKIE ? "; " : ", ";
	char *at = joined->value;

	memcpy(env_text(joined), env_name(like), name_length);
	for (size_t i = first; i < env->arrived; i++) {
		struct var *var = &env->vars[i];

		if (var->hidden || !env_same_name(var, like))
			continue;
		if (i > first) {
			memcpy(at, separator, 2);
			at += 2;
		}
		memcpy(at, env_value(var), var->value_length);
		at += var->value_length;
		var->hidden = true;
	}
	env_identify(env, joined);
	return true;
}

/* Settles the entries with the name of the one at `first`, if there are several. */
static struct verdict settle(struct env *env, size_t first)
{
	struct var *like = &env->vars[first];
	enum repeat rule = repeat_rule(like);
	size_t length = like->value_length, last = first;

	for (size_t i = first + 1; i < env->arrived; i++) {
		struct var *var = &env->vars[i];

		if (var->hidden || !env_same_name(var, like))
			continue;
		if (rule == REPEAT_REFUSE || (rule == REPEAT_SAME && !same_value(var, like)))
			return refuse(400, "a repeated variable that must stand once");
		if (rule != REPEAT_JOIN)
			env->vars[last].hidden = true;
		last = i;
		length += 2 + (size_t)var->value_length;
	}
	if (rule == REPEAT_JOIN && last > first && !join(env, first, length))
		return refuse(431, too_large);
	return fine;
}

static struct verdict settle_repeated(struct env *env)
{
	for (size_t i = 0; env->repeated && i < env->arrived; i++) {
		const struct var *var = &env->vars[i];
		bool several = !var->hidden && (var->repeated || env->unsure);
		struct verdict verdict = several ? settle(env, i) : fine;

		if (verdict.status)
			return verdict;
	}
	return fine;
}

/*
 * Never for the application: a name that programs take for a proxy setting (httpoxy), what belongs
 * to a connection (RFC 9110 7.6.1), and copies of what has a name of its own.
 */
static const uint8_t dropped[] = { VAR_HTTP_PROXY, VAR_HTTP_CONNECTION, VAR_HTTP_KEEP_ALIVE,
	VAR_HTTP_PROXY_CONNECTION, VAR_HTTP_TE, VAR_HTTP_TRAILER, VAR_HTTP_TRANSFER_ENCODING,
	VAR_HTTP_EXPECT, VAR_HTTP_CONTENT_LENGTH, VAR_HTTP_CONTENT_TYPE };

/* Whether a list of tokens holds one, in any case. */
static bool lists_token(struct span list, const char *token)
{
	while (list.length) {
		const uint8_t *comma = memchr(list.data, ',', list.length);
		size_t length = comma ? (size_t)(comma - list.data) : list.length;

		if (scan_same(scan_trim((struct span){ list.data, length }), token))
			return true;
		span_take(&list, comma ? length + 1 : length);
	}
	return false;
}

static struct span value_span(const struct var *var)
{
	return (struct span){ (const uint8_t *)env_value(var), var->value_length };
}

static void drop(struct env *env)
{
	const struct var *connection = env_known(env, VAR_HTTP_CONNECTION);

	if (env->known[VAR_HTTP_UPGRADE] &&
	        (!connection || !lists_token(value_span(connection), "upgrade")))
		env_hide(env, VAR_HTTP_UPGRADE);
	for (size_t i = 0; i < sizeof(dropped) / sizeof(*dropped); i++)
		if (env->known[dropped[i]])
			env_hide(env, dropped[i]);
}

/* RFC 3875 4.1.2: CONTENT_LENGTH is there if there is a body; gateways also send "" and 0. */
static struct verdict check_length(struct env *env, const struct limits *limits)
{
	const struct var *var = env_known(env, VAR_CONTENT_LENGTH);
	uint64_t length;

	if (!var)
		return fine;
	if (!cgi_length(value_span(var), true, &length))
		return refuse(400, "CONTENT_LENGTH is not a number");
	if (length > limits->body_size)
		return refuse(413, "the body is larger than limits.body_size");
	if (length == 0)
		env_hide(env, VAR_CONTENT_LENGTH);
	return fine;
}

struct verdict cgi_check(struct env *env, const struct limits *limits)
{
	env_arrived(env);
	struct verdict verdict = settle_repeated(env);

	if (verdict.status)
		return verdict;
	drop(env);
	const struct var *type = env_known(env, VAR_CONTENT_TYPE);

	/* nginx sends it empty where there is none; RFC 3875 4.1 sees no difference */
	if (type && !type->value_length)
		env_hide(env, VAR_CONTENT_TYPE);
	const struct var *method = env_known(env, VAR_REQUEST_METHOD);

	if (!method || !scan_token(value_span(method)))
		return refuse(400, "no REQUEST_METHOD, or none that is a token");
	return check_length(env, limits);
}

bool cgi_length(struct span text, bool empty_ok, uint64_t *length)
{
	*length = 0;
	return text.length == 0 ? empty_ok : scan_decimal(text, length);
}

enum decode_result cgi_decode_body(uint64_t *left, struct span *in, struct wire_event *event)
{
	if (!*left)
		return decode_event(event, EVENT_END, 1);
	if (!in->length)
		return DECODE_MORE;
	event->data.length = in->length < *left ? in->length : (size_t)*left;
	*left -= event->data.length;
	event->data.data = span_take(in, event->data.length);
	return decode_event(event, EVENT_BODY, 1);
}
