/*
 * Any forwarding fields from any peer: from one that is not trusted nothing changes, and what a
 * trusted one tells becomes variables of the right form. Where X-Forwarded-For counts, a reader of
 * its own, from right to left, says what the address must be; and what stands to the left of an
 * address that is not trusted never matters.
 *
 * The input: a byte whose bits choose the networks that are trusted, REMOTE_ADDR, and a line for
 * each variable: a letter for its name, then its value.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../protocols/cgi.h"
#include "../../protocols/forwarded.h"
#include "oracle.h"

static const struct {
	char letter;
	const char *name;
} names[] = {
	{ 'a', "HTTP_X_FORWARDED_FOR" },
	{ 'r', "HTTP_X_REAL_IP" },
	{ 'f', "HTTP_FORWARDED" },
	{ 'p', "HTTP_X_FORWARDED_PROTO" },
	{ 's', "HTTP_X_SCHEME" },
	{ 'h', "HTTP_X_FORWARDED_HOST" },
	{ 'o', "HTTP_X_FORWARDED_PORT" },
	{ 'H', "HTTPS" },
	{ 'S', "SERVER_NAME" },
	{ 'P', "SERVER_PORT" },
	{ 'Q', "REMOTE_PORT" },
};

static const enum var_id watched[] = { VAR_REMOTE_ADDR, VAR_REMOTE_PORT, VAR_REQUEST_SCHEME,
	VAR_HTTPS, VAR_SERVER_NAME, VAR_SERVER_PORT };

#define WATCHED (sizeof watched / sizeof *watched)

/* ---- who is trusted: bits of a byte ---- */

enum { TRUST_TEN = 1, TRUST_LOOPBACK = 2, TRUST_V6 = 4, TRUST_UNIX = 8, TRUST_ONE = 16 };

static bool trusts(const void *list, const uint8_t *address)
{
	static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff };
	unsigned bits = *(const uint8_t *)list;

	if (!address)
		return bits & TRUST_UNIX;
	if (memcmp(address, v4, sizeof v4) != 0)
		return (bits & TRUST_V6) && address[0] == 0xfd;
	return ((bits & TRUST_TEN) && address[12] == 10) ||
	       ((bits & TRUST_LOOPBACK) && address[12] == 127) ||
	       ((bits & TRUST_ONE) && memcmp(address + 12, "\1\2\3\4", 4) == 0);
}

/* ---- a reader of addresses that is not forwarded.c's ---- */

static bool read_v4(const char *text, uint8_t address[16])
{
	memset(address, 0, 10);
	address[10] = address[11] = 0xff;
	return inet_pton(AF_INET, text, address + 12) == 1;
}

static bool is_port(const char *text)
{
	size_t length = strlen(text);

	if (length < 1 || length > 5 || strspn(text, "0123456789") != length)
		return false;
	return atol(text) > 0 && atol(text) < 65536;
}

/* V4, V6, V4:PORT, [V6], [V6]:PORT; `text` is cut. */
static bool read_hop(char *text, uint8_t address[16])
{
	char *end = strchr(text, *text == '[' ? ']' : ':');

	if (inet_pton(AF_INET6, text, address) == 1 || read_v4(text, address))
		return true;
	if (!end)
		return false;
	*end = '\0';
	if (*text != '[')
		return is_port(end + 1) && read_v4(text, address);
	if (end[1] && (end[1] != ':' || !is_port(end + 2)))
		return false;
	return inet_pton(AF_INET6, text + 1, address) == 1;
}

static void write_address(const uint8_t address[16], char text[INET6_ADDRSTRLEN])
{
	uint8_t v4[16];

	inet_ntop(AF_INET6, address, text, INET6_ADDRSTRLEN);
	if (read_v4("0.0.0.0", v4) && memcmp(address, v4, 12) == 0)
		inet_ntop(AF_INET, address + 12, text, INET6_ADDRSTRLEN);
}

/* ---- in and out ---- */

struct made {
	struct arena arena;
	struct env env;
	char *before[WATCHED];
};

static char *copy(const struct env *env, enum var_id id)
{
	const struct var *var = env_known(env, id);

	return var ? strndup(env_value(var), var->value_length) : NULL;
}

static bool is(const struct env *env, enum var_id id, const char *text)
{
	char *now = copy(env, id);
	bool same = now && text ? strcmp(now, text) == 0 : now == text;

	free(now);
	return same;
}

