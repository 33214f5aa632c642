#include <stdio.h>
#include <string.h>

#include "tests/support/loopback.h"

SUITE(request);

/* ---- the path rule and mounts ---- */

/* One configured application at `mount`; what comes out for these variables. */
struct path_row {
	const char *name, *mount, *in;
	const char *path, *got_mount, *script, *info; /* path NULL: refused with 400 */
};

static const struct path_row path_rows[] = {
	{ "nginx fastcgi", "/",
	        "SCRIPT_NAME=/a b|REQUEST_URI=/a%20b?x=1|DOCUMENT_URI=/a b|QUERY_STRING=x=1",
	        "/a b", "", "", "/a b" },
	{ "nginx fastcgi, root", "/", "SCRIPT_NAME=/|REQUEST_URI=/|DOCUMENT_URI=/", "/", "", "",
	        "/" },
	{ "nginx scgi", "/", "REQUEST_URI=/f//a/../b?|DOCUMENT_URI=/f/b", "/f/b", "", "", "/f/b" },
	{ "nginx uwsgi", "/", "REQUEST_URI=/a%2Fb|PATH_INFO=/a/b|DOCUMENT_URI=/a/b", "/a/b", "", "",
	        "/a/b" },
	{ "Apache uwsgi", "/", "SCRIPT_NAME=/app|PATH_INFO=/x y|REQUEST_URI=/app/x%20y", "/x y",
	        "/app", "/app", "/x y" },
	{ "Apache fastcgi", "/", "SCRIPT_NAME=/app/x|REQUEST_URI=/app/x", "/app/x", "", "",
	        "/app/x" },
	{ "lighttpd", "/", "SCRIPT_NAME=/f|PATH_INFO=/a/|REQUEST_URI=/f/a/", "/a/", "/f", "/f",
	        "/a/" },
	{ "lighttpd, two segments", "/", "SCRIPT_NAME=/f/g|PATH_INFO=/a|REQUEST_URI=/f/g/a?q", "/a",
	        "/f/g", "/f/g", "/a" },
	{ "HAProxy", "/", "SCRIPT_NAME=/f//a/../b|REQUEST_URI=/f//a/../b", "/f/b", "", "", "/f/b" },
	{ "Caddy", "/", "SCRIPT_NAME=|PATH_INFO=/f//a/../b|REQUEST_URI=/f//a/../b", "/f/b", "", "",
	        "/f/b" },
	{ "Caddy, clean", "/", "SCRIPT_NAME=|PATH_INFO=/f|REQUEST_URI=/f", "/f", "", "", "/f" },
	{ "above the root", "/", "REQUEST_URI=/../../etc/./passwd", "/etc/passwd", "", "",
	        "/etc/passwd" },
	{ "escaped dots", "/", "REQUEST_URI=/a/%2e%2E/b", "/b", "", "", "/b" },
	{ "decoded once", "/", "REQUEST_URI=/%2541", "/%41", "", "", "/%41" },
	{ "absolute-form", "/", "REQUEST_URI=http://h:80/a?b", "/a", "", "", "/a" },
	{ "asterisk-form", "/", "REQUEST_URI=*", "*", "", "", "*" },

	{ "by hand: DOCUMENT_URI", "/", "DOCUMENT_URI=/a/./%41|PATH_INFO=/lie", "/a/%41", "", "",
	        "/a/%41" },
	{ "by hand: both", "/", "SCRIPT_NAME=/app|PATH_INFO=/x", "/x", "/app", "/app", "/x" },
	{ "by hand: PATH_INFO", "/", "PATH_INFO=/x%20y", "/x%20y", "", "", "/x%20y" },
	{ "by hand: SCRIPT_NAME", "/", "SCRIPT_NAME=/x", "/x", "", "", "/x" },
	{ "by hand: unnormalised", "/", "SCRIPT_NAME=/app|PATH_INFO=/x/../y", "/app/y", "", "",
	        "/app/y" },
	{ "by hand: nothing", "/", "", "/", "", "", "/" },
	{ "by hand: all empty", "/", "REQUEST_URI=|DOCUMENT_URI=|SCRIPT_NAME=|PATH_INFO=", "/", "",
	        "", "/" },

	{ "split that lies", "/", "SCRIPT_NAME=/app|PATH_INFO=/other|REQUEST_URI=/app/x", "/app/x",
	        "", "", "/app/x" },
	{ "split inside a segment", "/", "SCRIPT_NAME=/ap|PATH_INFO=p/x|REQUEST_URI=/app/x",
	        "/app/x", "", NULL, NULL },
	{ "PATH_INFO is the whole path", "/",
	        "SCRIPT_NAME=/app|PATH_INFO=/app/x|REQUEST_URI=/app/x", "/app/x", "", "",
	        "/app/x" },

	{ "mounted, nginx fastcgi", "/app", "SCRIPT_NAME=/app/x|REQUEST_URI=/app/x", "/x", "/app",
	        "/app", "/x" },
	{ "mounted, nginx scgi", "/app/", "REQUEST_URI=/app/x/?y", "/x/", "/app", "/app", "/x/" },
	{ "mounted, nginx uwsgi", "/app", "PATH_INFO=/app/x|REQUEST_URI=/app/x", "/x", "/app",
	        "/app", "/x" },
	{ "mounted, Apache uwsgi", "/app", "SCRIPT_NAME=/app|PATH_INFO=/x|REQUEST_URI=/app/x", "/x",
	        "/app", "/app", "/x" },
	{ "mounted, no slash", "/app", "REQUEST_URI=/app", "/", "/app", "/app", "/" },
	{ "mounted, slash", "/app", "REQUEST_URI=/app/", "/", "/app", "/app", "/" },
	{ "mounted deeper than the split", "/a/b",
	        "SCRIPT_NAME=/a|PATH_INFO=/b/c|REQUEST_URI=/a/b/c", "/c", "/a/b", "/a/b", "/c" },
	{ "mounted, escaped", "/app", "REQUEST_URI=/%61pp/x", "/x", "/app", "/app", "/x" },
	{ "out of the mount", "/app", "REQUEST_URI=/app/../x", "/x", "", "", "/x" },
	{ "beside the mount", "/app", "REQUEST_URI=/apple", "/apple", "", "", "/apple" },

	{ "no slash", "/", "REQUEST_URI=a/b", NULL, NULL, NULL, NULL },
	{ "half an escape", "/", "REQUEST_URI=/a%2", NULL, NULL, NULL, NULL },
	{ "no escape", "/", "REQUEST_URI=/a%zz", NULL, NULL, NULL, NULL },
	{ "a NUL", "/", "REQUEST_URI=/a%00b", NULL, NULL, NULL, NULL },
	{ "an authority", "/", "REQUEST_URI=example.com:443", NULL, NULL, NULL, NULL },
	{ "document without slash", "/", "DOCUMENT_URI=a", NULL, NULL, NULL, NULL },
	{ "info without slash", "/", "PATH_INFO=a", NULL, NULL, NULL, NULL },
};

