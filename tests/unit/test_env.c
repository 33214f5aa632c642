#include <stdio.h>
#include <string.h>

#include "env_list.h"
#include "tests/support/decoding.h"
#include "tests/support/loopback.h"

SUITE(env);

/* ---- known names ---- */

/* The names once more, in the order of enum var_id, from 1. */
static const char *const known[] = { "SCGI", "HTTPS", "HTTP_TE", "HTTP_HOST", "PATH_INFO",
	"REQUEST_ID", "HTTP_PROXY", "REQUEST_URI", "SERVER_NAME", "SERVER_PORT", "SERVER_ADDR",
	"SCRIPT_NAME", "REMOTE_ADDR", "REMOTE_PORT", "HTTP_ACCEPT", "HTTP_COOKIE", "HTTP_ORIGIN",
	"HTTP_EXPECT", "CONTENT_TYPE", "DOCUMENT_URI", "QUERY_STRING", "HTTP_REFERER",
	"HTTP_UPGRADE", "HTTP_TRAILER", "DOCUMENT_ROOT", "REQUEST_METHOD", "REQUEST_SCHEME",
	"CONTENT_LENGTH", "HTTP_X_REAL_IP", "SERVER_PROTOCOL", "SERVER_SOFTWARE", "HTTP_USER_AGENT",
	"REDIRECT_STATUS", "SCRIPT_FILENAME", "HTTP_CONNECTION", "HTTP_KEEP_ALIVE",
	"GATEWAY_INTERFACE", "HTTP_CONTENT_TYPE", "HTTP_CACHE_CONTROL", "HTTP_AUTHORIZATION",
	"HTTP_IF_NONE_MATCH", "HTTP_CONTENT_LENGTH", "HTTP_ACCEPT_LANGUAGE", "HTTP_ACCEPT_ENCODING",
	"HTTP_X_FORWARDED_FOR", "HTTP_PROXY_CONNECTION", "HTTP_TRANSFER_ENCODING",
	"HTTP_X_FORWARDED_PROTO", "HTTP_IF_MODIFIED_SINCE" };

_Static_assert(COUNT(known) == VAR_COUNT - 1, "a variable has no row");

Test(env, known_names)
{
	struct list list;

	for (size_t i = 0; i < COUNT(known); i++) {
		const char *name = known[i];

		list_open(&list, 8, 4096);
		cr_expect_str_eq(env_texts[i + 1], name);
		const struct var *var = add(&list, name, "value");

		cr_assert(var, "%s", name);
		cr_expect_eq(var->id, i + 1, "%s", name);
		cr_expect_eq(env_known(&list.env, i + 1), var, "%s", name);
		for (unsigned id = 1; id < VAR_COUNT; id++)
			if (id != i + 1)
				cr_expect_null(env_known(&list.env, id), "%s is also %s", name,
				        env_texts[id]);
		list_close(&list);
	}
}

/* Every name with its last byte changed, cut off or doubled, or in lower case, is none of them. */
Test(env, names_that_are_not_known)
{
	struct list list;
	char name[64];

	for (size_t i = 0; i < COUNT(known); i++) {
		size_t length = strlen(known[i]);

		list_open(&list, 8, 4096);
		strcpy(name, known[i]);
		name[length - 1] ^= 0x20;
		cr_expect_eq(add(&list, name, "")->id, VAR_OTHER, "%s", name);
		name[length - 1] = '\0';
		cr_expect_eq(add(&list, name, "")->id, VAR_OTHER, "%s", name);
		strcpy(name, known[i]);
		strncat(name, "X", 2);
		cr_expect_eq(add(&list, name, "")->id, VAR_OTHER, "%s", name);
		list_close(&list);
	}
}

static const struct {
	const char *field, *name;
} field_rows[] = {
	{ "X-Name", "HTTP_X_NAME" },
	{ "x-name", "HTTP_X_NAME" },
	{ "host", "HTTP_HOST" },
	{ "Content-Type", "CONTENT_TYPE" },
	{ "content-length", "CONTENT_LENGTH" },
	{ "!#$%&'*+.^`|~09", "HTTP_!#$%&'*+.^`|~09" },
	{ "a", "HTTP_A" },
};

