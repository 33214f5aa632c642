/* What handlers wait for, in the daemon: clients that go away, deadlines, hooks. */
#include "../support/client.h"
#include "../support/daemon.h"
#include "../support/support.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SUITE(waits);

#define LOCAL "-w", "1", "-l", "127.0.0.1:0"

static const char *const gates[] = { "http", "fastcgi", "scgi", "uwsgi" };

static void check_get(const char *address, int status, const char *body, const char *format, ...)
{
	char target[64];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(target, sizeof(target), format, arguments);
	va_end(arguments);
	http_check(address, target, status, body);
}

/* ---- the client goes away ---- */

static const char *const kinds[] = { "/sleep", "/flushed", "/deadline?ms=3600000", "/join", "/left",
	"/get", "/put", "/cond", "/semaphore", "/receive", "/run", "/fetch", "/offload" };

/* Those that end when they are told to: the last one waits for its thread. */
#define ENDING (COUNT(kinds) - 1)

/* The n-th that waits, and its client leaves. */
static void check_gone(struct daemon *daemon, const char *gate, const char *target, int n)
{
	const char *address = daemon_address(daemon);
	struct client client;

	gate_ask_for(gate, address, target, &client);
	check_get(address, 200, NULL, "/begun/%d", n);
	client_close(&client);
	check_get(address, 200, "-1", "/ended/%d", n);
}

Test(waits, client_goes_away, .timeout = 120)
{
	struct daemon daemon;
	pid_t worker;
	int n = 0;

	daemon_start(&daemon, 1, LOCAL, DAEMON_APPS "waits.so", NULL);
	worker = daemon_worker(&daemon, 0);
	for (size_t i = 0; i < COUNT(gates); i++)
		for (size_t j = 0; j < COUNT(kinds); j++)
			check_gone(&daemon, gates[i], kinds[j], ++n);
	cr_expect_eq(daemon_worker(&daemon, 0), worker);
	daemon_stop(&daemon);
}

/* The worker is told to end at once: what waits is told first, and all is given back. */
Test(waits, worker_ends, .timeout = 120)
{
	struct client clients[ENDING];
	struct daemon daemon;

	daemon_start(&daemon, 1, LOCAL, DAEMON_APPS "waits.so", NULL);
	for (size_t i = 0; i < ENDING; i++)
		gate_ask_for("http", daemon_address(&daemon), kinds[i], &clients[i]);
	check_get(daemon_address(&daemon), 200, NULL, "/begun/%zu", ENDING);
	kill(daemon.process.pid, SIGINT);
	for (size_t i = 0; i < ENDING; i++) {
		client_read_all(&clients[i]);
		client_close(&clients[i]);
	}
	daemon_end(&daemon, 0, false);
}

/* ---- time ---- */

/* Sooner and later than daemon.request_timeout. */
static const struct {
	const char *setting, *target;
	int status;
	const char *told;
} deadlines[] = {
	{ "daemon.request_timeout=1h", "/deadline?ms=50", 504, "-2" },
	{ "daemon.request_timeout=50ms", "/deadline?ms=0", 504, "-2" },
	{ "daemon.request_timeout=50ms", "/sleep", 504, "-2" },
	{ "daemon.request_timeout=50ms", "/deadline?ms=400", 504, "-2" },
};

Test(waits, deadlines, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(deadlines); i++) {
		struct daemon daemon;

		daemon_start(&daemon, 1, LOCAL, "-s", deadlines[i].setting, DAEMON_APPS "waits.so",
		        NULL);
		for (size_t j = 0; j < COUNT(gates); j++) {
			const char *const variables[] = { "REQUEST_METHOD", "GET", "REQUEST_URI",
				deadlines[i].target, "SERVER_PROTOCOL", "HTTP/1.1", NULL };
			struct response response;

			gate_request(
			        gates[j], daemon_address(&daemon), variables, NULL, 0, &response);
			cr_expect_eq(response.status, deadlines[i].status, "%s %s: %d", gates[j],
			        deadlines[i].target, response.status);
			response_free(&response);
			check_get(daemon_address(&daemon), 200, deadlines[i].told, "/ended/%zu",
			        j + 1);
		}
		/* the daemon says which limit it was; the last one's is its own */
		cr_expect_eq(!strstr(daemon_text(&daemon), "daemon.request_timeout"),
		        strcmp(deadlines[i].target, "/deadline?ms=50") == 0 ||
		                strcmp(deadlines[i].target, "/deadline?ms=400") == 0,
		        "%s", deadlines[i].target);
		daemon_stop(&daemon);
	}
}

