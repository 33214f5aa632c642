#include "../support/support.h"
#include <stdio.h>
#include <string.h>

#include "app/router.h"

static struct block_pool pool;
static struct arena arena;
static struct ag_app *app;

static void begin(void)
{
	arena_init(&arena, &pool, 1 << 20);
	app = app_new("main", "/", NULL);
	cr_assert(app);
}

static void end(void)
{
	app_free(app);
	arena_free(&arena);
	block_pool_free(&pool);
	support_check_leaks();
}

TestSuite(router, .init = begin, .fini = end);

/* Handlers to tell apart. */
#define HANDLER(name)                                                                              \
	static int name(struct ag_request *req)                                                    \
	{                                                                                          \
		(void)req;                                                                         \
		return 200;                                                                        \
	}
HANDLER(h1)
HANDLER(h2)
HANDLER(h3)
HANDLER(h4)
HANDLER(h5)

/* What the route's names matched, as "name=value,name=value". */
static const char *params_text(const struct params *params)
{
	static char text[512];
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < params->count; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s=%s", i ? "," : "",
		        params->names[i], params->values[i]);
	return text;
}

struct find_row {
	const char *method, *path;
	ag_handler *handler;
	const char *result; /* params where there is a handler, else Allow; NULL: none */
};

static struct match find(const char *method, const char *path, struct arena *memory)
{
	struct match match;

	route_find(app, method, path, memory, &match);
	return match;
}

static void find_all(const struct find_row *rows, size_t count)
{
	cr_assert(!app->error, "%s", app->error);
	for (size_t i = 0; i < count; i++) {
		const struct find_row *row = &rows[i];
		struct match match = find(row->method, row->path, &arena);
		const char *got = match.handler ? params_text(&match.params) : match.allow;

		cr_expect(match.handler == row->handler, "%s %s: handler", row->method, row->path);
		cr_expect(got && row->result ? strcmp(got, row->result) == 0 : got == row->result,
		        "%s %s: got %s, want %s", row->method, row->path, got ? got : "(null)",
		        row->result ? row->result : "(null)");
		cr_expect(!match.handler || !match.allow);
	}
}

Test(router, precedence_and_backtracking)
{
	static const struct find_row rows[] = {
		{ "GET", "/users/new", h1, "" },
		{ "GET", "/users/7", h2, "id=7" },
		{ "GET", "/users/new/edit", h3, "who=new" },
		{ "GET", "/users/a/edit", h3, "who=a" },
		{ "GET", "/users/a/other", h5, "rest=users/a/other" },
		{ "GET", "/users/new/x/y", h4, "rest=x/y" },
		{ "GET", "/users/new/edit/", h4, "rest=edit/" },
		{ "GET", "/users/", h5, "rest=users/" },
		{ "GET", "/users", h5, "rest=users" },
		{ "GET", "/users/newer", h2, "id=newer" },
		{ "GET", "/", h5, "rest=" },
		{ "GET", "/a/b c/\xc3\xa9", h5, "rest=a/b c/\xc3\xa9" },
		{ "GET", "/users/ \xff%41", h2, "id= \xff%41" },
	};

	ag_get(app, "/users/new", h1);
	ag_get(app, "/users/:id", h2);
	ag_get(app, "/users/:who/edit", h3);
	ag_get(app, "/users/new/*rest", h4);
	ag_get(app, "/*rest", h5);
	/* "/users/new/edit" fits two: the literal "new" comes first, and its rest takes it */
	struct match match = find("GET", "/users/new/edit", &arena);

	cr_expect(match.handler == h4);
	for (size_t i = 0; i < COUNT(rows); i++)
		if (strcmp(rows[i].path, "/users/new/edit") != 0)
			find_all(&rows[i], 1);
}