/* The head of a GET with these variables. */
static int head(struct loopback *loop, const char *in)
{
	char all[4096];

	snprintf(all, sizeof all, "REQUEST_METHOD=GET%s%s", *in ? "|" : "", in);
	return loopback_head(loop, pairs_of(all));
}

static void check_text(const char *row, const char *what, const char *got, const char *wanted)
{
	if (!got || strcmp(got, wanted) != 0)
		cr_expect(false, "%s: %s is \"%s\", not \"%s\"", row, what, got ? got : "(none)",
		        wanted);
}

static void check_path(const struct path_row *row)
{
	struct loopback loop;

	loopback_open(&loop);
	loopback_mount(&loop, row->mount);
	head(&loop, row->in);
	cr_expect_eq(loop.refused, row->path ? 0 : 400, "%s: %d", row->name, loop.refused);
	if (row->path && !loop.refused) {
		check_text(row->name, "the path", ag_path(loop.req), row->path);
		check_text(row->name, "the mount", ag_mount(loop.req), row->got_mount);
	}
	if (row->script && !loop.refused) {
		check_text(row->name, "SCRIPT_NAME", ag_env(loop.req, "SCRIPT_NAME"), row->script);
		check_text(row->name, "PATH_INFO", ag_env(loop.req, "PATH_INFO"), row->info);
	}
	loopback_close(&loop);
}

