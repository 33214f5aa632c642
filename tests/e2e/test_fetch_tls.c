/* Real nginx as the other server: certificates, connections that are used again, large answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/certificate.h"
#include "tests/support/fetching.h"
#include "tests/support/nginx.h"

SUITE(fetch_tls);

#define AG_UNTRUSTED "-11"

/* Its servers. */
enum { GOOD, OTHER, EXPIRED, PLAIN };

static struct nginx nginx;
static void write_tls(FILE *file, const char *address, const char *name)
{
	fprintf(file,
	        "server { listen %s ssl; ssl_certificate %s/%s.pem; ssl_certificate_key "
	        "%s/%s.key;\n"
	        "location / { return 200 \"$connection_requests $request_method\"; } }\n",
	        address, support_directory(), name, support_directory(), name);
}

static void write_servers(FILE *file, const struct nginx *servers)
{
	const char *port = strchr(servers->address[GOOD], ':');

	write_tls(file, servers->address[GOOD], "good");
	write_tls(file, servers->address[OTHER], "other");
	write_tls(file, servers->address[EXPIRED], "expired");
	fprintf(file,
	        "server { listen %s; root %s;\n"
	        "location / { }\n"
	        "location /count { return 200 \"$connection_requests $request_method\"; }\n"
	        "location /moved { return 301 https://localhost%s/; } }\n",
	        servers->address[PLAIN], support_directory(), port);
}

static void begin(void)
{
	certificate_write("good", "localhost", 3600);
	certificate_write("other", "other.test", 3600);
	certificate_write("expired", "localhost", -3600);
	nginx_start_as(&nginx, write_servers);
	fetching_begin("app.debug=off");
}

static void end(void)
{
	fetching_end();
	nginx_stop(&nginx);
}

/* The query for a server by this name, with this file for `ca`, or NULL. */
static const char *query(int server, const char *host, const char *path, const char *ca)
{
	static char text[512];
	const char *port = strchr(nginx.address[server], ':');
	int length = snprintf(text, sizeof text, "url=%s://%s%s%s",
	        server == PLAIN ? "http" : "https", host, port, path);

	if (ca)
		snprintf(text + length, sizeof text - (size_t)length, "&ca=%s",
		        *ca == '/' ? ca : support_path(ca));
	return text;
}

static const struct {
	int server;
	const char *host, *path, *ca, *result;
} rows[] = {
	{ GOOD, "localhost", "/", NULL, AG_UNTRUSTED " 0 0\n" },
	{ GOOD, "localhost", "/", "good.pem", "0 200 5\n1 GET" },
	{ GOOD, "localhost", "/", "good.pem", "0 200 5\n2 GET" },
	{ GOOD, "localhost", "/&body=a", "good.pem", "0 200 6\n3 POST" },
	/* a connection that is trusted because of one file is not for who has not named it */
	{ GOOD, "localhost", "/", NULL, AG_UNTRUSTED " 0 0\n" },
	{ GOOD, "localhost", "/", "other.pem", AG_UNTRUSTED " 0 0\n" },
	{ GOOD, "localhost", "/", "/no/such/file", AG_UNTRUSTED " 0 0\n" },
	{ GOOD, "127.0.0.1", "/", "good.pem", AG_UNTRUSTED " 0 0\n" },
	{ OTHER, "localhost", "/", "other.pem", AG_UNTRUSTED " 0 0\n" },
	{ EXPIRED, "localhost", "/", "expired.pem", AG_UNTRUSTED " 0 0\n" },
	{ PLAIN, "localhost", "/moved&redirects=1", NULL, AG_UNTRUSTED " 0 0\n" },
	{ PLAIN, "localhost", "/moved&redirects=1", "good.pem", "0 200 5\n4 GET" },
	{ GOOD, "localhost", "/&show=error", NULL,
	        AG_UNTRUSTED " 0 0 SSL certificate problem: self-signed certificate\n" },
};

Test(fetch_tls, certificates, .timeout = 60)
{
	begin();
	for (size_t i = 0; i < COUNT(rows); i++)
		fetching_check(FETCHING_GATE(i),
		        query(rows[i].server, rows[i].host, rows[i].path, rows[i].ca), NULL,
		        rows[i].result);
	end();
}

/* A client that leaves while the handshake goes on, and others with 20 connections at once. */
Test(fetch_tls, many_at_once, .timeout = 60)
{
	struct response response;
	struct client client;
	unsigned good = 0;

	begin();
	for (int i = 0; i < 8; i++) {
		fetching_ask(FETCHING_GATE(i), query(GOOD, "localhost", "/&times=20", "good.pem"),
		        NULL, &client);
		client_close(&client);
	}
	fetching_ask("http", query(GOOD, "localhost", "/&times=20", "good.pem"), NULL, &client);
	gate_answer("http", &client, &response);
	for (const char *at = response.body.data; (at = strstr(at, "0 200 ")); at++)
		good++;
	cr_expect_eq(good, 20, "%s", response.body.data);
	response_free(&response);
	end();
}

Test(fetch_tls, without, .timeout = 60)
{
	begin();
	for (int i = 1; i <= 9; i++) {
		char wanted[32];

		snprintf(wanted, sizeof wanted, "0 200 6\n%d POST", i);
		fetching_check(FETCHING_GATE(i),
		        query(PLAIN, "127.0.0.1", "/count&stream=1&method=POST", NULL), NULL,
		        i == 1 ? wanted : "0 200 6\n1 POST");
	}
	end();
}

#define LARGE 5000000

/* What nginx has on disk, whole, against what is allowed. */
Test(fetch_tls, large_answers, .timeout = 60)
{
	struct response response;
	struct client client;
	char *noise = support_noise(LARGE);
	FILE *file = fopen(support_path("large"), "we");

	cr_assert(file && fwrite(noise, 1, LARGE, file) == LARGE);
	fclose(file);
	begin();
	fetching_ask(
	        "http", query(PLAIN, "127.0.0.1", "/large&limit=5000000", NULL), NULL, &client);
	gate_answer("http", &client, &response);
	cr_assert_eq(
	        strncmp(response.body.data, "0 200 5000000\n", 14), 0, "%.40s", response.body.data);
	cr_expect_eq(response.body.length, LARGE + 14);
	cr_expect_eq(memcmp(response.body.data + 14, noise, LARGE), 0);
	response_free(&response);
	fetching_check("scgi", query(PLAIN, "127.0.0.1", "/large&limit=4999999", NULL), NULL,
	        "-13 200 0\n");
	fetching_check("uwsgi", query(PLAIN, "127.0.0.1", "/large", NULL), NULL, "-13 200 0\n");
	end();
	free(noise);
}