Test(router, takes_choices_back)
{
	static const struct find_row rows[] = {
		{ "GET", "/a/b/c", h1, "" },
		{ "GET", "/a/b/d", h2, "x=b" },
		{ "GET", "/a/b/e", h3, "y=a" },
		{ "GET", "/a/b/f", h4, "p=a,q=b" },
		{ "GET", "/a/b/g", NULL, NULL },
		{ "GET", "/z/b/c", NULL, NULL },
		{ "GET", "/a/b", NULL, NULL },
		{ "GET", "/a/b/c/", NULL, NULL },
		{ "GET", "/a//c", NULL, NULL },
	};

	ag_get(app, "/a/b/c", h1);
	ag_get(app, "/a/:x/d", h2);
	ag_get(app, "/:y/b/e", h3);
	ag_get(app, "/:p/:q/f", h4);
	find_all(rows, COUNT(rows));
}

Test(router, slashes_and_rest)
{
	static const struct find_row rows[] = {
		{ "GET", "/", h1, "" },
		{ "GET", "/dir/", h2, "" },
		{ "GET", "/dir", h3, "" },
		{ "GET", "/static/", h4, "file=" },
		{ "GET", "/static/a/b.css", h4, "file=a/b.css" },
		{ "GET", "/static/a/", h4, "file=a/" },
		{ "GET", "/static", NULL, NULL },
		{ "GET", "/u/7/", h5, "id=7" },
		{ "GET", "/u/7", NULL, NULL },
		{ "GET", "/u//", NULL, NULL },
		{ "GET", "*", NULL, NULL },
		{ "OPTIONS", "*", NULL, NULL },
		{ "GET", "", NULL, NULL },
	};

	ag_get(app, "/", h1);
	ag_get(app, "/dir/", h2);
	ag_get(app, "/dir", h3);
	ag_get(app, "/static/*file", h4);
	ag_get(app, "/u/:id/", h5);
	find_all(rows, COUNT(rows));
}

Test(router, methods)
{
	static const struct find_row rows[] = {
		{ "GET", "/a", h1, "" },
		{ "HEAD", "/a", h1, "" },
		{ "POST", "/a", h2, "" },
		{ "PUT", "/a", NULL, "GET, HEAD, OPTIONS, POST" },
		{ "OPTIONS", "/a", NULL, "GET, HEAD, OPTIONS, POST" },
		{ "get", "/a", NULL, "GET, HEAD, OPTIONS, POST" },
		{ "POST", "/any", h3, "" },
		{ "OPTIONS", "/any", h3, "" },
		{ "HEAD", "/any", h3, "" },
		{ "GET", "/both", h1, "" },
		{ "HEAD", "/both", h1, "" },
		{ "DELETE", "/both", h4, "" },
		{ "HEAD", "/head", h2, "" },
		{ "GET", "/head", h1, "" },
		{ "PUT", "/head", NULL, "GET, HEAD, OPTIONS" },
		{ "OPTIONS", "/own", h5, "" },
		{ "HEAD", "/post", NULL, "OPTIONS, POST" },
		{ "GET", "/none", NULL, NULL },
		{ "OPTIONS", "/none", NULL, NULL },
	};

	ag_post(app, "/a", h2);
	ag_get(app, "/a", h1);
	ag_route(app, NULL, "/any", h3);
	ag_route(app, NULL, "/both", h4);
	ag_get(app, "/both", h1);
	ag_get(app, "/head", h1);
	ag_route(app, "HEAD", "/head", h2);
	ag_route(app, "OPTIONS", "/own", h5);
	ag_post(app, "/post", h1);
	find_all(rows, COUNT(rows));
}

/* A pattern without the method gives way to one that has it; Allow is what all of them have. */
Test(router, methods_of_several_patterns)
{
	static const struct find_row rows[] = {
		{ "GET", "/u/new", h1, "" },
		{ "DELETE", "/u/new", h2, "id=new" },
		{ "PUT", "/u/new", h3, "rest=u/new" },
		{ "POST", "/u/new", NULL, "DELETE, GET, HEAD, OPTIONS, PUT" },
		{ "POST", "/u/7", NULL, "DELETE, OPTIONS, PUT" },
		{ "POST", "/v", NULL, "OPTIONS, PUT" },
	};

	ag_get(app, "/u/new", h1);
	ag_route(app, "DELETE", "/u/:id", h2);
	ag_route(app, "PUT", "/*rest", h3);
	find_all(rows, COUNT(rows));
}

