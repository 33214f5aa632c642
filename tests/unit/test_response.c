#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/response.h"
#include "tests/support/loopback.h"

SUITE(response);

static struct loopback loop;

/* What the handler under test is to do, and what its calls answered. */
static int to_return, answer;
static const char *to_write;

static void begin(ag_handler *handler)
{
	loopback_open(&loop);
	ag_route(loop.app, NULL, "/", handler);
	cr_assert_null(loop.app->error, "%s", loop.app->error);
}

static void check_body(const char *row, const char *wanted)
{
	const char *body = loop.body.data ? loop.body.data : "";

	cr_expect_str_eq(body, wanted, "%s: the body is \"%.100s\"", row, body);
}

static void check_field(const char *row, const char *name, const char *wanted)
{
	const char *value = loopback_field(&loop, name);

	cr_expect_eq(value == NULL, wanted == NULL, "%s: %s: %s", row, name, value);
	if (value && wanted)
		cr_expect_str_eq(value, wanted, "%s: %s: %s", row, name, value);
}

/* ---- header fields ---- */

static char long_value[RESPONSE_FIELDS_MAX + 2];

static const struct {
	const char *name, *value;
	int answer;
} header_rows[] = {
	{ "X-Name", "value", 0 },
	{ "!#$%&'*+-.^_`|~09azAZ", "value", 0 },
	{ "X", "", 0 },
	{ "X", "a\tb", 0 },
	{ "X", "\x80\xff", 0 },
	{ "", "value", AG_INVALID },
	{ "X Name", "value", AG_INVALID },
	{ "X:", "value", AG_INVALID },
	{ "X\r\nY", "value", AG_INVALID },
	{ "X\x80", "value", AG_INVALID },
	{ "X\x7f", "value", AG_INVALID },
	{ "X(", "value", AG_INVALID },
	{ "Content\rType", "text/html", AG_INVALID },
	{ "C\x0fntent-Type", "text/html", AG_INVALID },
	{ "Content-Type ", "text/html", AG_INVALID },
	{ "X", "a\rb", AG_INVALID },
	{ "X", "a\nb", AG_INVALID },
	{ "X", "a\r\nSet-Cookie: b", AG_INVALID },
	{ "X", "\x01", AG_INVALID },
	{ "X", "\x1f", AG_INVALID },
	{ "X", "\x7f", AG_INVALID },
	{ "Connection", "close", AG_INVALID },
	{ "connection", "close", AG_INVALID },
	{ "Keep-Alive", "1", AG_INVALID },
	{ "Proxy-Connection", "close", AG_INVALID },
	{ "Transfer-Encoding", "chunked", AG_INVALID },
	{ "te", "trailers", AG_INVALID },
	{ "TRAILER", "X", AG_INVALID },
	{ "Upgrade", "h2c", AG_INVALID },
	{ "Status", "200", AG_INVALID },
	{ "Date", "today", AG_INVALID },
	{ "Content-Length", "", AG_INVALID },
	{ "Content-Length", "-1", AG_INVALID },
	{ "Content-Length", "+1", AG_INVALID },
	{ "Content-Length", "1 ", AG_INVALID },
	{ "Content-Length", "0x1", AG_INVALID },
	{ "content-length", "99999999999999999999", AG_INVALID },
	{ "X", long_value, AG_NOMEM },
};

static size_t row_at;

static int set_row(struct ag_request *req)
{
	answer = (row_at & 1 ? ag_add_header : ag_set_header)(
	        req, header_rows[row_at / 2].name, header_rows[row_at / 2].value);
	return 200;
}

Test(response, headers)
{
	char row[64];

	memset(long_value, 'x', sizeof long_value - 1);
	begin(set_row);
	for (row_at = 0; row_at < 2 * COUNT(header_rows); row_at++) {
		const char *name = header_rows[row_at / 2].name;
		const char *value = header_rows[row_at / 2].value;
		int wanted = header_rows[row_at / 2].answer;

		snprintf(row, sizeof row, "row %zu", row_at / 2);
		loopback_get(&loop, "/");
		cr_expect_eq(answer, wanted, "%s: %d", row, answer);
		cr_expect_eq(loop.status, 200, "%s: %d", row, loop.status);
		check_field(row, "Content-Type", "text/plain; charset=utf-8");
		if (wanted == 0)
			check_field(row, name, value);
		else
			cr_expect_eq(loop.fields.length, 41, "%s: %s", row, loop.fields.data);
	}
	loopback_close(&loop);
}

