/* Behind a real nginx: every gate gives the same answer. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/nginx.h"

SUITE(nginx);

/* One application behind all six gates, on one port that takes every protocol. */
struct site {
	struct daemon daemon;
	struct nginx nginx;
};

static void site_start(struct site *site, const char *app)
{
	daemon_start(&site->daemon, 1, "-w", "2", "-l", "127.0.0.1:0", app, NULL);
	nginx_start_all(&site->nginx, daemon_address(&site->daemon));
}

static void site_stop(struct site *site)
{
	nginx_stop(&site->nginx);
	daemon_stop(&site->daemon);
}

/* ---- bodies ---- */

static const size_t sizes[] = { 0, 1, 65536, 20 << 20 };

Test(nginx, get, .timeout = 120)
{
	struct site site;

	site_start(&site, "env");
	for (size_t gate = 0; gate < NGINX_GATES; gate++) {
		struct response response;

		http_get(site.nginx.address[gate], "/x?y=1", &response);
		cr_expect_eq(response.status, 200, "%s", nginx_gates[gate].name);
		cr_expect_str_eq(response_field(&response, "Content-Type"), "application/json");
		json_expect(response.body.data, "protocol", nginx_gates[gate].protocol);
		json_expect(response.body.data, "path", "/x");
		json_expect(response.body.data, "args/y/0", "1");
		response_free(&response);
	}
	site_stop(&site);
}

static void check_upload(const char *address, const char *name, const char *target, size_t size)
{
	char *noise = support_noise(size), hash[65], length[24];
	struct response response;

	support_sha256(noise, size, hash);
	snprintf(length, sizeof length, "%zu", size);
	http_request(address, "POST", target, NULL, noise, size, &response);
	cr_expect_eq(response.status, 200, "%s, %zu bytes: %d", name, size, response.status);
	json_expect(response.body.data, "body/bytes", length);
	json_expect(response.body.data, "body/sha256", hash);
	response_free(&response);
	free(noise);
}

/* Every size through every gate, to a handler that reads it whole and to one in pieces. */
static void check_sizes(const char *app,
        void (*check)(const char *address, const char *name, const char *target, size_t size))
{
	struct site site;

	site_start(&site, app);
	for (size_t gate = 0; gate < NGINX_GATES; gate++) {
		const char *address = site.nginx.address[gate], *name = nginx_gates[gate].name;

		for (size_t i = 0; i < COUNT(sizes); i++) {
			check(address, name, "/", sizes[i]);
			if (!nginx_gates[gate].announces_wrongly)
				check(address, name, "/stream/", sizes[i]);
		}
	}
	site_stop(&site);
}

Test(nginx, upload, .timeout = 240)
{
	check_sizes("env", check_upload);
}

static void check_echo(const char *address, const char *name, const char *target, size_t size)
{
	char *noise = support_noise(size);
	struct response response;

	http_request(address, "POST", target, NULL, noise, size, &response);
	cr_expect_eq(response.status, 200, "%s, %zu bytes: %d", name, size, response.status);
	cr_expect(response.whole && response.body.length == size, "%s: %zu of %zu bytes", name,
	        response.body.length, size);
	if (size && response.body.length == size)
		cr_expect_eq(memcmp(response.body.data, noise, size), 0, "%s", name);
	response_free(&response);
	free(noise);
}

Test(nginx, echo, .timeout = 240)
{
	check_sizes("echo", check_echo);
}

/* ---- early answers ---- */

#define EARLY_ROUNDS 20

/* The whole upload is under way when the answer comes, and it still reaches the client. */
static void check_early(size_t gate)
{
	char *noise = support_noise(20 << 20);
	int passed = 0;
	struct site site;

	site_start(&site, DAEMON_APPS "early.so");
	for (int i = 0; i < EARLY_ROUNDS; i++) {
		const char *target = i % 2 ? "/stream/" : "/";
		struct response response;

		http_request(
		        site.nginx.address[gate], "POST", target, NULL, noise, 20 << 20, &response);
		cr_expect_eq(response.status, 403, "%s%s: %d", nginx_gates[gate].name, target,
		        response.status);
		passed += response.status == 403 && response.whole &&
		          strcmp(response.body.data, "not you\n") == 0;
		response_free(&response);
	}
	cr_expect_eq(
	        passed, EARLY_ROUNDS, "%s: %d of %d", nginx_gates[gate].name, passed, EARLY_ROUNDS);
	free(noise);
	site_stop(&site);
}

