#include <stdio.h>
#include <string.h>

#include "app/env.h"
#include "protocols/cgi.h"
#include "tests/support/decoding.h"
#include "tests/support/loopback.h"

SUITE(env);

/* ---- known names ---- */

/* The names once more, in the order of enum var_id, from 1. */
static const char *const known[] = { "HTTPS", "HTTP_TE", "HTTP_HOST", "PATH_INFO", "REQUEST_ID",
	"HTTP_PROXY", "REQUEST_URI", "SERVER_NAME", "SERVER_PORT", "SERVER_ADDR", "SCRIPT_NAME",
	"REMOTE_ADDR", "REMOTE_PORT", "HTTP_ACCEPT", "HTTP_COOKIE", "HTTP_ORIGIN", "HTTP_EXPECT",
	"CONTENT_TYPE", "DOCUMENT_URI", "QUERY_STRING", "HTTP_REFERER", "HTTP_UPGRADE",
	"HTTP_TRAILER", "DOCUMENT_ROOT", "REQUEST_METHOD", "REQUEST_SCHEME", "CONTENT_LENGTH",
	"HTTP_X_REAL_IP", "SERVER_PROTOCOL", "SERVER_SOFTWARE", "HTTP_USER_AGENT",
	"REDIRECT_STATUS", "SCRIPT_FILENAME", "HTTP_CONNECTION", "HTTP_KEEP_ALIVE",
	"GATEWAY_INTERFACE", "HTTP_CONTENT_TYPE", "HTTP_CACHE_CONTROL", "HTTP_AUTHORIZATION",
	"HTTP_IF_NONE_MATCH", "HTTP_CONTENT_LENGTH", "HTTP_ACCEPT_LANGUAGE", "HTTP_ACCEPT_ENCODING",
	"HTTP_X_FORWARDED_FOR", "HTTP_PROXY_CONNECTION", "HTTP_TRANSFER_ENCODING",
	"HTTP_X_FORWARDED_PROTO", "HTTP_IF_MODIFIED_SINCE" };

_Static_assert(COUNT(known) == VAR_COUNT - 1, "a variable has no row");

struct list {
	struct block_pool pool;
	struct arena arena;
	struct env env;
};

static void list_open(struct list *list, unsigned variables, size_t bytes)
{
	*list = (struct list){ .pool = { NULL, 0 } };
	arena_init(&list->arena, &list->pool, 1 << 22);
	env_init(&list->env, &list->arena, variables, bytes);
}

static void list_close(struct list *list)
{
	arena_free(&list->arena);
	block_pool_free(&list->pool);
}

static struct var *add(struct list *list, const char *name, const char *value)
{
	return env_add(&list->env, name, strlen(name), value, strlen(value));
}