/* ---- threads ---- */

static size_t count_threads(pid_t pid)
{
	char path[64];
	size_t count = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *directory = opendir(path);

	cr_assert(directory);
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

/* The example: the right hash, by as many threads as are configured, begun when first needed. */
Test(waits, kdf, .timeout = 120)
{
	struct daemon daemon;

	daemon_start(&daemon, 1, LOCAL, "-s", "daemon.threads=3", DAEMON_APPS "kdf.so", NULL);
	size_t before = count_threads(daemon_worker(&daemon, 0));

	for (size_t i = 0; i < COUNT(gates); i++) {
		const char *const variables[] = { "REQUEST_METHOD", "POST", "REQUEST_URI",
			i ? "/" : "/inline", "SERVER_PROTOCOL", "HTTP/1.1", NULL };
		unsigned char salt[16], hash[32];
		struct response response;
		char *at, wanted[65] = "";

		gate_request(gates[i], daemon_address(&daemon), variables, "correct horse", 13,
		        &response);
		cr_assert_eq(response.status, 200, "%s", gates[i]);
		cr_assert_eq(strncmp(response.body.data, "pbkdf2-sha256$600000$", 21), 0, "%s",
		        response.body.data);
		at = response.body.data + 21;
		for (size_t j = 0; j < sizeof(salt); j++, at += 2)
			cr_assert_eq(sscanf(at, "%2hhx", &salt[j]), 1);
		PKCS5_PBKDF2_HMAC("correct horse", 13, salt, sizeof(salt), 600000, EVP_sha256(),
		        sizeof(hash), hash);
		for (size_t j = 0; j < sizeof(hash); j++)
			snprintf(wanted + 2 * j, 3, "%02x", hash[j]);
		cr_expect_eq(strncmp(at + 1, wanted, 64), 0, "%s: %s", gates[i], at);
		response_free(&response);
		cr_expect_eq(count_threads(daemon_worker(&daemon, 0)), before + (i > 0));
	}
	daemon_stop(&daemon);
}

/* ---- the other examples ---- */

Test(waits, queue_example, .timeout = 60)
{
	struct daemon daemon;

	daemon_start(&daemon, 1, LOCAL, DAEMON_APPS "queue.so", NULL);
	for (size_t i = 0; i < COUNT(gates); i++) {
		const char *const variables[] = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/?n=4",
			"SERVER_PROTOCOL", "HTTP/1.1", NULL };
		struct response response;

		gate_request(gates[i], daemon_address(&daemon), variables, NULL, 0, &response);
		cr_expect_str_eq(response.body.data,
		        "put 1\nput 2\ngot 1\ngot 2\ngot 3\nput 3\nput 4\ngot 4\n", "%s: %s",
		        gates[i], response.body.data);
		response_free(&response);
	}
	daemon_stop(&daemon);
}

static void check_post(const char *address, const char *target, const char *body)
{
	struct response response;

	http_request(address, "POST", target, NULL, NULL, 0, &response);
	cr_expect_eq(response.status, 200, "%s: %d", target, response.status);
	cr_expect_str_eq(response.body.data, body, "%s: %s", target, response.body.data);
	response_free(&response);
}

static void expect_text(struct client *client, const char *text)
{
	while (!memmem(client->in.data, client->in.length, text, strlen(text)))
		cr_assert(client_fill(client), "no %s", text);
}

