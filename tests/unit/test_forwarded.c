/* protocols/forwarded.c: who is believed about where a request came from. */
#include "../support/support.h"
#include <stdio.h>
#include <string.h>

#include "app/arena.h"
#include "protocols/forwarded.h"

SUITE(forwarded);

#define ROW_VARIABLES 8

/* The variables as "NAME=value"; what is different afterwards, likewise, and "-NAME" for gone. */
struct forwarded_row {
	const char *name;
	const char *variables[ROW_VARIABLES], *changes[ROW_VARIABLES];
};

/* Trusts 10.0.0.0/8, fd00::/8 and Unix sockets. */
static bool trusts(const void *list, const uint8_t *address)
{
	static const uint8_t ten[13] = { [10] = 0xff, [11] = 0xff, [12] = 10 };

	(void)list;
	return !address || memcmp(address, ten, sizeof ten) == 0 || address[0] == 0xfd;
}

static const char *const watched[] = { "REMOTE_ADDR", "REMOTE_PORT", "REQUEST_SCHEME", "HTTPS",
	"SERVER_NAME", "SERVER_PORT" };

static const char *value_of(const struct env *env, const char *name)
{
	const struct var *var = env_find(env, name, strlen(name));

	return var ? env_value(var) : NULL;
}

/* What the row says about a variable, or else what it was before. */
static const char *expected_of(
        const struct forwarded_row *row, const struct env *env, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < ROW_VARIABLES && row->changes[i]; i++) {
		const char *change = row->changes[i];

		if (strncmp(change, name, length) == 0 && change[length] == '=')
			return change + length + 1;
		if (*change == '-' && strcmp(change + 1, name) == 0)
			return NULL;
	}
	return value_of(env, name);
}

static void check(struct block_pool *pool, const struct forwarded_row *row)
{
	const char *expected[COUNT(watched)];
	struct arena arena;
	struct env env = { 0 };

	arena_init(&arena, pool, 1 << 20);
	env_init(&env, &arena, 64, 65536);
	for (size_t i = 0; i < ROW_VARIABLES && row->variables[i]; i++) {
		const char *text = row->variables[i], *equals = strchr(text, '=');

		cr_assert(env_add(
		        &env, text, (size_t)(equals - text), equals + 1, strlen(equals + 1)));
	}
	env_arrived(&env);
	for (size_t i = 0; i < COUNT(watched); i++)
		expected[i] = expected_of(row, &env, watched[i]);
	cr_expect(forwarded_apply(&env, (struct trust){ trusts, NULL }));
	for (size_t i = 0; i < COUNT(watched); i++) {
		const char *value = value_of(&env, watched[i]);

		cr_expect((value == NULL) == (expected[i] == NULL) &&
		                  (!value || strcmp(value, expected[i]) == 0),
		        "%s: %s is %s, not %s", row->name, watched[i], value ? value : "absent",
		        expected[i] ? expected[i] : "absent");
	}
	/* the fields stay as they came */
	for (size_t i = 0; i < ROW_VARIABLES && row->variables[i]; i++)
		if (strncmp(row->variables[i], "HTTP_", 5) == 0)
			cr_expect(!env.vars[i].hidden, "%s", row->name);
	arena_free(&arena);
}

static void check_all(const struct forwarded_row *rows, size_t count)
{
	struct block_pool pool = { 0 };

	for (size_t i = 0; i < count; i++)
		check(&pool, &rows[i]);
	block_pool_free(&pool);
}

#define PEER       "REMOTE_ADDR=10.0.0.1", "REMOTE_PORT=1234"
#define FOR(list)  PEER, "HTTP_X_FORWARDED_FOR=" list
#define REAL(text) PEER, "HTTP_X_REAL_IP=" text
#define STD(list)  PEER, "HTTP_FORWARDED=" list
#define IS(text)   "REMOTE_ADDR=" text, "-REMOTE_PORT"