Test(env, fields)
{
	struct list list;

	list_open(&list, 64, 4096);
	for (size_t i = 0; i < COUNT(field_rows); i++) {
		const char *field = field_rows[i].field, *name = field_rows[i].name;
		const struct var *var = env_add_field(&list.env, field, strlen(field), "value", 5);

		cr_assert(var);
		cr_expect_str_eq(env_name(var), name);
		cr_expect_str_eq(env_value(var), "value", "%s", field);
		cr_expect_eq(env_find(&list.env, name, strlen(name)), var, "%s", field);
	}
	list_close(&list);
}

Test(env, set_and_hide)
{
	struct list list;

	list_open(&list, 2, 4096);
	add(&list, "SERVER_NAME", "sent");
	add(&list, "SERVER_NAME", "sent later");
	cr_expect_null(add(&list, "OVER", "the count"));
	env_arrived(&list.env);
	cr_expect_str_eq(env_value(env_known(&list.env, VAR_SERVER_NAME)), "sent later");
	for (int i = 0; i < 200; i++) /* derived ones are not counted, and the list grows */
		cr_assert(env_set(&list.env, VAR_SERVER_NAME, "derived", 7));
	cr_expect_str_eq(env_value(env_find(&list.env, "SERVER_NAME", 11)), "derived");
	env_hide(&list.env, VAR_SERVER_NAME);
	cr_expect_null(env_known(&list.env, VAR_SERVER_NAME));
	cr_expect_eq(list.env.arrived, 2);
	cr_expect_str_eq(env_value(&list.env.vars[0]), "sent");
	list_close(&list);
}

/* ---- limits ---- */

static const struct {
	const char *name;
	unsigned variables;
	size_t bytes;
	unsigned count; /* of "NAME"="value", nine bytes */
	bool fits;
} limit_rows[] = {
	{ "as many as may be", 3, 4096, 3, true },
	{ "one more", 3, 4096, 4, false },
	{ "as many bytes as may be", 99, 27, 3, true },
	{ "a byte more", 99, 26, 3, false },
	{ "no variables at all", 0, 4096, 1, false },
	{ "no bytes at all", 99, 0, 1, false },
	{ "more than the first list holds", 1000, 65536, 1000, true },
};

Test(env, limits)
{
	for (size_t i = 0; i < COUNT(limit_rows); i++) {
		struct list list;
		struct verdict verdict = { 0, NULL };

		list_open(&list, limit_rows[i].variables, limit_rows[i].bytes);
		for (unsigned n = 0; n < limit_rows[i].count && !verdict.status; n++)
			verdict = take(&list.env, "NAME", 4, "value", 5);
		cr_expect_eq(
		        verdict.status, limit_rows[i].fits ? 0 : 431, "%s", limit_rows[i].name);
		cr_expect_eq(verdict.reason == NULL, limit_rows[i].fits, "%s", limit_rows[i].name);
		list_close(&list);
	}
}

Test(env, limits_of_fields)
{
	struct list list;
	struct wire_event event = { .kind = EVENT_FIELDS, .count = 2 };

	list_open(&list, 1, 4096);
	for (int i = 0; i < 2; i++)
		event.pairs[i].name = event.pairs[i].value = (struct span){ (uint8_t *)"a", 1 };
	cr_expect_eq(cgi_take(&list.env, &event).status, 431);
	list_close(&list);
}

/* ---- the rules for all variables together ---- */