static struct span take_line(struct span *in)
{
	const uint8_t *end = in->length ? memchr(in->data, '\n', in->length) : NULL;
	size_t length = end ? (size_t)(end - in->data) : in->length;
	struct span line = { span_take(in, length), length };

	if (end)
		span_take(in, 1);
	return line;
}

static const char *name_of(uint8_t letter)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if ((uint8_t)names[i].letter == letter)
			return names[i].name;
	return NULL;
}

/* The first field of the name `listed` gets the prefix. */
struct prefix {
	const char *listed, *text;
};

static bool make(struct made *made, struct block_pool *pool, struct span in, struct prefix prefix)
{
	struct wire_event event = { .kind = EVENT_VARIABLES, .count = 1 };
	struct verdict verdict = { 0, NULL };

	memset(made, 0, sizeof *made);
	arena_init(&made->arena, pool, 1 << 20);
	env_init(&made->env, &made->arena, 64, 65536);
	env_add(&made->env, "REQUEST_METHOD", 14, "GET", 3);
	env_add(&made->env, "REQUEST_URI", 11, "/", 1);
	struct span address = take_line(&in);

	event.pairs[0] = pair_of((const uint8_t *)"REMOTE_ADDR", 11, address.data, address.length);
	verdict = cgi_take(&made->env, &event);
	while (in.length && !verdict.status) {
		struct span line = take_line(&in);
		const char *name = line.length ? name_of(*line.data) : NULL;
		char text[2048];

		if (!name)
			continue;
		span_take(&line, 1);
		bool here = prefix.listed && strcmp(name, prefix.listed) == 0;
		int length = snprintf(text, sizeof text, "%s", here ? prefix.text : "");

		if (here)
			prefix.listed = NULL;
		if (line.length > sizeof text - 64)
			return false;
		if (line.length)
			memcpy(text + length, line.data, line.length);
		event.pairs[0] = pair_of((const uint8_t *)name, strlen(name), (const uint8_t *)text,
		        (size_t)length + line.length);
		verdict = cgi_take(&made->env, &event);
	}
	if (verdict.status || cgi_check(&made->env, &(struct limits){ .body_size = 1 }).status)
		return false;
	for (size_t i = 0; i < WATCHED; i++)
		made->before[i] = copy(&made->env, watched[i]);
	return true;
}

static void unmake(struct made *made)
{
	for (size_t i = 0; i < WATCHED; i++)
		free(made->before[i]);
	arena_free(&made->arena);
}

/* ---- what must be true ---- */

static bool peer_is_trusted(const struct made *made, const uint8_t *bits)
{
	uint8_t address[16];
	char *text;
	bool trusted;

	if (!made->before[0])
		return false;
	if (strcmp(made->before[0], "unix:") == 0)
		return trusts(bits, NULL);
	text = strdup(made->before[0]);
	trusted = read_hop(text, address) && trusts(bits, address);
	free(text);
	return trusted;
}

static void check_unchanged(const struct made *made)
{
	for (size_t i = 0; i < WATCHED; i++)
		FUZZ_CHECK(is(&made->env, watched[i], made->before[i]),
		        "a peer that is not trusted changes something");
}

static char *trimmed(char *text)
{
	size_t length;

	text += strspn(text, " \t");
	length = strlen(text);
	while (length && strchr(" \t", text[length - 1]))
		text[--length] = '\0';
	return text;
}

/* X-Forwarded-For from right to left; `found` stays what it was where there is no hop. */
static void read_list(char *list, const uint8_t *bits, char found[INET6_ADDRSTRLEN])
{
	bool more = true;

	while (more) {
		char *comma = strrchr(list, ',');
		uint8_t address[16];

		more = comma != NULL;
		if (!read_hop(trimmed(comma ? comma + 1 : list), address))
			return;
		write_address(address, found);
		if (!trusts(bits, address))
			return;
		if (comma)
			*comma = '\0';
	}
}

static void check_hops(const struct made *made, const uint8_t *bits)
{
	const struct var *var = env_find(&made->env, "HTTP_X_FORWARDED_FOR", 20);
	char found[INET6_ADDRSTRLEN] = "";
	char *list = var ? strndup(env_value(var), var->value_length) : NULL;

	if (list && *trimmed(list)) {
		read_list(trimmed(list), bits, found);
		FUZZ_CHECK(is(&made->env, VAR_REMOTE_ADDR, *found ? found : made->before[0]),
		        "another hop than from right to left");
	}
	free(list);
}