Test(forwarded, peers)
{
	static const struct forwarded_row rows[] = {
		{ "no field", { PEER }, { NULL } },
		{ "trusted v4", { FOR("1.2.3.4") }, { IS("1.2.3.4") } },
		{ "trusted v6", { "REMOTE_ADDR=fd00::1", "HTTP_X_FORWARDED_FOR=1.2.3.4" },
		        { "REMOTE_ADDR=1.2.3.4" } },
		{ "trusted mapped v4",
		        { "REMOTE_ADDR=::ffff:10.0.0.1", "HTTP_X_FORWARDED_FOR=1.2.3.4" },
		        { "REMOTE_ADDR=1.2.3.4" } },
		{ "a Unix socket", { "REMOTE_ADDR=unix:", "HTTP_X_FORWARDED_FOR=1.2.3.4" },
		        { "REMOTE_ADDR=1.2.3.4" } },
		{ "not trusted",
		        { "REMOTE_ADDR=11.0.0.1", "HTTP_X_FORWARDED_FOR=1.2.3.4",
		                "HTTP_X_REAL_IP=1.2.3.4", "HTTP_FORWARDED=for=1.2.3.4",
		                "HTTP_X_FORWARDED_PROTO=https", "HTTP_X_FORWARDED_HOST=a.test",
		                "HTTP_X_FORWARDED_PORT=1", "HTTP_X_SCHEME=https" },
		        { NULL } },
		{ "no address", { "REMOTE_ADDR=", "HTTP_X_FORWARDED_FOR=1.2.3.4" }, { NULL } },
		{ "no variable", { "HTTP_X_FORWARDED_FOR=1.2.3.4" }, { NULL } },
		{ "no address at all", { "REMOTE_ADDR=unix:x", "HTTP_X_FORWARDED_FOR=1.2.3.4" },
		        { NULL } },
	};

	check_all(rows, COUNT(rows));
}

Test(forwarded, hops)
{
	static const struct forwarded_row rows[] = {
		{ "the rightmost that is not trusted", { FOR("1.1.1.1, 2.2.2.2, 10.0.0.2") },
		        { IS("2.2.2.2") } },
		{ "none but trusted ones", { FOR("10.0.0.3, 10.0.0.2") }, { IS("10.0.0.3") } },
		{ "no blanks", { FOR("1.1.1.1,2.2.2.2") }, { IS("2.2.2.2") } },
		{ "blanks and tabs", { FOR(" 1.1.1.1 ,\t2.2.2.2 , 10.9.9.9\t") },
		        { IS("2.2.2.2") } },
		{ "v6", { FOR("2001:DB8:0::1") }, { IS("2001:db8::1") } },
		{ "v6 in brackets", { FOR("1.1.1.1, [2001:db8::1]") }, { IS("2001:db8::1") } },
		{ "v6 and a port", { FOR("[2001:db8::1]:80") }, { IS("2001:db8::1") } },
		{ "v4 and a port", { FOR("1.2.3.4:5678, 10.0.0.2:80") }, { IS("1.2.3.4") } },
		{ "mapped v4", { FOR("1.1.1.1, ::ffff:10.1.1.1") }, { IS("1.1.1.1") } },
		{ "mapped v4 as v4", { FOR("::ffff:1.1.1.1") }, { IS("1.1.1.1") } },
		{ "malformed", { FOR("unknown") }, { NULL } },
		{ "empty", { FOR("") }, { NULL } },
		{ "commas", { FOR(", ,") }, { NULL } },
		{ "malformed behind trusted ones", { FOR("1.1.1.1, x, 10.0.0.2") },
		        { IS("10.0.0.2") } },
		{ "an empty one behind trusted ones", { FOR("1.1.1.1, , 10.0.0.2") },
		        { IS("10.0.0.2") } },
		{ "malformed and not reached", { FOR("x, 1.1.1.1") }, { IS("1.1.1.1") } },
		{ "a name", { FOR("a.test") }, { NULL } },
		{ "zeros in front", { FOR("1.2.3.04") }, { NULL } },
		{ "port 0", { FOR("1.2.3.4:0") }, { NULL } },
		{ "a port too large", { FOR("1.2.3.4:65536") }, { NULL } },
		{ "no port", { FOR("1.2.3.4:") }, { NULL } },
		{ "an open bracket", { FOR("[2001:db8::1") }, { NULL } },
		{ "empty brackets", { FOR("[]") }, { NULL } },
		{ "v4 in brackets", { FOR("[1.2.3.4]") }, { NULL } },
		{ "text behind brackets", { FOR("[::1]x") }, { NULL } },
		{ "text between brackets and port", { FOR("[::1]x:80") }, { NULL } },
		{ "an address too long",
		        { FOR("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa") }, { NULL } },
		{ "a zone", { FOR("fe80::1%eth0") }, { NULL } },
		{ "X-Real-IP", { REAL("1.2.3.4") }, { IS("1.2.3.4") } },
		{ "X-Real-IP, v6", { REAL("2001:db8::1") }, { IS("2001:db8::1") } },
		{ "X-Real-IP, malformed", { REAL("1.2.3.4, 5.6.7.8") }, { NULL } },
		{ "X-Forwarded-For before X-Real-IP", { REAL("6.6.6.6"), "HTTP_X_FORWARDED_FOR=x" },
		        { NULL } },
		{ "X-Forwarded-For before Forwarded",
		        { FOR("1.1.1.1"), "HTTP_FORWARDED=for=6.6.6.6;proto=https;host=b" },
		        { IS("1.1.1.1") } },
		{ "X-Real-IP before Forwarded", { REAL("1.1.1.1"), "HTTP_FORWARDED=for=6.6.6.6" },
		        { IS("1.1.1.1") } },
	};

	check_all(rows, COUNT(rows));
}