static const struct {
	const char *label, *in; /* "|": GET before it */
	int status;
	const char *name, *value; /* what is seen of it; NULL: nothing */
} rule_rows[] = {
	{ "httpoxy", "|HTTP_PROXY=x", 0, "HTTP_PROXY", NULL },
	{ "httpoxy twice", "|HTTP_PROXY=x|HTTP_PROXY=y", 0, "HTTP_PROXY", NULL },
	{ "connection", "|HTTP_CONNECTION=close", 0, "HTTP_CONNECTION", NULL },
	{ "keep-alive", "|HTTP_KEEP_ALIVE=1", 0, "HTTP_KEEP_ALIVE", NULL },
	{ "proxy", "|HTTP_PROXY_CONNECTION=x", 0, "HTTP_PROXY_CONNECTION", NULL },
	{ "te", "|HTTP_TE=trailers", 0, "HTTP_TE", NULL },
	{ "trailer", "|HTTP_TRAILER=x", 0, "HTTP_TRAILER", NULL },
	{ "coding", "|HTTP_TRANSFER_ENCODING=chunked", 0, "HTTP_TRANSFER_ENCODING", NULL },
	{ "expect", "|HTTP_EXPECT=100-continue", 0, "HTTP_EXPECT", NULL },
	{ "copy of the length", "|HTTP_CONTENT_LENGTH=7", 0, "HTTP_CONTENT_LENGTH", NULL },
	{ "copy of the type", "|HTTP_CONTENT_TYPE=a/b", 0, "HTTP_CONTENT_TYPE", NULL },
	{ "other names stay", "|HTTP_PROXY_X=x", 0, "HTTP_PROXY_X", "x" },

	{ "upgrade", "|HTTP_UPGRADE=h2c", 0, "HTTP_UPGRADE", NULL },
	{ "u2", "|HTTP_UPGRADE=h2c|HTTP_CONNECTION=close", 0, "HTTP_UPGRADE", NULL },
	{ "u3", "|HTTP_UPGRADE=ws|HTTP_CONNECTION=Upgrade", 0, "HTTP_UPGRADE", "ws" },
	{ "u4", "|HTTP_CONNECTION=x ,\tUPGRADE , y|HTTP_UPGRADE=ws", 0, "HTTP_UPGRADE", "ws" },
	{ "u5", "|HTTP_UPGRADE=x|HTTP_CONNECTION=upgrade2, noupgrade", 0, "HTTP_UPGRADE", NULL },
	{ "u6", "|HTTP_CONNECTION=x|HTTP_UPGRADE=ws|HTTP_CONNECTION=upgrade", 0, "HTTP_UPGRADE",
	        "ws" },

	{ "cookies", "|HTTP_COOKIE=a=1|HTTP_COOKIE=b=2", 0, "HTTP_COOKIE", "a=1; b=2" },
	{ "a list", "|HTTP_A=a|HTTP_X=-|HTTP_A= b |HTTP_A=", 0, "HTTP_A", "a, b, " },
	{ "others stay between", "|HTTP_A=a|HTTP_X=-|HTTP_A=b", 0, "HTTP_X", "-" },
	{ "near names", "|HTTP_X_AB=1|HTTP_X_AC=2|HTTP_X_AB=3", 0, "HTTP_X_AC", "2" },
	{ "same hash", "|HTTP_XBABC=1|HTTP_XBBAC=2|HTTP_XBABC=3", 0, "HTTP_XBBAC", "2" },
	{ "byte by byte", "|HTTP_a=1|HTTP_A=2", 0, "HTTP_a", "1" },

	{ "method twice", "|REQUEST_METHOD=GET", 400, NULL, NULL },
	{ "length twice", "|CONTENT_LENGTH=1|CONTENT_LENGTH=1", 400, NULL, NULL },
	{ "type twice", "|CONTENT_TYPE=a/b|CONTENT_TYPE=a/b", 400, NULL, NULL },
	{ "host twice", "|HTTP_HOST=a|HTTP_HOST=a", 400, NULL, NULL },
	{ "same target", "|REQUEST_URI=/a|REQUEST_URI=/a", 0, "REQUEST_URI", "/a" },
	{ "longer target", "|REQUEST_URI=/a|REQUEST_URI=/ab", 400, NULL, NULL },
	{ "third target", "|REQUEST_URI=/a|REQUEST_URI=/a|REQUEST_URI=/b", 400, NULL, NULL },
	{ "two queries", "|QUERY_STRING=a|QUERY_STRING=b", 400, NULL, NULL },
	{ "two scripts", "|SCRIPT_NAME=/a|SCRIPT_NAME=/b", 0, "PATH_INFO", "/b" },
	{ "empty type", "|CONTENT_TYPE=", 0, "CONTENT_TYPE", NULL },
	{ "two paths", "|PATH_INFO=/a|PATH_INFO=/b", 0, "PATH_INFO", "/b" },
	{ "the last", "|REMOTE_ADDR=1.1.1.1|REMOTE_ADDR=2.2.2.2", 0, "REMOTE_ADDR", "2.2.2.2" },
	{ "the last of three", "|MY=1|MY=2|MY=3", 0, "MY", "3" },

	{ "no method", "REQUEST_URI=/", 400, NULL, NULL },
	{ "method with a blank", "REQUEST_METHOD=GET /", 400, NULL, NULL },
	{ "method with a line break", "REQUEST_METHOD=GET\n", 400, NULL, NULL },
	{ "any token", "REQUEST_METHOD=m-search", 0, "REQUEST_METHOD", "m-search" },
};

