/* CGI programs: what they are given, and what becomes of what they write. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/program.h"

SUITE(cgi);

static const char *const protocols[] = { "fastcgi", "scgi", "uwsgi", "http" };

#define TYPE  "printf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
#define LOCAL "-w", "1", "-l", "127.0.0.1:0"

static struct daemon daemon_under_test;
static const char *address;

/* Starts anygate with one program for every path. */
static void begin(const char *commands)
{
	char key[200];

	snprintf(key, sizeof key, "app.program=%s", program_write("program", commands));
	daemon_start(&daemon_under_test, 1, LOCAL, "-s", key, "cgi", NULL);
	address = daemon_address(&daemon_under_test);
}

/* ---- the body ---- */

static gate_variables post = { "REQUEST_METHOD", "POST", "REQUEST_URI", "/a%20b?c=1",
	"QUERY_STRING", "c=1", "SERVER_PROTOCOL", "HTTP/1.1", "SERVER_NAME", "gate.test",
	"SERVER_PORT", "80", "REMOTE_ADDR", "127.0.0.1", "HTTP_HOST", "gate.test", NULL };

/* Every size through every gate; `wanted` comes back, or with NULL the body itself. */
static void exchange(const char *wanted, size_t length)
{
	static const size_t sizes[] = { 0, 1, 4096, 65537, 1 << 20 };

	for (size_t i = 0; i < COUNT(sizes) * COUNT(protocols); i++) {
		const char *gate = protocols[i % COUNT(protocols)];
		size_t size = sizes[i / COUNT(protocols)];
		char *noise = support_noise(size);
		size_t expected = wanted ? length : size;
		struct response response;

		gate_request(gate, address, post, noise, size, &response);
		cr_expect_eq(response.status, 200, "%s, %zu: %d", gate, size, response.status);
		cr_expect(response.whole, "%s, %zu", gate, size);
		cr_assert_eq(response.body.length, expected, "%s, %zu: %zu bytes", gate, size,
		        response.body.length);
		cr_expect(
		        !expected || !memcmp(response.body.data, wanted ? wanted : noise, expected),
		        "%s, %zu", gate, size);
		response_free(&response);
		free(noise);
	}
}

Test(cgi, body_goes_in_and_comes_back, .timeout = 120)
{
	begin(TYPE "exec cat");
	exchange(NULL, 0);
	daemon_stop(&daemon_under_test);
}

Test(cgi, body_that_nobody_reads, .timeout = 120)
{
	begin(TYPE "echo done");
	exchange("done\n", 5);
	daemon_stop(&daemon_under_test);
}

/* The program writes more than all buffers hold before it reads anything. */
Test(cgi, output_before_input, .timeout = 120)
{
	char *zeros = calloc(1, 3 << 20);

	begin(TYPE "head -c 3145728 /dev/zero; cat >/dev/null");
	exchange(zeros, 3 << 20);
	free(zeros);
	daemon_stop(&daemon_under_test);
}

