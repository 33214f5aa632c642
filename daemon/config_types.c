/* What each type of key can do: take a value from text, print it, copy it, give it back. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "affinity.h"
#include "config_keys.h"
#include "log_template.h"

/* ---- numbers with units ---- */

struct unit {
	const char *name;
	uint64_t scale;
};

/* Largest first, for printing; the last is what a plain number means. */
static const struct unit sizes[] = { { "G", 1 << 30 }, { "M", 1 << 20 }, { "K", 1 << 10 },
	{ "", 1 }, { 0 } };
static const struct unit times[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
	{ "", 1000 }, { 0 } };
static const struct unit plain[] = { { "", 1 }, { 0 } };

static const struct unit *key_units(const struct key *key)
{
	return key->type == KEY_SIZE || key->type == KEY_LIMIT ? sizes
	       : key->type == KEY_TIME                         ? times
	                                                       : plain;
}

static bool parse_scaled(const char *text, const struct unit *unit, uint64_t *value)
{
	uint64_t sum = 0;

	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text); text++) {
		if (__builtin_mul_overflow(sum, 10, &sum) ||
		        __builtin_add_overflow(sum, (uint64_t)(*text - '0'), &sum))
			return false;
	}
	for (; unit->name; unit++) {
		if (strcasecmp(unit->name, text) == 0)
			return !__builtin_mul_overflow(sum, unit->scale, value);
	}
	return false;
}

static bool parse_octal(const char *text, uint64_t *value)
{
	size_t length = strspn(text, "01234567");

	if (length == 0 || length > 4 || text[length] != '\0')
		return false;
	for (*value = 0; *text; text++)
		*value = *value * 8 + (uint64_t)(*text - '0');
	return true;
}

#define SCALED_TEXT_MAX 32

static const char *scaled_text(uint64_t value, const struct unit *unit, char text[SCALED_TEXT_MAX])
{
	while (unit->scale > 1 && (value < unit->scale || value % unit->scale != 0))
		unit++;
	snprintf(text, SCALED_TEXT_MAX, "%llu%s", (unsigned long long)(value / unit->scale),
	        value ? unit->name : "");
	return text;
}

static const char *const levels[] = { "error", "warning", "info", "debug" };
static const char *const switches[] = { "off", "on", "false", "true", "no", "yes", "0", "1" };

/* The index of `text` among `count` names, or false. */
static bool parse_choice(const char *text, const char *const *names, size_t count, uint64_t *value)
{
	for (size_t i = 0; i < count; i++) {
		if (strcasecmp(names[i], text) == 0) {
			*value = i;
			return true;
		}
	}
	return false;
}

static bool parse_nice(const char *text, uint64_t *value)
{
	bool negative = *text == '-';

	if (!parse_scaled(text + negative, plain, value) || *value > (negative ? 20 : 19))
		return false;
	if (negative)
		*value = -*value;
	return true;
}

/* Any type that is kept as a number. */
static bool parse_integer(const struct key *key, const char *text, uint64_t *value)
{
	switch (key->type) {
	case KEY_COUNT:
		*value = 0;
		return strcmp(text, "auto") == 0 || parse_scaled(text, plain, value);
	case KEY_NICE:
		return parse_nice(text, value);
	case KEY_MODE:
		return parse_octal(text, value);
	case KEY_LEVEL:
		return parse_choice(text, levels, 4, value);
	case KEY_SWITCH:
		if (!parse_choice(text, switches, 8, value))
			return false;
		*value %= 2;
		return true;
	default:
		return parse_scaled(text, key_units(key), value);
	}
}

