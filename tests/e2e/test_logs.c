/* The logs of a running daemon: where they go, what can't be forged, and that nobody waits. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"

SUITE(logs);

#define HTTP  "-l", "http=127.0.0.1:0"
#define LOCAL "-w", "1", HTTP

static const char *const protocols[] = { "fastcgi", "scgi", "uwsgi", "http" };

/* "log.access=/directory/access.log" */
static const char *setting(char to[256], const char *key, const char *path)
{
	snprintf(to, 256, "log.%s=%s", key, path);
	return to;
}

static char *read_whole(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	cr_assert(file, "%s", path);
	if (getdelim(&text, &size, '\0', file) < 0)
		*text = '\0';
	fclose(file);
	return text;
}

static size_t count_lines(const char *text)
{
	size_t count = 0;

	while ((text = strchr(text, '\n')) && text++)
		count++;
	return count;
}

static int get_status(const char *address, const char *target)
{
	struct response response;

	http_get(address, target, &response);
	int status = response.status;

	response_free(&response);
	return status;
}

/* Until the file has so many lines; the daemon writes within a second. */
static char *wait_for_lines(const char *path, size_t count)
{
	int64_t deadline = deadline_in(PATIENCE);

	for (;;) {
		char *text = read_whole(path);

		if (count_lines(text) >= count)
			return text;
		cr_assert_gt(deadline_left(deadline), 0, "not %zu lines in: %s", count, text);
		free(text);
		poll(NULL, 0, 10);
	}
}

/* ---- forgeries ---- */

#define FORGED "\r\n2026-11-21T10:00:00.000+00:00 error: master[1]: forged\x1b[2J\x9b\"\\"

/* The HTTP gate refuses such bytes; the others take them from their gateways. */
static gate_variables forging = {
	"REQUEST_METHOD",
	"GET",
	"REQUEST_URI",
	"/" FORGED,
	"SERVER_PROTOCOL",
	"HTTP/1.1",
	"REMOTE_ADDR",
	"192.0.2.1" FORGED,
	"REMOTE_USER",
	"x" FORGED,
	"HTTP_HOST",
	"a",
	"HTTP_USER_AGENT",
	"agent\x1b\x9b\"\\",
	NULL,
};

static void expect_harmless(const char *name, const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at; at++)
		cr_assert(*at == '\n' || (*at >= 0x20 && *at < 0x7f), "%s: byte %02x in: %s", name,
		        *at, text);
	cr_expect(!strstr(text, "\n2026-11-21T10:00:00.000"), "%s: %s", name, text);
	cr_expect(!strstr(text, "\\\n"), "%s: %s", name, text);
}

static const char *const formats[] = { "log.format=combined",
	"log.format={remote_addr} {uri} \"{user_agent}\" {env:REMOTE_USER}" };

static void forge(const char *protocol, const char *format)
{
	char path[200], error_path[200], access[256], error[256];
	struct response response;
	struct daemon daemon;
	char *text;

	snprintf(path, sizeof path, "%s", support_path("access.log"));
	snprintf(error_path, sizeof error_path, "%s", support_path("error.log"));
	unlink(path);
	unlink(error_path);
	daemon_start(&daemon, 1, "-D", "-w", "1", "-P", protocol, "-l", "127.0.0.1:0", "-s",
	        setting(access, "access", path), "-s", setting(error, "error", error_path), "-s",
	        format, "hello", NULL);
	gate_request(protocol, daemon_address(&daemon), forging, NULL, 0, &response);
	response_free(&response);
	daemon_stop(&daemon);
	text = read_whole(path);
	cr_expect_eq(count_lines(text), 1, "%s: %s", protocol, text);
	expect_harmless(protocol, text);
	free(text);
	text = read_whole(error_path);
	cr_expect(strstr(text, "request "), "%s: %s", protocol, text);
	expect_harmless(protocol, text);
	free(text);
}

Test(logs, no_request_forges_a_line, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(protocols); i++)
		for (size_t j = 0; j < COUNT(formats); j++)
			forge(protocols[i], formats[j]);
}

