#include "../support/support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/path.h"

static struct block_pool pool;
static struct arena arena;

static void begin(void)
{
	arena_init(&arena, &pool, 1 << 20);
}

static void end(void)
{
	arena_free(&arena);
	block_pool_free(&pool);
	support_check_leaks();
}

TestSuite(path, .init = begin, .fini = end);

static void same(const char *what, const char *row, const char *got, const char *want)
{
	bool equal = got && want ? strcmp(got, want) == 0 : got == want;

	cr_expect(equal, "%s \"%s\": got \"%s\", want \"%s\"", what, row, got ? got : "(null)",
	        want ? want : "(null)");
}

/* Bytes at the very end of what was allocated, so that reading on is caught. */
static char *exact(const char *text, size_t length)
{
	char *copy = malloc(length ? length : 1);

	memcpy(copy, text, length);
	return copy;
}

/* What the text becomes, in room that is not larger than it must be; NULL: no path. */
static char *path_of(const char *text, size_t length, bool decoded)
{
	char *path = arena_copy(&arena, text, length), *source = exact(text, length);
	char *room = malloc(length + 1);
	size_t whole;

	memcpy(room, path, length + 1);
	whole = decoded ? path_normalise(room, length) : path_of_target(room, source, length);
	if (whole)
		cr_expect_eq(strlen(room), whole, "%s: %zu", path, whole);
	path = whole ? arena_copy(&arena, room, whole) : NULL;
	free(source);
	free(room);
	return path;
}

static const struct path_row {
	const char *target, *path;
} targets[] = {
	{ "/", "/" },
	{ "/a", "/a" },
	{ "/a/", "/a/" },
	{ "/a/b/c", "/a/b/c" },
	/* slashes */
	{ "//", "/" },
	{ "//a", "/a" },
	{ "/a//b", "/a/b" },
	{ "/a///", "/a/" },
	{ "///a//b///c", "/a/b/c" },
	{ "//host/a", "/host/a" },
	/* dot segments */
	{ "/.", "/" },
	{ "/./", "/" },
	{ "/..", "/" },
	{ "/../", "/" },
	{ "/../../a", "/a" },
	{ "/a/.", "/a/" },
	{ "/a/..", "/" },
	{ "/a/b/..", "/a/" },
	{ "/a/b/../", "/a/" },
	{ "/a/./b", "/a/b" },
	{ "/a/../b", "/b" },
	{ "/a/b/../../c", "/c" },
	{ "/a/b/../../../c", "/c" },
	{ "/f//a/../b", "/f/b" },
	{ "/a//../b", "/b" },
	{ "/...", "/..." },
	{ "/.a", "/.a" },
	{ "/a.", "/a." },
	{ "/..a/b", "/..a/b" },
	{ "/a../b", "/a../b" },
	/* escapes: decoded once, then the rule */
	{ "/%61", "/a" },
	{ "/a%20b", "/a b" },
	{ "/a+b", "/a+b" },
	{ "/a%2fb", "/a/b" },
	{ "/a%2Fb", "/a/b" },
	{ "/%2fa", "/a" },
	{ "/a%2f", "/a/" },
	{ "/%2e%2e/a", "/a" },
	{ "/a/%2e%2e/b", "/b" },
	{ "/a/.%2E/b", "/b" },
	{ "/a/%2e", "/a/" },
	{ "/..%2f..%2fetc/passwd", "/etc/passwd" },
	{ "/a/b%2f..%2f..%2fc", "/c" },
	{ "/%252e%252e/a", "/%2e%2e/a" },
	{ "/%25", "/%" },
	{ "/%3f%23", "/?#" },
	{ "/%5c..", "/\\.." },
	{ "/caf%C3%A9", "/caf\xc3\xa9" },
	{ "/caf\xc3\xa9", "/caf\xc3\xa9" },
	{ "/%ff%fe", "/\xff\xfe" },
	{ "/%0a%7f%01", "/\n\x7f\x01" },
	{ "/%00", NULL },
	{ "/a%00b", NULL },
	{ "/%", NULL },
	{ "/%4", NULL },
	{ "/%zz", NULL },
	{ "/%4g", NULL },
	{ "/%g4", NULL },
	{ "/a%2", NULL },
	{ "/%%41", NULL },
	{ "/%u0041", NULL },
	{ "/%-1", NULL },
	/* query and fragment */
	{ "/a?b=c", "/a" },
	{ "/a?/../b", "/a" },
	{ "/?", "/" },
	{ "/a#b", "/a" },
	{ "/a#b?c", "/a" },
	{ "/a?%zz%00", "/a" },
	{ "/a/..?x", "/" },
	/* absolute-form */
	{ "http://host", "/" },
	{ "http://host/", "/" },
	{ "http://host:80/a/../b?q", "/b" },
	{ "HTTPS://[::1]:443/a", "/a" },
	{ "http://host?q", "/" },
	{ "http://host#f", "/" },
	{ "http://host//a", "/a" },
	{ "coap+tcp://host/a", "/a" },
	{ "http://", NULL },
	{ "http:///a", NULL },
	{ "http:/a", NULL },
	{ "://host/a", NULL },
	{ "ht_tp://host/a", NULL },
	/* other forms */
	{ "*", "*" },
	{ "*a", NULL },
	{ "*?", NULL },
	{ "", NULL },
	{ "a", NULL },
	{ "host:443", NULL },
	{ "?a", NULL },
	{ "../a", NULL },
};