/* Names belong to the pattern: those of different patterns may differ at the same place. */
Test(router, names_at_the_same_place)
{
	static const struct find_row rows[] = {
		{ "GET", "/x", h1, "a=x" },
		{ "POST", "/x", h2, "b=x" },
		{ "GET", "/x/y", h3, "c=x,d=y" },
		{ "GET", "/x/z/1", h4, "e=x,f=z,g=1" },
		{ "GET", "/1/2/3/4/5/6/7/8/9", h5, "a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8/9" },
	};

	ag_get(app, "/:a", h1);
	ag_post(app, "/:b", h2);
	ag_get(app, "/:c/:d", h3);
	ag_get(app, "/:e/:f/:g", h4);
	ag_get(app, "/:a/:b/:c/:d/:e/:f/:g/*h", h5);
	find_all(rows, COUNT(rows));
}

static const struct bad_row {
	const char *method, *pattern, *says;
} bad[] = {
	{ "GET", "", "must begin with \"/\"" },
	{ "GET", "a", "\"a\": it must begin with \"/\"" },
	{ "GET", "*", "must begin with" },
	{ "GET", "/a//b", "empty segment" },
	{ "GET", "//", "empty segment" },
	{ "GET", "/a/./b", "dot segment" },
	{ "GET", "/..", "dot segment" },
	{ "GET", "/:", "need a name" },
	{ "GET", "/*", "need a name" },
	{ "GET", "/:/a", "need a name" },
	{ "GET", "/:a.html", "a name is made of" },
	{ "GET", "/*a*", "a name is made of" },
	{ "GET", "/*a/b", "must be the last segment" },
	{ "GET", "/*a/", "must be the last segment" },
	{ "GET", "/:a/:a", "a name twice" },
	{ "GET", "/:a/:b/:c/:d/:e/:f/:g/:h/:i", "too many names" },
	{ "G T", "/a", "not a token" },
	{ "", "/a", "not a token" },
	{ "GET", "/taken/:id", "already" },
	{ NULL, "/taken/*all", "already" },
};

Test(router, bad_patterns)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct ag_app *fresh = app_new("main", "/", NULL);

		ag_get(fresh, "/taken/:name", h1);
		ag_post(fresh, "/taken/:id", h1);
		ag_route(fresh, NULL, "/taken/*rest", h1);
		cr_assert(!fresh->error, "%s", fresh->error);
		ag_route(fresh, bad[i].method, bad[i].pattern, h2);
		cr_assert(fresh->error, "%s", bad[i].pattern);
		cr_expect(strstr(fresh->error, bad[i].says), "%s", fresh->error);
		cr_expect(strstr(fresh->error, bad[i].pattern), "%s", fresh->error);
		app_free(fresh);
	}
	ag_get(app, "/", NULL);
	cr_expect(strstr(app->error, "no handler"));
	ag_fail(app, "later");
	cr_expect(strstr(app->error, "no handler"), "only the first failure counts");
}

Test(router, ten_thousand_routes)
{
	char pattern[64], value[64];

	for (int i = 0; i < 10000; i++) {
		snprintf(pattern, sizeof pattern, i % 2 ? "/flat%d/:id" : "/deep/%d/x/:id", i);
		ag_get(app, pattern, i % 3 ? h1 : h2);
	}
	cr_assert(!app->error, "%s", app->error);
	for (int i = 0; i < 10000; i++) {
		struct match match;

		snprintf(pattern, sizeof pattern, i % 2 ? "/flat%d/%d" : "/deep/%d/x/%d", i, i);
		snprintf(value, sizeof value, "id=%d", i);
		match = find("GET", pattern, &arena);
		cr_assert(match.handler == (i % 3 ? h1 : h2), "%s", pattern);
		cr_assert_str_eq(params_text(&match.params), value);
		cr_assert(!find("GET", pattern + 1, &arena).handler);
	}
}