static int sets_and_adds(struct ag_request *req)
{
	ag_add_header(req, "X", "1");
	ag_add_header(req, "X-Y", "2");
	ag_add_header(req, "x", "3");
	ag_set_header(req, "Y", "4");
	ag_set_header(req, "y", "5");
	ag_add_header(req, "content-type", "a/b");
	ag_add_header(req, "Content-Type", "c/d");
	cr_expect_eq(ag_set_header(req, "Y", "\n"), AG_INVALID, "and changes nothing");
	if (ag_arg(req, "set", NULL))
		ag_set_header(req, "X", "6");
	return 200;
}

static const struct {
	const char *target, *name, *value;
} set_rows[] = {
	{ "/", "X", "1|3" },
	{ "/", "X-Y", "2" },
	{ "/", "Y", "5" },
	{ "/", "Content-Type", "c/d" },
	{ "/?set", "X", "6" },
	{ "/?set", "X-Y", "2" },
};

Test(response, replace_and_add)
{
	begin(sets_and_adds);
	for (size_t i = 0; i < COUNT(set_rows); i++) {
		loopback_get(&loop, set_rows[i].target);
		check_field(set_rows[i].target, set_rows[i].name, set_rows[i].value);
	}
	loopback_close(&loop);
}

static const struct {
	const char *name, *value, *attributes, *field; /* NULL: AG_INVALID */
} cookie_rows[] = {
	{ "a", "1", NULL, "a=1" },
	{ "a", "", NULL, "a=" },
	{ "a", "1", "Path=/; HttpOnly", "a=1; Path=/; HttpOnly" },
	{ "a", "!#$%&'()*+-./:<=>?@[]^_`{|}~", NULL, "a=!#$%&'()*+-./:<=>?@[]^_`{|}~" },
	{ "", "1", NULL, NULL },
	{ "a=b", "1", NULL, NULL },
	{ "a b", "1", NULL, NULL },
	{ "a", "1 2", NULL, NULL },
	{ "a", "1;2", NULL, NULL },
	{ "a", "1,2", NULL, NULL },
	{ "a", "\"1\"", NULL, NULL },
	{ "a", "1\\2", NULL, NULL },
	{ "a", "1\r", NULL, NULL },
	{ "a", "\x7f", NULL, NULL },
	{ "a", "\xc3\xa4", NULL, NULL },
	{ "a", "1", "Path=/\r\nX: y", NULL },
};

static int sets_cookie(struct ag_request *req)
{
	answer = ag_set_cookie(req, cookie_rows[row_at].name, cookie_rows[row_at].value,
	        cookie_rows[row_at].attributes);
	return 200;
}

Test(response, cookies)
{
	begin(sets_cookie);
	for (row_at = 0; row_at < COUNT(cookie_rows); row_at++) {
		const char *field = cookie_rows[row_at].field;

		loopback_get(&loop, "/");
		cr_expect_eq(answer, field ? 0 : AG_INVALID, "row %zu: %d", row_at, answer);
		check_field(cookie_rows[row_at].value, "Set-Cookie", field);
	}
	loopback_close(&loop);
}

static int redirects(struct ag_request *req)
{
	return ag_redirect(req, 303, to_write);
}

static int two_cookies(struct ag_request *req)
{
	ag_set_cookie(req, "a", "1", NULL);
	ag_set_cookie(req, "b", "2", NULL);
	return 200;
}