Test(path, of_target)
{
	for (size_t i = 0; i < COUNT(targets); i++) {
		const char *target = targets[i].target;

		same("target", target, path_of(target, strlen(target), false), targets[i].path);
	}
}

Test(path, of_target_with_nul)
{
	cr_expect(!path_of("/a\0b", 4, false));
	cr_expect(!path_of("\0", 1, false));
	same("NUL", "behind the path", path_of("/a?\0", 4, false), "/a");
}

/* Sixteen bytes are looked at in one go: wherever a row begins, it says the same. */
Test(path, of_target_behind_others)
{
	char target[128], path[128];

	for (size_t n = 0; n < 40 * COUNT(targets); n++) {
		const struct path_row *row = &targets[n / 40];
		int others = (int)(n % 40) + 1;

		if (row->target[0] != '/' || strstr(row->target, "..") ||
		        strcasestr(row->target, "%2e"))
			continue;
		snprintf(target, sizeof target, "/%0*d%s#more/than/16/bytes", others, 0,
		        row->target);
		snprintf(path, sizeof path, "/%0*d%s", others, 0, row->path ? row->path : "");
		same("target", target, path_of(target, strlen(target), false),
		        row->path ? path : NULL);
	}
}

/* What has been normalised stays as it is. */
Test(path, is_a_fixpoint)
{
	for (size_t i = 0; i < COUNT(targets); i++) {
		const char *path = targets[i].path;

		if (path)
			same("path", path, path_of(path, strlen(path), true), path);
	}
}

static const struct path_row decoded[] = {
	{ "/a/../b", "/b" },
	{ "/f//a/../b/", "/f/b/" },
	{ "/a%2e%2e/b", "/a%2e%2e/b" },
	{ "/%00", "/%00" },
	{ "/a?b#c", "/a?b#c" },
	{ "*", "*" },
	{ "", NULL },
	{ "a", NULL },
	{ "http://host/", NULL },
};

Test(path, normalise)
{
	for (size_t i = 0; i < COUNT(decoded); i++) {
		const char *path = decoded[i].target;

		same("decoded", path, path_of(path, strlen(path), true), decoded[i].path);
	}
	cr_expect(!path_of("/a\0b", 4, true));
}

/* However long: neither slow nor wrong. */
Test(path, long_targets)
{
	size_t length = 60000;
	char *target = malloc(length);

	for (size_t i = 0; i < length; i++)
		target[i] = "/.."[i % 3];
	same("target", "/../..", path_of(target, length, false), "/");
	memset(target, '/', length);
	same("target", "////", path_of(target, length, false), "/");
	memset(target, 'a', length);
	target[0] = '/';

	const char *path = path_of(target, length, false);

	cr_assert(path);
	cr_expect_eq(strlen(path), length);
	free(target);
}

Test(path, without_memory)
{
	struct arena tight;

	arena_init(&tight, &pool, 0);
	cr_expect(!query_parse(&tight, "a=b", 3));
	cr_expect(!query_parse(&tight, "", 0));
	cr_expect(!cookie_find(&tight, "a=b", "a"));
	arena_free(&tight);
}

/* ---- percent-encoding ---- */

static const struct decode_row {
	const char *in, *out;
	bool plus;
} decodes[] = {
	{ "", "", false },
	{ "a+b", "a+b", false },
	{ "a+b", "a b", true },
	{ "%2b", "+", true },
	{ "%41%62%4D%4d", "AbMM", false },
	{ "%", "%", false },
	{ "%4", "%4", false },
	{ "%zz", "%zz", false },
	{ "%4z%41", "%4zA", false },
	{ "%%41", "%A", false },
	{ "%2541", "%41", false },
	{ "%ff", "\xff", false },
};

Test(path, decode)
{
	for (size_t i = 0; i < COUNT(decodes); i++) {
		char text[32];

		strcpy(text, decodes[i].in);
		cr_expect_eq(
		        text_decode(text, strlen(text), decodes[i].plus), strlen(decodes[i].out));
		same("decode", decodes[i].in, text, decodes[i].out);
	}

	char nul[] = "a%00b";

	cr_expect_eq(text_decode(nul, 5, false), 3u);
	cr_expect_arr_eq(nul, "a\0b", 4);
}

/* ---- the query ---- */

#define ARGS 5

