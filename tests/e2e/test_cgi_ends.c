/* The ends of CGI programs: by themselves, by time, by their clients, by the worker; what is left.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/program.h"

SUITE(cgi_ends);

static const char *const protocols[] = { "fastcgi", "scgi", "uwsgi", "http" };

static gate_variables get = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/", "HTTP_HOST", "a", NULL };

#define TYPE "printf 'Content-Type: text/plain\\r\\n\\r\\n'\n"

/* Starts another process in the background and tells its number and its own on standard error. */
#define BACKGROUND "sleep 3600 &\necho started $! by $$ >&2\n"

static struct daemon daemon_under_test;
static const char *address;
static size_t told; /* how much of what the daemon said was read */

static void begin_at(const char *path, const char *timeout)
{
	char program[200], time[64];

	snprintf(program, sizeof program, "app.program=%s", path);
	snprintf(time, sizeof time, "app.timeout=%s", timeout);
	daemon_start(&daemon_under_test, 1, "-w", "1", "-l", "127.0.0.1:0", "-s", program, "-s",
	        time, "cgi", NULL);
	address = daemon_address(&daemon_under_test);
	told = 0;
}

static void begin(const char *commands, const char *timeout)
{
	begin_at(program_write("program", commands), timeout);
}

/* The next background process that a program has started. */
static pid_t next_background(void)
{
	int pid = 0;

	told = process_expect(&daemon_under_test.process, ": started ", told);
	process_expect(&daemon_under_test.process, "\n", told);
	sscanf(daemon_under_test.process.err.data + told, "%d", &pid);
	cr_assert_gt(pid, 1);
	return pid;
}

static void check_status(const char *gate, int status)
{
	struct response response;

	gate_request(gate, address, get, NULL, 0, &response);
	cr_expect_eq(response.status, status, "%s: %d", gate, response.status);
	response_free(&response);
}

/* ---- by themselves ---- */

Test(cgi_ends, nothing_is_left_of_300, .timeout = 240)
{
	begin(TYPE "cat; echo x >&2", "30s");
	check_status("http", 200);
	pid_t worker = daemon_worker(&daemon_under_test, 0);
	size_t descriptors = process_descriptors(worker);

	for (int i = 0; i < 300; i++)
		check_status(protocols[i % (int)COUNT(protocols)], 200);
	process_check_nothing_left(worker, descriptors);
	daemon_stop(&daemon_under_test);
}

static const struct missing_row {
	const char *name, *text; /* NULL: there is no such file */
	mode_t mode;
	const char *says;
} missing[] = {
	{ "none", NULL, 0, "No such file or directory" },
	{ "plain", "#!/bin/sh\n", 0644, "Permission denied" },
	{ "text", "no program\n", 0755, "Exec format error" },
	{ "interpreter", "#!/nowhere/sh\n", 0755, "No such file or directory" },
};

Test(cgi_ends, programs_that_cannot_run, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(missing); i++) {
		const char *path = missing[i].text ? program_file(missing[i].name, missing[i].text,
		                                             missing[i].mode)
		                                   : support_path(missing[i].name);

		begin_at(path, "30s");
		pid_t worker = daemon_worker(&daemon_under_test, 0);
		size_t descriptors = process_descriptors(worker);

		for (size_t gate = 0; gate < COUNT(protocols); gate++)
			check_status(protocols[gate], 502);
		daemon_expect(&daemon_under_test, "can't run");
		daemon_expect(&daemon_under_test, missing[i].says);
		process_check_nothing_left(worker, descriptors);
		daemon_stop(&daemon_under_test);
	}
}

/* What goes on in the background and lets go of the output is nobody's business. */
Test(cgi_ends, background_lives_on, .timeout = 60)
{
	begin(TYPE "sleep 3600 </dev/null >/dev/null 2>&1 &\necho started $! by $$ >&2\n", "30s");
	check_status("http", 200);
	pid_t pid = next_background();

	process_check_nothing_left(daemon_worker(&daemon_under_test, 0),
	        process_descriptors(daemon_worker(&daemon_under_test, 0)));
	cr_expect_eq(kill(pid, 0), 0, "%d is gone", pid);
	kill(pid, SIGTERM);
	cr_expect_eq(process_wait_orphan(pid), 128 + SIGTERM);
	daemon_stop(&daemon_under_test);
}

/* One that holds the output does not hold the answer. */
Test(cgi_ends, background_that_holds_the_output, .timeout = 60)
{
	begin(TYPE BACKGROUND "echo x", "30s");
	for (size_t i = 0; i < COUNT(protocols); i++) {
		struct response response;

		gate_request(protocols[i], address, get, NULL, 0, &response);
		cr_expect_eq(response.status, 200, "%s", protocols[i]);
		cr_expect_str_eq(response.body.data, "x\n", "%s", protocols[i]);
		response_free(&response);
		process_check_killed(next_background(), protocols[i]);
	}
	daemon_expect(&daemon_under_test, "what it started holds its output");
	daemon_stop(&daemon_under_test);
}

/* The answer is over with the output; the program may tidy up. */
Test(cgi_ends, program_goes_on_behind_its_output, .timeout = 60)
{
	const char *gate = support_path("gate"), *done = support_path("done");
	struct bytes commands = { 0 };

	cr_assert_eq(mkfifo(gate, 0600), 0);
	cr_assert_eq(mkfifo(done, 0600), 0);
	bytes_printf(
	        &commands, TYPE "echo x; exec >&- 2>&-; read line <%s; echo $line >%s", gate, done);
	begin(commands.data, "30s");
	check_status("http", 200);

	FILE *to = fopen(gate, "we");
	char line[16] = "";

	fputs("go\n", to);
	fclose(to);
	FILE *from = fopen(done, "re");

	cr_expect(fgets(line, sizeof line, from) && strcmp(line, "go\n") == 0, "%s", line);
	fclose(from);
	process_check_nothing_left(daemon_worker(&daemon_under_test, 0),
	        process_descriptors(daemon_worker(&daemon_under_test, 0)));
	bytes_free(&commands);
	daemon_stop(&daemon_under_test);
}