static const struct length_row {
	const char *request, *length;
} lengths[] = {
	{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "none, read 0" },
	{ "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "3, read 3" },
	{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	  "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
	        "7, read 7" },
	{ "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	        "none, read 0" },
};

Test(cgi, length_is_always_told, .timeout = 60)
{
	begin(TYPE "printf '%s, read %s' \"${CONTENT_LENGTH-none}\" $(wc -c)");
	for (size_t i = 0; i < 2 * COUNT(lengths); i++) {
		const struct length_row *row = &lengths[i / 2];
		struct response response;
		struct client client;

		client_open(&client, address);
		client_send(&client, row->request, strlen(row->request));
		client_flush(&client);
		if (i % 2) /* a client that says it has no more to send is no client that left */
			shutdown(client.fd, SHUT_WR);
		client_response(&client, "POST", &response);
		cr_expect_str_eq(response.body.data, row->length, "%s", row->request);
		response_free(&response);
		client_close(&client);
	}
	daemon_stop(&daemon_under_test);
}

/* ---- the environment ---- */

static gate_variables hostile = { "REQUEST_METHOD", "POST", "REQUEST_URI", "/x?--version",
	"QUERY_STRING", "--version", "SERVER_PROTOCOL", "HTTP/1.1", "SERVER_NAME", "gate.test",
	"SERVER_PORT", "80", "REMOTE_ADDR", "192.0.2.7", "REMOTE_USER", "joe", "CONTENT_TYPE",
	"a/b", "HTTP_HOST", "gate.test", "HTTP_X_ONE", "() { :;}; echo", "HTTP_PROXY",
	"http://evil.test", "HTTP_X%", "1", "LD_PRELOAD", "/tmp/evil.so", "BASH_ENV", "/tmp/evil",
	"PYTHONPATH", "/tmp", "UWSGI_FILE", "/tmp/evil", "PHP_VALUE", "auto_prepend_file=/tmp/evil",
	"PATH", "/tmp", "SCRIPT_FILENAME", "/etc/passwd", "PATH_TRANSLATED", "/etc/passwd",
	"GATEWAY_INTERFACE", "CGI/9.9", NULL };

/* Names beside HTTP_*; `value` NULL: any. The shell adds PWD itself. */
static const struct {
	const char *name, *value;
} allowed[] = {
	{ "CONTENT_LENGTH", "2" },
	{ "CONTENT_TYPE", "a/b" },
	{ "GATEWAY_INTERFACE", "CGI/1.1" },
	{ "OWN_SETTING", "two  words" },
	{ "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
	{ "PATH_INFO", "/x" },
	{ "PWD", NULL },
	{ "QUERY_STRING", "--version" },
	{ "REMOTE_ADDR", NULL },
	{ "REMOTE_PORT", NULL },
	{ "REMOTE_USER", "joe" },
	{ "REQUEST_METHOD", "POST" },
	{ "REQUEST_SCHEME", "http" },
	{ "REQUEST_URI", "/x?--version" },
	{ "SCRIPT_FILENAME", NULL },
	{ "SCRIPT_NAME", "" },
	{ "SERVER_NAME", "gate.test" },
	{ "SERVER_PORT", NULL },
	{ "SERVER_PROTOCOL", "HTTP/1.1" },
	{ "SERVER_SOFTWARE", NULL },
	{ "HTTP_HOST", "gate.test" },
	{ "HTTP_X_ONE", "() { :;}; echo" },
};

static void check_variable(const char *gate, const char *name, const char *value)
{
	for (size_t i = 0; i < COUNT(allowed); i++) {
		if (strcmp(name, allowed[i].name) != 0)
			continue;
		cr_expect(!allowed[i].value || strcmp(value, allowed[i].value) == 0, "%s: %s=%s",
		        gate, name, value);
		return;
	}
	FAIL("%s: %s=%s has no business here", gate, name, value);
}

/* Lines NAME=value; returns their number. */
static size_t check_variables(const char *gate, char *lines)
{
	size_t count = 0;

	for (char *line; (line = strsep(&lines, "\n")) && *line; count++) {
		char *equals = strchr(line, '=');

		cr_assert(equals, "%s: %s", gate, line);
		*equals = '\0';
		check_variable(gate, line, equals + 1);
	}
	return count;
}

Test(cgi, environment_is_an_allow_list, .timeout = 60)
{
	char key[200];

	snprintf(key, sizeof key, "app.program=%s", program_write("program", TYPE "exec env"));
	daemon_start(&daemon_under_test, 1, LOCAL, "-s", key, "-s",
	        "app.main.env.OWN_SETTING=two  words", "cgi", NULL);
	for (size_t i = 0; i < COUNT(protocols); i++) {
		bool http = strcmp(protocols[i], "http") == 0;
		gate_variables clean = { "REQUEST_METHOD", "POST", "REQUEST_URI", "/x?--version",
			"CONTENT_TYPE", "a/b", "HTTP_HOST", "gate.test", "HTTP_X_ONE",
			"() { :;}; echo", "HTTP_PROXY", "evil", NULL };
		struct response response;

		gate_request(protocols[i], daemon_address(&daemon_under_test),
		        http ? clean : hostile, "hi", 2, &response);
		cr_assert_eq(response.status, 200, "%s: %d", protocols[i], response.status);
		size_t count = check_variables(protocols[i], response.body.data);

		/* HTTP has no user to tell of, the other gates here no port of the peer */
		cr_expect_eq(count, COUNT(allowed) - 1, "%s: %zu", protocols[i], count);
		response_free(&response);
	}
	daemon_stop(&daemon_under_test);
}

/* Besides the environment: arguments, directory, descriptors, signals. */
Test(cgi, nothing_else_is_inherited, .timeout = 60)
{
	struct response response;
	char wanted[300];

	begin(TYPE "echo $# $(pwd)\n"
	           "ls /proc/$$/fd\n"
	           "grep -E '^Sig(Blk|Ign)' /proc/$$/status | tr -d '\\t'\n"
	           "cut -d' ' -f1,5,6 /proc/$$/stat | tr ' ' '\\n' | sort -u | wc -l\n");
	http_get(address, "/?a+b", &response);
	/* dash keeps its script on descriptor 10 */
	snprintf(wanted, sizeof wanted,
	        "0 %s\n0\n1\n10\n2\nSigBlk:0000000000000000\nSigIgn:0000000000000000\n1\n",
	        support_directory());
	cr_expect_str_eq(response.body.data, wanted, "%s", response.body.data);
	response_free(&response);
	daemon_stop(&daemon_under_test);
}

/* ---- the output ---- */

static const struct output_row {
	const char *commands;
	int status;
	const char *fields; /* "Name: value|..." */
	const char *body;   /* NULL: not looked at */
	const char *log;    /* said in it, or NULL */
} outputs[] = {
	{ "echo Content-Type: a/b; echo; echo x", 200, "Content-Type: a/b", "x\n", NULL },
	{ "echo Status: 404 Gone; echo Content-Type: a/b; echo", 404, "Content-Type: a/b", "",
	        NULL },
	{ "echo Status: 404; echo", 404, "", "404 Not Found\n", NULL },
	{ "echo Status: 204; echo; echo x", 204, "", "", NULL },
	{ "echo Location: http://b.test/; echo", 302, "Location: http://b.test/", "", NULL },
	{ "echo Location: //b.test/; echo", 302, "Location: //b.test/", "", NULL },
	{ "echo Location: /y; echo Status: 303; echo", 303, "Location: /y", "", NULL },
	{ "[ $PATH_INFO = /y ] || { echo Location: /y?q=1; echo; exit; }\n" TYPE
	  "echo $PATH_INFO $QUERY_STRING $REQUEST_METHOD",
	        200, "", "/y q=1 GET\n", NULL },
	{ "echo Location: /$PATH_INFO; echo", 302, "", "", NULL },
	{ "echo Location: /y; echo", 508, "", NULL, NULL },
	{ TYPE "echo x; exit 3", 200, "", "x\n", NULL },
	{ "echo Content-Length: 2; echo Content-Type: a/b; echo; echo xyz", 200,
	        "Content-Length: 2", "xy", "more than its Content-Length" },
	{ "echo Content-Length: 9; echo Content-Type: a/b; echo; echo xyz", 502, "", NULL,
	        "wrote 4 bytes of a Content-Length of 9" },
	{ "echo Content-Type: a/b; echo Set-Cookie: a=1; echo; kill -SEGV $$", 502,
	        "Set-Cookie: ", NULL, "died of signal 11" },
	{ "exit 7", 502, "", NULL, "wrote nothing and exited with status 7" },
	{ "echo Content-Type: a/b", 502, "", NULL, "ended within its header fields" },
	{ "echo garbage; echo", 502, "", NULL, "a line is not a header field" },
	{ "echo X: 1; head -c 40000 /dev/zero", 502, "", NULL, "its head is too long" },
	{ "echo Content-Type: a/b; head -c 32730 /dev/zero | tr '\\0' x | sed 's/^/X: /'; echo; "
	  "echo",
	        502, "", NULL, "too long, or not allowed" },
	{ TYPE "echo one >&2; echo x; echo two >&2", 200, "", "x\n", ": two" },
};

static void check_output(const struct output_row *row, const char *method)
{
	struct response response;

	program_write("program", row->commands);
	http_request(address, method, "/x", NULL, NULL, 0, &response);
	cr_expect_eq(response.status, row->status, "%s: %d", row->commands, response.status);
	cr_expect(response.whole, "%s", row->commands);
	if (row->body && strcmp(method, "HEAD") != 0)
		cr_expect_str_eq(
		        response.body.data, row->body, "%s: %s", row->commands, response.body.data);
	if (*row->fields) {
		char name[64], value[64] = "";

		sscanf(row->fields, "%63[^:]: %63[^\n]", name, value);
		cr_expect_str_eq(response_field(&response, name), value, "%s", row->commands);
	}
	if (row->log)
		daemon_expect(&daemon_under_test, row->log);
	response_free(&response);
}

Test(cgi, outputs, .timeout = 120)
{
	begin("");
	for (size_t i = 0; i < COUNT(outputs); i++)
		check_output(&outputs[i], "GET");
	daemon_stop(&daemon_under_test);
}

/* A program may leave the body out or not; the fields are the same. */
Test(cgi, head, .timeout = 60)
{
	static const struct output_row rows[] = {
		{ "echo Content-Type: a/b; echo Content-Length: 5; echo", 200, "Content-Length: 5",
		        "", NULL },
		{ "echo Content-Type: a/b; echo; echo x", 200, "Content-Type: a/b", "", NULL },
	};

	begin("");
	for (size_t i = 0; i < COUNT(rows); i++)
		check_output(&rows[i], "HEAD");
	daemon_stop(&daemon_under_test);
}

/* What has begun can't become another answer: it ends too early. */
Test(cgi, cut_in_the_middle, .timeout = 60)
{
	struct response response;

	begin(TYPE "head -c 100000 /dev/zero; kill -KILL $$");
	http_get(address, "/", &response);
	cr_expect_eq(response.status, 200);
	cr_expect(!response.whole, "%zu bytes", response.body.length);
	response_free(&response);
	daemon_stop(&daemon_under_test);
}

/* ---- below a directory ---- */

static const struct below_row {
	const char *target;
	int status;
	const char *body;
} below[] = {
	{ "/show", 200, "/show||" },
	{ "/show/", 200, "/show|/|" },
	{ "/show/more/of%20it?q", 200, "/show|/more/of it|q" },
	{ "/sub/show/x", 200, "/sub/show|/x|" },
	{ "/sub/../show", 200, "/show||" },
	{ "/link/x", 200, "/link|/x|" },
	{ "/show/.hidden", 200, "/show|/.hidden|" },
	{ "/", 404, NULL },
	{ "/sub", 404, NULL },
	{ "/sub/", 404, NULL },
	{ "/none", 404, NULL },
	{ "/none/show", 404, NULL },
	{ "/.hidden", 404, NULL },
	{ "/sub/.git/show", 404, NULL },
	{ "/plain.txt", 403, NULL },
	{ "/plain.txt/show", 403, NULL },
	{ "/out", 403, NULL },
	{ "/etc/passwd", 403, NULL },
	{ "/fifo", 403, NULL },
};

Test(cgi, below_a_directory, .timeout = 60)
{
	static const char show[] = TYPE
	        "printf '%s|%s|%s' \"$SCRIPT_NAME\" \"$PATH_INFO\" \"$QUERY_STRING\" # SECRET";
	char key[200];

	program_write("root/show", show);
	program_write("root/sub/show", show);
	program_write("root/.hidden", show);
	program_write("root/sub/.git/show", show);
	program_write("outside", show);
	program_file("root/plain.txt", "SECRET", 0644);
	cr_assert_eq(symlink("show", support_path("root/link")), 0);
	cr_assert_eq(symlink("../outside", support_path("root/out")), 0);
	cr_assert_eq(symlink("/etc", support_path("root/etc")), 0);
	cr_assert_eq(mkfifo(support_path("root/fifo"), 0755), 0);
	snprintf(key, sizeof key, "app.root=%s/", support_path("root"));
	daemon_start(&daemon_under_test, 1, LOCAL, "-s", key, "cgi", NULL);
	for (size_t i = 0; i < COUNT(below); i++) {
		struct response response;

		http_get(daemon_address(&daemon_under_test), below[i].target, &response);
		const char *body = response.body.data;

		cr_expect_eq(response.status, below[i].status, "%s: %d", below[i].target,
		        response.status);
		cr_expect(!strstr(body, "SECRET"), "%s: %s", below[i].target, body);
		if (below[i].body)
			cr_expect_str_eq(body, below[i].body, "%s: %s", below[i].target, body);
		response_free(&response);
	}
	daemon_stop(&daemon_under_test);
}

/* ---- the configuration ---- */

static const struct {
	const char *one, *other, *says;
} wrong[] = {
	{ "app.timeout=1s", "app.mount=/", "give \"program\"" },
	{ "app.program=/bin/true", "app.root=/tmp", "both given" },
	{ "app.program=/bin/true", "app.timeout=soon", "bad timeout \"soon\"" },
	{ "app.program=/bin/true", "app.timeout=0", "bad timeout \"0\"" },
	{ "app.program=/bin/true", "app.main.env.A-B=1", "\"env.A-B\" names no variable" },
	{ "app.program=/bin/true", "app.main.env.1A=1", "\"env.1A\" names no variable" },
	{ "app.root=/bin/true", "app.timeout=1m", "root /bin/true is not a directory" },
	{ "app.root=/nowhere", "app.timeout=1h", "root /nowhere is not a directory" },
};

Test(cgi, wrong_settings, .timeout = 60)
{
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct process process;
		int status = daemon_run(&process, LOCAL, "-t", "-s", wrong[i].one, "-s",
		        wrong[i].other, "cgi", NULL);
		const char *said = process.err.data;

		cr_expect_eq(status, 2, "%s: %d", wrong[i].says, status);
		cr_expect(strstr(said, wrong[i].says), "%s: %s", wrong[i].says, said);
		process_free(&process);
	}
}
