/* Whom the daemon believes about where a request came from, and whom it lets in. */
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/nginx.h"

SUITE(trust);

#define NOBODY  "listen.trusted_proxies="
#define OTHERS  "listen.trusted_proxies=10.0.0.0/8, fd00::/8, unix"
#define NGINX   "listen.trusted_proxies=127.0.0.1"
#define UNIX    "listen.trusted_proxies=unix"
#define CLAIMED "1.2.3.4"

/* ---- forwarding fields ---- */

static const char fields[] = "Host: gate.test\r\n"
                             "X-Forwarded-For: 9.9.9.9, " CLAIMED "\r\n"
                             "X-Real-IP: 6.6.6.6\r\n"
                             "Forwarded: for=6.6.6.6\r\n"
                             "X-Forwarded-Proto: https\r\n"
                             "X-Forwarded-Host: shop.test\r\n";

static const struct through_row {
	const char *trusted, *address, *scheme, *https, *name, *port;
} through[] = {
	{ NOBODY, "127.0.0.1", "http", NULL, NULL, NULL },
	{ OTHERS, "127.0.0.1", "http", NULL, NULL, NULL },
	{ NGINX, CLAIMED, "https", "on", "shop.test", "443" },
};

static void check_through(const char *gate, const char *address, const struct through_row *row)
{
	struct response response;

	http_request(address, "GET", "/", fields, NULL, 0, &response);
	cr_assert_eq(response.status, 200, "%s: %d", gate, response.status);
	char *found = json_get(response.body.data, "env/REMOTE_ADDR");

	cr_expect(found && strcmp(found, row->address) == 0, "%s, %s: %s", gate, row->trusted,
	        found ? found : "no REMOTE_ADDR");
	free(found);
	json_expect(response.body.data, "env/REQUEST_SCHEME", row->scheme);
	json_expect(response.body.data, "env/HTTPS", row->https);
	json_expect(response.body.data, "env/HTTP_X_FORWARDED_FOR", "9.9.9.9, " CLAIMED);
	json_expect(response.body.data, "env/HTTP_X_FORWARDED_HOST", "shop.test");
	if (row->name) {
		json_expect(response.body.data, "env/SERVER_NAME", row->name);
		json_expect(response.body.data, "env/SERVER_PORT", row->port);
		json_expect(response.body.data, "env/REMOTE_PORT", NULL);
	}
	response_free(&response);
}

Test(trust, through_every_gate, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(through); i++) {
		struct daemon daemon;
		struct nginx nginx;

		daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "-s", through[i].trusted,
		        "env", NULL);
		nginx_start_all(&nginx, daemon_address(&daemon));
		for (size_t gate = 0; gate < NGINX_GATES; gate++)
			check_through(nginx_gates[gate].name, nginx.address[gate], &through[i]);
		nginx_stop(&nginx);
		daemon_stop(&daemon);
	}
}

/* On a Unix socket a peer of HTTP is trusted by "unix"; one of the gateway protocols speaks for an
 * address, and that is what counts. */
static const struct unix_row {
	const char *trusted, *gateways, *http;
} over_unix[] = {
	{ NOBODY, "127.0.0.1", "unix:" },
	{ NGINX, CLAIMED, "unix:" },
	{ UNIX, "127.0.0.1", CLAIMED },
};

Test(trust, over_unix_sockets, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(over_unix); i++) {
		char listen[200];
		struct daemon daemon;
		struct nginx nginx;

		snprintf(listen, sizeof listen, "unix:%s", support_path("gate.sock"));
		daemon_start(&daemon, 1, "-w", "1", "-l", listen, "-s", over_unix[i].trusted, "env",
		        NULL);
		nginx_start_all(&nginx, listen);
		for (size_t gate = 0; gate < NGINX_GATES; gate++) {
			bool http = strcmp(nginx_gates[gate].protocol, "http") == 0;
			struct response response;

			http_request(nginx.address[gate], "GET", "/", fields, NULL, 0, &response);
			json_expect(response.body.data, "env/REMOTE_ADDR",
			        http ? over_unix[i].http : over_unix[i].gateways);
			response_free(&response);
		}
		nginx_stop(&nginx);
		daemon_stop(&daemon);
	}
}

