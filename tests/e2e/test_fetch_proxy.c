/* The example of a reverse proxy: what passes it, in front of a peer and between two real nginx. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/nginx.h"
#include "tests/support/peer.h"

SUITE(fetch_proxy);

static const char *const protocols[] = { "fastcgi", "scgi", "uwsgi", "http" };

static const struct peer_answer answers[] = {
	{ "/hop",
	        "HTTP/1.1 201 Made\r\nConnection: X-Hop, x-skip\r\nX-Hop: 1\r\nX-Skip: 1\r\n"
	        "Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\n"
	        "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\nX-Kept: 1\r\nSet-Cookie: a=1\r\n"
	        "Set-Cookie: b=2\r\nContent-Type: text/x\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
	        PEER_KEEP, NULL },
	{ "/moved", "HTTP/1.1 302 Found\r\nLocation: /hop\r\nContent-Length: 0\r\n\r\n", PEER_KEEP,
	        NULL },
	{ "/large", "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n", PEER_KEEP, NULL },
	{ "/untyped", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", PEER_KEEP, NULL },
	{ "/none", "HTTP/1.1 304 Same\r\nETag: \"a\"\r\n\r\n", PEER_KEEP, NULL },
	{ "/error", "HTTP/1.1 500 Bad\r\nContent-Length: 4\r\n\r\nsad!", PEER_KEEP, NULL },
	{ "/cut", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", PEER_CLOSE, NULL },
	{ "/cut/chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
	        PEER_CLOSE, NULL },
	{ "/closed", "", PEER_CLOSE, NULL },
	{ "/mail", "220 mail.test ESMTP\r\n", PEER_CLOSE, NULL },
	{ "/strange", "HTTP/1.1 999 Strange\r\nContent-Length: 0\r\n\r\n", PEER_KEEP, NULL },
	{ NULL, NULL, PEER_KEEP, NULL },
};

static struct daemon proxy;
static struct peer peer;

static void start_proxy(const char *listen, const char *upstream)
{
	char setting[128];

	snprintf(setting, sizeof setting, "app.upstream=http://%s", upstream);
	daemon_start(
	        &proxy, 1, "-w", "1", "-l", listen, "-s", setting, DAEMON_APPS "proxy.so", NULL);
}

static void begin(void)
{
	peer.answers = answers;
	peer_start(&peer);
	start_proxy("127.0.0.1:0", peer.address);
}

static void end(void)
{
	daemon_stop(&proxy);
	peer_stop(&peer);
}

static void check_field(
        const struct response *response, const char *name, const char *wanted, const char *gate)
{
	const char *got = response_field(response, name);

	cr_expect_eq(strcmp(got, wanted), 0, "%s: %s: %s", gate, name, got);
}

/* ---- header fields ---- */

static void check_answer(const char *gate, const struct response *response)
{
	static const char *const dropped[] = { "X-Hop", "X-Skip", "Keep-Alive",
		"Proxy-Authenticate", "Upgrade", "Trailer", "X-Sum" };
	size_t cookies = 0;

	cr_expect_eq(response->status, 201, "%s: %d", gate, response->status);
	cr_expect_str_eq(response->body.data, "ok");
	check_field(response, "X-Kept", "1", gate);
	check_field(response, "Content-Type", "text/x", gate);
	for (size_t i = 0; i < COUNT(dropped); i++)
		check_field(response, dropped[i], "", gate);
	for (size_t i = 0; i < response->field_count; i++)
		cookies += strcmp(response->fields[i].name, "Set-Cookie") == 0;
	cr_expect_eq(cookies, 2, "%s", gate);
}

static void check_request(const char *gate)
{
	static const char *const kept[] = { "POST /hop?q=/%2fx HTTP/1.1\r\n", "\r\nX-OTHER: 2\r\n",
		"\r\nVia: 1.1 anygate\r\n", "\r\nContent-Length: 4\r\n",
		"\r\nCONTENT-TYPE: a/b\r\n", "\r\n\r\nbody" };
	static const char *const dropped[] = { "\r\nTE:", "Keep-Alive",
		"Connection:", "Proxy-Authorization", "gate.test", "Upgrade", "9.9.9.9", "X-Near",
		"X-Here" };
	char *last = peer_last(&peer);

	for (size_t i = 0; i < COUNT(kept); i++)
		cr_expect(strstr(last, kept[i]), "%s: no %s in %s", gate, kept[i], last);
	for (size_t i = 0; i < COUNT(dropped); i++)
		cr_expect_not(strcasestr(last, dropped[i]), "%s: %s", gate, last);
	free(last);
}

Test(fetch_proxy, drops_fields_of_the_connection, .timeout = 60)
{
	static gate_variables variables = { "REQUEST_METHOD", "POST", "REQUEST_URI", "/hop?q=/%2fx",
		"SERVER_PROTOCOL", "HTTP/1.1", "HTTP_HOST", "gate.test", "CONTENT_TYPE", "a/b",
		"REMOTE_ADDR", "127.0.0.1", "HTTP_CONNECTION", "keep-alive, TE,x-near ,X-Here",
		"HTTP_X_NEAR", "1", "HTTP_X_HERE", "1", "HTTP_X_OTHER", "2", "HTTP_TE", "trailers",
		"HTTP_KEEP_ALIVE", "1", "HTTP_PROXY_AUTHORIZATION", "Basic a", "HTTP_UPGRADE",
		"h2c", "HTTP_X_FORWARDED_FOR", "9.9.9.9", NULL };

	begin();
	for (size_t i = 0; i < COUNT(protocols); i++) {
		struct response response;

		gate_request(protocols[i], daemon_address(&proxy), variables, "body", 4, &response);
		check_answer(protocols[i], &response);
		check_request(protocols[i]);
		response_free(&response);
	}
	end();
}

