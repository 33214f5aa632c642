/* What ag_fetch refuses without asking anybody, and what it makes of an answer's head. */
#include "../../app/anygate.h"
#include "../support/loopback.h"

#include <string.h>

SUITE(fetch_spec);

static const struct ag_fetch_spec *asked;
static struct ag_fetch_result result;
static char error[128];
static int answer;

static int handler(struct ag_request *req)
{
	answer = ag_fetch(req, asked, &result);
	cr_assert(result.error && result.url && result.headers && result.body);
	strncpy(error, result.error, sizeof error - 1);
	return 200;
}

static int take(struct ag_request *req, void *argument, const char *data, size_t size)
{
	(void)req;
	(void)argument;
	(void)data;
	(void)size;
	return 0;
}

#define HEADERS(...)                                                                               \
	.headers = (const char *const[])                                                           \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}
#define URL        .url = "http://127.0.0.1:1/"
#define BAD_URL    "url: does not begin with http:// or https://"
#define BAD_BYTE   "url: has a byte that is to be percent-encoded"
#define BAD_HEADER "headers: one is not \"Name: value\""
#define NO_HEADER  "headers: one is not for applications"

static const struct {
	struct ag_fetch_spec spec;
	const char *error;
} rows[] = {
	{ { .url = NULL }, BAD_URL },
	{ { .url = "" }, BAD_URL },
	{ { .url = "http:/a" }, BAD_URL },
	{ { .url = " http://a/" }, BAD_URL },
	{ { .url = "gopher://a/" }, BAD_URL },
	{ { .url = "FILE:///etc/passwd" }, BAD_URL },
	{ { .url = "http://a/ b" }, BAD_BYTE },
	{ { .url = "http://a/\r\nX: y" }, BAD_BYTE },
	{ { .url = "http://a/\x7f" }, BAD_BYTE },
	{ { .url = "http://\xc3\xa4/" }, BAD_BYTE },
	{ { .url = "http://user@a/" }, "url: has a user name" },
	{ { .url = "https://a:b@c?d" }, "url: has a user name" },
	{ { URL, .method = "" }, "method: not a token" },
	{ { URL, .method = "GET /" }, "method: not a token" },
	{ { URL, .method = "GET\r\n" }, "method: not a token" },
	{ { URL, .method = "CONNECT" }, "method: CONNECT is for proxies" },
	{ { URL, HEADERS("A: 1", "B") }, BAD_HEADER },
	{ { URL, HEADERS("") }, BAD_HEADER },
	{ { URL, HEADERS(": 1") }, BAD_HEADER },
	{ { URL, HEADERS("A : 1") }, BAD_HEADER },
	{ { URL, HEADERS("A;") }, BAD_HEADER },
	{ { URL, HEADERS("A: 1\nB: 2") }, "headers: one has a control byte" },
	{ { URL, HEADERS("A: 1\rB: 2") }, "headers: one has a control byte" },
	{ { URL, HEADERS("A:\x01") }, "headers: one has a control byte" },
	{ { URL, HEADERS("connection: close") }, NO_HEADER },
	{ { URL, HEADERS("Content-Length: 1") }, NO_HEADER },
	{ { URL, HEADERS("EXPECT: 100-continue") }, NO_HEADER },
	{ { URL, HEADERS("Keep-Alive: 1") }, NO_HEADER },
	{ { URL, HEADERS("Proxy-Connection: close") }, NO_HEADER },
	{ { URL, HEADERS("te: trailers") }, NO_HEADER },
	{ { URL, HEADERS("Trailer: a") }, NO_HEADER },
	{ { URL, HEADERS("Transfer-Encoding: chunked") }, NO_HEADER },
	{ { URL, HEADERS("Upgrade: h2c") }, NO_HEADER },
	{ { URL, .body = "a", .body_size = 1, .body_request = true }, "body: there are two" },
	{ { URL, .body = "a", .body_size = 1, .method = "HEAD" }, "body: not with HEAD" },
};

Test(fetch_spec, refused)
{
	struct loopback loop;

	loopback_open(&loop);
	ag_get(loop.app, "/", handler);
	for (size_t i = 0; i < COUNT(rows); i++) {
		asked = &rows[i].spec;
		loopback_get(&loop, "/");
		cr_expect_eq(answer, AG_INVALID, "row %zu: %d", i, answer);
		cr_expect_str_eq(error, rows[i].error);
	}
	loopback_close(&loop);
}

/* Those that are allowed get as far as to find nobody there. */
static const struct ag_fetch_spec allowed[] = {
	{ URL },
	{ .url = "HTTPS://127.0.0.1:1/a?b@c#d" },
	{ URL, .method = "PROPFIND", .body = "a", .body_size = 1 },
	{ URL, .method = "HEAD", HEADERS("A: 1", "B:", "C:\t", "Host: a", "TEA: b") },
	{ URL, .take = take, .redirects = ~0U, .timeout_ms = AG_FOREVER },
	{ URL, .body_request = true },
};

Test(fetch_spec, allowed)
{
	struct loopback loop;

	loopback_open(&loop);
	ag_get(loop.app, "/", handler);
	for (size_t i = 0; i < COUNT(allowed); i++) {
		asked = &allowed[i];
		loopback_get(&loop, "/");
		loopback_run(&loop);
		cr_expect_eq(answer, AG_UNREACHABLE, "row %zu: %d", i, answer);
		cr_expect(strstr(error, "127.0.0.1 port 1"), "row %zu: %s", i, error);
	}
	loopback_close(&loop);
}

Test(fetch_spec, headers)
{
	static const char fields[] = "A\0one\0b\0\0a\0two";
	static const struct ag_fetch_result came = { .headers = fields,
		.headers_size = sizeof fields };
	static const char *const names[] = { "A", "b", "a" }, *const values[] = { "one", "",
		"two" };
	const char *name, *value;

	for (size_t i = 0; i < COUNT(names); i++) {
		cr_assert(ag_fetch_header_at(&came, i, &name, &value));
		cr_expect_str_eq(name, names[i]);
		cr_expect_str_eq(value, values[i]);
	}
	cr_expect_not(ag_fetch_header_at(&came, COUNT(names), &name, &value));
	cr_expect_str_eq(ag_fetch_header(&came, "a"), "one");
	cr_expect_str_eq(ag_fetch_header(&came, "B"), "");
	cr_expect_null(ag_fetch_header(&came, "c"));
}