Test(env, known_names)
{
	struct list list;

	for (size_t i = 0; i < COUNT(known); i++) {
		const char *name = known[i];

		list_open(&list, 8, 4096);
		cr_expect_str_eq(env_name(i + 1), name);
		const struct var *var = add(&list, name, "value");

		cr_assert(var, "%s", name);
		cr_expect_eq(var->id, i + 1, "%s", name);
		cr_expect_eq(env_known(&list.env, i + 1), var, "%s", name);
		for (unsigned id = 1; id < VAR_COUNT; id++)
			if (id != i + 1)
				cr_expect_null(env_known(&list.env, id), "%s is also %s", name,
				        env_name(id));
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
		cr_expect_str_eq(var->name, name);
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

static struct verdict take(struct env *env, const char *name, size_t name_length, const char *value,
        size_t value_length)
{
	struct wire_event event = { .kind = EVENT_VARIABLES, .count = 1 };

	event.pairs[0].name = (struct span){ (const uint8_t *)name, name_length };
	event.pairs[0].value = (struct span){ (const uint8_t *)value, value_length };
	return cgi_take(env, &event);
}

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

/* ---- what stands as a variable ---- */

#define TEXT(text) text, sizeof(text) - 1

static const struct {
	const char *name;
	size_t name_length;
	const char *value;
	size_t value_length;
	int status;
	const char *final; /* NULL: not looked at */
} admit_rows[] = {
	{ TEXT("NAME"), TEXT("value"), 0, "value" },
	{ TEXT("NAME"), TEXT(""), 0, "" },
	{ TEXT(""), TEXT("value"), 400, NULL },
	{ TEXT(""), TEXT(""), 400, NULL },
	{ TEXT("NA\0ME"), TEXT("value"), 400, NULL },
	{ TEXT("NA=ME"), TEXT("value"), 400, NULL },
	{ TEXT("NAME"), TEXT("val\0ue"), 400, NULL },
	{ TEXT("HTTP_X"), TEXT("a\0"), 400, NULL },
	{ TEXT("HTTP_X"), TEXT("a\rb"), 400, NULL },
	{ TEXT("HTTP_X"), TEXT("a\nb"), 400, NULL },
	{ TEXT("HTTP_X"), TEXT("a\r\nX: y"), 400, NULL },
	{ TEXT("HTTP_X"), TEXT("\r"), 400, NULL },
	{ TEXT("HTTP_X"), TEXT("  a b\t"), 0, "a b" },
	{ TEXT("HTTP_X"), TEXT(" \t "), 0, "" },
	{ TEXT("HTTP_X"), TEXT("\xff\x80"), 0, "\xff\x80" },
	{ TEXT("OTHER"), TEXT(" a "), 0, " a " },
	{ TEXT("OTHER"), TEXT("a\nb"), 0, "a\nb" },
};

Test(env, what_is_admitted)
{
	for (size_t i = 0; i < COUNT(admit_rows); i++) {
		const char *name = admit_rows[i].name;
		size_t name_length = admit_rows[i].name_length;
		struct list list;

		list_open(&list, 8, 4096);
		struct verdict verdict = take(&list.env, name, name_length, admit_rows[i].value,
		        admit_rows[i].value_length);

		cr_expect_eq(verdict.status, admit_rows[i].status, "row %zu", i);
		if (admit_rows[i].final) {
			const struct var *var = env_find(&list.env, name, name_length);

			cr_assert(var, "row %zu", i);
			cr_expect_str_eq(env_value(var), admit_rows[i].final, "row %zu", i);
			cr_expect_eq(var->value_length, strlen(admit_rows[i].final), "row %zu", i);
		}
		list_close(&list);
	}
}

/* How variables stand together on the wire: framing bytes before a name, before and behind a value.
 */
static const struct {
	const char *name;
	size_t before, between, behind;
} framings[] = {
	{ "fastcgi", 2, 0, 0 },
	{ "fastcgi, long lengths", 8, 0, 0 },
	{ "scgi", 0, 1, 1 },
	{ "uwsgi", 2, 2, 0 },
};

/* Puts a pair at `at` of memory that is large enough; what is behind it. */
static char *put_pair(struct wire_event *event, size_t framing, char *at, struct pair text)
{
	struct pair *pair = &event->pairs[event->count++];

	at += framings[framing].before;
	pair->name = (struct span){ (uint8_t *)at, text.name.length };
	memcpy(at, text.name.data, text.name.length);
	at += text.name.length + framings[framing].between;
	pair->value = (struct span){ (uint8_t *)at, text.value.length };
	memcpy(at, text.value.data, text.value.length);
	return at + text.value.length + framings[framing].behind;
}

/* The row's between two others, at the end of memory that holds no more. */
static struct verdict take_three(struct env *env, size_t framing, struct pair middle)
{
	const struct pair others[] = { { span_of("REQUEST_METHOD"), span_of("GET") },
		{ span_of("X"), span_of("a value of more than sixteen bytes") } };
	struct wire_event event = { .kind = EVENT_VARIABLES, .together = true };
	char measure[512], *end = measure;

	end = put_pair(&event, framing, end, others[0]);
	end = put_pair(&event, framing, end, middle);
	end = put_pair(&event, framing, end, others[1]);
	size_t size = (size_t)(end - measure) - framings[framing].behind;
	char *exact = malloc(size);

	memset(exact, 0xaa, size);
	event.count = 0;
	end = put_pair(&event, framing, exact, others[0]);
	end = put_pair(&event, framing, end, middle);
	put_pair(&event, framing, end, others[1]);
	struct verdict verdict = cgi_take(env, &event);

	free(exact);
	return verdict;
}

static void check_three(const struct env *env, const char *name, size_t name_length,
        const char *final, const char *label)
{
	const struct var *method = env_known(env, VAR_REQUEST_METHOD);
	const struct var *var = env_find(env, name, name_length), *last = env_find(env, "X", 1);

	cr_assert(method && var && last, "%s", label);
	cr_expect_str_eq(method->name, "REQUEST_METHOD");
	cr_expect_str_eq(env_value(method), "GET", "%s", label);
	cr_expect_str_eq(var->name, name);
	cr_expect_str_eq(env_value(var), final, "%s", label);
	cr_expect_eq(var->value_length, strlen(final), "%s", label);
	cr_expect_str_eq(env_value(last), "a value of more than sixteen bytes", "%s", label);
}

Test(env, what_is_admitted_together)
{
	for (size_t i = 0; i < COUNT(admit_rows) * COUNT(framings); i++) {
		size_t row = i / COUNT(framings), framing = i % COUNT(framings);
		const struct pair middle = { { (const uint8_t *)admit_rows[row].name,
			                             admit_rows[row].name_length },
			{ (const uint8_t *)admit_rows[row].value, admit_rows[row].value_length } };
		struct list list;

		list_open(&list, 8, 4096);
		struct verdict verdict = take_three(&list.env, framing, middle);

		cr_expect_eq(verdict.status, admit_rows[row].status, "row %zu, %s", row,
		        framings[framing].name);
		if (admit_rows[row].final)
			check_three(&list.env, admit_rows[row].name, admit_rows[row].name_length,
			        admit_rows[row].final, framings[framing].name);
		list_close(&list);
	}
}

/* Names of every length up to where all bytes are copied alike. */
Test(env, names_of_every_length_together)
{
	static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (size_t i = 0; i < (sizeof(name) - 1) * COUNT(framings); i++) {
		size_t length = 1 + i / COUNT(framings), framing = i % COUNT(framings);
		char text[sizeof(name)] = "";
		struct list list;

		memcpy(text, name, length);
		list_open(&list, 8, 4096);
		const struct pair middle = { { (const uint8_t *)text, length }, span_of("value") };

		cr_expect_eq(take_three(&list.env, framing, middle).status, 0);
		check_three(&list.env, text, length, "value", framings[framing].name);
		list_close(&list);
	}
}

Test(env, limits_together)
{
	const struct pair middle = { span_of("NAME"), span_of("value") };
	const size_t bytes = 14 + 3 + 4 + 5 + 1 + 34;

	for (size_t framing = 0; framing < COUNT(framings); framing++) {
		struct list list;

		for (unsigned less = 0; less < 2; less++) {
			list_open(&list, 3 - less, 4096);
			cr_expect_eq(take_three(&list.env, framing, middle).status, less ? 431 : 0,
			        "%s", framings[framing].name);
			list_close(&list);
			list_open(&list, 3, bytes - less);
			cr_expect_eq(take_three(&list.env, framing, middle).status, less ? 431 : 0,
			        "%s", framings[framing].name);
			list_close(&list);
		}
	}
}

/* ---- pieces ---- */

static struct verdict take_part(struct env *env, const char *data, size_t length)
{
	struct wire_event event = { .kind = EVENT_PART };

	event.data = (struct span){ (const uint8_t *)data, length };
	return cgi_take(env, &event);
}

/* PAIR, then the bytes of name and value in pieces that end at `first` and `second`. */
static struct verdict take_pieces(
        struct env *env, size_t name_length, const char *text, size_t first, size_t second)
{
	struct wire_event event = { .kind = EVENT_PAIR };
	size_t length = strlen(text), ends[] = { first, second, length };
	struct verdict verdict;

	event.pairs[0].name.length = name_length;
	event.pairs[0].value.length = length - name_length;
	verdict = cgi_take(env, &event);
	for (size_t i = 0, at = 0; i < 3 && !verdict.status; at = ends[i++])
		if (ends[i] > at)
			verdict = take_part(env, text + at, ends[i] - at);
	return verdict;
}

Test(env, pieces_at_every_cut)
{
	static const char text[] = "HTTP_COOKIE  a=1 ";
	struct list list;

	for (size_t first = 0; first <= strlen(text); first++)
		for (size_t second = first; second <= strlen(text); second++) {
			list_open(&list, 8, 4096);
			cr_expect_eq(take_pieces(&list.env, 11, text, first, second).status, 0);
			const struct var *var = env_known(&list.env, VAR_HTTP_COOKIE);

			cr_assert(var, "cut at %zu and %zu", first, second);
			cr_expect_str_eq(var->name, "HTTP_COOKIE");
			cr_expect_str_eq(
			        env_value(var), "a=1", "cut at %zu and %zu", first, second);
			list_close(&list);
		}
}

static const struct {
	const char *name, *text;
	size_t name_length;
	unsigned variables;
	int status;
} piece_rows[] = {
	{ "whole", "NAMEvalue", 4, 8, 0 },
	{ "no name", "value", 0, 8, 400 },
	{ "nothing", "", 0, 8, 400 },
	{ "= in the name", "N=MEvalue", 4, 8, 400 },
	{ "line break in a field", "HTTP_Xa\nb", 6, 8, 400 },
	{ "one too many", "NAMEvalue", 4, 0, 431 },
};

Test(env, pieces_are_checked)
{
	for (size_t i = 0; i < COUNT(piece_rows); i++) {
		const char *text = piece_rows[i].text;

		for (size_t cut = 0; cut <= strlen(text); cut++) {
			struct list list;

			list_open(&list, piece_rows[i].variables, 4096);
			cr_expect_eq(
			        take_pieces(&list.env, piece_rows[i].name_length, text, cut, cut)
			                .status,
			        piece_rows[i].status, "%s, cut at %zu", piece_rows[i].name, cut);
			list_close(&list);
		}
	}
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
		env->vars[env->count] =
		        (struct var){ .name = texts + at, .name_length = 5, .value_length = 1 };
		env_enter(env, 1);
	}
	cr_expect(env->unsure);
	cr_expect_eq(cgi_check(env, &decoding_limits).status, 0);
	cr_expect_str_eq(env_value(env_find(env, "X_ONE", 5)), "b");
	cr_expect(env->vars[1].hidden);
	list_close(&list);
}