/* ---- Unix peers by their credentials ---- */

#define GROUP 4242 /* that the test is in, where it may be */

static const struct credentials_row {
	const char *peers; /* %u: our uid, gid, or one more than that */
	bool other, is_gid;
	bool known;
} credentials[] = {
	{ "user:%u", false, false, true },
	{ "user:%u", true, false, false },
	{ "group:%u", false, true, true },
	{ "group:%u", true, true, false },
	{ "10.0.0.0/8, user:%u", true, false, false },
	{ "group:0000012345 user:%u", false, false, true },
	{ "unix, user:%u", true, false, true },
};

static const char *set_peers(const char *key, const struct credentials_row *row, char set[128])
{
	int used = snprintf(set, 128, "listen.%s=", key);
	unsigned id = row->is_gid ? getegid() : geteuid();

	snprintf(set + used, 128 - (size_t)used, row->peers, id + row->other);
	return set;
}

static const char *start_on_unix(struct daemon *daemon, const char *setting)
{
	const char *path = support_path("peers.sock");
	static char listen[200];

	snprintf(listen, sizeof listen, "unix:%s", path);
	daemon_start(daemon, 1, "-w", "1", "-l", listen, "-s", setting, "env", NULL);
	return listen;
}

static void check_refused(struct daemon *daemon, const char *address, const char *log)
{
	struct client client;

	client_open(&client, address);
	client_read_all(&client);
	cr_expect_eq(client.in.length, 0);
	client_close(&client);
	daemon_expect(daemon, log);
}

Test(trust, allowed_by_credentials, .timeout = 60)
{
	for (size_t i = 0; i < COUNT(credentials); i++) {
		struct response response;
		struct daemon daemon;
		char set[128], log[128];
		const char *address = start_on_unix(
		        &daemon, set_peers("allowed_clients", &credentials[i], set));

		if (credentials[i].known) {
			http_get(address, "/", &response);
			cr_expect_eq(response.status, 200, "%s", set);
			response_free(&response);
		} else {
			snprintf(log, sizeof log,
			        "from uid %u, gid %u: refused: not one of allowed_clients",
			        geteuid(), getegid());
			check_refused(&daemon, address, log);
		}
		daemon_stop(&daemon);
	}
}

Test(trust, believed_by_credentials, .timeout = 60)
{
	for (size_t i = 0; i < COUNT(credentials); i++) {
		struct response response;
		struct daemon daemon;
		char set[128];
		const char *address = start_on_unix(
		        &daemon, set_peers("trusted_proxies", &credentials[i], set));

		http_request(address, "GET", "/", fields, NULL, 0, &response);
		json_expect(response.body.data, "env/REMOTE_ADDR",
		        credentials[i].known ? CLAIMED : "unix:");
		response_free(&response);
		daemon_stop(&daemon);
	}
}

/* Membership counts, not the group a peer runs with alone. */
Test(trust, allowed_by_another_group, .timeout = 60)
{
	const gid_t group = GROUP;
	struct daemon daemon;
	const char *address;

	if (setgroups(1, &group) < 0)
		cr_skip_test("not root: groups can't be changed");
	address = start_on_unix(&daemon, "listen.allowed_clients=group:4242");
	http_check(address, "/", 200, NULL);
	daemon_stop(&daemon);
}

/* A gateway that we know says that its own client came by a Unix socket: that one we don't know. */
Test(trust, credentials_are_the_gateways, .timeout = 60)
{
	static const char *const variables[] = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/",
		"REMOTE_ADDR", "unix:", "HTTP_X_FORWARDED_FOR", CLAIMED, NULL };

	for (size_t i = 0; i < 2; i++) {
		struct response response;
		struct daemon daemon;
		char set[128];
		const char *address = start_on_unix(
		        &daemon, i ? UNIX : set_peers("trusted_proxies", &credentials[0], set));

		gate_request("scgi", address, variables, NULL, 0, &response);
		json_expect(response.body.data, "env/REMOTE_ADDR", i ? CLAIMED : "unix:");
		response_free(&response);
		daemon_stop(&daemon);
	}
}

/* ---- names that pass for others ---- */

