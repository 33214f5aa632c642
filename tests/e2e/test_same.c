/* The same request through every gate of a real nginx reads the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/nginx.h"

SUITE(same);

/* What has to be the same, besides all of HTTP_*. */
static const char *const facts[] = {
	"path",
	"mount",
	"args",
	"body/bytes",
	"body/sha256",
	"env/REQUEST_METHOD",
	"env/REQUEST_URI",
	"env/QUERY_STRING",
	"env/CONTENT_TYPE",
	"env/CONTENT_LENGTH",
	"env/REMOTE_ADDR",
	"env/SERVER_NAME",
	"env/REQUEST_SCHEME",
};

/* What may differ, and why. */
static const struct difference {
	const char *name, *reason;
} differences[] = {
	{ "HTTP_CONNECTION", "of the hop from nginx to us with HTTP: never the client's" },
	{ "HTTP_CONTENT_LENGTH", "nginx repeats the fields of the body for the CGI gates" },
	{ "HTTP_CONTENT_TYPE", "nginx repeats the fields of the body for the CGI gates" },
};

static bool may_differ(const char *name)
{
	for (size_t i = 0; i < COUNT(differences); i++)
		if (strcmp(differences[i].name, name) == 0)
			return true;
	return false;
}

static const struct same_row {
	const char *method, *target, *fields, *body;
} rows[] = {
	{ "GET", "/", NULL, NULL },
	{ "GET", "/x?y=1&y=2&z", NULL, NULL },
	{ "GET", "/a%20b/%C3%A9/c+d?q=%26&r=a+b", NULL, NULL },
	{ "GET", "/?", NULL, NULL },
	{ "GET", "/a/../b//c/./d", NULL, NULL },
	{ "HEAD", "/x", NULL, NULL },
	{ "POST", "/form", "Content-Type: application/x-www-form-urlencoded\r\n", "a=1&b=2" },
	{ "POST", "/empty", NULL, "" },
	{ "PUT", "/data", "Content-Type: application/octet-stream\r\n", "\x01\x02\xff" },
	{ "DELETE", "/data", NULL, NULL },
	{ "GET", "/fields",
	        "Accept: text/html, */*;q=0.1\r\nX-One: 1\r\nX-Empty:\r\nAuthorization: Basic "
	        "dTpw\r\nReferer: http://gate.test/?a=b\r\n",
	        NULL },
	{ "GET", "/utf8", "X-Text: \xc3\xa9\r\n", NULL },
	{ "GET", "/cookies", "Cookie: a=1; b=2\r\n", NULL },
	{ "GET", "/repeated", "X-Two: 1\r\nX-Two: 2\r\n", NULL },
	{ "GET", "/proxy", "Proxy: http://evil.test/\r\n", NULL },
	{ "GET", "/host", "Host: gate.test\r\nX-Forwarded-For: 10.1.2.3\r\n", NULL },
};

static void compare(const struct same_row *row, const char *gate, const char *path,
        const char *first, const char *other)
{
	cr_expect(first && other ? strcmp(first, other) == 0 : first == other,
	        "%s %s through %s: %s is %s, not %s", row->method, row->target, gate, path,
	        other ? other : "missing", first ? first : "missing");
}

static void compare_at(const struct same_row *row, const char *gate, const char *path,
        const char *first, const char *other)
{
	char *one = json_get(first, path), *two = json_get(other, path);

	compare(row, gate, path, one, two);
	free(one);
	free(two);
}

/* Every HTTP_* of one is in the other. */
static void compare_fields(
        const struct same_row *row, const char *gate, const char *first, const char *other)
{
	char *name, *value, path[256];

	for (size_t i = 0; json_member(first, "env", i, &name, &value); i++) {
		if (strncmp(name, "HTTP_", 5) == 0 && !may_differ(name)) {
			snprintf(path, sizeof path, "env/%s", name);
			compare_at(row, gate, path, first, other);
		}
		free(name);
		free(value);
	}
}

/* What the inspector said through a gate. A HEAD has no body to compare, only its head. */
static struct response ask(const struct nginx *nginx, size_t gate, const struct same_row *row)
{
	struct response response;

	http_request(nginx->address[gate], row->method, row->target, row->fields, row->body,
	        row->body ? strlen(row->body) : 0, &response);
	cr_expect_eq(response.status, 200, "%s %s through %s: %d", row->method, row->target,
	        nginx_gates[gate].name, response.status);
	cr_expect(response.whole);
	return response;
}

static void check_row(const struct nginx *nginx, const struct same_row *row)
{
	struct response first = ask(nginx, 0, row);

	if (strcmp(row->method, "HEAD") != 0)
		json_expect(first.body.data, "env/REMOTE_ADDR", "127.0.0.1");
	for (size_t gate = 1; gate < NGINX_GATES; gate++) {
		const char *name = nginx_gates[gate].name;
		struct response other = ask(nginx, gate, row);

		for (size_t i = 0; i < COUNT(facts); i++)
			compare_at(row, name, facts[i], first.body.data, other.body.data);
		compare_fields(row, name, first.body.data, other.body.data);
		compare_fields(row, name, other.body.data, first.body.data);
		response_free(&other);
	}
	response_free(&first);
}

Test(same, through_every_gate, .timeout = 120)
{
	struct daemon daemon;
	struct nginx nginx;

	daemon_start(&daemon, 1, "-l", "127.0.0.1:0", "env", NULL);
	nginx_start_all(&nginx, daemon_address(&daemon));
	for (size_t i = 0; i < COUNT(rows); i++)
		check_row(&nginx, &rows[i]);
	nginx_stop(&nginx);
	daemon_stop(&daemon);
}

/* HTTP_PROXY is a variable that programs obey (CVE-2016-5385): it never arrives. */
Test(same, no_http_proxy, .timeout = 120)
{
	struct daemon daemon;
	struct nginx nginx;

	daemon_start(&daemon, 1, "-l", "127.0.0.1:0", "env", NULL);
	nginx_start_all(&nginx, daemon_address(&daemon));
	for (size_t gate = 0; gate < NGINX_GATES; gate++) {
		struct response response;

		http_request(nginx.address[gate], "GET", "/", "Proxy: http://evil.test/\r\n", NULL,
		        0, &response);
		cr_expect_eq(response.status, 200);
		json_expect(response.body.data, "env/HTTP_PROXY", NULL);
		response_free(&response);
	}
	nginx_stop(&nginx);
	daemon_stop(&daemon);
}
