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
	loopback_serve(&loop, writes);
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
		loopback_expect_body(&loop, row->name, row->body);
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
		loopback_expect_field(&loop, target, "Allow", route_rows[i].allow);
		loopback_expect_body(&loop, target, route_rows[i].body);
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

	loopback_serve(&loop, fills_fields);
	for (size_t i = 0; i < COUNT(targets); i++) {
		loopback_get(&loop, targets[i]);
		cr_expect_eq(answer, AG_NOMEM, "%s: %d", targets[i], answer);
		cr_expect(loop.finished);
		cr_expect_eq(loop.status, 200, "%s: %d", targets[i], loop.status);
		cr_expect_leq(loop.fields.length, RESPONSE_FIELDS_MAX + 64);
		loopback_expect_field(
		        &loop, targets[i], "Content-Type", "text/plain; charset=utf-8");
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
	loopback_serve(&loop, takes_all_memory);
	loopback_get(&loop, "/");
	cr_expect_eq(answer, AG_NOMEM);
	cr_expect_eq(loop.status, 500, "%d", loop.status);
	loopback_expect_body(&loop, "no memory", "500 Internal Server Error\n");
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

	loopback_serve(&loop, prints);
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