static void check_address(const struct made *made)
{
	char *now = copy(&made->env, VAR_REMOTE_ADDR);
	uint8_t address[16];

	if (now && strcmp(now, made->before[0]) != 0) {
		FUZZ_CHECK(read_v4(now, address) || inet_pton(AF_INET6, now, address) == 1,
		        "REMOTE_ADDR is no address");
		FUZZ_CHECK(!env_known(&made->env, VAR_REMOTE_PORT), "another address' port");
	}
	free(now);
}

static void check_rest(const struct made *made)
{
	char *scheme = copy(&made->env, VAR_REQUEST_SCHEME);
	char *name = copy(&made->env, VAR_SERVER_NAME), *port = copy(&made->env, VAR_SERVER_PORT);
	bool https = is(&made->env, VAR_HTTPS, "on");

	if (scheme)
		FUZZ_CHECK(strcmp(scheme, https ? "https" : "http") == 0, "scheme and HTTPS");
	if (!is(&made->env, VAR_SERVER_NAME, made->before[4])) {
		FUZZ_CHECK(*name && strlen(name) < 256, "length of SERVER_NAME");
		for (char *at = name; *at; at++)
			FUZZ_CHECK(isalnum((unsigned char)*at) || strchr("-._~[]:", *at),
			        "a byte of SERVER_NAME");
	}
	if (!is(&made->env, VAR_SERVER_PORT, made->before[5]))
		FUZZ_CHECK(port && is_port(port), "SERVER_PORT is no port");
	free(scheme);
	free(name);
	free(port);
}

/* Whether the walk has ended at REMOTE_ADDR, however much stands before it. */
static bool walk_has_ended(const struct made *made, const uint8_t *bits)
{
	char *now = copy(&made->env, VAR_REMOTE_ADDR);
	uint8_t address[16];
	bool ended = now && strcmp(now, made->before[0]) != 0 && read_hop(now, address) &&
	             !trusts(bits, address);

	free(now);
	return ended;
}

static bool has(const struct made *made, const char *name)
{
	const struct var *var = env_find(&made->env, name, strlen(name));

	return var && scan_trim((struct span){ (const uint8_t *)env_value(var), var->value_length })
	                      .length;
}

/* What a client may write in front of the field that counts changes nothing. */
static void check_prefixes(
        const struct made *made, struct block_pool *pool, struct span in, const uint8_t *bits)
{
	static const struct prefix prefixes[] = {
		{ "HTTP_X_FORWARDED_FOR", "9.9.9.9, " },
		{ "HTTP_X_FORWARDED_FOR", "10.0.0.1,unknown,," },
		{ "HTTP_FORWARDED", "for=9.9.9.9, " },
		{ "HTTP_FORWARDED", "for=\"[fd00::1]:8\";host=x,," },
	};
	bool hops = has(made, "HTTP_X_FORWARDED_FOR");

	if (!hops && has(made, "HTTP_X_REAL_IP"))
		return;
	for (size_t i = hops ? 0 : 2; i < (hops ? 2 : 4); i++) {
		struct made other;
		char *address = copy(&made->env, VAR_REMOTE_ADDR);

		if (make(&other, pool, in, prefixes[i])) {
			FUZZ_CHECK(forwarded_apply(&other.env, (struct trust){ trusts, bits }),
			        "no memory");
			FUZZ_CHECK(is(&other.env, VAR_REMOTE_ADDR, address),
			        "a client's own words count");
		}
		free(address);
		unmake(&other);
	}
}

static void check(struct made *made, struct block_pool *pool, struct span in, const uint8_t *bits)
{
	FUZZ_CHECK(forwarded_apply(&made->env, (struct trust){ trusts, bits }), "no memory");
	if (!peer_is_trusted(made, bits)) {
		check_unchanged(made);
		return;
	}
	check_hops(made, bits);
	check_address(made);
	check_rest(made);
	if (walk_has_ended(made, bits))
		check_prefixes(made, pool, in, bits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct block_pool pool = { 0 };
	struct made made;

	if (size == 0)
		return 0;
	struct span in = { data + 1, size - 1 };

	if (make(&made, &pool, in, (struct prefix){ NULL, NULL }))
		check(&made, &pool, in, data);
	unmake(&made);
	block_pool_free(&pool);
	return 0;
}