Test(fetch_proxy, adds_no_type, .timeout = 60)
{
	static gate_variables variables = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/untyped",
		"SERVER_PROTOCOL", "HTTP/1.1", "HTTP_HOST", "gate.test", NULL };

	begin();
	for (size_t i = 0; i < COUNT(protocols); i++) {
		struct response response;

		gate_request(protocols[i], daemon_address(&proxy), variables, "", 0, &response);
		cr_expect_eq(response.status, 200, "%s: %d", protocols[i], response.status);
		cr_expect_str_eq(response.body.data, "ok");
		for (size_t j = 0; j < response.field_count; j++)
			cr_expect(strcasecmp(response.fields[j].name, "Content-Type") != 0, "%s",
			        protocols[i]);
		response_free(&response);
	}
	end();
}

/* ---- answers ---- */

static const struct {
	const char *method, *target;
	int status;
	const char *body; /* NULL: of no interest */
	bool whole;
} rows[] = {
	{ "GET", "/moved", 302, "", true },
	{ "GET", "/none", 304, "", true },
	{ "GET", "/error", 500, "sad!", true },
	{ "HEAD", "/large", 200, "", true },
	{ "DELETE", "/nothing", 404, "", true },
	/* what is cut off stays so */
	{ "GET", "/cut", 200, "12345", false },
	{ "GET", "/cut/chunk", 200, "12345", false },
	/* what is no answer */
	{ "GET", "/closed", 502, NULL, true },
	{ "GET", "/mail", 502, NULL, true },
	{ "GET", "/strange", 502, NULL, true },
	{ "OPTIONS", "*", 204, NULL, true },
};

Test(fetch_proxy, answers, .timeout = 60)
{
	begin();
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct response response;

		http_request(daemon_address(&proxy), rows[i].method, rows[i].target, NULL, NULL, 0,
		        &response);
		cr_expect_eq(
		        response.status, rows[i].status, "%s: %d", rows[i].target, response.status);
		const char *body = response.body.data;

		cr_expect(!rows[i].body || strcmp(rows[i].body, body) == 0, "%s: %s",
		        rows[i].target, body);
		cr_expect_eq(response.whole, rows[i].whole, "%s", rows[i].target);
		response_free(&response);
	}
	end();
}

Test(fetch_proxy, nobody_there, .timeout = 60)
{
	struct response response;

	start_proxy("127.0.0.1:0", "127.0.0.1:1");
	http_get(daemon_address(&proxy), "/", &response);
	cr_expect_eq(response.status, 502);
	daemon_expect(&proxy, "no whole answer of http://127.0.0.1:1/");
	response_free(&response);
	daemon_stop(&proxy);
}

Test(fetch_proxy, no_upstream, .timeout = 60)
{
	struct process process;

	cr_expect_neq(daemon_run(&process, "-l", "127.0.0.1:0", DAEMON_APPS "proxy.so", NULL), 0);
	cr_expect(strstr(process.err.data, "upstream: where to pass requests on to"), "%s",
	        process.err.data);
	process_free(&process);
}

/* ---- large bodies ---- */

#define LARGE  3000000
#define SERVER (NGINX_GATES - 1) /* the gate that is behind the proxy */

/* Client, nginx by this gate, the proxy, nginx over HTTP, echo; and back. */
static void check_echo(const struct nginx *nginx, size_t gate, const char *path, const char *noise)
{
	struct response response;

	http_request(nginx->address[gate], "POST", path, NULL, noise, LARGE, &response);
	cr_expect_eq(response.status, 200, "%s: %d", nginx_gates[gate].name, response.status);
	cr_expect_eq(response.body.length, LARGE, "%s %s: %zu", nginx_gates[gate].name, path,
	        response.body.length);
	cr_expect(response.body.length == LARGE && !memcmp(response.body.data, noise, LARGE),
	        "%s %s", nginx_gates[gate].name, path);
	response_free(&response);
}

Test(fetch_proxy, between_two_nginx, .timeout = 120)
{
	const char *backends[NGINX_GATES];
	char *noise = support_noise(LARGE), unix_address[128];
	struct daemon echo;
	struct nginx nginx;

	daemon_start(&echo, 1, "-w", "1", "-l", "127.0.0.1:0", "echo", NULL);
	snprintf(unix_address, sizeof unix_address, "unix:%s", support_path("proxy.sock"));
	for (size_t i = 0; i < SERVER; i++)
		backends[i] = unix_address;
	backends[SERVER] = daemon_address(&echo);
	nginx_start(&nginx, backends);
	start_proxy(unix_address, nginx.address[SERVER]);
	for (size_t i = 0; i < SERVER; i++) {
		check_echo(&nginx, i, "/", noise);
		if (!nginx_gates[i].announces_wrongly)
			check_echo(&nginx, i, "/stream/", noise);
	}
	nginx_stop(&nginx);
	daemon_stop(&proxy);
	daemon_stop(&echo);
	free(noise);
}