/* One waits by each gate, one after another: the first goes on, then all others. */
Test(waits, notify_example, .timeout = 60)
{
	struct client clients[COUNT(gates)];
	struct daemon daemon;

	daemon_start(&daemon, 1, LOCAL, DAEMON_APPS "notify.so", NULL);
	const char *address = daemon_address(&daemon);

	check_post(address, "/notify", "nobody waits\n");
	for (size_t i = 0; i < COUNT(gates); i++) {
		char target[32], count[16] = "";
		struct response response;

		snprintf(target, sizeof(target), "/wait?name=by-%s", gates[i]);
		gate_ask_for(gates[i], address, target, &clients[i]);
		for (int left = 10000; atoi(count) != (int)i + 1 && left; left--) {
			http_get(address, "/waiting", &response);
			snprintf(count, sizeof(count), "%s", response.body.data);
			response_free(&response);
		}
		cr_assert_eq(atoi(count), (int)i + 1);
	}
	check_post(address, "/notify", "told one\n");
	expect_text(&clients[0], "by-http goes on\n");
	for (size_t i = 1; i < COUNT(gates); i++)
		cr_expect_eq(clients[i].in.length, 0, "%s", gates[i]);
	check_post(address, "/notify/all", "told 3\n");
	for (size_t i = 1; i < COUNT(gates); i++) {
		char line[32];

		snprintf(line, sizeof(line), "by-%s goes on\n", gates[i]);
		expect_text(&clients[i], line);
	}
	for (size_t i = 0; i < COUNT(gates); i++)
		client_close(&clients[i]);
	daemon_stop(&daemon);
}

/* One waits by each gate; what is posted reaches all. */
Test(waits, longpoll_example, .timeout = 60)
{
	struct client clients[COUNT(gates)];
	struct response response;
	struct daemon daemon;
	unsigned long told = 0;

	daemon_start(&daemon, 1, LOCAL, DAEMON_APPS "longpoll.so", NULL);
	for (size_t i = 0; i < COUNT(gates); i++)
		gate_ask_for(gates[i], daemon_address(&daemon), "/?since=0", &clients[i]);
	/* a post that comes before some of them wait is not lost to them */
	http_request(daemon_address(&daemon), "POST", "/", NULL, "news", 4, &response);
	cr_expect_eq(response.status, 200);
	cr_expect_eq(sscanf(response.body.data, "told %lu\n", &told), 1);
	cr_expect_leq(told, COUNT(gates));
	response_free(&response);
	for (size_t i = 0; i < COUNT(gates); i++) {
		while (!memmem(clients[i].in.data, clients[i].in.length, "news", 4))
			cr_assert(client_fill(&clients[i]), "%s", gates[i]);
		cr_expect(memmem(clients[i].in.data, clients[i].in.length, "Message-Number: 1", 17),
		        "%s", gates[i]);
		cr_expect(memmem(clients[i].in.data, clients[i].in.length, "news", 4), "%s",
		        gates[i]);
		client_close(&clients[i]);
	}
	daemon_stop(&daemon);
}

/* ---- hooks ---- */

Test(waits, hooks, .timeout = 60)
{
	struct daemon daemon;

	daemon_start(&daemon, 1, LOCAL, "-s", "log.level=info", DAEMON_APPS "hooks.so", NULL);
	check_get(daemon_address(&daemon), 200, "began 1, ticks 3\n", "/");
	cr_expect(strstr(daemon_text(&daemon), "TASK /start: it begins"));
	cr_expect_not(strstr(daemon_text(&daemon), "it ends"));
	kill(daemon.process.pid, SIGTERM);
	daemon_expect(&daemon, "TASK /stop: it ends: 0");
	daemon_end(&daemon, 0, false);
}

Test(waits, failing_hook, .timeout = 60)
{
	struct process process;

	cr_expect_eq(
	        daemon_run(&process, LOCAL, "-s", "log.level=info", DAEMON_APPS "unready.so", NULL),
	        1);
	cr_expect(strstr(process.err.data, "TASK /start: no database"), "%s", process.err.data);
	cr_expect(strstr(process.err.data, "[app main]: a function of ag_on_start returned 5"),
	        "%s", process.err.data);
	process_free(&process);
}