Test(request, paths)
{
	for (size_t i = 0; i < COUNT(path_rows); i++)
		check_path(&path_rows[i]);
}

/* ---- variables that are derived ---- */

static const struct {
	const char *in, *name, *value; /* NULL: there is none */
} derived_rows[] = {
	{ "SERVER_NAME=a.example", "SERVER_NAME", "a.example" },
	{ "SERVER_NAME=a.example:8080", "SERVER_NAME", "a.example" },
	{ "SERVER_NAME=|HTTP_HOST=b.example", "SERVER_NAME", "b.example" },
	{ "HTTP_HOST=b.example:81", "SERVER_NAME", "b.example" },
	{ "SERVER_NAME=a|HTTP_HOST=b", "SERVER_NAME", "a" },
	{ "HTTP_HOST=[::1]:81", "SERVER_NAME", "[::1]" },
	{ "HTTP_HOST=[::1]", "SERVER_NAME", "[::1]" },
	{ "HTTP_HOST=:81", "SERVER_NAME", "localhost" },
	{ "", "SERVER_NAME", "localhost" },
	{ "HTTP_HOST=b.example:81", "HTTP_HOST", "b.example:81" },
	{ "", "SERVER_PORT", "80" },
	{ "SERVER_PORT=", "SERVER_PORT", "80" },
	{ "SERVER_PORT=8443|HTTPS=on", "SERVER_PORT", "8443" },
	{ "HTTPS=on", "SERVER_PORT", "443" },
	{ "REQUEST_SCHEME=https", "SERVER_PORT", "443" },

	{ "", "REQUEST_SCHEME", "http" },
	{ "", "HTTPS", NULL },
	{ "HTTPS=on", "REQUEST_SCHEME", "https" },
	{ "HTTPS=ON", "REQUEST_SCHEME", "https" },
	{ "HTTPS=ON", "HTTPS", "on" },
	{ "HTTPS=1", "REQUEST_SCHEME", "https" },
	{ "HTTPS=1", "HTTPS", "on" },
	{ "HTTPS=off", "REQUEST_SCHEME", "http" },
	{ "HTTPS=off", "HTTPS", NULL },
	{ "HTTPS=", "REQUEST_SCHEME", "http" },
	{ "HTTPS=", "HTTPS", NULL },
	{ "REQUEST_SCHEME=https", "HTTPS", "on" },
	{ "REQUEST_SCHEME=HTTPS", "HTTPS", "on" },
	{ "REQUEST_SCHEME=http|HTTPS=on", "HTTPS", NULL },
	{ "REQUEST_SCHEME=https|HTTPS=off", "HTTPS", "on" },
	{ "REQUEST_SCHEME=http|HTTPS=on", "REQUEST_SCHEME", "http" },

	{ "", "SERVER_PROTOCOL", "HTTP/1.1" },
	{ "SERVER_PROTOCOL=HTTP/2.0", "SERVER_PROTOCOL", "HTTP/2.0" },
	{ "", "GATEWAY_INTERFACE", "CGI/1.1" },
	{ "", "SERVER_SOFTWARE", "anygate" },
	{ "SERVER_SOFTWARE=nginx/1.22.1", "SERVER_SOFTWARE", "nginx/1.22.1" },

	{ "REQUEST_URI=/a?b=c?d", "QUERY_STRING", "b=c?d" },
	{ "REQUEST_URI=/a?", "QUERY_STRING", "" },
	{ "REQUEST_URI=/a", "QUERY_STRING", "" },
	{ "", "QUERY_STRING", "" },
	{ "REQUEST_URI=/a?b=%41|QUERY_STRING=b=A", "QUERY_STRING", "b=A" },
	{ "REQUEST_URI=/a?b|QUERY_STRING=", "QUERY_STRING", "" },
};

