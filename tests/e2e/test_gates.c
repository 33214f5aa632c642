/* Each protocol, spoken to anygate directly by a client of our own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"

SUITE(gates);

static const char *const protocols[] = { "fastcgi", "scgi", "uwsgi", "http" };

static gate_variables variables = {
	"REQUEST_METHOD",
	"POST",
	"REQUEST_URI",
	"/a%20b/c?q=1&q=2&r=%26",
	"QUERY_STRING",
	"q=1&q=2&r=%26",
	"SERVER_PROTOCOL",
	"HTTP/1.1",
	"SERVER_NAME",
	"gate.test",
	"SERVER_PORT",
	"80",
	"REMOTE_ADDR",
	"127.0.0.1",
	"CONTENT_TYPE",
	"text/x-test",
	"HTTP_HOST",
	"gate.test",
	"HTTP_X_ONE",
	"one \xc3\xa9 \"quoted\"",
	NULL,
};

/* What the inspector says of `variables` with the body "hello". */
static const char *const inspected[][2] = {
	{ "path", "/a b/c" },
	{ "mount", "" },
	{ "args/q/0", "1" },
	{ "args/q/1", "2" },
	{ "args/q/2", NULL },
	{ "args/r/0", "&" },
	{ "env/REQUEST_METHOD", "POST" },
	{ "env/REQUEST_URI", "/a%20b/c?q=1&q=2&r=%26" },
	{ "env/QUERY_STRING", "q=1&q=2&r=%26" },
	{ "env/CONTENT_LENGTH", "5" },
	{ "env/CONTENT_TYPE", "text/x-test" },
	{ "env/SERVER_PROTOCOL", "HTTP/1.1" },
	{ "env/SERVER_NAME", "gate.test" },
	{ "env/REMOTE_ADDR", "127.0.0.1" },
	{ "env/HTTP_HOST", "gate.test" },
	{ "env/HTTP_X_ONE", "one \xc3\xa9 \"quoted\"" },
	{ "body/bytes", "5" },
	{ "body/sha256", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" },
};

static void check_inspector(const char *protocol, const char *address)
{
	struct response response;

	gate_request(protocol, address, variables, "hello", 5, &response);
	cr_expect_eq(response.status, 200, "%s: status %d", protocol, response.status);
	cr_expect(response.whole, "%s", protocol);
	cr_expect_str_eq(response_field(&response, "Content-Type"), "application/json");
	json_expect(response.body.data, "protocol", protocol);
	for (size_t i = 0; i < COUNT(inspected); i++)
		json_expect(response.body.data, inspected[i][0], inspected[i][1]);
	response_free(&response);
}

Test(gates, pinned, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(protocols); i++) {
		struct daemon daemon;

		daemon_start(&daemon, 1, "-P", protocols[i], "-l", "127.0.0.1:0", "env", NULL);
		cr_expect_str_eq(daemon.listening[0].protocol, protocols[i]);
		check_inspector(protocols[i], daemon_address(&daemon));
		daemon_stop(&daemon);
	}
}

Test(gates, auto_on_one_port, .timeout = 120)
{
	struct daemon daemon;

	daemon_start(&daemon, 1, "-P", "auto", "-l", "127.0.0.1:0", "env", NULL);
	cr_expect_str_eq(daemon.listening[0].protocol, "auto");
	for (size_t round = 0; round < 2; round++)
		for (size_t i = 0; i < COUNT(protocols); i++)
			check_inspector(protocols[i], daemon_address(&daemon));
	daemon_stop(&daemon);
}

Test(gates, auto_is_the_default, .timeout = 120)
{
	char address[256];
	struct daemon daemon;

	snprintf(address, sizeof address, "unix:%s", support_path("socket"));
	daemon_start(&daemon, 2, "-l", "[::1]:0", "-l", address, "env", NULL);
	cr_expect_str_eq(daemon.listening[1].address, address);
	for (size_t i = 0; i < 2; i++) {
		struct response response;

		gate_request("scgi", daemon.listening[i].address, variables, "", 0, &response);
		json_expect(response.body.data, "protocol", "scgi");
		json_expect(response.body.data, "body/bytes", "0");
		response_free(&response);
	}
	daemon_stop(&daemon);
}