static void expect_integer(const struct key *key, char *error, size_t size)
{
	char min[SCALED_TEXT_MAX], max[SCALED_TEXT_MAX];
	const struct unit *units = key_units(key);

	scaled_text(key->min, units, min);
	scaled_text(key->max, units, max);
	if (key->type == KEY_COUNT)
		snprintf(error, size, "expected auto or a number from 1 to %s", max);
	else if (key->type == KEY_SIZE)
		snprintf(error, size, "expected %s to %s: bytes, or with K, M or G", min, max);
	else if (key->type == KEY_LIMIT)
		snprintf(error, size, "expected unchanged, or %s to %s: bytes, or with K, M or G",
		        min, max);
	else if (key->type == KEY_NICE)
		snprintf(error, size, "expected a number from -20 to 19");
	else if (key->type == KEY_TIME)
		snprintf(
		        error, size, "expected %s to %s: seconds, or with ms, s, m or h", min, max);
	else if (key->type == KEY_MODE)
		snprintf(error, size, "expected an octal mode from 0000 to %04o",
		        (unsigned)key->max);
	else if (key->type == KEY_SWITCH)
		snprintf(error, size, "expected on or off");
	else if (key->type == KEY_LEVEL)
		snprintf(error, size, "expected error, warning, info or debug");
	else
		snprintf(error, size, "expected a number from %s to %s", min, max);
}

static void *field_of(const struct key *key, const void *base)
{
	return (char *)(uintptr_t)base + key->offset;
}

static void store_integer(const struct key *key, void *field, uint64_t value)
{
	if (key->width == sizeof(uint64_t))
		*(uint64_t *)field = value;
	else if (key->width == sizeof(uint32_t))
		*(uint32_t *)field = (uint32_t)value;
	else
		*(bool *)field = value != 0;
}

static uint64_t load_integer(const struct key *key, const void *field)
{
	if (key->width == sizeof(uint64_t))
		return *(const uint64_t *)field;
	if (key->width == sizeof(uint32_t))
		return *(const uint32_t *)field;
	return *(const bool *)field;
}

/* A nice value has been checked by its sign. */
static bool in_range(const struct key *key, uint64_t value)
{
	return key->type == KEY_NICE || (value >= key->min && value <= key->max);
}

static bool set_integer(
        const struct key *key, void *base, const char *text, char *error, size_t size)
{
	uint64_t value = UINT64_MAX;
	bool unchanged = key->type == KEY_LIMIT && strcmp(text, "unchanged") == 0;

	if (!unchanged && (!parse_integer(key, text, &value) || !in_range(key, value))) {
		expect_integer(key, error, size);
		return false;
	}
	store_integer(key, field_of(key, base), value);
	return true;
}

/* ---- the other types ---- */

static bool set_text(char **field, const char *text, char *error, size_t size)
{
	char *copy = NULL;

	if (*text && (copy = strdup(text)) == NULL) {
		snprintf(error, size, "out of memory");
		return false;
	}
	free(*field);
	*field = copy;
	return true;
}

static bool set_template(char **field, const char *text, char *error, size_t size)
{
	struct log_template *template = log_template_new(text, error, size);

	if (!template)
		return false;
	log_template_free(template);
	return set_text(field, text, error, size);
}

static bool set_cpus(char **field, const char *text, char *error, size_t size)
{
	if (strcmp(text, "off") == 0)
		text = "";
	else if (!affinity_check(text, error, size))
		return false;
	return set_text(field, text, error, size);
}

static bool set_mount(char **field, const char *text, char *error, size_t size)
{
	if (*text == '/')
		return set_text(field, text, error, size);
	snprintf(error, size, "expected a path that begins with \"/\"");
	return false;
}

