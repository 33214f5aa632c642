/* daemon.request_timeout, and workers that are replaced in time. */
#include "../support/client.h"
#include "../support/daemon.h"
#include "../support/support.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define LOCAL "-w", "1", "-l", "127.0.0.1:0"

static const char *const gates[] = { "http", "fastcgi", "scgi", "uwsgi" };

static void check_nap(const char *gate, const char *address, const char *query, int expected)
{
	struct response response;
	char uri[64];

	snprintf(uri, sizeof(uri), "/?%s", query);
	gate_request(gate, address,
	        (const char *const[]){ "REQUEST_METHOD", "GET", "REQUEST_URI", uri, "SCRIPT_NAME",
	                "", "PATH_INFO", "/", "QUERY_STRING", query, "SERVER_PROTOCOL", "HTTP/1.1",
	                NULL },
	        NULL, 0, &response);
	cr_expect_eq(response.status, expected, "%s %s: %d", gate, query, response.status);
	response_free(&response);
}

/* A handler that waits is ended; the next request finds the same worker. */
Test(timeout, waiting_handlers_get_504, .timeout = 60)
{
	struct daemon daemon;
	pid_t worker;

	daemon_start(&daemon, 1, LOCAL, "-s", "daemon.request_timeout=200ms",
	        DAEMON_APPS "napper.so", NULL);
	worker = daemon_worker(&daemon, 0);
	for (size_t i = 0; i < sizeof(gates) / sizeof(*gates); i++) {
		check_nap(gates[i], daemon_address(&daemon), "ms=3600000", 504);
		check_nap(gates[i], daemon_address(&daemon), "ms=1", 200);
	}
	daemon_expect(&daemon, "/?ms=3600000: no answer within daemon.request_timeout");
	cr_expect_eq(daemon_worker(&daemon, 0), worker);
	daemon_stop(&daemon);
}

/* The body's time is the client's: the handler's begins behind it. */
Test(timeout, does_not_count_the_body, .timeout = 60)
{
	struct daemon daemon;
	struct client client;
	struct response response;
	static const char head[] =
	        "POST /read?ms=0 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1";

	daemon_start(&daemon, 1, LOCAL, "-s", "daemon.request_timeout=100ms",
	        DAEMON_APPS "napper.so", NULL);
	client_open(&client, daemon_address(&daemon));
	client_send(&client, head, sizeof(head) - 1);
	client_flush(&client);
	/* time passes: others are ended */
	check_nap("http", daemon_address(&daemon), "ms=3600000", 504);
	check_nap("http", daemon_address(&daemon), "ms=3600000", 504);
	client_send(&client, "2", 1);
	client_response(&client, "POST", &response);
	cr_expect_eq(response.status, 200);
	response_free(&response);
	client_close(&client);
	daemon_stop(&daemon);
}

/* A handler that keeps the processor is killed with its worker; the log says who and where. */
Test(timeout, busy_handlers_are_killed, .timeout = 60)
{
	struct daemon daemon;
	struct client client;
	pid_t worker;

	daemon_start(&daemon, 1, LOCAL, "-s", "daemon.request_timeout=300ms", DAEMON_APPS "spin.so",
	        NULL);
	worker = daemon_worker(&daemon, 0);
	gate_ask_for("http", daemon_address(&daemon), "/?ms=never", &client);
	client_read_all(&client);
	cr_expect_eq(client.in.length, 0);
	client_close(&client);
	daemon_expect(&daemon, "hangs: a handler has the processor");
	daemon_expect(&daemon, "GET /?ms=never");
	daemon_expect(&daemon, "spin_here");
	daemon_worker(&daemon, worker);
	http_check(daemon_address(&daemon), "/ok", 200, NULL);
	daemon_stop(&daemon);
}

/* Settings that replace a worker; every answer is 200 meanwhile. */
static const struct {
	const char *setting, *message;
} recycles[] = {
	{ "daemon.max_requests=20", "is replaced: daemon.max_requests" },
	{ "daemon.max_lifetime=200ms", "is replaced: daemon.max_lifetime" },
	{ "daemon.rss_limit=1K", "is replaced: daemon.rss_limit" },
};

Test(timeout, workers_are_replaced, .timeout = 120)
{
	for (size_t i = 0; i < sizeof(recycles) / sizeof(*recycles); i++) {
		struct daemon daemon;
		pid_t before, now;

		daemon_start(&daemon, 1, LOCAL, "-s", recycles[i].setting, "hello", NULL);
		before = now = daemon_worker(&daemon, 0);
		while (now == before) {
			struct response response;
			pid_t children[4];

			http_get(daemon_address(&daemon), "/", &response);
			cr_expect_eq(response.status, 200, "%s", recycles[i].setting);
			response_free(&response);
			if (process_children(daemon.process.pid, children, 4) == 1)
				now = children[0];
		}
		daemon_expect(&daemon, recycles[i].message);
		daemon_stop(&daemon);
	}
}
