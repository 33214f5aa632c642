/* app/response_head.c */
#include <stdio.h>
#include <string.h>

#include "app/response.h"
#include "tests/support/loopback.h"

SUITE(response_head);

static struct loopback loop;
static int answer; /* of the call under test */

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

Test(response_head, headers)
{
	char row[64];

	memset(long_value, 'x', sizeof long_value - 1);
	loopback_serve(&loop, set_row);
	for (row_at = 0; row_at < 2 * COUNT(header_rows); row_at++) {
		const char *name = header_rows[row_at / 2].name;
		const char *value = header_rows[row_at / 2].value;
		int wanted = header_rows[row_at / 2].answer;

		snprintf(row, sizeof row, "row %zu", row_at / 2);
		loopback_get(&loop, "/");
		cr_expect_eq(answer, wanted, "%s: %d", row, answer);
		cr_expect_eq(loop.status, 200, "%s: %d", row, loop.status);
		loopback_expect_field(&loop, row, "Content-Type", "text/plain; charset=utf-8");
		if (wanted == 0)
			loopback_expect_field(&loop, row, name, value);
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
	if (ag_arg(req, "untyped", NULL))
		cr_expect_eq(ag_set_header(req, "content-type", ""), 0);
	if (ag_arg(req, "again", NULL))
		ag_set_header(req, "Content-Type", "e/f");
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
	{ "/?untyped", "Content-Type", NULL },
	{ "/?untyped", "Y", "5" },
	{ "/?untyped&again", "Content-Type", "e/f" },
};

Test(response_head, replace_and_add)
{
	loopback_serve(&loop, sets_and_adds);
	for (size_t i = 0; i < COUNT(set_rows); i++) {
		loopback_get(&loop, set_rows[i].target);
		loopback_expect_field(
		        &loop, set_rows[i].target, set_rows[i].name, set_rows[i].value);
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

Test(response_head, cookies)
{
	loopback_serve(&loop, sets_cookie);
	for (row_at = 0; row_at < COUNT(cookie_rows); row_at++) {
		const char *field = cookie_rows[row_at].field;

		loopback_get(&loop, "/");
		cr_expect_eq(answer, field ? 0 : AG_INVALID, "row %zu: %d", row_at, answer);
		loopback_expect_field(&loop, cookie_rows[row_at].value, "Set-Cookie", field);
	}
	loopback_close(&loop);
}

static const char *location;

static int redirects(struct ag_request *req)
{
	return ag_redirect(req, 303, location);
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
	loopback_serve(&loop, sets_variable);
	loopback_head(&loop, PAIRS({ "REQUEST_METHOD", "GET" }, { "REQUEST_URI", "/" }));
	loop.req->authorizer = authorizer;
	loopback_end(&loop);
	loopback_start(&loop);
}

Test(response_head, variables)
{
	memset(long_value, 'x', sizeof long_value - 1);
	for (variable_row = 0; variable_row < COUNT(variable_rows); variable_row++) {
		const char *field = variable_rows[variable_row].field;
		bool set = variable_rows[variable_row].answer == 0;

		ask_for_variable(true);
		cr_expect_eq(
		        answer, variable_rows[variable_row].answer, "%.20s: %d", field, answer);
		if (set)
			loopback_expect_field(
			        &loop, "set", field, variable_rows[variable_row].value);
		loopback_close(&loop);
		ask_for_variable(false);
		cr_expect_eq(answer, AG_INVALID, "nobody asks for them: %d", answer);
		if (field)
			loopback_expect_field(&loop, "not an authorizer", field, NULL);
		loopback_close(&loop);
	}
}

Test(response_head, redirect_and_two_cookies)
{
	loopback_serve(&loop, redirects);
	ag_get(loop.app, "/two", two_cookies);
	location = "/done?a=b";
	loopback_get(&loop, "/");
	cr_expect_eq(loop.status, 303);
	loopback_expect_field(&loop, "redirect", "Location", "/done?a=b");
	location = "/a\r\nX: y";
	loopback_get(&loop, "/");
	cr_expect_eq(loop.status, 500);
	loopback_expect_field(&loop, "bad redirect", "Location", NULL);
	loopback_get(&loop, "/two");
	loopback_expect_field(&loop, "cookies", "Set-Cookie", "a=1|b=2");
	loopback_close(&loop);
}