/* What the gates let pass arrives in JSON as it was. */
Test(logs, json_through_every_gate, .timeout = 120)
{
	static gate_variables asked = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/a?b",
		"SERVER_PROTOCOL", "HTTP/1.1", "REMOTE_ADDR", "127.0.0.1", "HTTP_HOST", "gate.test",
		"HTTP_USER_AGENT", "a\xff\xc3\xa9\"\\", NULL };

	for (size_t i = 0; i < COUNT(protocols); i++) {
		char path[200], access[256], *text;
		struct response response;
		struct daemon daemon;

		snprintf(path, sizeof path, "%s", support_path("access.log"));
		unlink(path);
		daemon_start(&daemon, 1, "-w", "1", "-P", protocols[i], "-l", "127.0.0.1:0", "-s",
		        setting(access, "access", path), "-s", "log.format=json", "hello", NULL);
		gate_request(protocols[i], daemon_address(&daemon), asked, NULL, 0, &response);
		cr_expect_eq(response.status, 200);
		response_free(&response);
		text = wait_for_lines(path, 1);
		json_expect(text, "method", "GET");
		json_expect(text, "uri", "/a?b");
		json_expect(text, "status", "200");
		json_expect(text, "bytes", "13");
		json_expect(text, "gate", protocols[i]);
		json_expect(text, "worker", "1");
		json_expect(text, "remote_addr", "127.0.0.1");
		json_expect(text, "user_agent", "a\xff\xc3\xa9\"\\");
		json_expect(text, "cut", "false");
		free(text);
		daemon_stop(&daemon);
	}
}

/* ---- which requests have a line ---- */