/* Large bodies both ways, read while they are sent. */
Test(gates, echo, .timeout = 240)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 5 << 20 };
	struct daemon daemon;

	daemon_start(&daemon, 1, "-l", "127.0.0.1:0", "echo", NULL);
	for (size_t s = 0; s < COUNT(sizes); s++) {
		char *noise = support_noise(sizes[s]);

		for (size_t i = 0; i < COUNT(protocols); i++) {
			struct response response;

			gate_request(protocols[i], daemon_address(&daemon), variables, noise,
			        sizes[s], &response);
			cr_expect_eq(response.status, 200, "%s, %zu", protocols[i], sizes[s]);
			cr_expect(response.whole && response.body.length == sizes[s],
			        "%s: %zu of %zu bytes", protocols[i], response.body.length,
			        sizes[s]);
			if (response.body.length == sizes[s] && sizes[s])
				cr_expect_eq(memcmp(response.body.data, noise, sizes[s]), 0, "%s",
				        protocols[i]);
			response_free(&response);
		}
		free(noise);
	}
	daemon_stop(&daemon);
}

/* ---- FastCGI ---- */

Test(gates, fastcgi_keeps_the_connection, .timeout = 60)
{
	struct daemon daemon;
	struct client client;

	daemon_start(&daemon, 1, "-P", "fastcgi", "-l", "127.0.0.1:0", "env", NULL);
	client_open(&client, daemon_address(&daemon));
	for (unsigned i = 0; i < 3; i++) {
		struct bytes out = { 0 };
		struct response response;

		fastcgi_build(&out, 1, i < 2 ? FASTCGI_KEEP : 0, variables, "hello", 5);
		client_send(&client, out.data, out.length);
		fastcgi_response(&client, 1, &response);
		cr_expect(response.whole && response.status == 200, "request %u", i);
		json_expect(response.body.data, "body/bytes", "5");
		response_free(&response);
		bytes_free(&out);
	}
	client_read_all(&client);
	cr_expect_eq(client.in.length, 0);
	cr_expect(!client.reset);
	client_close(&client);
	daemon_stop(&daemon);
}

/* Two requests open at a time: the one whose body is complete is answered first. */
Test(gates, fastcgi_multiplexes, .timeout = 60)
{
	struct bytes first = { 0 }, second = { 0 }, rest = { 0 };
	struct response response;
	struct daemon daemon;
	struct client client;

	daemon_start(&daemon, 1, "-P", "fastcgi", "-l", "127.0.0.1:0", "env", NULL);
	fastcgi_build(&first, 7, FASTCGI_KEEP, variables, "hello", 5);
	fastcgi_build(&second, 300, FASTCGI_KEEP, variables, "hello, hello", 12);
	/* without the 8 bytes that end its body */
	bytes_add(&rest, first.data, first.length - 8);
	bytes_add(&rest, second.data, second.length);
	client_open(&client, daemon_address(&daemon));
	client_send(&client, rest.data, rest.length);
	fastcgi_response(&client, 300, &response);
	cr_expect(response.whole);
	json_expect(response.body.data, "body/bytes", "12");
	response_free(&response);
	client_send(&client, first.data + first.length - 8, 8);
	fastcgi_response(&client, 7, &response);
	cr_expect(response.whole);
	json_expect(response.body.data, "body/bytes", "5");
	response_free(&response);
	client_close(&client);
	bytes_free(&first);
	bytes_free(&second);
	bytes_free(&rest);
	daemon_stop(&daemon);
}

/* ---- HTTP ---- */

Test(gates, http_keeps_the_connection, .timeout = 60)
{
	struct daemon daemon;
	struct client client;

	daemon_start(&daemon, 1, "-P", "http", "-l", "127.0.0.1:0", "env", NULL);
	client_open(&client, daemon_address(&daemon));
	for (unsigned i = 0; i < 3; i++) {
		struct bytes out = { 0 };
		struct response response;

		http_build(&out, "POST", "/", i < 2 ? "" : "Connection: close\r\n", "hello", 5);
		client_send(&client, out.data, out.length);
		client_response(&client, "POST", &response);
		cr_expect(response.whole && response.status == 200, "request %u", i);
		response_free(&response);
		bytes_free(&out);
	}
	client_read_all(&client);
	cr_expect(!client.reset && client.in.length == 0);
	client_close(&client);
	daemon_stop(&daemon);
}

