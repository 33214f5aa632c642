/* The cases of the gateway matrix. */
#include "matrix.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"

const char cases_apps[] = "[app env]\nload = env\n"
                          "[app answers]\nload = " DAEMON_APPS "answers.so\nmount = /answers\n"
                          "[app early]\nload = " DAEMON_APPS "early.so\nmount = /early\n"
                          "[app hang]\nload = " DAEMON_APPS "hang.so\nmount = /hang\n"
                          "[app peers]\nload = " DAEMON_APPS "peers.so\nmount = /peers\n";

struct matrix_case {
	const char *name;
	void (*run)(const struct matrix_case *row, const struct way *way, char *outcome);
	const char *method, *target, *fields;
	size_t size; /* of the body */
	int status;
	struct {
		const char *name, *value; /* of the inspector's answer, or of the head */
	} facts[4];
};

/* The first thing that is wrong is what counts. */
static void wrong(char *outcome, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong(char *outcome, const char *format, ...)
{
	va_list arguments;

	if (strcmp(outcome, OUTCOME_OK) != 0)
		return;
	va_start(arguments, format);
	vsnprintf(outcome, OUTCOME, format, arguments);
	va_end(arguments);
}

/* Whether the answer came whole and with this status. */
static bool came(char *outcome, const struct response *response, int status)
{
	if (!response->status)
		wrong(outcome, "no answer");
	else if (response->status != status)
		wrong(outcome, "%d", response->status);
	else if (!response->whole)
		wrong(outcome, "cut short");
	else
		return true;
	return false;
}

static void expect_fact(char *outcome, const char *text, const char *name, const char *value)
{
	char *found = json_get(text, name);

	if (!found || strcmp(found, value) != 0)
		wrong(outcome, "`%s` %s", name, found ? found : "missing");
	free(found);
}

/* What the inspector says of a body. */
static void expect_body(char *outcome, const char *text, const void *body, size_t size)
{
	char hash[65], length[24];

	support_sha256(body, size, hash);
	snprintf(length, sizeof length, "%zu", size);
	expect_fact(outcome, text, "body/bytes", length);
	expect_fact(outcome, text, "body/sha256", hash);
}

/* ---- one request, one answer ---- */

/* Asks the inspector. A case with a size has a body. */
static void inspect(const struct matrix_case *row, const struct way *way, char *outcome)
{
	bool bodied = row->size || strcmp(row->method, "POST") == 0;
	char *body = bodied ? support_noise(row->size) : NULL;
	struct response response;

	http_request(
	        way->address, row->method, row->target, row->fields, body, row->size, &response);
	if (came(outcome, &response, row->status)) {
		expect_fact(outcome, response.body.data, "protocol", way->protocol);
		expect_fact(outcome, response.body.data, "env/REQUEST_METHOD", row->method);
		for (size_t i = 0; i < COUNT(row->facts) && row->facts[i].name; i++)
			expect_fact(outcome, response.body.data, row->facts[i].name,
			        row->facts[i].value);
		expect_body(outcome, response.body.data, body ? body : "", row->size);
	}
	response_free(&response);
	free(body);
}

static void expect_field(
        char *outcome, const struct response *response, const char *name, const char *value)
{
	const char *found = response_field(response, name);
	size_t length = strlen(found), tail = strlen(value);

	/* nginx makes Location absolute */
	if (length < tail || strcmp(found + length - tail, value) != 0)
		wrong(outcome, "`%s` %.40s", name, *found ? found : "missing");
}

/* Asks for an answer of some kind; the facts are fields of its head. */
static void answer(const struct matrix_case *row, const struct way *way, char *outcome)
{
	bool bodiless = strcmp(row->method, "HEAD") == 0 || row->status == 204 ||
	                row->status == 304;
	struct response response;
	struct bytes out = { 0 };
	struct client client;

	http_build(&out, row->method, row->target, "Connection: close\r\n", NULL, 0);
	client_open(&client, way->address);
	client_send(&client, out.data, out.length);
	client_response(&client, row->method, &response);
	if (came(outcome, &response, row->status)) {
		for (size_t i = 0; i < COUNT(row->facts) && row->facts[i].name; i++)
			expect_field(outcome, &response, row->facts[i].name, row->facts[i].value);
		if (*response_field(&response, "Status"))
			wrong(outcome, "`Status` leaks");
		if (bodiless)
			client_read_all(&client);
		if (bodiless && client.in.length)
			wrong(outcome, "a body");
	}
	response_free(&response);
	client_close(&client);
	bytes_free(&out);
}

/* Where something has to refuse: a path with NUL in it. */
static void refuse(const struct matrix_case *row, const struct way *way, char *outcome)
{
	struct response response;

	http_get(way->address, row->target, &response);
	if (response.status != 400 && response.status != 404)
		wrong(outcome, "%d", response.status);
	response_free(&response);
}

static void cookies(const struct matrix_case *row, const struct way *way, char *outcome)
{
	static const char *const expected[] = { "first=1; Path=/; HttpOnly", "second=2" };
	struct response response;
	size_t count = 0;

	http_request(way->address, row->method, row->target, row->fields, NULL, 0, &response);
	if (came(outcome, &response, row->status) && strcmp(response.body.data, "1,2\n") != 0)
		wrong(outcome, "read as %s", response.body.data);
	for (size_t i = 0; i < response.field_count; i++) {
		if (strcasecmp(response.fields[i].name, "Set-Cookie") != 0)
			continue;
		if (count < 2 && strcmp(response.fields[i].value, expected[count]) != 0)
			wrong(outcome, "`Set-Cookie` %.30s", response.fields[i].value);
		count++;
	}
	if (count != 2)
		wrong(outcome, "%zu `Set-Cookie`", count);
	response_free(&response);
}

static void large(const struct matrix_case *row, const struct way *way, char *outcome)
{
	size_t size = strtoul(strchr(row->target, '=') + 1, NULL, 10);
	struct response response;

	http_get(way->address, row->target, &response);
	if (came(outcome, &response, 200) && strlen(response_field(&response, "X-Large")) != size)
		wrong(outcome, "%zu bytes", strlen(response_field(&response, "X-Large")));
	response_free(&response);
}

/* ---- bodies with a life of their own ---- */

#define CHUNK 4096

static void chunked(const struct matrix_case *row, const struct way *way, char *outcome)
{
	char *body = support_noise(row->size);
	struct response response;
	struct bytes out = { 0 };
	struct client client;

	http_build(&out, "POST", "/", "Transfer-Encoding: chunked\r\n", NULL, 0);
	for (size_t at = 0, size; at < row->size; at += size) {
		size = row->size - at < CHUNK ? row->size - at : CHUNK;
		bytes_printf(&out, "%zx\r\n", size);
		bytes_add(&out, body + at, size);
		bytes_text(&out, "\r\n");
	}
	bytes_text(&out, "0\r\n\r\n");
	client_open(&client, way->address);
	client_send(&client, out.data, out.length);
	client_response(&client, "POST", &response);
	if (came(outcome, &response, row->status))
		expect_body(outcome, response.body.data, body, row->size);
	response_free(&response);
	client_close(&client);
	bytes_free(&out);
	free(body);
}

/* Whether an interim answer comes before the body is sent; it is taken. */
static bool invited(struct client *client)
{
	struct pollfd one = { .fd = client->fd, .events = POLLIN };
	const char *end;

	client_flush(client);
	if (poll(&one, 1, 5000) != 1)
		return false;
	while (!(end = strstr(client->in.data, "\r\n\r\n")))
		if (!client_fill(client))
			return false;
	if (strncmp(client->in.data, "HTTP/1.1 100 ", 13) != 0)
		return false;
	client_take(client, (size_t)(end - client->in.data) + 4);
	return true;
}

static void expect_continue(const struct matrix_case *row, const struct way *way, char *outcome)
{
	char *body = support_noise(row->size);
	struct response response;
	struct bytes out = { 0 };
	struct client client;

	http_build(&out, "POST", "/", "Expect: 100-continue\r\n", body, row->size);
	client_open(&client, way->address);
	client_send(&client, out.data, out.length - row->size);
	if (!invited(&client))
		wrong(outcome, "no 100");
	client_send(&client, body, row->size);
	client_response(&client, "POST", &response);
	if (came(outcome, &response, row->status))
		expect_body(outcome, response.body.data, body, row->size);
	response_free(&response);
	client_close(&client);
	bytes_free(&out);
	free(body);
}

/* The answer is there long before the body is; three times, as it is a race. */
static void early(const struct matrix_case *row, const struct way *way, char *outcome)
{
	char *body = support_noise(row->size);

	for (int i = 0; i < 3; i++) {
		struct response response;

		http_request(
		        way->address, row->method, row->target, NULL, body, row->size, &response);
		if (came(outcome, &response, row->status) &&
		        strcmp(response.body.data, "not you\n") != 0)
			wrong(outcome, "another body");
		response_free(&response);
	}
	free(body);
}

/* ---- connections ---- */

#define CLIENTS 8

/* Bodies of as many clients, half of each sent before any is whole: gates may interleave them. */
static void together(const struct matrix_case *row, const struct way *way, char *outcome)
{
	char *body = support_noise(row->size);
	struct client clients[CLIENTS];
	struct bytes out = { 0 };
	size_t half;

	http_build(&out, row->method, row->target, NULL, body, row->size);
	half = out.length / 2;
	for (size_t i = 0; i < CLIENTS; i++) {
		client_open(&clients[i], way->address);
		client_send(&clients[i], out.data, half);
		client_flush(&clients[i]);
	}
	for (size_t i = 0; i < CLIENTS; i++) {
		client_send(&clients[i], out.data + half, out.length - half);
		client_flush(&clients[i]);
	}
	for (size_t i = 0; i < CLIENTS; i++) {
		struct response response;

		client_response(&clients[i], row->method, &response);
		if (came(outcome, &response, row->status))
			expect_body(outcome, response.body.data, body, row->size);
		response_free(&response);
		client_close(&clients[i]);
	}
	bytes_free(&out);
	free(body);
}

struct hangs {
	int begun, ended, gone;
};

/* Asks the application itself, behind the gateway's back. */
static struct hangs ask_hangs(const struct way *way, const char *counter, int n)
{
	struct response response;
	struct hangs hangs = { 0 };
	char target[64];

	snprintf(target, sizeof target, "/hang/%s/%d", counter, n);
	http_get(way->backend, target, &response);
	cr_assert_eq(response.status, 200, "%s: %d", target, response.status);
	cr_assert_eq(
	        sscanf(response.body.data, "%d %d %d", &hangs.begun, &hangs.ended, &hangs.gone), 3);
	response_free(&response);
	return hangs;
}

/* The client goes away in an answer without end: the application hears of it. */
static void abandon(const struct matrix_case *row, const struct way *way, char *outcome)
{
	struct hangs before = ask_hangs(way, "begun", 0), after;
	struct bytes out = { 0 };
	struct client client;

	http_build(&out, row->method, row->target, NULL, NULL, 0);
	client_open(&client, way->address);
	client_send(&client, out.data, out.length);
	client_flush(&client);
	ask_hangs(way, "begun", before.begun + 1);
	client_close(&client);
	after = ask_hangs(way, "ended", before.ended + 1);
	if (after.gone == before.gone)
		wrong(outcome, "not told");
	bytes_free(&out);
}

#define REQUESTS 10

/* As many requests on one connection of the client; how many connections did they come by? */
static void reuse(const struct matrix_case *row, const struct way *way, char *outcome)
{
	struct bytes out = { 0 };
	struct response response;
	struct client client;
	int connections = 0;

	http_get(way->backend, "/peers/from", &response);
	cr_assert_eq(response.status, 200);
	response_free(&response);
	http_build(&out, row->method, row->target, NULL, NULL, 0);
	client_open(&client, way->address);
	for (int i = 0; i < REQUESTS; i++) {
		client_send(&client, out.data, out.length);
		client_response(&client, row->method, &response);
		if (came(outcome, &response, row->status))
			connections = atoi(response.body.data);
		response_free(&response);
	}
	if (connections > 1)
		wrong(outcome, "%d connections", connections);
	client_close(&client);
	bytes_free(&out);
}

/* ---- the table ---- */

#define GET "GET"

static const struct matrix_case cases[] = {
	{ "GET", inspect, GET, "/x?y=1", NULL, 0, 200, { { "path", "/x" }, { "args/y/0", "1" } } },
	{ "PUT", inspect, "PUT", "/x", NULL, 3, 200, { { "path", "/x" } } },
	{ "PATCH", inspect, "PATCH", "/x", NULL, 3, 200, { { "path", "/x" } } },
	{ "unknown method", inspect, "BREW", "/x", NULL, 0, 200, { { "path", "/x" } } },
	{ "path `%2F`", inspect, GET, "/a%2Fb", NULL, 0, 200, { { "path", "/a/b" } } },
	{ "path `%00`", refuse, GET, "/a%00b", NULL, 0, 400, { { 0 } } },
	{ "path dots", inspect, GET, "/a/./b/../c", NULL, 0, 200, { { "path", "/a/c" } } },
	{ "path `//`", inspect, GET, "/a//b", NULL, 0, 200, { { "path", "/a/b" } } },
	{ "path UTF-8", inspect, GET, "/%C3%A9%20x", NULL, 0, 200, { { "path", "/\xc3\xa9 x" } } },
	{ "path `;`", inspect, GET, "/a;b=1/c", NULL, 0, 200, { { "path", "/a;b=1/c" } } },
	{ "query, raw", inspect, GET, "/q?a=%26%41&b=c+d&e&a=2;3", NULL, 0, 200,
	        { { "env/QUERY_STRING", "a=%26%41&b=c+d&e&a=2;3" } } },
	{ "query, arguments", inspect, GET, "/q?a=%26%41&b=c+d&e&a=2", NULL, 0, 200,
	        { { "args/a/0", "&A" }, { "args/a/1", "2" }, { "args/b/0", "c d" },
	                { "args/e/0", "" } } },
	{ "repeated header", inspect, GET, "/", "X-Two: 1\r\nX-Two: 2\r\n", 0, 200,
	        { { "env/HTTP_X_TWO", "1, 2" } } },
	{ "repeated cookie", cookies, GET, "/answers/cookies", "Cookie: a=1\r\nCookie: b=2\r\n", 0,
	        200, { { 0 } } },
	{ "POST 0", inspect, "POST", "/", NULL, 0, 200, { { 0 } } },
	{ "POST 1 B", inspect, "POST", "/", NULL, 1, 200, { { 0 } } },
	{ "POST 64 KiB", inspect, "POST", "/", NULL, 65536, 200, { { 0 } } },
	{ "POST 10 MiB", inspect, "POST", "/", NULL, 10 << 20, 200, { { 0 } } },
	{ "POST chunked 1 KiB", chunked, "POST", "/", NULL, 1024, 200, { { 0 } } },
	{ "POST chunked 96 KiB", chunked, "POST", "/", NULL, 96 << 10, 200, { { 0 } } },
	{ "8 POST at once", together, "POST", "/", NULL, 128 << 10, 200, { { 0 } } },
	{ "100-continue", expect_continue, "POST", "/", NULL, 1024, 200, { { 0 } } },
	{ "HEAD", answer, "HEAD", "/answers/status/200", NULL, 0, 200, { { "X-Status", "200" } } },
	{ "204", answer, GET, "/answers/status/204", NULL, 0, 204, { { "X-Status", "204" } } },
	{ "304", answer, GET, "/answers/status/304", NULL, 0, 304, { { "X-Status", "304" } } },
	{ "redirect 303", answer, GET, "/answers/redirect", NULL, 0, 303,
	        { { "Location", "/elsewhere?a=b" } } },
	{ "3 KiB of header", large, GET, "/answers/large?bytes=3072", NULL, 0, 200, { { 0 } } },
	{ "8 KiB of header", large, GET, "/answers/large?bytes=8000", NULL, 0, 200, { { 0 } } },
	{ "403 to an upload", early, "POST", "/early/", NULL, 4 << 20, 403, { { 0 } } },
	{ "client gone", abandon, GET, "/hang/?ms=3000", NULL, 0, 200, { { 0 } } },
	{ "10 GET, one client", reuse, GET, "/peers/", NULL, 0, 200, { { 0 } } },
};

const size_t cases_count = COUNT(cases);

const char *cases_name(size_t i)
{
	return cases[i].name;
}

void cases_run(size_t i, const struct way *way, char outcome[OUTCOME])
{
	strcpy(outcome, OUTCOME_OK);
	cases[i].run(&cases[i], way, outcome);
}
