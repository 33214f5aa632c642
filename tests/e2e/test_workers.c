/* Workers: requests in flight when they are told to stop, killed ones, overflown stacks. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"

SUITE(workers);

#define LOCAL "-w", "1", "-l", "http=127.0.0.1:0"

/*
 * A request that waits and one that is answered: then the first is in flight, as one worker reads
 * its connections in the order in which they came.
 */
static void ask_in_flight(struct client *client, const char *address, const char *target)
{
	gate_ask_for("http", address, target, client);
	http_check(address, "/?ms=0", 200, NULL);
	http_check(address, "/?ms=0", 200, NULL);
}

Test(workers, term_finishes_what_is_in_flight, .timeout = 60)
{
	struct response response;
	struct daemon daemon;
	struct client client;

	daemon_start(&daemon, 1, LOCAL, DAEMON_APPS "slow.so", NULL);
	ask_in_flight(&client, daemon_address(&daemon), "/?ms=700");
	kill(daemon.process.pid, SIGTERM);
	client_response(&client, "GET", &response);
	cr_expect_eq(response.status, 200);
	cr_expect(response.whole);
	response_free(&response);
	client_close(&client);
	daemon_end(&daemon, 0, false);
}

/* An idle keep-alive connection does not hold up a graceful stop. */
Test(workers, quit_closes_idle_connections, .timeout = 60)
{
	struct response response;
	struct daemon daemon;
	struct client client;

	daemon_start(&daemon, 1, LOCAL, "hello", NULL);
	client_open(&client, daemon_address(&daemon));
	http_ask(&client, "/");
	client_response(&client, "GET", &response);
	kill(daemon.process.pid, SIGQUIT);
	client_read_all(&client);
	cr_expect(!client.reset && client.in.length == 0);
	client_close(&client);
	response_free(&response);
	daemon_end(&daemon, 0, false);
}

/* The request sleeps for an hour: only a stop at once ends in time. */
static void check_stops_now(int first, int second)
{
	struct daemon daemon;
	struct client client;

	daemon_start(&daemon, 1, LOCAL, DAEMON_APPS "napper.so", NULL);
	ask_in_flight(&client, daemon_address(&daemon), "/?ms=3600000");
	kill(daemon.process.pid, first);
	if (second)
		kill(daemon.process.pid, second);
	client_read_all(&client);
	cr_expect_eq(client.in.length, 0, "%s", client.in.data);
	client_close(&client);
	daemon_end(&daemon, 0, false);
}

Test(workers, int_stops_at_once, .timeout = 60)
{
	check_stops_now(SIGINT, 0);
}

Test(workers, int_cuts_a_graceful_stop_short, .timeout = 60)
{
	check_stops_now(SIGTERM, SIGINT);
}

Test(workers, graceful_timeout, .timeout = 60)
{
	struct daemon daemon;
	struct client client;

	daemon_start(&daemon, 1, LOCAL, "-s", "daemon.graceful_timeout=200ms",
	        DAEMON_APPS "napper.so", NULL);
	ask_in_flight(&client, daemon_address(&daemon), "/?ms=3600000");
	kill(daemon.process.pid, SIGTERM);
	client_read_all(&client);
	client_close(&client);
	daemon_expect(&daemon, "1 connections are cut after daemon.graceful_timeout");
	daemon_expect(&daemon, "GET /?ms=3600000: cut: the worker stops");
	daemon_end(&daemon, 0, false);
}

Test(workers, killed_one_is_replaced, .timeout = 60)
{
	struct daemon daemon;
	pid_t worker;

	daemon_start(&daemon, 1, LOCAL, "hello", NULL);
	http_check(daemon_address(&daemon), "/", 200, NULL);
	worker = daemon_worker(&daemon, 0);
	kill(worker, SIGKILL);
	daemon_worker(&daemon, worker);
	http_check(daemon_address(&daemon), "/", 200, NULL);
	daemon_stop(&daemon);
}

/* The master is gone without a word: its workers do not stay behind. */
Test(workers, follow_their_master, .timeout = 60)
{
	struct daemon daemon;
	pid_t worker;

	daemon_start(&daemon, 1, LOCAL, "hello", NULL);
	worker = daemon_worker(&daemon, 0);
	kill(daemon.process.pid, SIGKILL);
	cr_expect_eq(process_wait(&daemon.process), 128 + SIGKILL);
	process_wait_orphan(worker);
	process_free(&daemon.process);
}

Test(workers, stack_overflow, .timeout = 60)
{
	struct daemon daemon;
	struct client client;

	daemon_start(&daemon, 1, LOCAL, DAEMON_APPS "overflow.so", NULL);
	http_check(daemon_address(&daemon), "/", 200, NULL);
	gate_ask_for("http", daemon_address(&daemon), "/overflow", &client);
	client_read_all(&client);
	cr_expect_eq(client.in.length, 0, "%s", client.in.data);
	client_close(&client);
	daemon_expect(&daemon, "stack overflow");
	http_check(daemon_address(&daemon), "/", 200, NULL);
	kill(daemon.process.pid, SIGTERM);
	daemon_end(&daemon, 0, true);
}

/* ---- many that wait ---- */

#define SLEEPERS 5000