/* FastCGI 6.3 */
static const struct {
	const char *name, *value;
	int answer;
	const char *field;
} variable_rows[] = {
	{ "AUTH_METHOD", "database lookup", 0, "Variable-AUTH_METHOD" },
	{ "A", "", 0, "Variable-A" },
	{ "", "value", AG_INVALID, "Variable-" },
	{ "A B", "value", AG_INVALID, "Variable-A B" },
	{ "A:", "value", AG_INVALID, "Variable-A" },
	{ "A\r\nB", "value", AG_INVALID, "B" },
	{ "A", "a\r\nB: c", AG_INVALID, "Variable-A" },
	{ "A", "a\tb", AG_INVALID, "Variable-A" },
	{ "A", "a\x7f", AG_INVALID, "Variable-A" },
	{ long_value, "value", AG_NOMEM, NULL },
	{ "A", long_value, AG_NOMEM, "Variable-A" },
};

static size_t variable_row;

static int sets_variable(struct ag_request *req)
{
	const char *name = variable_rows[variable_row].name;

	if (ag_is_authorizer(req))
		ag_set_variable(req, name, "before");
	answer = ag_set_variable(req, name, variable_rows[variable_row].value);
	return 200;
}

static void ask_for_variable(bool authorizer)
{
	begin(sets_variable);
	loopback_head(&loop, PAIRS({ "REQUEST_METHOD", "GET" }, { "REQUEST_URI", "/" }));
	loop.req->authorizer = authorizer;
	loopback_end(&loop);
	loopback_start(&loop);
}

Test(response, variables)
{
	memset(long_value, 'x', sizeof long_value - 1);
	for (variable_row = 0; variable_row < COUNT(variable_rows); variable_row++) {
		const char *field = variable_rows[variable_row].field;
		bool set = variable_rows[variable_row].answer == 0;

		ask_for_variable(true);
		cr_expect_eq(
		        answer, variable_rows[variable_row].answer, "%.20s: %d", field, answer);
		if (set)
			check_field("set", field, variable_rows[variable_row].value);
		loopback_close(&loop);
		ask_for_variable(false);
		cr_expect_eq(answer, AG_INVALID, "nobody asks for them: %d", answer);
		if (field)
			check_field("not an authorizer", field, NULL);
		loopback_close(&loop);
	}
}

Test(response, redirect_and_two_cookies)
{
	begin(redirects);
	ag_get(loop.app, "/two", two_cookies);
	to_write = "/done?a=b";
	loopback_get(&loop, "/");
	cr_expect_eq(loop.status, 303);
	check_field("redirect", "Location", "/done?a=b");
	to_write = "/a\r\nX: y";
	loopback_get(&loop, "/");
	cr_expect_eq(loop.status, 500);
	check_field("bad redirect", "Location", NULL);
	loopback_get(&loop, "/two");
	check_field("cookies", "Set-Cookie", "a=1|b=2");
	loopback_close(&loop);
}

/* ---- whole answers ---- */

static int writes(struct ag_request *req)
{
	const char *length = ag_arg(req, "length", NULL);

	if (length)
		ag_set_header(req, "Content-Length", length);
	if (to_write)
		answer = ag_puts(req, to_write);
	if (ag_arg(req, "flush", NULL))
		ag_flush(req);
	return to_return;
}