static const struct underscore_row {
	const char *set, *fields, *value;
} underscores[] = {
	{ "listen.underscores=off", "X_Foo: 1\r\n", NULL },
	{ "listen.underscores=off", "X_Foo: 1\r\nX-Foo: 2\r\n", "2" },
	{ "listen.underscores=on", "X_Foo: 1\r\n", "1" },
	{ "listen.underscores=on", "X_Foo: 1\r\nX-Foo: 2\r\n", "1, 2" },
};

Test(trust, underscores, .timeout = 60)
{
	for (size_t i = 0; i < COUNT(underscores); i++) {
		struct response response;
		struct daemon daemon;

		daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "-s", underscores[i].set,
		        "env", NULL);
		http_request(daemon_address(&daemon), "GET", "/", underscores[i].fields, NULL, 0,
		        &response);
		cr_expect_eq(response.status, 200);
		json_expect(response.body.data, "env/HTTP_X_FOO", underscores[i].value);
		response_free(&response);
		daemon_stop(&daemon);
	}
}

/* ---- PROXY headers ---- */

#define SIGNATURE   "\r\n\r\n\0\r\nQUIT\n"
#define GET(more)   "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" more "\r\n"
#define BYTES(text) text, sizeof(text) - 1

static const struct proxied_row {
	const char *name, *bytes;
	size_t length;
	const char *address, *port; /* NULL: closed without an answer */
} proxied[] = {
	{ "v1", BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n" GET("")), "192.0.2.1",
	        "56324" },
	{ "v1, v6", BYTES("PROXY TCP6 2001:db8::1 ::1 56324 443\r\n" GET("")), "2001:db8::1",
	        "56324" },
	{ "v2", BYTES(SIGNATURE "\x21\x11\0\14\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb" GET("")),
	        "192.0.2.1", "56324" },
	{ "LOCAL", BYTES(SIGNATURE "\x20\0\0\0" GET("")), "127.0.0.1", "" },
	/* the client, not the proxy, is the peer then, and it is nobody we trust ... */
	{ "a client's field",
	        BYTES("PROXY TCP4 192.0.2.1 1.1.1.1 5 4\r\n" GET("X-Forwarded-For: 1.2.3.4\r\n")),
	        "192.0.2.1", "5" },
	/* ... unless it is another proxy of ours */
	{ "a proxy's field",
	        BYTES("PROXY TCP4 127.0.0.1 1.1.1.1 5 4\r\n" GET("X-Forwarded-For: 1.2.3.4\r\n")),
	        "1.2.3.4", NULL },
	{ "none", BYTES(GET("")), NULL, NULL },
	{ "malformed", BYTES("PROXY TCP4 1.2.3 1.1.1.1 5 4\r\n" GET("")), NULL, NULL },
};

static void check_proxied(const char *address, const struct proxied_row *row)
{
	struct response response;
	struct client client;

	client_open(&client, address);
	client_send(&client, row->bytes, row->length);
	if (!row->address) {
		client_read_all(&client);
		cr_expect_eq(client.in.length, 0, "%s: %s", row->name, client.in.data);
		client_close(&client);
		return;
	}
	client_response(&client, "GET", &response);
	cr_assert_eq(response.status, 200, "%s: %d", row->name, response.status);
	char *found = json_get(response.body.data, "env/REMOTE_ADDR");

	cr_expect_str_eq(found, row->address, "%s: %s", row->name, found);
	free(found);
	if (!row->port || *row->port)
		json_expect(response.body.data, "env/REMOTE_PORT", row->port);
	response_free(&response);
	client_close(&client);
}

Test(trust, proxy_headers, .timeout = 120)
{
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", "-l", "http=127.0.0.1:0", "-s",
	        "listen.proxy_protocol=on", "-s", NGINX, "env", NULL);
	for (size_t i = 0; i < COUNT(proxied); i++)
		check_proxied(daemon_address(&daemon), &proxied[i]);
	daemon_stop(&daemon);
}