Test(forwarded, standard)
{
	static const struct forwarded_row rows[] = {
		{ "for", { STD("for=1.2.3.4") }, { IS("1.2.3.4") } },
		{ "in any case", { STD("For=1.2.3.4") }, { IS("1.2.3.4") } },
		{ "quoted", { STD("for=\"1.2.3.4:80\"") }, { IS("1.2.3.4") } },
		{ "v6", { STD("for=\"[2001:db8::1]\"") }, { IS("2001:db8::1") } },
		{ "v6 and a port", { STD("for=\"[2001:db8::1]:80\"") }, { IS("2001:db8::1") } },
		{ "the rightmost that is not trusted",
		        { STD("for=1.1.1.1, for=2.2.2.2;by=10.0.0.1, for=10.0.0.2") },
		        { IS("2.2.2.2") } },
		{ "proto and host of that hop",
		        { STD("for=1.1.1.1;host=x, for=2.2.2.2;proto=https;host=\"a.test:8443\", "
		              "for=10.0.0.2;proto=http;host=b.test") },
		        { IS("2.2.2.2"), "REQUEST_SCHEME=https", "HTTPS=on", "SERVER_NAME=a.test",
		                "SERVER_PORT=8443" } },
		{ "proto of the hop before", { STD("for=2.2.2.2, for=10.0.0.2;proto=https") },
		        { IS("2.2.2.2"), "REQUEST_SCHEME=https", "HTTPS=on" } },
		{ "no for", { STD("proto=https;host=a.test") },
		        { "REQUEST_SCHEME=https", "HTTPS=on", "SERVER_NAME=a.test",
		                "SERVER_PORT=443" } },
		{ "blanks", { STD(" for=1.1.1.1 , for=2.2.2.2 ; proto=http ") },
		        { IS("2.2.2.2"), "REQUEST_SCHEME=http" } },
		{ "unknown", { STD("for=1.1.1.1, for=unknown") }, { NULL } },
		{ "obfuscated", { STD("for=1.1.1.1, for=_secret, for=10.0.0.2") },
		        { IS("10.0.0.2") } },
		{ "commas and semicolons in quotes", { STD("for=1.1.1.1;x=\"a, for=6.6.6.6;\"") },
		        { IS("1.1.1.1") } },
		{ "an escaped quote", { STD("for=6.6.6.6;x=\"\\\", for=2.2.2.2") }, { NULL } },
		{ "an escape", { STD("for=\"1.1.1\\.1\"") }, { NULL } },
		{ "an open quote", { STD("for=6.6.6.6;x=\", for=2.2.2.2") }, { NULL } },
		{ "an open quote and closed ones",
		        { STD("for=6.6.6.6;x=\", for=\"[2001:db8::1]\"") }, { NULL } },
		{ "text behind a quote", { STD("for=\"1.1.1.1\"x") }, { NULL } },
		{ "a quoted name", { STD("\"for\"=1.1.1.1") }, { NULL } },
		{ "v6 without quotes", { STD("for=[2001:db8::1]") }, { NULL } },
		{ "v6 without brackets", { STD("for=\"2001:db8::1\"") }, { NULL } },
		{ "for twice", { STD("for=1.1.1.1;for=2.2.2.2") }, { NULL } },
		{ "no value", { STD("for=") }, { NULL } },
		{ "no equals sign", { STD("for") }, { NULL } },
		{ "a blank around the sign", { STD("for = 1.1.1.1") }, { NULL } },
		{ "nothing", { STD(",") }, { NULL } },
		{ "malformed and not reached", { STD("=, for=1.1.1.1") }, { IS("1.1.1.1") } },
	};

	check_all(rows, COUNT(rows));
}

