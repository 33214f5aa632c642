/* The files of deploy/ for gateways, with ports of ours, under the real programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/gateway.h"
#include "tests/support/json.h"
#include "tests/support/wsclient.h"

SUITE(deploy);

/* One way through a gateway: a file, and which of its lines are to change places. */
struct way {
	const char *name, *file;
	const char *off; /* begins the lines that are left out; or NULL: none */
	const char *on;  /* begins the first of those in a comment that are put in */
	unsigned lines;  /* how many */
	const char *protocol;
	bool websockets;
};

static const struct way ways[] = {
	{ "Apache", "apache/anygate.conf", NULL, NULL, 0, "http", true },
	{ "Apache", "apache/anygate.conf", "ProxyPass ", "#ProxyPass \"/\" \"fcgi:", 1, "fastcgi",
	        false },
	{ "Apache", "apache/anygate.conf", "ProxyPass ", "#ProxyPass \"/\" \"scgi:", 1, "scgi",
	        false },
	{ "Apache", "apache/anygate.conf", "ProxyPass ", "#ProxyPass \"/\" \"uwsgi:", 1, "uwsgi",
	        false },
	{ "lighttpd", "lighttpd/anygate.conf", NULL, NULL, 0, "http", true },
	{ "lighttpd", "lighttpd/anygate.conf", "proxy.", "#fastcgi.", 1, "fastcgi", false },
	{ "lighttpd", "lighttpd/anygate.conf", "proxy.", "#scgi.server", 1, "scgi", false },
	{ "lighttpd", "lighttpd/anygate.conf", "proxy.", "#scgi.protocol", 2, "uwsgi", false },
	{ "HAProxy", "haproxy/anygate.cfg", NULL, NULL, 0, "http", true },
	{ "HAProxy", "haproxy/anygate.cfg", "default_backend", "#default_backend", 1, "fastcgi",
	        false },
	{ "Caddy", "caddy/Caddyfile", NULL, NULL, 0, "http", true },
	{ "Caddy", "caddy/Caddyfile", "reverse_proxy", "#reverse_proxy", 5, "fastcgi", false },
};

/* What each program needs before the file, as Debian's main files have it; %1$s: the test's
 * directory, %2$s: the port. */
static const struct {
	const char *name, *head;
	const char *from, *to; /* within the file; %s: the port */
} programs[] = {
	{ "Apache",
	        "ServerRoot %1$s\nPidFile %1$s/apache.pid\nErrorLog %1$s/apache.log\n"
	        "DefaultRuntimeDir %1$s\nServerName gate.test\nListen 127.0.0.1:%2$s\n"
	        "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n"
	        "LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n"
	        "LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so\n"
	        "LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so\n"
	        "LoadModule proxy_fcgi_module /usr/lib/apache2/modules/mod_proxy_fcgi.so\n"
	        "LoadModule proxy_scgi_module /usr/lib/apache2/modules/mod_proxy_scgi.so\n"
	        "LoadModule proxy_uwsgi_module /usr/lib/apache2/modules/mod_proxy_uwsgi.so\n",
	        "*:80>", "*:%s>" },
	{ "lighttpd",
	        "server.document-root = \"%1$s\"\nserver.upload-dirs = (\"%1$s\")\n"
	        "server.errorlog = \"%1$s/lighttpd.log\"\nserver.pid-file = \"%1$s/pid\"\n"
	        "server.bind = \"127.0.0.1\"\nserver.port = %2$s\n",
	        NULL, NULL },
	{ "HAProxy",
	        "defaults\n\tmode http\n\ttimeout connect 5000\n\ttimeout client 50000\n"
	        "\ttimeout server 50000\n",
	        "bind :80", "bind 127.0.0.1:%s" },
	{ "Caddy", "{\n\tadmin off\n\tauto_https off\n}\n", "example.com {",
	        "http://:%s {\n\tbind 127.0.0.1" },
};

static const struct way *way; /* for the gateway's own callback */

/* The line, without its comment where it is one of those to be put in; NULL: left out. */
static const char *choose(const char *line, char *buffer, size_t size, unsigned *left)
{
	size_t indent = strspn(line, "\t");
	const char *text = line + indent;

	if (way->on && strncmp(text, way->on, strlen(way->on)) == 0)
		*left = way->lines;
	if (*left > 0) {
		cr_assert_eq(*text, '#', "%s", line);
		--*left;
		snprintf(buffer, size, "%.*s%s", (int)indent, line, text + 1);
		return buffer;
	}
	return way->off && strncmp(text, way->off, strlen(way->off)) == 0 ? NULL : line;
}