static const struct query_row {
	const char *query;
	size_t count;
	const char *args[ARGS][2];
} queries[] = {
	{ "", 0, { { 0 } } },
	{ "a=1", 1, { { "a", "1" } } },
	{ "a=1&b=2", 2, { { "a", "1" }, { "b", "2" } } },
	{ "q=1&q=2&x=3&q=1", 4, { { "q", "1" }, { "q", "2" }, { "x", "3" }, { "q", "1" } } },
	{ "a", 1, { { "a", "" } } },
	{ "a=", 1, { { "a", "" } } },
	{ "=a", 1, { { "", "a" } } },
	{ "=", 1, { { "", "" } } },
	{ "a=b=c", 1, { { "a", "b=c" } } },
	{ "a==", 1, { { "a", "=" } } },
	{ "&", 0, { { 0 } } },
	{ "&&a=1&&&b=2&", 2, { { "a", "1" }, { "b", "2" } } },
	{ "a+b=c+d", 1, { { "a b", "c d" } } },
	{ "a%2Bb=%2b", 1, { { "a+b", "+" } } },
	{ "a%3Db=c%26d", 1, { { "a=b", "c&d" } } },
	{ "a=%zz&b=%&c=%4", 3, { { "a", "%zz" }, { "b", "%" }, { "c", "%4" } } },
	{ "a=%2541", 1, { { "a", "%41" } } },
	{ "a=x%00y&%00=1", 2, { { "a", "x%00y" }, { "%00", "1" } } },
	{ "a=1;b=2", 1, { { "a", "1;b=2" } } },
	{ "n=%C3%A9&\xff=%fe", 2, { { "n", "\xc3\xa9" }, { "\xff", "\xfe" } } },
	{ "?a=1", 1, { { "?a", "1" } } },
};

Test(path, query)
{
	for (size_t i = 0; i < COUNT(queries); i++) {
		const struct query_row *row = &queries[i];
		size_t length = strlen(row->query);
		char *query = exact(row->query, length);
		struct arguments *arguments = query_parse(&arena, query, length);

		free(query);
		cr_assert(arguments, "query \"%s\"", row->query);
		cr_assert_eq(arguments->count, row->count, "query \"%s\": %zu arguments",
		        row->query, arguments->count);
		for (size_t n = 0; n < row->count; n++) {
			same("name in", row->query, arguments->list[n].name, row->args[n][0]);
			same("value in", row->query, arguments->list[n].value, row->args[n][1]);
		}
	}
}

/* ---- cookies ---- */

static const struct cookie_row {
	const char *cookies, *name, *value;
} cookies[] = {
	{ "a=1", "a", "1" },
	{ "a=1", "b", NULL },
	{ "", "a", NULL },
	{ "a=1; b=2", "b", "2" },
	{ "a=1;b=2", "b", "2" },
	{ "a=1 ;\t b=2\t", "b", "2" },
	{ "a=1, b=2", "b", "2" },
	{ "a=1, b=2; c=3", "c", "3" },
	{ "a=1, b=2; c=3", "a", "1" },
	{ "a=1, \tb=2", "b", "2" },
	/* a comma that no gateway put there belongs to the value */
	{ "a=1,2; b=3", "a", "1,2" },
	{ "a=1,b=2", "b", NULL },
	{ "a=1,", "a", "1," },
	/* the first one counts */
	{ "a=1; a=2", "a", "1" },
	{ "a=1, a=2", "a", "1" },
	/* names are whole and case matters */
	{ "aa=1; a=2", "a", "2" },
	{ "ba=1; ab=2", "a", NULL },
	{ "A=1", "a", NULL },
	{ " a = 1 ; b = 2", "a", "1" },
	{ " a = 1 ; b = 2", "b", "2" },
	/* values */
	{ "a=", "a", "" },
	{ "a=; b=2", "a", "" },
	{ "a= ; b=2", "b", "2" },
	{ "a=b=c", "a", "b=c" },
	{ "a=%20+", "a", "%20+" },
	{ "a=b c", "a", "b c" },
	/* quotes stay; a comma in them does not separate, a semicolon does */
	{ "a=\"1\"; b=2", "a", "\"1\"" },
	{ "a=\"1, b=3\", b=2", "b", "2" },
	{ "a=\"1, b=3\", b=2", "a", "\"1, b=3\"" },
	{ "a=\"1; b=2\"", "a", "\"1" },
	{ "a=\"1; b=2\"", "b", "2\"" },
	{ "a=\"1, b=2", "b", "2" },
	{ "a=\"\", b=2", "b", "2" },
	{ "a=\"", "a", "\"" },
	/* no cookie at all */
	{ "a", "a", NULL },
	{ "a; a=1", "a", "1" },
	{ ";;, ;a=1", "a", "1" },
	{ "=1; a=2", "a", "2" },
	{ ",,,", "a", NULL },
	{ "=;,= ", "a", NULL },
};

Test(path, cookie)
{
	for (size_t i = 0; i < COUNT(cookies); i++) {
		size_t size = strlen(cookies[i].cookies) + 1;
		char *text = exact(cookies[i].cookies, size);

		same("cookie", cookies[i].cookies, cookie_find(&arena, text, cookies[i].name),
		        cookies[i].value);
		free(text);
	}
}