static const struct answer_row {
	const char *name, *method, *target;
	int returned;
	const char *written;
	int status;
	int64_t length;
	const char *body;
	bool bodiless;
	int answer; /* of ag_puts */
	bool cut;
} answer_rows[] = {
	{ "short", "GET", "/", 200, "hello", 200, 5, "hello", false, 0, false },
	{ "empty", "GET", "/", 200, NULL, 200, 0, "", false, 0, false },
	{ "empty text", "GET", "/", 200, "", 200, 0, "", false, 0, false },
	{ "own page", "GET", "/", 404, "gone", 404, 4, "gone", false, 0, false },
	{ "error page", "GET", "/", 404, NULL, 404, 14, "404 Not Found\n", false, 0, false },
	{ "unknown", "GET", "/", 599, NULL, 599, 12, "599 Unknown\n", false, 0, false },
	{ "HEAD", "HEAD", "/", 200, "hello", 200, 5, "", true, 0, false },
	{ "HEAD, error", "HEAD", "/", 404, NULL, 404, 14, "", true, 0, false },
	{ "HEAD, announced", "HEAD", "/?length=77", 200, NULL, 200, 77, "", true, 0, false },
	{ "204", "GET", "/", 204, NULL, 204, -1, "", true, 0, false },
	{ "204, written", "GET", "/", 204, "hello", 204, -1, "", true, 0, false },
	{ "304", "GET", "/", 304, NULL, 304, -1, "", true, 0, false },
	{ "304, written", "GET", "/", 304, "hello", 304, -1, "", true, 0, false },
	{ "304, announced", "GET", "/?length=77", 304, NULL, 304, -1, "", true, 0, false },
	{ "flushed", "GET", "/?flush", 200, "hello", 200, -1, "hello", false, 0, false },
	{ "flushed, announced", "GET", "/?flush&length=5", 200, "hello", 200, 5, "hello", false, 0,
	        false },
	{ "announced", "GET", "/?length=5", 200, "hello", 200, 5, "hello", false, 0, false },
	{ "too much", "GET", "/?length=4", 200, "hello", 500, 26, "500 Internal Server Error\n",
	        false, AG_INVALID, false },
	{ "too little", "GET", "/?length=6", 200, "hello", 500, 26, "500 Internal Server Error\n",
	        false, 0, false },
	{ "too little, flushed", "GET", "/?length=6&flush", 200, "hello", 200, 6, "hello", false, 0,
	        true },
	{ "failed, flushed", "GET", "/?flush", -1, "hello", 200, -1, "hello", false, 0, true },
	{ "failed, all sent", "GET", "/?flush&length=5", -1, "hello", 200, 5, "hello", false, 0,
	        true },
	{ "status 0", "GET", "/", 0, "x", 500, 26, "500 Internal Server Error\n", false, 0, false },
	{ "status -1", "GET", "/", -1, NULL, 500, 26, "500 Internal Server Error\n", false, 0,
	        false },
	{ "status 100", "GET", "/", 100, NULL, 500, 26, "500 Internal Server Error\n", false, 0,
	        false },
	{ "status 199", "GET", "/", 199, NULL, 500, 26, "500 Internal Server Error\n", false, 0,
	        false },
	{ "status 600", "GET", "/", 600, NULL, 500, 26, "500 Internal Server Error\n", false, 0,
	        false },
};

Test(response, answers)
{
	begin(writes);
	for (size_t i = 0; i < COUNT(answer_rows); i++) {
		const struct answer_row *row = &answer_rows[i];

		answer = 0;
		to_return = row->returned;
		to_write = row->written;
		loopback_ask(&loop, row->method, row->target);
		cr_expect(loop.finished && loop.ended, "%s", row->name);
		cr_expect_eq(loop.status, row->status, "%s: %d", row->name, loop.status);
		cr_expect_eq(loop.length, row->length, "%s: %ld", row->name, loop.length);
		cr_expect_eq(loop.bodiless, row->bodiless, "%s", row->name);
		cr_expect_eq(answer, row->answer, "%s: %d", row->name, answer);
		cr_expect_eq(loop.cut_short, row->cut, "%s", row->name);
		check_body(row->name, row->body);
	}
	loopback_close(&loop);
}

static int handled(struct ag_request *req)
{
	ag_puts(req, ag_method(req));
	return 200;
}

static const struct {
	const char *method, *target;
	int status;
	const char *allow, *body;
} route_rows[] = {
	{ "GET", "/get", 200, NULL, "GET" },
	{ "HEAD", "/get", 200, NULL, "" },
	{ "GET", "/nothing", 404, NULL, "404 Not Found\n" },
	{ "OPTIONS", "/nothing", 404, NULL, "404 Not Found\n" },
	{ "POST", "/get", 405, "GET, HEAD, OPTIONS", "405 Method Not Allowed\n" },
	{ "get", "/get", 405, "GET, HEAD, OPTIONS", "405 Method Not Allowed\n" },
	{ "GET", "/post", 405, "OPTIONS, POST", "405 Method Not Allowed\n" },
	{ "HEAD", "/post", 405, "OPTIONS, POST", "" },
	{ "OPTIONS", "/get", 204, "GET, HEAD, OPTIONS", "" },
	{ "OPTIONS", "*", 204, NULL, "" },
	{ "GET", "*", 404, NULL, "404 Not Found\n" },
	{ "GET", "a", 400, NULL, "400 Bad Request\n" },
	{ "HEAD", "a", 400, NULL, "" },
};