static void send_and_leave(const char *address, const char *bytes, bool wait)
{
	struct client client;

	client_open(&client, address);
	client_send(&client, bytes, strlen(bytes));
	client_flush(&client);
	if (wait)
		client_read_all(&client);
	client_close(&client);
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

/* Answered, unknown, refused by the decoder, refused by its head, given up by the client. */
Test(logs, refused_and_cut_ones_too, .timeout = 60)
{
	char path[200], access[256], *text;
	struct daemon daemon;

	snprintf(path, sizeof path, "%s", support_path("access.log"));
	daemon_start(&daemon, 1, LOCAL, "-s", setting(access, "access", path), "-s",
	        "log.format={remote_addr} {method} {uri} {status} {bytes} {cut}",
	        DAEMON_APPS "napper.so", NULL);
	cr_expect_eq(get_status(daemon_address(&daemon), "/?ms=0"), 200);
	cr_expect_eq(get_status(daemon_address(&daemon), "/none"), 404);
	send_and_leave(daemon_address(&daemon), "GET / HTTP/1.1\r\nHost : a\r\n\r\n", true);
	send_and_leave(daemon_address(&daemon), "GET a HTTP/1.1\r\nHost: a\r\n\r\n", true);
	send_and_leave(daemon_address(&daemon), GET("/?ms=3600000"), false);
	text = wait_for_lines(path, 5);
	cr_expect(strstr(text, "127.0.0.1 GET /?ms=0 200 6 0\n"), "%s", text);
	cr_expect(strstr(text, "127.0.0.1 GET /none 404 "), "%s", text);
	cr_expect(strstr(text, " 400 "), "%s", text);
	cr_expect(strstr(text, "127.0.0.1 GET /?ms=3600000 499 0 1\n"), "%s", text);
	cr_expect_eq(count_lines(text), 5, "%s", text);
	cr_expect(!strstr(text, "\n- "), "the peer is known: %s", text);
	free(text);
	daemon_stop(&daemon);
}

/* ---- ids ---- */

#define TRUST "listen.trusted_proxies=127.0.0.1"

static const struct id_row {
	const char *name, *trusted, *fields;
	bool taken;
} ids[] = {
	{ "trusted", TRUST, "X-Request-ID: from-proxy\r\n", true },
	{ "not trusted", "listen.trusted_proxies=10.0.0.0/8", "X-Request-ID: from-proxy\r\n",
	        false },
	{ "trusted, none", TRUST, NULL, false },
	{ "trusted, no id", TRUST, "X-Request-ID: from-proxy or not\r\n", false },
};

/* The same in both logs and, where there is one, the proxy's. */
Test(logs, request_ids, .timeout = 60)
{
	for (size_t i = 0; i < COUNT(ids); i++) {
		char path[200], access[256], expected[100], id[70], *text;
		struct response response;
		struct daemon daemon;

		snprintf(path, sizeof path, "%s", support_path("access.log"));
		unlink(path);
		daemon_start(&daemon, 1, LOCAL, "-D", "-s", setting(access, "access", path), "-s",
		        "log.format={request_id}", "-s", ids[i].trusted, "hello", NULL);
		http_request(
		        daemon_address(&daemon), "GET", "/", ids[i].fields, NULL, 0, &response);
		response_free(&response);
		text = wait_for_lines(path, 1);
		cr_assert_eq(sscanf(text, "%69s", id), 1, "%s: %s", ids[i].name, text);
		cr_expect_eq(
		        strcmp(id, "from-proxy") == 0, ids[i].taken, "%s: %s", ids[i].name, id);
		snprintf(expected, sizeof expected, ": request %s: GET /: 200", id);
		daemon_expect(&daemon, expected);
		free(text);
		daemon_stop(&daemon);
	}
}

/* ---- slow ones ---- */

Test(logs, slow_requests, .timeout = 60)
{
	struct daemon daemon;
	const char *text;
	double all, ran, waited;

	daemon_start(&daemon, 1, LOCAL, "-s", "log.slow=100ms", DAEMON_APPS "napper.so", NULL);
	cr_expect_eq(get_status(daemon_address(&daemon), "/?ms=150"), 200);
	daemon_expect(&daemon, "(http) in ");
	text = strstr(daemon_text(&daemon), "slow: GET /?ms=150: 200, 6 bytes (http) in ");
	cr_assert(text, "%s", daemon_text(&daemon));
	process_expect(&daemon.process, "waited ", 0);
	daemon_expect(&daemon, "ms\n");
	text = strstr(daemon_text(&daemon), "(http) in ");
	cr_assert_eq(
	        sscanf(text, "(http) in %lf ms: ran %lf ms, waited %lf ms", &all, &ran, &waited), 3,
	        "%s", text);
	cr_expect_gt(all, 100.0);
	cr_expect_gt(waited, 0.0);
	cr_expect(all - ran - waited < 0.01 && ran + waited - all < 0.01, "%s", text);
	daemon_stop(&daemon);
}

Test(logs, no_request_is_slow_unless_asked, .timeout = 60)
{
	struct daemon daemon;

	daemon_start(&daemon, 1, LOCAL, DAEMON_APPS "napper.so", NULL);
	cr_expect_eq(get_status(daemon_address(&daemon), "/?ms=150"), 200);
	cr_expect(!strstr(daemon_text(&daemon), "slow"), "%s", daemon_text(&daemon));
	daemon_stop(&daemon);
}

/* ---- syslog ---- */

static int bind_syslog(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_lt(strlen(path), sizeof address.sun_path);
	memcpy(address.sun_path, path, strlen(path));
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

/* The next datagram. */
static void receive(int fd, char *text, size_t size)
{
	struct pollfd ready = { fd, POLLIN, 0 };
	ssize_t n;

	cr_assert_eq(poll(&ready, 1, PATIENCE), 1);
	n = recv(fd, text, size - 1, 0);
	cr_assert_gt(n, 0);
	text[n] = '\0';
}

Test(logs, syslog, .timeout = 60)
{
	char where[300], access[400], error[400], text[8192], id[70];
	struct daemon daemon;
	int fd;

	snprintf(where, sizeof where, "syslog:%s", support_path("log"));
	fd = bind_syslog(where + 7);
	snprintf(access, sizeof access, "log.access=%s", where);
	snprintf(error, sizeof error, "log.error=%s", where);
	daemon_start(&daemon, 1, LOCAL, "-D", "-s", access, "-s", error, "-s",
	        "log.format={method} {request_id}", "hello", NULL);
	cr_expect_eq(get_status(daemon_address(&daemon), "/"), 200);
	do
		receive(fd, text, sizeof text);
	while (strncmp(text, "<30>", 4) != 0);
	cr_assert_eq(sscanf(text, "<30>%*s %*s %*s anygate[%*d]: worker 1: request %69[^:]", id), 1,
	        "%s", text);
	do
		receive(fd, text, sizeof text);
	while (strncmp(text, "<30>", 4) != 0);
	cr_expect(strstr(text, "anygate-access[") && strstr(text, "]: GET ") && strstr(text, id),
	        "%s", text);
	daemon_stop(&daemon);
	close(fd);
}

/* ---- nobody reads ---- */

/* Sends requests and expects an answer to each: a daemon that waits for its log would not. */
static void expect_served(const char *address, const char *target, int count)
{
	for (int i = 0; i < count; i++)
		cr_assert_eq(get_status(address, target), 200, "request %d", i);
}

/*
 * A pipe whose reader does not read is full after some lines; then the daemon goes on, and says
 * what was lost once the pipe has room. With -D each request is one line of about 1000 bytes.
 */
Test(logs, nobody_reads_standard_error, .timeout = 120)
{
	char target[1024];
	struct daemon daemon;

	memset(target, 'a', sizeof target);
	target[0] = '/';
	target[sizeof target - 1] = '\0';
	daemon_start(&daemon, 1, LOCAL, "-D", "hello", NULL);
	expect_served(daemon_address(&daemon), target, 200);
	process_drain(&daemon.process);
	expect_served(daemon_address(&daemon), target, 1);
	daemon_expect(&daemon, " lines of the log were dropped: nobody took them\n");
	daemon_stop(&daemon);
}

/* The same for the access log in a FIFO. */
Test(logs, nobody_reads_the_access_log, .timeout = 120)
{
	char path[200], access[256], target[1024], sink[65536];
	struct daemon daemon;
	int reader;

	memset(target, 'a', sizeof target);
	target[0] = '/';
	target[sizeof target - 1] = '\0';
	snprintf(path, sizeof path, "%s", support_path("fifo"));
	cr_assert_eq(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	daemon_start(&daemon, 1, LOCAL, "-s", setting(access, "access", path), "hello", NULL);
	expect_served(daemon_address(&daemon), target, 300);
	daemon_expect(&daemon, "the access log takes no more: nobody reads it");
	while (read(reader, sink, sizeof sink) > 0)
		continue;
	expect_served(daemon_address(&daemon), target, 1);
	daemon_expect(&daemon, " of the access log were dropped: nobody took them\n");
	daemon_stop(&daemon);
	close(reader);
}

/* A disk that is full, here by RLIMIT_FSIZE: requests are served, and what is missing is told. */
Test(logs, full_disk, .timeout = 60)
{
	const struct rlimit small = { 4096, RLIM_INFINITY },
	                    large = { RLIM_INFINITY, RLIM_INFINITY };
	char path[200], access[256], *text;
	struct daemon daemon;

	snprintf(path, sizeof path, "%s", support_path("access.log"));
	daemon_start(&daemon, 1, LOCAL, "-s", setting(access, "access", path), "-s",
	        "log.format={status} {uri}", "hello", NULL);
	pid_t worker = daemon_worker(&daemon, 0);

	cr_assert_eq(prlimit(worker, RLIMIT_FSIZE, &small, NULL), 0);
	expect_served(daemon_address(&daemon), "/of-thirty-two-bytes-in-a-l", 200);
	daemon_expect(&daemon, "the access log takes no more: No space left on device");
	cr_assert_eq(prlimit(worker, RLIMIT_FSIZE, &large, NULL), 0);
	expect_served(daemon_address(&daemon), "/again", 1);
	daemon_expect(&daemon, " of the access log were dropped: ");
	daemon_stop(&daemon);
	text = read_whole(path);
	cr_expect(strstr(text, "200 /again\n"), "%s", text);
	for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line;)
		cr_expect(strcmp(line, "200 /of-thirty-two-bytes-in-a-l") == 0 ||
		                  strcmp(line, "200 /again") == 0,
		        "%s", line);
	free(text);
}

/* ---- many writers ---- */

#define CLIENTS  8
#define REQUESTS 500

static void *ask_often(void *argument)
{
	const char *address = argument;
	struct client client;
	char request[300];

	client_open(&client, address);
	for (int i = 0; i < REQUESTS; i++) {
		struct response response;

		snprintf(request, sizeof request, "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n",
		        1 + i * 7 % 199, i);
		client_send(&client, request, strlen(request));
		client_response(&client, "GET", &response);
		response_free(&response);
	}
	client_close(&client);
	return NULL;
}

/* Four workers append to one file: each of thousands of lines is whole. */
Test(logs, no_torn_line, .timeout = 120)
{
	char path[200], access[256], *text;
	pthread_t clients[CLIENTS];
	struct daemon daemon;
	size_t count = 0;

	snprintf(path, sizeof path, "%s", support_path("access.log"));
	daemon_start(&daemon, 1, "-w", "4", HTTP, "-s", setting(access, "access", path), "-s",
	        "log.format=<{uri} {status} {worker}>", "hello", NULL);
	for (size_t i = 0; i < CLIENTS; i++)
		cr_assert_eq(pthread_create(&clients[i], NULL, ask_often,
		                     (void *)(uintptr_t)daemon_address(&daemon)),
		        0);
	for (size_t i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	daemon_stop(&daemon);
	text = read_whole(path);
	for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line; count++) {
		unsigned number, status, worker;
		int end = 0;

		cr_assert_eq(sscanf(line, "</%u %u %u>%n", &number, &status, &worker, &end), 3,
		        "%s", line);
		cr_assert_eq(line[end], '\0', "%s", line);
		cr_assert(number < REQUESTS && status == 200 && worker >= 1 && worker <= 4, "%s",
		        line);
	}
	cr_expect_eq(count, (size_t)CLIENTS * REQUESTS);
	free(text);
}
