/* daemon/log_template.c, daemon/log_fields.c: lines of the access log, and formats that are none.
 */
#include "../support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log_template.h"
#include "tests/support/json.h"
#include "tests/support/loopback.h"

SUITE(log_template);

/* ---- formats ---- */

#define UNKNOWN(field, nearest) "unknown field {" field "}; did you mean {" nearest "}?"

static const struct format_row {
	const char *format, *error; /* NULL: it is one */
} formats[] = {
	{ "combined", NULL },
	{ "json", NULL },
	{ "{method}", NULL },
	{ "{{{method}}}", NULL },
	{ "{header:X-Real-IP} {env:HTTPS}", NULL },
	{ "{stauts}", UNKNOWN("stauts", "status") },
	{ "{uri} {Status}", UNKNOWN("Status", "status") },
	{ "{duration}", UNKNOWN("duration", "duration_ms") },
	{ "{elephant}", "unknown field {elephant}; anygate(8) lists them" },
	{ "{a name that is much longer than any there is}",
	        "unknown field {a name that is much longer than}; anygate(8) lists them" },
	{ "{}", "unknown field {}; anygate(8) lists them" },
	{ "{header:}", "unknown field {header:}; anygate(8) lists them" },
	{ "{header:a b}", "\"a b\" is not a header's name" },
	{ "{env:}", "unknown field {env:}; anygate(8) lists them" },
	{ "{uri", "a single \"{\"; write {FIELD}, or {{ for one in the text" },
	{ "{uri}}", "a single \"}\"; write {FIELD}, or }} for one in the text" },
	{ "combned", "unknown format; did you mean combined?" },
	{ "jsno", "unknown format; did you mean json?" },
	{ "all of it", "expected combined, json or a template with a {FIELD} in it" },
};

Test(log_template, formats)
{
	for (size_t i = 0; i < COUNT(formats); i++) {
		const struct format_row *row = &formats[i];
		char error[256] = "";
		struct log_template *made = log_template_new(row->format, error, sizeof error);

		cr_expect_eq(made == NULL, row->error != NULL, "%s: %s", row->format, error);
		cr_expect_str_eq(error, row->error ? row->error : "", "%s", row->format);
		log_template_free(made);
	}
}

static const struct timed_row {
	const char *format;
	bool timed;
} timed[] = {
	{ "combined", false },
	{ "json", true },
	{ "{uri} {status}", false },
	{ "{run_ms}", true },
};

Test(log_template, asks_for_times_only_where_it_tells_them)
{
	for (size_t i = 0; i < COUNT(timed); i++) {
		char error[256];
		struct log_template *made = log_template_new(timed[i].format, error, sizeof error);

		cr_assert(made, "%s", error);
		cr_expect_eq(log_template_is_timed(made), timed[i].timed, "%s", timed[i].format);
		log_template_free(made);
	}
}

/* ---- lines ---- */

/* The line that `format` makes of a request; at most `most` bytes of a value. */
static void make_line(
        char *line, size_t size, const char *format, const struct log_entry *entry, size_t most)
{
	struct writer out = { (uint8_t *)line, (uint8_t *)line + size - 1, false };
	char error[256];
	struct log_template *made = log_template_new(format, error, sizeof error);

	cr_assert(made, "%s: %s", format, error);
	log_template_write(made, entry, most, &out);
	cr_assert(!out.overflow);
	*out.at = '\0';
	log_template_free(made);
}

#define ASKED                                                                                      \
	"REQUEST_METHOD=GET|REQUEST_URI=/a%20b?c=d|SERVER_PROTOCOL=HTTP/"                          \
	"1.1|REMOTE_ADDR=192.0.2.1|"                                                               \
	"HTTP_HOST=gate.test|HTTP_X_TENANT=t 1"

static const struct line_row {
	const char *name, *variables, *format, *line;
} lines[] = {
	{ "text", ASKED, "a {{b}} {method} %d", "a {b} GET %d" },
	{ "request", ASKED, "{request}", "GET /a%20b?c=d HTTP/1.1" },
	{ "parts", ASKED, "{method} {uri} {path} {query} {host}",
	        "GET /a%20b?c=d /a b c=d gate.test" },
	{ "no answer", ASKED, "{status} {bytes} {cut}", "499 0 1" },
	{ "absent", ASKED, "{referer} {remote_user} {env:X}", "- - -" },
	{ "header", ASKED, "{header:x-tenant}", "t 1" },
	{ "variable", ASKED, "{env:HTTP_X_TENANT}", "t 1" },
	{ "gate and worker", ASKED, "{gate} {worker} {app} {mount}", "loopback 1 main -" },
	{ "peer unknown", "REQUEST_METHOD=GET|REQUEST_URI=/", "{remote_addr}", "203.0.113.9" },
	{ "forged line", "REQUEST_METHOD=GET|REQUEST_URI=/\n- - GET", "{uri} {status}",
	        "/\\x0a-\\x20-\\x20GET 499" },
	{ "forged field", "REQUEST_METHOD=GET|REQUEST_URI=/ 200 5", "{uri} {status}",
	        "/\\x20200\\x205 499" },
	{ "forged quote", "REQUEST_METHOD=GET|REQUEST_URI=/|HTTP_USER_AGENT=a\" 200 \\",
	        "\"{user_agent}\"", "\"a\\x22 200 \\x5c\"" },
	{ "id of a gateway", ASKED "|REQUEST_ID=abc-1", "{request_id}", "abc-1" },
	{ "id of nobody we trust", ASKED "|HTTP_X_REQUEST_ID=abc-1", "{request_id}",
	        "0000000000ab-1" },
	{ "id that is none", ASKED "|REQUEST_ID=a b", "{request_id}", "0000000000ab-1" },
};