Test(request, derived)
{
	struct loopback loop;

	loopback_open(&loop);
	for (size_t i = 0; i < COUNT(derived_rows); i++) {
		const char *in = derived_rows[i].in, *name = derived_rows[i].name;

		cr_assert_eq(head(&loop, in), 0, "%s", in);
		if (derived_rows[i].value)
			check_text(in, name, ag_env(loop.req, name), derived_rows[i].value);
		else
			cr_expect_null(ag_env(loop.req, name), "%s: %s", in, name);
		loopback_drop(&loop);
	}
	loopback_close(&loop);
}

/* ---- which application answers ---- */

static const struct {
	const char *in;
	unsigned app;
} app_rows[] = {
	{ "REQUEST_URI=/", 0 },
	{ "REQUEST_URI=/a", 1 },
	{ "REQUEST_URI=/ab", 0 },
	{ "REQUEST_URI=/a/b/c", 2 },
	{ "REQUEST_URI=/|HTTP_HOST=H.example:8080", 3 },
	{ "REQUEST_URI=/|HTTP_HOST=h.example", 3 },
	{ "REQUEST_URI=/|SERVER_NAME=h.example", 3 },
	{ "REQUEST_URI=/|HTTP_HOST=other|SERVER_NAME=h.example", 0 },
	{ "REQUEST_URI=/a|HTTP_HOST=h.example", 1 },
};

Test(request, applications)
{
	struct loopback loop;

	loopback_open(&loop);
	loopback_app(&loop, "/a", NULL);
	loopback_app(&loop, "/a/b", NULL);
	loopback_app(&loop, "/", "h.example");
	for (size_t i = 0; i < COUNT(app_rows); i++) {
		cr_assert_eq(head(&loop, app_rows[i].in), 0);
		cr_expect_eq(loop.found, loop.apps[app_rows[i].app], "%s", app_rows[i].in);
		loopback_drop(&loop);
	}
	loopback_close(&loop);
}

/* ---- what a handler looks up ---- */

static const char rich[] =
        "REQUEST_URI=/a?q=1%202&e=&n&q=3&%71=4&p=a%2Bb+c|HTTP_X_NAME=x|CONTENT_TYPE=a/b|"
        "CONTENT_LENGTH=3|HTTP_COOKIE=a=1; b=\"2\", c=3|HTTP_COOKIE=d=4|REMOTE_ADDR=::1|"
        "HTTP_HOST=h|MY_lower=5";

static const struct {
	const char *name, *value;
} env_rows[] = {
	{ "HTTP_X_NAME", "x" },
	{ "http_x_name", NULL },
	{ "X_NAME", NULL },
	{ "HTTP_X_NAM", NULL },
	{ "HTTP_X_NAMES", NULL },
	{ "CONTENT_TYPE", "a/b" },
	{ "REMOTE_ADDR", "::1" },
	{ "REMOTE_PORT", NULL },
	{ "MY_lower", "5" },
	{ "", NULL },
}, header_rows[] = {
	{ "x-name", "x" },
	{ "X-Name", "x" },
	{ "x-nam", NULL },
	{ "x-names", NULL },
	{ "Content-Type", "a/b" },
	{ "content-length", "3" },
	{ "cookie", "a=1; b=\"2\", c=3; d=4" },
	{ "host", "h" },
	{ "remote-addr", NULL },
	{ "accept", NULL },
	{ "", NULL },
}, cookie_rows[] = {
	{ "a", "1" },
	{ "b", "\"2\"" },
	{ "c", "3" },
	{ "d", "4" },
	{ "A", NULL },
	{ "e", NULL },
	{ "", NULL },
}, argument_rows[] = {
	{ "q", "1 2" },
	{ "e", "" },
	{ "n", "" },
	{ "p", "a+b c" },
	{ "x", NULL },
	{ "Q", NULL },
};

static void check_found(const char *how, const char *name, const char *got, const char *wanted)
{
	if (wanted)
		check_text(name, how, got, wanted);
	else
		cr_expect_null(got, "%s: %s is \"%s\"", name, how, got);
}