Test(nginx, early_fastcgi, .timeout = 240)
{
	check_early(0);
}

Test(nginx, early_fastcgi_keep, .timeout = 240)
{
	check_early(1);
}

Test(nginx, early_scgi, .timeout = 240)
{
	check_early(2);
}

Test(nginx, early_uwsgi, .timeout = 240)
{
	check_early(3);
}

Test(nginx, early_http_10, .timeout = 240)
{
	check_early(4);
}

Test(nginx, early_http_11, .timeout = 240)
{
	check_early(5);
}

/* ---- clients that go away ---- */

static void check_alive(const struct site *site, const char *target)
{
	for (size_t gate = 0; gate < NGINX_GATES; gate++) {
		struct response response;

		http_get(site->nginx.address[gate], target, &response);
		cr_expect_eq(
		        response.status, 200, "%s: %d", nginx_gates[gate].name, response.status);
		cr_expect(response.whole, "%s", nginx_gates[gate].name);
		response_free(&response);
	}
}

Test(nginx, abort_in_a_download, .timeout = 240)
{
	struct site site;

	site_start(&site, DAEMON_APPS "download.so");
	for (size_t gate = 0; gate < NGINX_GATES; gate++) {
		struct bytes out = { 0 };
		struct client client;

		http_build(&out, "GET", "/2000", NULL, NULL, 0);
		client_open(&client, site.nginx.address[gate]);
		client_send(&client, out.data, out.length);
		while (client.in.length < 1 << 20)
			cr_assert(client_fill(&client), "%s", nginx_gates[gate].name);
		client_close(&client);
		bytes_free(&out);
	}
	check_alive(&site, "/1");
	site_stop(&site);
}

/* Announces 20 MiB, sends 1 and closes; the handler is waiting for the rest. */
Test(nginx, abort_in_an_upload, .timeout = 240)
{
	char *noise = support_noise(20 << 20);
	struct site site;

	site_start(&site, "echo");
	for (size_t gate = 0; gate < NGINX_GATES; gate++) {
		for (int i = 0; i < 2; i++) {
			struct bytes out = { 0 };
			struct client client;

			http_build(&out, "POST", i ? "/stream/" : "/", NULL, noise, 20 << 20);
			client_open(&client, site.nginx.address[gate]);
			client_send(&client, out.data, 1 << 20);
			client_flush(&client);
			client_close(&client);
			bytes_free(&out);
		}
	}
	check_alive(&site, "/");
	free(noise);
	site_stop(&site);
}

/* ---- answers of all kinds ---- */

static const struct answer_row {
	const char *method, *target, *fields;
	int status;
	const char *body; /* NULL: none */
	const char *field, *value;
} answers[] = {
	{ "GET", "/status/200", NULL, 200, "a body\n", "X-Status", "200" },
	{ "HEAD", "/status/200", NULL, 200, NULL, "X-Status", "200" },
	{ "GET", "/status/204", NULL, 204, NULL, "X-Status", "204" },
	{ "HEAD", "/status/204", NULL, 204, NULL, "X-Status", "204" },
	{ "GET", "/status/304", NULL, 304, NULL, "X-Status", "304" },
	{ "POST", "/status/204", NULL, 204, NULL, "X-Status", "204" },
	{ "GET", "/status/404", NULL, 404, "a body\n", "X-Status", "404" },
	{ "GET", "/status/500", NULL, 500, "a body\n", "X-Status", "500" },
	{ "GET", "/status/599", NULL, 599, "a body\n", "X-Status", "599" },
	{ "DELETE", "/status/202", NULL, 202, "a body\n", "X-Status", "202" },
	{ "POST", "/redirect", NULL, 405, "", "Allow", "GET, HEAD, OPTIONS" },
	{ "GET", "/cookies", "Cookie: a=1; b=2\r\n", 200, "1,2\n", "Set-Cookie",
	        "first=1; Path=/; HttpOnly" },
	{ "GET", "/cookies", NULL, 200, "-,-\n", "Set-Cookie", "first=1; Path=/; HttpOnly" },
	{ "GET", "/pieces", NULL, 200, "one\ntwo\n", "Content-Type", "text/plain; charset=utf-8" },
};