Test(log_template, lines)
{
	for (size_t i = 0; i < COUNT(lines); i++) {
		const struct line_row *row = &lines[i];
		struct loopback loop;
		char line[1024];

		loopback_open(&loop);
		loop.runtime.seed = 0xab;
		loopback_head(&loop, pairs_of(row->variables));
		struct log_entry entry = { loop.req, "203.0.113.9", 0 };

		make_line(line, sizeof line, row->format, &entry, 1000);
		cr_expect_str_eq(line, row->line, "%s: %s", row->name, line);
		loopback_close(&loop);
	}
}

/* As web servers have it: nine fields, of which the fourth is the time. */
Test(log_template, combined)
{
	struct loopback loop;
	char line[1024], day[16], zone[16];
	int n = 0;

	loopback_open(&loop);
	loopback_head(&loop, pairs_of(ASKED "|HTTP_REFERER=http://a/"));
	struct log_entry entry = { loop.req, NULL, 0 };

	make_line(line, sizeof line, "combined", &entry, 1000);
	cr_assert_eq(sscanf(line, "192.0.2.1 - - [%11[0-9A-Za-z/]:%*d:%*d:%*d %7[+0-9]] %n", day,
	                     zone, &n),
	        2, "%s", line);
	cr_expect_eq(strlen(zone), 5);
	cr_expect_str_eq(line + n, "\"GET /a%20b?c=d HTTP/1.1\" 499 0 \"http://a/\" \"-\"");
	loopback_close(&loop);
}

Test(log_template, json)
{
	struct loopback loop;
	char line[2048];

	loopback_open(&loop);
	loop.runtime.seed = 0xab;
	loopback_head(&loop, pairs_of(ASKED "|HTTP_USER_AGENT=\xff\"\xc3\xa9"));
	loop.req->since = 1000;
	loop.req->ran = 1500;
	struct log_entry entry = { loop.req, NULL, 13345 };

	make_line(line, sizeof line, "json", &entry, 1000);
	json_expect(line, "uri", "/a%20b?c=d");
	json_expect(line, "user_agent", "\xff\"\xc3\xa9");
	json_expect(line, "referer", "null");
	json_expect(line, "status", "499");
	json_expect(line, "cut", "true");
	json_expect(line, "duration_ms", "12.345");
	json_expect(line, "run_ms", "1.500");
	json_expect(line, "wait_ms", "10.845");
	json_expect(line, "request_id", "0000000000ab-1");
	cr_expect(strstr(line, "\\u00ff\\\"\xc3\xa9"), "%s", line);
	loopback_close(&loop);
}

/* A value is cut; a JSON line stays one. */
Test(log_template, long_values)
{
	char variables[4096], line[8192], *uri;
	struct loopback loop;

	snprintf(variables, sizeof variables,
	        "REQUEST_METHOD=GET|REQUEST_URI=/%02000d|REMOTE_ADDR=192.0.2.1", 0);
	loopback_open(&loop);
	loopback_head(&loop, pairs_of(variables));
	struct log_entry entry = { loop.req, NULL, 0 };

	make_line(line, sizeof line, "{uri} {status}", &entry, 8);
	cr_expect_str_eq(line, "/0000000... 499");
	make_line(line, sizeof line, "json", &entry, 100);
	uri = json_get(line, "uri");
	cr_assert(uri, "%s", line);
	cr_expect_eq(strlen(uri), 103);
	free(uri);
	loopback_close(&loop);
}

/* What is not complete yet may hold anything: it is not looked at. */
Test(log_template, before_the_head)
{
	struct loopback loop;
	char line[1024];

	loopback_open(&loop);
	struct ag_request *req = request_new(
	        &loop.runtime, &(struct gate){ .protocol = "scgi" }, &loop, 1);

	cr_assert(req);
	cr_assert(env_reserve(&req->env, 12, 100));
	struct log_entry entry = { req, NULL, 5 };

	make_line(line, sizeof line,
	        "{request} {header:a-header} {remote_addr} {duration_ms} {gate}", &entry, 1000);
	cr_expect_str_eq(line, "- - - 0.000 scgi");
	request_free(req);
	loopback_close(&loop);
}