/* ---- by time ---- */

Test(cgi_ends, timeout_kills_the_group, .timeout = 60)
{
	begin(BACKGROUND "wait", "200ms");
	pid_t worker = daemon_worker(&daemon_under_test, 0);
	size_t descriptors = process_descriptors(worker);

	for (size_t i = 0; i < COUNT(protocols); i++) {
		check_status(protocols[i], 504);
		process_check_killed(next_background(), protocols[i]);
	}
	daemon_expect(&daemon_under_test, "no sign of life for 200 ms: killed");
	process_check_nothing_left(worker, descriptors);
	daemon_stop(&daemon_under_test);
}

/* An answer that has begun is cut. */
Test(cgi_ends, timeout_in_the_middle, .timeout = 60)
{
	struct response response;

	begin(TYPE "echo begun\n" BACKGROUND "wait", "1s");
	http_get(address, "/", &response);
	cr_expect_eq(response.status, 200);
	cr_expect_str_eq(response.body.data, "begun\n");
	cr_expect(!response.whole);
	response_free(&response);
	process_check_killed(next_background(), "http");
	daemon_stop(&daemon_under_test);
}

/* The time runs anew with each sign of life. */
Test(cgi_ends, slow_but_alive, .timeout = 60)
{
	struct response response;

	begin(TYPE "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.3; done", "1500ms");
	http_get(address, "/", &response);
	cr_expect_eq(response.status, 200);
	cr_expect(response.whole);
	cr_expect_str_eq(response.body.data, "1\n2\n3\n4\n5\n6\n7\n8\n");
	response_free(&response);
	daemon_stop(&daemon_under_test);
}

/* ---- by their clients ---- */

/* With nothing said, with the head said, and while the client is too slow for what is said. */
static const char *const talk[] = { "", TYPE "echo x\n", TYPE "head -c 20000000 /dev/zero\n" };

Test(cgi_ends, client_goes_away, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(talk); i++) {
		struct bytes commands = { 0 };

		bytes_printf(&commands, BACKGROUND "%swait", talk[i]);
		begin(commands.data, "30s");
		pid_t worker = daemon_worker(&daemon_under_test, 0);
		size_t descriptors = process_descriptors(worker);

		for (size_t gate = 0; gate < COUNT(protocols); gate++) {
			struct client client;

			gate_ask(protocols[gate], address, get, NULL, 0, &client);
			pid_t pid = next_background();

			if (i > 0)
				client_fill(&client);
			client_close(&client);
			process_check_killed(pid, protocols[gate]);
		}
		process_check_nothing_left(worker, descriptors);
		bytes_free(&commands);
		daemon_stop(&daemon_under_test);
	}
}

/* A client that leaves in the middle of its body takes the program along at once. */
Test(cgi_ends, client_goes_away_in_the_body, .timeout = 60)
{
	static const char half[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc";
	struct client client;

	begin(BACKGROUND "cat; wait", "30s");
	client_open(&client, address);
	client_send(&client, half, sizeof half - 1);
	client_flush(&client);
	pid_t pid = next_background();

	client_close(&client);
	process_check_killed(pid, "http");
	daemon_stop(&daemon_under_test);
}

/* FastCGI says it in so many words. */
Test(cgi_ends, client_aborts, .timeout = 60)
{
	struct bytes abort = { 0 };
	struct client client;

	begin(BACKGROUND "wait", "30s");
	gate_ask("fastcgi", address, get, NULL, 0, &client);
	pid_t pid = next_background();

	fastcgi_record(&abort, FASTCGI_ABORT, 1, NULL, 0);
	client_send(&client, abort.data, abort.length);
	client_flush(&client);
	process_check_killed(pid, "fastcgi");
	client_close(&client);
	bytes_free(&abort);
	daemon_stop(&daemon_under_test);
}

/* ---- by the worker ---- */

Test(cgi_ends, worker_drains, .timeout = 60)
{
	const char *gate = support_path("gate");
	struct bytes commands = { 0 };
	struct response response;
	struct client client;

	cr_assert_eq(mkfifo(gate, 0600), 0);
	bytes_printf(&commands, "echo started $$ >&2\nread line <%s\n" TYPE "echo $line", gate);
	begin(commands.data, "30s");
	gate_ask("http", address, get, NULL, 0, &client);
	next_background();
	kill(daemon_under_test.process.pid, SIGTERM);

	FILE *to = fopen(gate, "we");

	fputs("late\n", to);
	fclose(to);
	client_response(&client, "GET", &response);
	cr_expect_eq(response.status, 200);
	cr_expect_str_eq(response.body.data, "late\n");
	response_free(&response);
	client_close(&client);
	bytes_free(&commands);
	daemon_end(&daemon_under_test, 0, false);
}

Test(cgi_ends, worker_stops_now, .timeout = 60)
{
	struct client clients[3];
	pid_t pids[COUNT(clients)];

	begin(BACKGROUND "wait", "30s");
	for (size_t i = 0; i < COUNT(clients); i++) {
		gate_ask(protocols[i], address, get, NULL, 0, &clients[i]);
		pids[i] = next_background();
	}
	kill(daemon_under_test.process.pid, SIGINT);
	for (size_t i = 0; i < COUNT(clients); i++) {
		process_check_killed(pids[i], protocols[i]);
		client_close(&clients[i]);
	}
	daemon_end(&daemon_under_test, 0, false);
}