static void check_answer(const char *address, const char *gate, const struct answer_row *row)
{
	struct response response;
	const char *value;

	http_request(address, row->method, row->target, row->fields, NULL, 0, &response);
	value = response_field(&response, row->field);
	cr_expect_eq(response.status, row->status, "%s %s: %d through %s", row->method, row->target,
	        response.status, gate);
	cr_expect(response.whole, "%s %s through %s", row->method, row->target, gate);
	cr_expect_str_eq(value, row->value, "%s %s: %s: %s through %s", row->method, row->target,
	        row->field, value, gate);
	if (!row->body)
		cr_expect_eq(response.body.length, 0);
	else if (*row->body)
		cr_expect_str_eq(response.body.data, row->body, "%s %s through %s", row->method,
		        row->target, gate);
	cr_expect_str_eq(response_field(&response, "Status"), "", "%s leaks Status", gate);
	response_free(&response);
}

Test(nginx, answers, .timeout = 120)
{
	struct site site;

	site_start(&site, DAEMON_APPS "answers.so");
	for (size_t gate = 0; gate < NGINX_GATES; gate++)
		for (size_t i = 0; i < COUNT(answers); i++)
			check_answer(site.nginx.address[gate], nginx_gates[gate].name, &answers[i]);
	site_stop(&site);
}

Test(nginx, redirect, .timeout = 120)
{
	struct site site;

	site_start(&site, DAEMON_APPS "answers.so");
	for (size_t gate = 0; gate < NGINX_GATES; gate++) {
		const char *location;
		struct response response;

		http_get(site.nginx.address[gate], "/redirect", &response);
		location = response_field(&response, "Location");
		cr_expect_eq(
		        response.status, 303, "%s: %d", nginx_gates[gate].name, response.status);
		/* nginx makes it absolute behind the CGI gates */
		cr_expect(strlen(location) >= 14 &&
		                  strcmp(location + strlen(location) - 14, "/elsewhere?a=b") == 0,
		        "%s: %s", nginx_gates[gate].name, location);
		response_free(&response);
	}
	site_stop(&site);
}

/* A page, 4 KiB, is what nginx takes of a head by default. */
Test(nginx, large_heads, .timeout = 120)
{
	static const char *const targets[] = { "/large?bytes=1000", "/large?bytes=2000",
		"/large?bytes=3072" };
	struct site site;

	site_start(&site, DAEMON_APPS "answers.so");
	for (size_t gate = 0; gate < NGINX_GATES; gate++)
		for (size_t i = 0; i < COUNT(targets); i++) {
			struct response response;

			http_get(site.nginx.address[gate], targets[i], &response);
			cr_expect_eq(response.status, 200, "%s %s: %d", nginx_gates[gate].name,
			        targets[i], response.status);
			cr_expect_eq(strlen(response_field(&response, "X-Large")),
			        strtoul(strchr(targets[i], '=') + 1, NULL, 10));
			response_free(&response);
		}
	site_stop(&site);
}

/* nginx reuses its connections where the protocol allows it; what one answer leaves behind would
 * spoil the next. */
Test(nginx, many_requests, .timeout = 120)
{
	struct site site;

	site_start(&site, "env");
	for (int i = 0; i < 100; i++) {
		size_t gate = (size_t)i % NGINX_GATES;
		size_t size = (size_t)i * 997;
		char target[32];

		snprintf(target, sizeof target, i % 3 ? "/%d" : "/stream/%d", i);
		check_upload(site.nginx.address[gate], nginx_gates[gate].name, target, size);
	}
	char *log = nginx_log();

	cr_expect(!strstr(log, "[error]"), "%s", log);
	cr_expect(!strstr(log, "[alert]"), "%s", log);
	free(log);
	site_stop(&site);
}