Test(request, lookups)
{
	struct loopback loop;
	struct ag_request *req;

	loopback_open(&loop);
	cr_assert_eq(head(&loop, rich), 0);
	req = loop.req;
	for (size_t i = 0; i < COUNT(env_rows); i++)
		check_found("variable", env_rows[i].name, ag_env(req, env_rows[i].name),
		        env_rows[i].value);
	for (size_t i = 0; i < COUNT(header_rows); i++)
		check_found("header", header_rows[i].name, ag_header(req, header_rows[i].name),
		        header_rows[i].value);
	for (size_t i = 0; i < COUNT(cookie_rows); i++)
		check_found("cookie", cookie_rows[i].name, ag_cookie(req, cookie_rows[i].name),
		        cookie_rows[i].value);
	for (size_t i = 0; i < COUNT(argument_rows); i++)
		check_found("argument", argument_rows[i].name,
		        ag_arg(req, argument_rows[i].name, NULL), argument_rows[i].value);
	cr_expect_str_eq(ag_arg(req, "x", "else"), "else");
	cr_expect_str_eq(ag_arg(req, "e", "else"), "");
	loopback_close(&loop);
}

static const struct {
	const char *connection; /* fields of the request, by "|" */
	const char *name;
	bool named;
} connection_rows[] = {
	{ "", "X-A", false },
	{ "HTTP_CONNECTION=close", "X-A", false },
	{ "HTTP_CONNECTION=x-a", "X-A", true },
	{ "HTTP_CONNECTION=close,\tX-A ,keep-alive", "x_a", true },
	{ "HTTP_CONNECTION=X_A", "X-a", true },
	{ "HTTP_CONNECTION=X-AB", "X-A", false },
	{ "HTTP_CONNECTION=X-A", "X-AB", false },
	{ "HTTP_CONNECTION=X-A", "", false },
	{ "HTTP_CONNECTION=close|HTTP_CONNECTION=X-A", "X-A", true },
	{ "HTTP_CONNECTION=X-A|HTTP_CONNECTION=close", "X-A", true },
	{ "HTTP_X_CONNECTION=X-A", "X-A", false },
};

Test(request, headers_of_the_connection)
{
	for (size_t i = 0; i < COUNT(connection_rows); i++) {
		struct loopback loop;
		char text[128];

		snprintf(text, sizeof text, "REQUEST_METHOD=GET|REQUEST_URI=/%s%s",
		        *connection_rows[i].connection ? "|" : "", connection_rows[i].connection);
		loopback_open(&loop);
		cr_assert_eq(loopback_head(&loop, pairs_of(text)), 0, "row %zu", i);
		cr_expect_eq(ag_is_connection_header(loop.req, connection_rows[i].name),
		        connection_rows[i].named, "row %zu", i);
		cr_expect_null(ag_header(loop.req, "Connection"));
		loopback_drop(&loop);
		loopback_close(&loop);
	}
}

Test(request, arguments_in_order)
{
	static const char *const wanted[][2] = { { "q", "1 2" }, { "e", "" }, { "n", "" },
		{ "q", "3" }, { "q", "4" }, { "p", "a+b c" } };
	struct loopback loop;
	const char *name, *value;
	size_t i;

	loopback_open(&loop);
	cr_assert_eq(head(&loop, rich), 0);
	for (i = 0; ag_arg_at(loop.req, i, &name, &value); i++) {
		cr_assert_lt(i, COUNT(wanted));
		cr_expect_str_eq(name, wanted[i][0]);
		cr_expect_str_eq(value, wanted[i][1]);
	}
	cr_expect_eq(i, COUNT(wanted));
	cr_expect_null(ag_param(loop.req, "q"), "no route was found yet");
	loopback_close(&loop);
}

Test(request, nothing_to_look_up)
{
	struct loopback loop;
	const char *name, *value;

	loopback_open(&loop);
	cr_assert_eq(head(&loop, ""), 0);
	cr_expect_not(ag_arg_at(loop.req, 0, &name, &value));
	cr_expect_null(ag_cookie(loop.req, "a"));
	cr_expect_eq(ag_length(loop.req), -1, "not known before the body's end");
	cr_assert_eq(request_body_end(loop.req), 0);
	cr_expect_eq(ag_length(loop.req), 0);
	cr_expect_str_eq(ag_method(loop.req), "GET");
	cr_expect_str_eq(ag_query(loop.req), "");
	cr_expect_str_eq(ag_protocol(loop.req), "loopback");
	cr_expect_eq(ag_worker(loop.req), 1);
	cr_expect_not(ag_aborted(loop.req));
	loopback_close(&loop);
}

