/* The authorizer role of FastCGI (6.3): by a client of our own, and behind gateways that ask. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/gateway.h"
#include "tests/support/json.h"

SUITE(authorizer);

#define EXAMPLE DAEMON_APPS "authorizer.so"

static void start(struct daemon *daemon, const char *app)
{
	daemon_start(daemon, 1, "-w", "1", "-P", "fastcgi", "-l", "127.0.0.1:0", app, NULL);
}

/* ---- our own client ---- */

/* What is asked with this key; the length is of a body that an authorizer does not get. */
static void ask(struct bytes *out, unsigned id, unsigned role, const char *key)
{
	gate_variables variables = { "REQUEST_METHOD", "POST", "REQUEST_URI", "/private/x",
		"CONTENT_LENGTH", "1000000000", "HTTP_X_KEY", key, NULL };

	fastcgi_open(out, id, role, FASTCGI_KEEP, variables);
}

static const struct {
	const char *key;
	bool stdin; /* a stream that must not be there */
	int status;
	const char *owner;
} asked[] = {
	{ "mellon", false, 200, "frodo" },
	{ "open-sesame", true, 200, "ali" },
	{ "sesame", false, 403, "" },
	{ "", true, 403, "" },
};

/* All on one connection, with one id. */
Test(authorizer, client, .timeout = 60)
{
	struct daemon daemon;
	struct client client;

	start(&daemon, EXAMPLE);
	client_open(&client, daemon_address(&daemon));
	for (size_t i = 0; i < COUNT(asked); i++) {
		struct bytes out = { 0 };
		struct response response;

		ask(&out, 5, 2, asked[i].key);
		if (asked[i].stdin) {
			fastcgi_record(&out, FASTCGI_STDIN, 5, "hello", 5);
			fastcgi_record(&out, FASTCGI_STDIN, 5, NULL, 0);
		}
		client_send(&client, out.data, out.length);
		fastcgi_response(&client, 5, &response);
		cr_expect(response.whole, "%zu", i);
		cr_expect_eq(response.status, asked[i].status, "%zu: %d", i, response.status);
		cr_expect_str_eq(response_field(&response, "Variable-KEY_OWNER"), asked[i].owner);
		response_free(&response);
		bytes_free(&out);
	}
	client_close(&client);
	daemon_stop(&daemon);
}

/* A responder's request is none of this example's business. */
Test(authorizer, responder, .timeout = 60)
{
	gate_variables variables = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/", "HTTP_X_KEY",
		"mellon", NULL };
	struct response response;
	struct daemon daemon;

	start(&daemon, EXAMPLE);
	gate_request("fastcgi", daemon_address(&daemon), variables, NULL, 0, &response);
	cr_expect_eq(response.status, 403);
	cr_expect_str_eq(response_field(&response, "Variable-KEY_OWNER"), "");
	response_free(&response);
	daemon_stop(&daemon);
}

/* The length of a body that does not come is no variable, and no body is waited for. */
Test(authorizer, no_body, .timeout = 60)
{
	struct response response;
	struct bytes out = { 0 };
	struct daemon daemon;
	struct client client;

	start(&daemon, "env");
	client_open(&client, daemon_address(&daemon));
	ask(&out, 1, 2, "");
	client_send(&client, out.data, out.length);
	fastcgi_response(&client, 1, &response);
	cr_assert_eq(response.status, 200, "%d", response.status);
	json_expect(response.body.data, "env/CONTENT_LENGTH", NULL);
	json_expect(response.body.data, "body/bytes", "0");
	response_free(&response);
	client_close(&client);
	bytes_free(&out);
	daemon_stop(&daemon);
}

/* ---- real gateways ---- */

/* Who serves what lies behind the question. */
static const char *served_by;

static void lighttpd(FILE *file, const struct gateway *gateway, const char *backend)
{
	const char *directory = support_directory(), *colon = strchr(backend, ':');

	fprintf(file, "server.modules = (\"mod_fastcgi\")\nserver.document-root = \"%s\"\n",
	        directory);
	fprintf(file, "server.errorlog = \"%s/lighttpd.log\"\nserver.pid-file = \"%s/pid\"\n",
	        directory, directory);
	fprintf(file, "server.bind = \"127.0.0.1\"\nserver.port = %s\n",
	        strchr(gateway->address[0], ':') + 1);
	fprintf(file,
	        "fastcgi.server = (\"/private.\" => ((\"host\" => \"%.*s\", \"port\" => %s, "
	        "\"mode\" => \"authorizer\", \"docroot\" => \"%s\")))\n",
	        (int)(colon - backend), backend, colon + 1, directory);
}

static void apache(FILE *file, const struct gateway *gateway, const char *backend)
{
	static const char *const modules[] = { "mpm_event", "authz_core", "authn_core",
		"authz_user", "auth_basic", "authnz_fcgi", "proxy", "proxy_fcgi" };

	gateway_apache_head(file, modules, COUNT(modules));
	fprintf(file, "Listen %s\nAuthnzFcgiDefineProvider authn keys fcgi://%s/\n",
	        gateway->address[0], backend);
	fprintf(file, "<Location \"/private.txt\">\nAuthType None\n"
	              "AuthnzFcgiCheckAuthnProvider keys Authoritative On RequireBasicAuth Off "
	              "UserExpr \"%%{reqenv:KEY_OWNER}\"\nRequire valid-user\n</Location>\n");
	fprintf(file, "ProxyPass / fcgi://%s/\n", served_by);
}

static void expect_answer(
        const struct gateway *gateway, const char *key, int status, const char *body)
{
	struct response response;
	char field[64];

	snprintf(field, sizeof field, "X-Key: %s\r\n", key);
	http_request(gateway->address[0], "GET", "/private.txt", field, NULL, 0, &response);
	cr_expect_eq(
	        response.status, status, "%s, %s: %d", gateway->kind->name, key, response.status);
	bytes_text(&response.body, "");
	cr_expect(strstr(response.body.data, body), "%s, %s: %s", gateway->kind->name, key,
	        response.body.data);
	response_free(&response);
}

/* lighttpd serves a file of its own to those who are let in. */
Test(authorizer, lighttpd, .timeout = 60)
{
	FILE *file = fopen(support_path("private.txt"), "we");
	struct gateway gateway;
	struct daemon daemon;

	cr_assert(file, "%s", strerror(errno));
	fputs("a secret\n", file);
	fclose(file);
	start(&daemon, EXAMPLE);
	gateway_start_as(&gateway, &gateway_kinds[2], 1, lighttpd, daemon_address(&daemon));
	expect_answer(&gateway, "wrong", 403, "Forbidden");
	expect_answer(&gateway, "mellon", 200, "a secret\n");
	expect_answer(&gateway, "wrong", 403, "Forbidden");
	gateway_stop(&gateway);
	daemon_stop(&daemon);
}

/* Apache asks another server for the answer, which gets the variable. */
Test(authorizer, apache, .timeout = 60)
{
	struct daemon daemon, server;
	struct gateway gateway;

	start(&daemon, EXAMPLE);
	start(&server, "env");
	served_by = daemon_address(&server);
	gateway_start_as(&gateway, &gateway_kinds[1], 1, apache, daemon_address(&daemon));
	expect_answer(&gateway, "wrong", 403, "Forbidden");
	expect_answer(&gateway, "mellon", 200, "\"KEY_OWNER\":\"frodo\"");
	expect_answer(&gateway, "open-sesame", 200, "\"REMOTE_USER\":\"ali\"");
	gateway_stop(&gateway);
	daemon_stop(&server);
	daemon_stop(&daemon);
}