static bool set_host(char **field, const char *text, char *error, size_t size)
{
	if (strcasecmp(text, "any") == 0)
		text = "";
	if (text[strcspn(text, "/ \t,:")] != '\0') {
		snprintf(error, size, "expected one server name without a port, or any");
		return false;
	}
	if (!set_text(field, text, error, size))
		return false;
	for (char *at = *field; at && *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return true;
}

static bool set_protocol(const struct protocol **field, const char *text, char *error, size_t size)
{
	const struct protocol *found = protocol_find(text);
	size_t used;

	if (found || strcmp(text, "auto") == 0) {
		*field = found;
		return true;
	}
	used = (size_t)snprintf(error, size, "expected ");
	for (size_t i = 0; protocols[i] && used < size; i++)
		used += (size_t)snprintf(error + used, size - used, "%s, ", protocols[i]->name);
	if (used < size)
		snprintf(error + used, size - used, "or auto");
	return false;
}

static bool set_address(struct listen_config *listen, const char *text, char *error, size_t size)
{
	struct listen_address where;

	if (!address_parse(&where, text, error, size))
		return false;
	if (!set_text(&listen->address, text, error, size))
		return false;
	listen->where = where;
	return true;
}

static bool set_admin(struct listen_config *listen, const char *text, char *error, size_t size)
{
	struct listen_address where;

	if (strcasecmp(text, "off") == 0)
		return set_text(&listen->address, "", error, size);
	if (!address_parse(&where, text, error, size))
		return false;
	if (where.kind != ADDRESS_FD && address_is_local(&where))
		return set_address(listen, text, error, size);
	snprintf(error, size,
	        "expected off, unix:PATH, or a loopback address such as 127.0.0.1:9180: it asks "
	        "for no password");
	return false;
}

/* Where to connect to: not a listening socket, nor all interfaces, nor any port. */
static bool set_redis(struct bus_config *bus, const char *text, char *error, size_t size)
{
	struct listen_address where;

	if (strcasecmp(text, "off") == 0)
		return set_text(&bus->redis, "", error, size);
	if (strstr(text, "://")) {
		snprintf(error, size,
		        "expected off, unix:PATH, or HOST:PORT; user and password are keys of "
		        "their own");
		return false;
	}
	if (!address_parse(&where, text, error, size))
		return false;
	if (where.kind == ADDRESS_FD ||
	        (where.kind == ADDRESS_TCP && (!*where.host || !where.port))) {
		snprintf(error, size, "expected off, unix:PATH, or a HOST:PORT to connect to");
		return false;
	}
	bus->where = where;
	return set_text(&bus->redis, text, error, size);
}

static bool add_peers(struct peers *peers, const char *text, char *error, size_t size)
{
	char *copy = strdup(text), *rest = copy, *one;
	bool fine = copy != NULL;

	if (!fine)
		snprintf(error, size, "out of memory");
	while (fine && (one = strsep(&rest, ", \t")) != NULL)
		fine = *one == '\0' || peers_add(peers, one, error, size);
	free(copy);
	return fine;
}

bool key_parse(const struct key *key, void *base, const char *text, char *error, size_t size)
{
	switch (key->type) {
	case KEY_TEXT:
	case KEY_SECRET:
		if (strlen(text) >= key->min)
			return set_text(field_of(key, base), text, error, size);
		snprintf(error, size, "expected a value");
		return false;
	case KEY_TEMPLATE:
		return set_template(field_of(key, base), text, error, size);
	case KEY_MOUNT:
		if (!*text && !key->min)
			return set_text(field_of(key, base), text, error, size);
		return set_mount(field_of(key, base), text, error, size);
	case KEY_HOST:
		return set_host(field_of(key, base), text, error, size);
	case KEY_PROTOCOL:
		return set_protocol(field_of(key, base), text, error, size);
	case KEY_ADDRESS:
		return set_address(base, text, error, size);
	case KEY_ADMIN:
		return set_admin(base, text, error, size);
	case KEY_REDIS:
		return set_redis(base, text, error, size);
	case KEY_PEERS:
		return add_peers(field_of(key, base), text, error, size);
	case KEY_CPUS:
		return set_cpus(field_of(key, base), text, error, size);
	case KEY_ENVIRONMENT:
		return environment_add(field_of(key, base), text, error, size);
	default:
		return set_integer(key, base, text, error, size);
	}
}

static void print_text(const char *name, const char *value, FILE *out)
{
	/* inih takes a semicolon behind a blank for a comment */
	fprintf(out, "%s =%s%s\n", name, value && *value != ';' ? " " : "", value ? value : "");
}

static void print_integer(const struct key *key, uint64_t value, FILE *out)
{
	char text[SCALED_TEXT_MAX];

	if (key->type == KEY_SWITCH)
		print_text(key->name, switches[value], out);
	else if (key->type == KEY_LEVEL)
		print_text(key->name, levels[value], out);
	else if (key->type == KEY_LIMIT && value == SIZE_MAX)
		print_text(key->name, "unchanged", out);
	else if (key->type == KEY_NICE)
		fprintf(out, "%s = %d\n", key->name, (int)value);
	else if (key->type == KEY_MODE)
		fprintf(out, "%s = %04o\n", key->name, (unsigned)value);
	else
		print_text(key->name, scaled_text(value, key_units(key), text), out);
}

void key_print(const struct key *key, const void *base, FILE *out)
{
	const void *field = field_of(key, base);
	const struct protocol *protocol;

	switch (key->type) {
	case KEY_TEXT:
	case KEY_TEMPLATE:
	case KEY_MOUNT:
	case KEY_ADDRESS:
		print_text(key->name, *(char *const *)field, out);
		break;
	case KEY_SECRET:
		print_text(key->name, *(char *const *)field ? SECRET_TEXT : NULL, out);
		break;
	case KEY_HOST:
	case KEY_CPUS:
	case KEY_ADMIN:
	case KEY_REDIS:
		if (*(char *const *)field)
			print_text(key->name, *(char *const *)field, out);
		else
			print_text(key->name, key->standard, out);
		break;
	case KEY_PROTOCOL:
		protocol = *(const struct protocol *const *)field;
		print_text(key->name, protocol ? protocol->name : "auto", out);
		break;
	case KEY_PEERS:
		peers_print(field, key->name, out);
		break;
	case KEY_ENVIRONMENT:
		environment_print(field, key->name, out);
		break;
	default:
		print_integer(key, load_integer(key, field), out);
	}
}

static bool copy_text(char **to, char *const *from)
{
	return *from == NULL || (*to = strdup(*from)) != NULL;
}

bool key_copy(const struct key *key, void *to, const void *from)
{
	switch (key->type) {
	case KEY_TEXT:
	case KEY_SECRET:
	case KEY_TEMPLATE:
	case KEY_MOUNT:
	case KEY_HOST:
	case KEY_CPUS:
	case KEY_REDIS: /* nothing is copied from it: there is one [bus] */
		return copy_text(field_of(key, to), field_of(key, from));
	case KEY_ADDRESS:
	case KEY_ADMIN:
		((struct listen_config *)to)->where = ((const struct listen_config *)from)->where;
		return copy_text(field_of(key, to), field_of(key, from));
	case KEY_PEERS:
		return peers_copy(field_of(key, to), field_of(key, from));
	case KEY_ENVIRONMENT:
		return environment_copy(field_of(key, to), field_of(key, from));
	default:
		memcpy(field_of(key, to), field_of(key, from), key->width);
		return true;
	}
}

void key_clear(const struct key *key, void *base)
{
	void *field = field_of(key, base);

	switch (key->type) {
	case KEY_TEXT:
	case KEY_SECRET:
	case KEY_TEMPLATE:
	case KEY_MOUNT:
	case KEY_HOST:
	case KEY_CPUS:
	case KEY_ADDRESS:
	case KEY_ADMIN:
	case KEY_REDIS:
		free(*(char **)field);
		break;
	case KEY_PEERS:
		peers_clear(field);
		break;
	case KEY_ENVIRONMENT:
		environment_clear(field);
		break;
	default:
		break;
	}
	memset(field, 0, key->width);
}