static int show_params(struct ag_request *req)
{
	const char *id = ag_param(req, "id"), *rest = ag_param(req, "rest");

	ag_printf(req, "%s %s %s", id, rest, ag_param(req, "x") ? "x" : "-");
	return 200;
}

static const struct {
	const char *target, *body;
	int status;
} param_rows[] = {
	{ "/u/7/", "7  -", 200 },
	{ "/u/a%2520b/c/d", "a%20b c/d -", 200 },
	{ "/u//x", NULL, 404 },
};

Test(request, params)
{
	struct loopback loop;

	loopback_open(&loop);
	ag_get(loop.app, "/u/:id/*rest", show_params);
	cr_assert_null(loop.app->error, "%s", loop.app->error);
	for (size_t i = 0; i < COUNT(param_rows); i++) {
		loopback_get(&loop, param_rows[i].target);
		cr_expect_eq(loop.status, param_rows[i].status, "%s", param_rows[i].target);
		if (param_rows[i].body)
			check_text(
			        param_rows[i].target, "answer", loop.body.data, param_rows[i].body);
	}
	loopback_close(&loop);
}

/* ---- memory ---- */

static size_t left;

static int answers(struct ag_request *req)
{
	ag_set_header(req, "Content-Type", "text/html; charset=utf-8");
	ag_set_header(req, "Cache-Control", "no-cache");
	left = req->arena.left;
	return 200;
}

/* What a browser sends through nginx takes no more blocks than the least there can be: one. */
Test(request, usual_one_takes_one_block)
{
	static const struct pair_text usual[] = { { "QUERY_STRING", "page=1&order=name" },
		{ "REQUEST_METHOD", "GET" }, { "CONTENT_TYPE", "" }, { "CONTENT_LENGTH", "" },
		{ "SCRIPT_NAME", "/shop/items" },
		{ "REQUEST_URI", "/shop/items?page=1&order=name" },
		{ "DOCUMENT_URI", "/shop/items" }, { "DOCUMENT_ROOT", "/var/www/html" },
		{ "SERVER_PROTOCOL", "HTTP/2.0" }, { "REQUEST_SCHEME", "https" }, { "HTTPS", "on" },
		{ "GATEWAY_INTERFACE", "CGI/1.1" }, { "SERVER_SOFTWARE", "nginx/1.22.1" },
		{ "REMOTE_ADDR", "192.0.2.17" }, { "REMOTE_PORT", "50412" }, { "REMOTE_USER", "" },
		{ "SERVER_ADDR", "192.0.2.1" }, { "SERVER_PORT", "443" },
		{ "SERVER_NAME", "shop.example" }, { "REDIRECT_STATUS", "200" },
		{ "HTTP_HOST", "shop.example" },
		{ "HTTP_USER_AGENT", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
		                     "AppleWebKit/537.36 (KHTML, like Gecko) "
		                     "Chrome/120.0.0.0 Safari/537.36" },
		{ "HTTP_ACCEPT", "text/html,application/xhtml+xml,application/xml;q=0.9,"
		                 "image/avif,image/webp,*/*;q=0.8" },
		{ "HTTP_ACCEPT_LANGUAGE", "en-GB,en;q=0.5" },
		{ "HTTP_ACCEPT_ENCODING", "gzip, deflate, br" },
		{ "HTTP_COOKIE", "session=0123456789abcdef0123456789abcdef" },
		{ "HTTP_REFERER", "https://shop.example/" }, { NULL, NULL } };
	struct loopback loop;

	loopback_open(&loop);
	ag_get(loop.app, "/*path", answers);
	loopback_get(&loop, "/");
	cr_assert_eq(loop.status, 200);
	size_t least = left;

	left = 0;
	loopback_request(&loop, usual, NULL);
	cr_assert_eq(loop.status, 200);
	cr_expect_eq(left, least, "%zu bytes in other blocks", least - left);
	loopback_close(&loop);
}