/* Both ways open at each of 20 segments, and no end fits: a place is entered once. */
Test(router, many_choices)
{
	char pattern[128], path[128] = "";

	for (unsigned bits = 0; bits < 256; bits++) {
		pattern[0] = '\0';
		for (int i = 0; i < 8; i++)
			sprintf(pattern + strlen(pattern), bits >> i & 1 ? "/:n%d" : "/a", i);
		strcat(pattern, "/end");
		ag_get(app, pattern, h1);
	}
	cr_assert(!app->error, "%s", app->error);
	for (int i = 0; i < 8; i++)
		strcat(path, "/a");
	cr_expect(!find("GET", path, &arena).handler);
	strcat(path, "/end");
	cr_expect_eq(find("GET", path, &arena).params.count, 0u);
}

Test(router, without_memory)
{
	struct arena tight;
	struct match match;

	ag_get(app, "/:id/x", h1);
	arena_init(&tight, &pool, 0);
	match = find("GET", "/7/x", &tight);
	cr_expect(!match.handler && !match.allow);
	match = find("POST", "/7/x", &tight);
	cr_expect(!match.handler && !match.allow);
	arena_free(&tight);
}

/* ---- applications ---- */

Test(router, settings)
{
	cr_expect(!ag_config(app, "root", NULL));
	cr_expect_str_eq(ag_config(app, "root", "www"), "www");
	app_setting(app, "root", "a");
	app_setting(app, "other", "b");
	app_setting(app, "root", "c");
	cr_expect_str_eq(ag_config(app, "root", "www"), "c");
	cr_expect_str_eq(ag_config(app, "other", NULL), "b");
	cr_expect_str_eq(ag_config(app, "Root", "www"), "www");
}

static const struct mount_row {
	const char *configured, *mount;
} mounts[] = {
	{ "/", "" },
	{ "", "" },
	{ NULL, "" },
	{ "//", "" },
	{ "/a", "/a" },
	{ "/a/", "/a" },
	{ "/a/b//", "/a/b" },
};

Test(router, mounts)
{
	for (size_t i = 0; i < COUNT(mounts); i++) {
		struct ag_app *one = app_new("x", mounts[i].configured, "Example.ORG");

		cr_expect_str_eq(one->mount, mounts[i].mount);
		cr_expect_str_eq(one->host, "example.org");
		app_free(one);
	}
	app_free(NULL);
}

static const struct host_row {
	const char *server, *path, *name;
} hosts[] = {
	{ NULL, "/", "root" },
	{ "other", "/x", "root" },
	{ "example.org", "/x", "root-host" },
	{ "EXAMPLE.org", "/", "root-host" },
	{ "example.org:8080", "/", "root-host" },
	{ "example.org.evil", "/", "root" },
	{ "example.or", "/", "root" },
	{ "other", "/a", "a" },
	{ "other", "/a/", "a" },
	{ "other", "/a/x", "a" },
	{ "other", "/ab", "root" },
	{ "other", "/A", "root" },
	{ "other", "/a/b", "ab" },
	{ "other", "/a/bc", "a" },
	{ "example.org", "/a/x", "a-host" },
	{ "example.org", "/a/b/c", "ab" },
	{ "other", "/only", "root" },
	{ "b.example", "/only/x", "only" },
	{ "other", "*", "root" },
};

Test(router, host_choice)
{
	struct ag_app *apps[] = {
		app_new("ab", "/a/b", NULL),
		app_new("only", "/only", "b.example"),
		app_new("a", "/a", NULL),
		app_new("a-host", "/a/", "example.org"),
		app_new("root-host", "/", "example.org"),
		app_new("root", "/", ""),
	};
	struct host host = { .apps = apps, .count = COUNT(apps) };
	struct host none = { .count = 0 };

	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct ag_app *found = host_find(&host, hosts[i].server, hosts[i].path);

		cr_assert(found, "%s", hosts[i].path);
		cr_expect_str_eq(found->name, hosts[i].name, "%s %s: %s", hosts[i].server,
		        hosts[i].path, found->name);
	}
	host.count = 2;
	cr_expect(!host_find(&host, "other", "/a"));
	cr_expect(!host_find(&none, NULL, "/"));
	for (size_t i = 0; i < COUNT(apps); i++)
		app_free(apps[i]);
}