/* The peer's family is then not the listener's. */
Test(trust, proxy_header_on_a_unix_socket, .timeout = 120)
{
	static const char bytes[] = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n" GET("");
	char listen[200];
	struct response response;
	struct client client;
	struct daemon daemon;

	snprintf(listen, sizeof listen, "http=unix:%s", support_path("gate.sock"));
	daemon_start(&daemon, 1, "-w", "1", "-l", listen, "-s", "listen.proxy_protocol=on", "-s",
	        UNIX, "env", NULL);
	client_open(&client, listen + strlen("http="));
	client_send(&client, bytes, sizeof bytes - 1);
	client_response(&client, "GET", &response);
	json_expect(response.body.data, "env/REMOTE_ADDR", "192.0.2.1");
	json_expect(response.body.data, "env/REMOTE_PORT", "56324");
	json_expect(response.body.data, "env/SERVER_PORT", "80");
	response_free(&response);
	client_close(&client);
	daemon_stop(&daemon);
}

/* Any protocol may follow; REMOTE_ADDR is the gateway's business there. */
Test(trust, proxy_header_before_scgi, .timeout = 120)
{
	static const char *const variables[] = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/x",
		"REMOTE_ADDR", "5.6.7.8", NULL };
	struct bytes out = { 0 };
	struct client client;
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "-s", "listen.proxy_protocol=on",
	        "-s", NGINX, "env", NULL);
	bytes_text(&out, "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n");
	scgi_build(&out, variables, "", 0);
	client_open(&client, daemon_address(&daemon));
	client_send(&client, out.data, out.length);
	client_read_all(&client);
	cr_expect(strstr(client.in.data, "\"REMOTE_ADDR\":\"5.6.7.8\""), "%s", client.in.data);
	client_close(&client);
	bytes_free(&out);
	daemon_stop(&daemon);
}

/* A header that does not come is waited for as long as a request's. */
Test(trust, proxy_header_in_time, .timeout = 120)
{
	struct client client;
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", "-l", "http=127.0.0.1:0", "-s",
	        "listen.proxy_protocol=on", "-s", NGINX, "-s", "limits.header_timeout=200ms", "env",
	        NULL);
	client_open(&client, daemon_address(&daemon));
	client_send(&client, "PROXY TCP4 ", 11);
	client_read_all(&client);
	cr_expect_eq(client.in.length, 0, "%s", client.in.data);
	client_close(&client);
	daemon_expect(&daemon, "no complete request within limits.header_timeout");
	daemon_stop(&daemon);
}

/* ---- who may connect ---- */

static const struct closed_row {
	const char *set, *trusted, *log;
} closed[] = {
	{ "listen.proxy_protocol=on", OTHERS, "not one of trusted_proxies" },
	{ "listen.allowed_clients=10.0.0.0/8", NGINX, "refused: not one of allowed_clients" },
	{ "listen.allowed_clients=user:0", NGINX, "refused: not one of allowed_clients" },
};

/* Closed at once: the client sends nothing, and is not waited for. */
Test(trust, closed_before_a_byte, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(closed); i++) {
		struct client client;
		struct daemon daemon;

		daemon_start(&daemon, 1, "-w", "1", "-l", "http=127.0.0.1:0", "-s", closed[i].set,
		        "-s", closed[i].trusted, "-s", "limits.header_timeout=1h", "env", NULL);
		client_open(&client, daemon_address(&daemon));
		client_read_all(&client);
		cr_expect_eq(client.in.length, 0);
		client_close(&client);
		daemon_expect(&daemon, closed[i].log);
		daemon_stop(&daemon);
	}
}

Test(trust, allowed_clients, .timeout = 60)
{
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", "-l", "http=127.0.0.1:0", "-s",
	        "listen.allowed_clients=10.0.0.0/8, 127.0.0.0/8", "hello", NULL);
	http_check(daemon_address(&daemon), "/", 200, NULL);
	daemon_stop(&daemon);
}

Test(trust, nobody_to_believe, .timeout = 60)
{
	struct process process;
	int status = daemon_run(&process, "-l", "http=127.0.0.1:0", "-s",
	        "listen.proxy_protocol=on", "hello", NULL);

	cr_expect_eq(status, 2);
	cr_expect(strstr(process.err.data, "proxy_protocol but no trusted_proxies"), "%s",
	        process.err.data);
	process_free(&process);
}