Test(forwarded, scheme_and_server)
{
	static const struct forwarded_row rows[] = {
		{ "https", { PEER, "HTTP_X_FORWARDED_PROTO=HTTPS" },
		        { "REQUEST_SCHEME=https", "HTTPS=on" } },
		{ "http",
		        { PEER, "REQUEST_SCHEME=https", "HTTPS=on", "HTTP_X_FORWARDED_PROTO=http" },
		        { "REQUEST_SCHEME=http", "-HTTPS" } },
		{ "X-Scheme", { PEER, "HTTP_X_SCHEME=https" },
		        { "REQUEST_SCHEME=https", "HTTPS=on" } },
		{ "X-Forwarded-Proto before it",
		        { PEER, "HTTP_X_SCHEME=https", "HTTP_X_FORWARDED_PROTO=http" },
		        { "REQUEST_SCHEME=http" } },
		{ "another scheme", { PEER, "HTTP_X_FORWARDED_PROTO=ftp" }, { NULL } },
		{ "the nearest of a list", { PEER, "HTTP_X_FORWARDED_PROTO=https, http" },
		        { "REQUEST_SCHEME=http" } },
		{ "a host", { PEER, "HTTP_X_FORWARDED_HOST=a.test" },
		        { "SERVER_NAME=a.test", "SERVER_PORT=80" } },
		{ "a host, https",
		        { PEER, "HTTP_X_FORWARDED_HOST=a.test", "HTTP_X_FORWARDED_PROTO=https" },
		        { "SERVER_NAME=a.test", "SERVER_PORT=443", "REQUEST_SCHEME=https",
		                "HTTPS=on" } },
		{ "a host and its port",
		        { PEER, "HTTP_X_FORWARDED_HOST=a.test:81", "HTTP_X_FORWARDED_PORT=82" },
		        { "SERVER_NAME=a.test", "SERVER_PORT=81" } },
		{ "a host and a port",
		        { PEER, "HTTP_X_FORWARDED_HOST=a.test", "HTTP_X_FORWARDED_PORT=82" },
		        { "SERVER_NAME=a.test", "SERVER_PORT=82" } },
		{ "a port alone", { PEER, "SERVER_PORT=8080", "HTTP_X_FORWARDED_PORT=443" },
		        { "SERVER_PORT=443" } },
		{ "v6", { PEER, "HTTP_X_FORWARDED_HOST=[2001:db8::1]:81" },
		        { "SERVER_NAME=[2001:db8::1]", "SERVER_PORT=81" } },
		{ "the nearest of hosts", { PEER, "HTTP_X_FORWARDED_HOST=evil.test, a.test" },
		        { "SERVER_NAME=a.test", "SERVER_PORT=80" } },
		{ "no host", { PEER, "SERVER_NAME=b", "HTTP_X_FORWARDED_HOST=a/b" }, { NULL } },
		{ "a user", { PEER, "HTTP_X_FORWARDED_HOST=u@a.test" }, { NULL } },
		{ "a blank", { PEER, "HTTP_X_FORWARDED_HOST=a b" }, { NULL } },
		{ "a bad port", { PEER, "HTTP_X_FORWARDED_HOST=a.test:x" }, { NULL } },
		{ "two colons", { PEER, "HTTP_X_FORWARDED_HOST=a.test:1:2" }, { NULL } },
		{ "no name", { PEER, "HTTP_X_FORWARDED_HOST=:80" }, { NULL } },
		{ "no address", { PEER, "HTTP_X_FORWARDED_HOST=[a.test]" }, { NULL } },
		{ "a bad port alone", { PEER, "SERVER_PORT=1", "HTTP_X_FORWARDED_PORT=0" },
		        { NULL } },
		{ "markup", { PEER, "HTTP_X_FORWARDED_HOST=<b>" }, { NULL } },
	};

	check_all(rows, COUNT(rows));
}

/* As many hops as fit into a header: linear, and the nearest ones count. */
Test(forwarded, many)
{
	static char text[65536];
	struct forwarded_row row = { "many", { PEER, text }, { IS("10.0.0.2") } };
	size_t at = (size_t)snprintf(text, sizeof text, "HTTP_FORWARDED=for=1.1.1.1");

	while (at + 32 < sizeof text - 1024)
		at += (size_t)snprintf(text + at, sizeof text - at, ",for=10.0.0.2");
	check_all(&row, 1);
	at = (size_t)snprintf(text, sizeof text, "HTTP_X_FORWARDED_FOR=1.1.1.1");
	while (at + 32 < sizeof text - 1024)
		at += (size_t)snprintf(text + at, sizeof text - at, ",10.0.0.2");
	row.changes[0] = "REMOTE_ADDR=1.1.1.1";
	check_all(&row, 1);
}

Test(forwarded, no_memory)
{
	struct block_pool pool = { 0 };
	struct arena arena;
	struct env env = { 0 };
	bool fine = true;

	arena_init(&arena, &pool, 1 << 16);
	env_init(&env, &arena, 64, 65536);
	cr_assert(env_add(&env, "REMOTE_ADDR", 11, "10.0.0.1", 8));
	cr_assert(env_add(&env, "HTTP_X_FORWARDED_FOR", 20, "1.1.1.1", 7));
	for (int i = 0; fine && i < 10000; i++) {
		fine = forwarded_apply(&env, (struct trust){ trusts, NULL });
		cr_assert(env_set(&env, VAR_REMOTE_ADDR, "10.0.0.1", 8) || !fine || i > 100);
	}
	cr_expect(!fine);
	arena_free(&arena);
	block_pool_free(&pool);
}