Test(response, routes)
{
	loopback_open(&loop);
	ag_get(loop.app, "/get", handled);
	ag_post(loop.app, "/post", handled);
	for (size_t i = 0; i < COUNT(route_rows); i++) {
		const char *target = route_rows[i].target;

		loopback_ask(&loop, route_rows[i].method, target);
		cr_expect_eq(loop.status, route_rows[i].status, "%s: %d", target, loop.status);
		check_field(target, "Allow", route_rows[i].allow);
		check_body(target, route_rows[i].body);
	}
	loopback_close(&loop);
}

Test(response, no_application)
{
	loopback_open(&loop);
	loopback_mount(&loop, "/app");
	loopback_get(&loop, "/x");
	cr_expect_eq(loop.status, 404);
	loopback_close(&loop);
}

/* ---- what is full ---- */

static int fills_fields(struct ag_request *req)
{
	char value[100];

	memset(value, 'x', sizeof value);
	value[sizeof value - 1] = '\0';
	for (int i = 0; ag_add_header(req, "X", value) == 0; i++)
		cr_assert_lt(i, 1000);
	while (ag_add_header(req, "Y", "") == 0)
		;
	answer = ag_add_header(req, "X", "");
	if (ag_arg(req, "type", NULL))
		answer = ag_add_header(req, "Content-Type", "text/html");
	ag_puts(req, "hello");
	return 200;
}

/* The default Content-Type must find room, or the answer is none; one that finds none is not set.
 */
Test(response, fields_are_full)
{
	static const char *const targets[] = { "/", "/?type" };

	begin(fills_fields);
	for (size_t i = 0; i < COUNT(targets); i++) {
		loopback_get(&loop, targets[i]);
		cr_expect_eq(answer, AG_NOMEM, "%s: %d", targets[i], answer);
		cr_expect(loop.finished);
		cr_expect_eq(loop.status, 200, "%s: %d", targets[i], loop.status);
		cr_expect_leq(loop.fields.length, RESPONSE_FIELDS_MAX + 64);
		check_field(targets[i], "Content-Type", "text/plain; charset=utf-8");
	}
	loopback_close(&loop);
}

static int takes_all_memory(struct ag_request *req)
{
	size_t taken = 0;

	cr_expect_null(ag_alloc(req, SIZE_MAX));
	cr_expect_null(ag_alloc(req, SIZE_MAX - 8));
	for (size_t size = 65536; size; size /= 2)
		for (char *memory; (memory = ag_alloc(req, size)); taken += size) {
			cr_expect_eq((uintptr_t)memory % 16, 0);
			memset(memory, 1, size);
		}
	cr_expect_geq(taken, 256 * 1024);
	cr_expect_leq(taken, 1 << 20);
	answer = ag_add_header(req, "X", "y");
	return 500;
}

Test(response, memory_is_used_up)
{
	begin(takes_all_memory);
	loopback_get(&loop, "/");
	cr_expect_eq(answer, AG_NOMEM);
	cr_expect_eq(loop.status, 500, "%d", loop.status);
	check_body("no memory", "500 Internal Server Error\n");
	loopback_close(&loop);
}

static int prints(struct ag_request *req)
{
	answer = ag_printf(req, "%*s|%s", (int)strtol(ag_query(req), NULL, 10), "x", "y");
	return 200;
}

Test(response, printf_of_any_length)
{
	static const unsigned widths[] = { 1, 508, 509, 510, 511, 512, 513, 20000, 100000 };

	begin(prints);
	for (size_t i = 0; i < COUNT(widths); i++) {
		char target[32];

		snprintf(target, sizeof target, "/?%u", widths[i]);
		loopback_get(&loop, target);
		cr_expect_eq(answer, 0);
		cr_assert_eq(loop.body.length, widths[i] + 2, "%s", target);
		cr_expect_str_eq(loop.body.data + widths[i] - 1, "x|y", "%s", target);
	}
	loopback_close(&loop);
}