static void check_rule(size_t i)
{
	struct loopback loop;
	const char *label = rule_rows[i].label, *name = rule_rows[i].name;
	char in[256];

	snprintf(in, sizeof in, "%s%s", *rule_rows[i].in == '|' ? "REQUEST_METHOD=GET" : "",
	        rule_rows[i].in);
	loopback_open(&loop);
	loopback_head(&loop, pairs_of(in));
	cr_expect_eq(loop.refused, rule_rows[i].status, "%s: %d", label, loop.refused);
	if (name && !loop.refused) {
		const char *value = ag_env(loop.req, name), *wanted = rule_rows[i].value;
		const char *one, *other;
		unsigned seen = 0;

		cr_expect_eq(value == NULL, wanted == NULL, "%s: \"%s\"", label, value);
		if (value && wanted)
			cr_expect_str_eq(value, wanted, "%s: \"%s\"", label, value);
		for (size_t n = 0; ag_env_at(loop.req, n, &one, &other); n++)
			seen += strcmp(one, name) == 0;
		cr_expect_eq(seen, wanted ? 1 : 0, "%s: seen %u times", label, seen);
	}
	loopback_close(&loop);
}

Test(env, rules)
{
	for (size_t i = 0; i < COUNT(rule_rows); i++)
		check_rule(i);
}

static const struct {
	const char *digits;
	int status;
	int64_t length;    /* ag_length */
	const char *value; /* CONTENT_LENGTH as the application sees it */
} length_rows[] = {
	{ "", 0, -1, NULL },
	{ "0", 0, -1, NULL },
	{ "000", 0, -1, NULL },
	{ "1", 0, 1, "1" },
	{ "007", 0, 7, "007" },
	{ "1048576", 0, 1048576, "1048576" },
	{ "1048577", 413, 0, NULL },
	{ "-1", 400, 0, NULL },
	{ "+5", 400, 0, NULL },
	{ " 5", 400, 0, NULL },
	{ "5 ", 400, 0, NULL },
	{ "1e3", 400, 0, NULL },
	{ "9223372036854775807", 413, 0, NULL },
	{ "9223372036854775808", 400, 0, NULL },
	{ "18446744073709551621", 400, 0, NULL },
	{ "99999999999999999999999999", 400, 0, NULL },
};

Test(env, content_length)
{
	struct loopback loop;

	loopback_open(&loop);
	for (size_t i = 0; i < COUNT(length_rows); i++) {
		const char *digits = length_rows[i].digits;

		loopback_head(
		        &loop, PAIRS({ "REQUEST_METHOD", "GET" }, { "CONTENT_LENGTH", digits }));
		cr_expect_eq(
		        loop.refused, length_rows[i].status, "\"%s\": %d", digits, loop.refused);
		if (!loop.refused) {
			const char *value = ag_env(loop.req, "CONTENT_LENGTH");

			cr_expect_eq(ag_length(loop.req), length_rows[i].length, "\"%s\"", digits);
			cr_expect_eq(value == NULL, length_rows[i].value == NULL, "\"%s\"", digits);
			if (value && length_rows[i].value)
				cr_expect_str_eq(value, length_rows[i].value);
		}
		loopback_drop(&loop);
	}
	loopback_close(&loop);
}

/* ---- what arrived, and what came of it ---- */