/* All sent before the first answer is read: the answers come in order. */
Test(gates, http_pipelines, .timeout = 60)
{
	struct bytes out = { 0 };
	struct daemon daemon;
	struct client client;
	char number[16];

	daemon_start(&daemon, 1, "-P", "http", "-l", "127.0.0.1:0", "env", NULL);
	for (int i = 0; i < 50; i++) {
		snprintf(number, sizeof number, "/%d", i);
		http_build(&out, i % 2 ? "POST" : "GET", number, NULL, i % 2 ? "abc" : NULL, 3);
	}
	client_open(&client, daemon_address(&daemon));
	client_send(&client, out.data, out.length);
	for (int i = 0; i < 50; i++) {
		struct response response;

		snprintf(number, sizeof number, "/%d", i);
		client_response(&client, "GET", &response);
		cr_assert(response.whole, "answer %d", i);
		json_expect(response.body.data, "path", number);
		json_expect(response.body.data, "body/bytes", i % 2 ? "3" : "0");
		response_free(&response);
	}
	client_close(&client);
	bytes_free(&out);
	daemon_stop(&daemon);
}

Test(gates, http_chunked_and_expect, .timeout = 60)
{
	static const char request[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
	                              "Expect: 100-continue\r\n\r\n";
	static const char body[] = "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";
	struct response response;
	struct daemon daemon;
	struct client client;

	daemon_start(&daemon, 1, "-P", "http", "-l", "127.0.0.1:0", "env", NULL);
	client_open(&client, daemon_address(&daemon));
	client_send(&client, request, sizeof request - 1);
	while (!strstr(client.in.data, "\r\n\r\n"))
		cr_assert(client_fill(&client), "closed without 100 Continue");
	cr_expect_eq(strncmp(client.in.data, "HTTP/1.1 100 ", 13), 0, "%s", client.in.data);
	client_send(&client, body, sizeof body - 1);
	client_response(&client, "POST", &response);
	cr_expect_eq(response.status, 200);
	json_expect(response.body.data, "body/bytes", "5");
	json_expect(response.body.data, "body/sha256", inspected[COUNT(inspected) - 1][1]);
	response_free(&response);
	client_close(&client);
	daemon_stop(&daemon);
}

/* ---- the wrong protocol ---- */

#define BYTES(text) text, sizeof(text) - 1

/* What a connection begins with, what names it in the log, and what to do about it. */
static const struct wrong_row {
	const char *pinned, *bytes;
	size_t length;
	const char *names, *advice;
} wrong[] = {
	{ "fastcgi", BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "TLS", "TLS" },
	{ "scgi", BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "TLS", "TLS" },
	{ "uwsgi", BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "TLS", "TLS" },
	{ "http", BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "TLS", "TLS" },
	{ "auto", BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "TLS", "TLS" },
	{ "fastcgi", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "http", "-P http" },
	{ "scgi", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "http", "-P http" },
	{ "uwsgi", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "http", "-P http" },
	{ "fastcgi", BYTES("24:CONTENT_LENGTH\0000\0SCGI\0001\0,"), "scgi", "-P scgi" },
	{ "uwsgi", BYTES("24:CONTENT_LENGTH\0000\0SCGI\0001\0,"), "scgi", "-P scgi" },
	{ "scgi", BYTES("\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0"), "fastcgi", "-P fastcgi" },
	{ "http", BYTES("\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0"), "fastcgi", "-P fastcgi" },
	{ "http", BYTES("\0\4\0\0\1\0A\1\0B"), "uwsgi", "-P uwsgi" },
};

static void check_wrong(const struct wrong_row *row)
{
	struct daemon daemon;
	struct client client;
	size_t before;

	daemon_start(&daemon, 1, "-P", row->pinned, "-l", "127.0.0.1:0", "env", NULL);
	before = strlen(daemon_text(&daemon));
	client_open(&client, daemon_address(&daemon));
	client_send(&client, row->bytes, row->length);
	client_read_all(&client);
	client_close(&client);
	process_expect(&daemon.process, row->names, before);
	process_expect(&daemon.process, row->advice, before);
	check_inspector(
	        strcmp(row->pinned, "auto") == 0 ? "http" : row->pinned, daemon_address(&daemon));
	daemon_stop(&daemon);
}

Test(gates, wrong_protocol, .timeout = 240)
{
	for (size_t i = 0; i < COUNT(wrong); i++)
		check_wrong(&wrong[i]);
}