/* Writes a line with its first `from` replaced. */
static void write_line(FILE *out, const char *line, const char *from, const char *to)
{
	const char *at = from ? strstr(line, from) : NULL;

	if (at)
		fprintf(out, "%.*s%s%s", (int)(at - line), line, to, at + strlen(from));
	else
		fputs(line, out);
}

static void copy(FILE *out, const char *port, const char *from, const char *format)
{
	char path[256], line[512], chosen[512], to[128] = "";
	FILE *in;
	unsigned left = 0, puts = 0;

	snprintf(path, sizeof(path), SOURCE_DIR "/deploy/%s", way->file);
	in = fopen(path, "re");
	cr_assert(in, "%s", path);
	if (format)
		snprintf(to, sizeof(to), format, port);
	while (fgets(line, sizeof(line), in)) {
		bool pending = left > 0;
		const char *text = choose(line, chosen, sizeof(chosen), &left);

		puts += pending || text == chosen;
		if (text && strstr(text, "example.com") && !from)
			write_line(out, text, "example.com", "gate.test");
		else if (text)
			write_line(out, text, from, to);
	}
	cr_assert_eq(puts, way->lines, "%s: %s", path, way->on);
	fclose(in);
}

/* The file, in which the daemon's port is another. */
static void write_config(FILE *file, const struct gateway *gateway, const char *backend)
{
	const char *port = strchr(gateway->address[0], ':') + 1;
	char *text, *at, *rest;
	size_t size, i = 0;
	FILE *memory = open_memstream(&text, &size);

	while (strcmp(programs[i].name, way->name) != 0)
		i++;
	fprintf(memory, programs[i].head, support_directory(), port);
	copy(memory, port, programs[i].from, programs[i].to);
	fclose(memory);
	for (rest = text; (at = strstr(rest, "8888")); rest = at + 4)
		fprintf(file, "%.*s%s", (int)(at - rest), rest, strchr(backend, ':') + 1);
	fputs(rest, file);
	free(text);
}

static void check_request(const char *address)
{
	struct response response;
	char *noise = support_noise(1 << 20), hash[65];

	http_get(address, "/a%20b/c?q=%41b", &response);
	cr_expect_eq(response.status, 200, "%s: %d", way->name, response.status);
	json_expect(response.body.data, "protocol", way->protocol);
	json_expect(response.body.data, "path", "/a b/c");
	json_expect(response.body.data, "args/q/0", "Ab");
	json_expect(response.body.data, "env/REMOTE_ADDR", "127.0.0.1");
	response_free(&response);
	support_sha256(noise, 1 << 20, hash);
	http_request(address, "POST", "/", NULL, noise, 1 << 20, &response);
	cr_expect_eq(response.status, 200, "%s: %d", way->name, response.status);
	json_expect(response.body.data, "body/sha256", hash);
	response_free(&response);
	free(noise);
}

static void check_websocket(const char *address)
{
	struct client client;

	wsclient_open(&client, address, "http", "/echo/x");
	wsclient_send(&client, WEBSOCKET_TEXT, "hello", 5);
	wsclient_expect(&client, WEBSOCKET_TEXT, "hello", 5);
	wsclient_leave(&client);
}

static void check(const char *name)
{
	struct daemon daemon;
	struct gateway gateway;

	daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "-s",
	        "listen.trusted_proxies=127.0.0.1", "-s", "app.echo.load=echo", "-s",
	        "app.echo.mount=/echo", "env", NULL);
	for (size_t i = 0; i < COUNT(ways); i++) {
		size_t kind = 0;

		if (strcmp(ways[i].name, name) != 0)
			continue;
		way = &ways[i];
		while (strcmp(gateway_kinds[kind].name, name) != 0)
			kind++;
		gateway_start_as(
		        &gateway, &gateway_kinds[kind], 1, write_config, daemon_address(&daemon));
		check_request(gateway.address[0]);
		if (way->websockets)
			check_websocket(gateway.address[0]);
		gateway_stop(&gateway);
	}
	daemon_stop(&daemon);
}

Test(deploy, apache, .timeout = 120)
{
	check("Apache");
}

Test(deploy, lighttpd, .timeout = 120)
{
	check("lighttpd");
}

Test(deploy, haproxy, .timeout = 120)
{
	check("HAProxy");
}

Test(deploy, caddy, .timeout = 120)
{
	check("Caddy");
}