static const char arrived[] =
        "CONTENT_LENGTH=|SCRIPT_NAME=/a|HTTP_COOKIE=a=1|HTTP_PROXY=x|REQUEST_METHOD=GET|MY_VAR=1|"
        "HTTP_COOKIE=b=2|MY_VAR=2|REQUEST_URI=/a";

static const char final[] =
        "SCRIPT_NAME=|PATH_INFO=/a|HTTP_COOKIE=a=1; b=2|REQUEST_METHOD=GET|MY_VAR=2|"
        "REQUEST_URI=/a|QUERY_STRING=|SERVER_NAME=localhost|SERVER_PORT=80|REQUEST_SCHEME=http|"
        "SERVER_PROTOCOL=HTTP/1.1|SERVER_SOFTWARE=anygate|GATEWAY_INTERFACE=CGI/1.1";

Test(env, arrival_and_final_list)
{
	struct loopback loop;
	const struct pair_text *pair;
	const char *name, *value;
	size_t i = 0;

	loopback_open(&loop);
	cr_assert_eq(loopback_head(&loop, pairs_of(arrived)), 0);
	for (pair = pairs_of(arrived); pair->name; pair++) {
		cr_assert(request_arrived_at(loop.req, i++, &name, &value), "%s", pair->name);
		cr_expect_str_eq(name, pair->name);
		cr_expect_str_eq(value, pair->value, "%s", name);
	}
	cr_expect_not(request_arrived_at(loop.req, i, &name, &value));
	for (i = 0; ag_env_at(loop.req, i, &name, &value); i++)
		cr_expect_str_eq(ag_env(loop.req, name), value, "%s", name);
	for (pair = pairs_of(final); pair->name; pair++, i--) {
		value = ag_env(loop.req, pair->name);
		cr_assert(value, "%s", pair->name);
		cr_expect_str_eq(value, pair->value, "%s", pair->name);
	}
	cr_expect_eq(i, 0, "others are there too");
	cr_expect_null(ag_env(loop.req, "CONTENT_LENGTH"));
	loopback_close(&loop);
}

/* So many that their table grows; then every second one once more, which joins them. */
Test(env, many_names)
{
	const unsigned count = 300;
	struct list list;
	char name[32];

	list_open(&list, 1000, 65536);
	cr_assert(add(&list, "REQUEST_METHOD", "GET"));
	for (unsigned n = 0; n < count; n++) {
		snprintf(name, sizeof(name), "HTTP_X_%u", n);
		cr_assert(add(&list, name, "one"));
	}
	cr_expect_not(list.env.repeated);
	for (unsigned n = 0; n < count; n += 2) {
		snprintf(name, sizeof(name), "HTTP_X_%u", n);
		cr_assert(add(&list, name, "two"));
		cr_expect(list.env.repeated);
	}
	cr_expect_eq(cgi_check(&list.env, &decoding_limits).status, 0);
	for (unsigned n = 0; n < count; n++) {
		snprintf(name, sizeof(name), "HTTP_X_%u", n);
		const struct var *var = env_find(&list.env, name, strlen(name));

		cr_assert(var, "%s", name);
		cr_expect_str_eq(env_value(var), n % 2 ? "one" : "one, two", "%s", name);
	}
	list_close(&list);
}

/* Without memory to note names all are compared. */
Test(env, names_without_memory)
{
	struct list list;

	list_open(&list, 1000, 65536);
	cr_assert(add(&list, "REQUEST_METHOD", "GET"));
	while (list.arena.at < list.arena.end)
		arena_text(&list.arena, 1);
	list.arena.left = 0;
	struct env *env = &list.env;

	/* entries and texts that need no room */
	static char texts[] = "X_ONE\0a\0X_ONE\0b";

	for (size_t at = 0; at < sizeof(texts); at += 8) {
		struct var *var = &env->vars[env->count];

		*var = (struct var){ .value = texts + at + 6, .name_length = 5, .value_length = 1 };
		env_note(env, var);
		env_enter(env, 1, 6);
	}
	cr_expect(env->unsure);
	cr_expect_eq(cgi_check(env, &decoding_limits).status, 0);
	cr_expect_str_eq(env_value(env_find(env, "X_ONE", 5)), "b");
	cr_expect(env->vars[1].hidden);
	list_close(&list);
}