/* Each client gets its 200. */
static void expect_answers(struct client *clients, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct response response;

		client_response(&clients[i], "GET", &response);
		cr_assert_eq(response.status, 200, "request %zu", i);
		response_free(&response);
		client_close(&clients[i]);
	}
}

/* One worker, and one connection for each request: they can only end in time if they overlap, as
 * one behind the other would take SLEEPERS times 1 s. */
Test(workers, five_thousand_sleep_together, .timeout = 180)
{
	struct client *clients = calloc(SLEEPERS, sizeof *clients);
	int64_t begin = deadline_in(0);
	struct daemon daemon;
	int ms;

	cr_assert(clients);
	support_allow_descriptors();
	daemon_start(&daemon, 1, LOCAL, DAEMON_APPS "slow.so", NULL);

	pid_t worker = daemon_worker(&daemon, 0);
	long before = process_memory(worker), during;

	for (size_t i = 0; i < SLEEPERS; i++)
		gate_ask_for("http", daemon_address(&daemon), "/?ms=1000", &clients[i]);
	during = process_memory(worker);
	expect_answers(clients, SLEEPERS);
	ms = (int)(deadline_in(0) - begin);
	fprintf(stderr, "%d sleepers of 1 s: %d ms, %ld KiB each\n", SLEEPERS, ms,
	        (during - before) / SLEEPERS);
	cr_expect_lt(ms, SLEEPERS * 1000 / 10);
	free(clients);
	daemon_stop(&daemon);
}

/* More clients than descriptors: those that can't be accepted yet wait, and all are served. */
Test(workers, out_of_descriptors, .timeout = 60)
{
	struct client clients[200];
	struct daemon daemon;

	daemon_start(&daemon, 1, LOCAL, "-s", "daemon.open_files=64", DAEMON_APPS "slow.so", NULL);
	for (size_t i = 0; i < COUNT(clients); i++)
		gate_ask_for("http", daemon_address(&daemon), "/?ms=50", &clients[i]);
	expect_answers(clients, COUNT(clients));
	daemon_expect(&daemon, "out of descriptors");
	daemon_stop(&daemon);
}

/* A disk that takes no more, here by RLIMIT_FSIZE: 507, and the next request is served. */
Test(workers, full_disk, .timeout = 60)
{
	const struct rlimit small = { 65536, 65536 };
	char *noise = support_noise(1 << 20);
	struct response response;
	struct daemon daemon;

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	daemon_start(&daemon, 1, LOCAL, "echo", NULL);
	http_request(daemon_address(&daemon), "POST", "/", NULL, noise, 1 << 20, &response);
	cr_expect_eq(response.status, 507, "%d", response.status);
	response_free(&response);
	http_check(daemon_address(&daemon), "/", 200, NULL);
	daemon_expect(&daemon, "can't keep the body on disk");
	daemon_stop(&daemon);
	free(noise);
}

/* ---- a client that does not read ---- */

#define STALLED_MIB 256

/* A worker that would buffer the answer would hold all of it by the time another is served. */
Test(workers, slow_reader_suspends_the_handler, .timeout = 180)
{
	struct response response;
	struct daemon daemon;
	struct client client;
	pid_t worker;
	long before, after;

	daemon_start(&daemon, 1, LOCAL, DAEMON_APPS "download.so", NULL);
	http_check(daemon_address(&daemon), "/1", 200, NULL);
	worker = daemon_worker(&daemon, 0);
	before = process_memory(worker);
	gate_ask_for("http", daemon_address(&daemon), "/256", &client);
	for (int i = 0; i < 20; i++)
		http_check(daemon_address(&daemon), "/1", 200, NULL);
	after = process_memory(worker);
	cr_expect_lt(after - before, STALLED_MIB * 1024 / 4, "%ld KiB more", after - before);
	client_response(&client, "GET", &response);
	cr_expect(response.whole);
	cr_expect_eq(response.body.length, STALLED_MIB << 20);
	response_free(&response);
	after = process_memory(worker);
	cr_expect_lt(after - before, STALLED_MIB * 1024 / 4, "%ld KiB more", after - before);
	client_close(&client);
	daemon_stop(&daemon);
}

/* A handler that does not read: the upload waits in the client, not in the worker. */
Test(workers, slow_handler_suspends_the_upload, .timeout = 180)
{
	struct bytes out = { 0 };
	char *noise = support_noise(32 << 20);
	struct response response;
	struct daemon daemon;
	struct client client;

	daemon_start(&daemon, 1, LOCAL, DAEMON_APPS "napper.so", NULL);
	http_check(daemon_address(&daemon), "/?ms=0", 200, NULL);

	pid_t worker = daemon_worker(&daemon, 0);
	long before = process_memory(worker), after;

	http_build(&out, "POST", "/read?ms=300", NULL, noise, 32 << 20);
	client_open(&client, daemon_address(&daemon));
	client_send(&client, out.data, out.length);
	client_response(&client, "POST", &response);
	after = process_memory(worker);
	cr_expect_eq(response.status, 200);
	cr_expect_str_eq(response.body.data, "33554432\n");
	cr_expect_lt(after - before, 16 * 1024, "%ld KiB more", after - before);
	response_free(&response);
	client_close(&client);
	bytes_free(&out);
	free(noise);
	daemon_stop(&daemon);
}
