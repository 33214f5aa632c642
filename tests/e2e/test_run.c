/* Programs that a handler runs: how they end, what they are given, and what is left of them. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/program.h"

SUITE(run);

static const char *const protocols[] = { "fastcgi", "scgi", "uwsgi", "http" };

#define AG_GONE     "-1"
#define AG_TIMEOUT  "-2"
#define AG_INVALID  "-4"
#define AG_CANCELED "-6"
#define AG_NOENT    "-9"

static struct daemon daemon_under_test;
static const char *address;

static void begin(const char *setting)
{
	daemon_start(&daemon_under_test, 1, "-w", "1", "-l", "127.0.0.1:0", "-s", setting,
	        DAEMON_APPS "programs.so", NULL);
	address = daemon_address(&daemon_under_test);
}

static void check(const char *gate, const char *query, const char *body, const char *wanted)
{
	gate_check_query(gate, address, query, body, wanted, 1);
}

/* ---- one program ---- */

/* The program is a script of `commands`, or what the query says; `result` as apps/programs.c. */
static const struct run_row {
	const char *commands, *query, *body, *result;
} rows[] = {
	{ "exit 0", "", NULL, "0 0 0 0 0 0\n" },
	{ "exit 7", "", NULL, "0 7 0 0 0 0\n" },
	{ "kill -KILL $$", "", NULL, "0 -1 9 0 0 0\n" },
	{ "kill -TERM $$", "", NULL, "0 -1 15 0 0 0\n" },
	{ "echo out; echo error >&2; exit 1", "", NULL, "0 1 0 0 4 6\nout\nerror\n" },
	/* what is kept */
	{ "printf 0123456789; printf abcdef >&2", "&out=4&err=3", NULL, "0 0 0 0 4+ 3+\n0123abc" },
	{ "printf 0123456789; printf abcdef >&2", "&out=10&err=6", NULL,
	        "0 0 0 0 10 6\n0123456789abcdef" },
	{ "head -c 3000000 /dev/zero; exit 3", "&out=1", NULL, "0 3 0 0 1+ 0\n" },
	{ "exec >&- 2>&-; exit 4", "", NULL, "0 4 0 0 0 0\n" },
	/* what goes in */
	{ "cat", "", NULL, "0 0 0 0 0 0\n" },
	{ "cat", "&in=hello", NULL, "0 0 0 0 5 0\nhello" },
	{ "cat", "&body=1", "the body", "0 0 0 0 8 0\nthe body" },
	{ "cat", "&body=1", NULL, "0 0 0 0 0 0\n" },
	{ "cat", "", "the body", "0 0 0 0 0 0\n" },
	{ "exec <&-; exit 5", "&in=hello", NULL, "0 5 0 0 0 0\n" },
	{ "cat", "&body=1&in=x", "y", AG_INVALID " -1 0 0 0 0\n" },
	{ "echo \"$#$1$2\"", "&arg=a+b&arg=", NULL, "0 0 0 0 5 0\n2a b\n" },
	{ "pwd", "&dir=/", NULL, "0 0 0 0 2 0\n/\n" },
	{ "ls /proc/self/fd", "", NULL, "0 0 0 0 8 0\n0\n1\n2\n3\n" }, /* 3 is its own */
	{ NULL, "arg=env", NULL,
	        "0 0 0 0 66 0\n"
	        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" },
	{ NULL, "arg=env&env=B%3D2&env=A%3D1", NULL, "0 0 0 0 8 0\nB=2\nA=1\n" },
	{ NULL, "arg=env&env=PATH%3D/usr/bin", NULL, "0 0 0 0 14 0\nPATH=/usr/bin\n" },
	/* what can't be run */
	{ NULL, "arg=env&env=PATH%3D/nowhere", NULL, AG_NOENT " -1 0 0 0 0\n" },
	{ NULL, "arg=env&env=PATH%3D::bin:&dir=/usr", NULL, AG_NOENT " -1 0 0 0 0\n" },
	{ NULL, "arg=no-such-program", NULL, AG_NOENT " -1 0 0 0 0\n" },
	{ NULL, "arg=/no/such/program", NULL, AG_NOENT " -1 0 0 0 0\n" },
	{ NULL, "arg=/etc/passwd", NULL, AG_NOENT " -1 0 0 0 0\n" },
	{ NULL, "arg=bin/env&dir=/usr&env=A%3D1", NULL, "0 0 0 0 4 0\nA=1\n" },
	{ "exit 0", "&dir=/nowhere", NULL, AG_NOENT " -1 0 0 0 0\n" },
	{ NULL, "arg=", NULL, AG_INVALID " -1 0 0 0 0\n" },
	{ NULL, "", NULL, AG_INVALID " -1 0 0 0 0\n" },
	/* time */
	{ "echo before; sleep 3600", "&ms=300", NULL, "0 -1 9 1 7 0\nbefore\n" },
	{ "while :; do echo alive; sleep 0.05; done", "&ms=300&out=6", NULL,
	        "0 -1 9 1 6+ 0\nalive\n" },
	{ "exit 6", "&ms=60000", NULL, "0 6 0 0 0 0\n" },
	/* taken as it comes */
	{ "printf one; exit 2", "&take=0", NULL, "[one]0 2 0 0 0 0\n" },
	{ "printf one; sleep 3600", "&take=42", NULL, "42 -1 0 0 0 0\n" },
	{ "printf one; sleep 3600", "&take=-2", NULL, AG_TIMEOUT " -1 0 0 0 0\n" },
	{ "printf one; sleep 1; printf two; sleep 3600", "&take=0&nap=2000&ms=500", NULL,
	        "[one][two]0 -1 9 1 0 0\n" }, /* its time is looked at behind the nap */
	{ "printf one; sleep 3600", "&times=1&cancel=1", NULL,
	        "[one]" AG_CANCELED " -1 0 0 0 0\n" },
};

static void check_row(const struct run_row *row, const char *gate)
{
	char query[512];

	if (row->commands)
		snprintf(query, sizeof query, "arg=%s%s", program_write("program", row->commands),
		        row->query);
	else
		snprintf(query, sizeof query, "%s", row->query);
	check(gate, query, row->body, row->result);
}

Test(run, rows, .timeout = 120)
{
	begin("app.debug=off");
	pid_t worker = daemon_worker(&daemon_under_test, 0);

	check_row(&rows[0], "http");
	size_t descriptors = process_descriptors(worker);

	for (size_t i = 0; i < COUNT(rows); i++)
		check_row(&rows[i], protocols[i % COUNT(protocols)]);
	process_check_nothing_left(worker, descriptors);
	daemon_stop(&daemon_under_test);
}

Test(run, says_what_it_cannot_run, .timeout = 60)
{
	begin("app.debug=off");
	check("http", "arg=no-such-program", NULL, AG_NOENT " -1 0 0 0 0\n");
	daemon_expect(&daemon_under_test, "can't run no-such-program: no-such-program: No such "
	                                  "file or directory");
	daemon_stop(&daemon_under_test);
}

/* ---- ends ---- */

/* A script that leaves another process, tells its number through `fifo`, and waits. */
static const char *write_holder(const char *fifo)
{
	char commands[512];

	unlink(fifo);
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	snprintf(commands, sizeof commands, "sleep 3600 &\necho $! >%s\nwait", fifo);
	return program_write("holder", commands);
}

static pid_t read_pid(const char *fifo)
{
	FILE *from = fopen(fifo, "re");
	int pid = 0;

	cr_assert(from && fscanf(from, "%d", &pid) == 1 && pid > 1);
	fclose(from);
	return pid;
}

Test(run, timeout_kills_the_group, .timeout = 60)
{
	const char *fifo = support_path("fifo");
	struct response response;
	struct client client;
	char query[512];

	begin("app.debug=off");
	snprintf(query, sizeof query, "arg=%s&ms=1000", write_holder(fifo));
	gate_ask_query("http", address, query, NULL, &client);
	pid_t pid = read_pid(fifo);

	gate_answer("http", &client, &response);
	cr_expect_str_eq(response.body.data, "0 -1 9 1 0 0\n");
	process_check_killed(pid, "http");
	response_free(&response);
	daemon_stop(&daemon_under_test);
}

/* In the handler's own task, in one of its own, and with the body still to come. */
static const char *const ways[] = { "", "&times=1", "&times=1&body=1" };

Test(run, client_goes_away, .timeout = 120)
{
	const char *fifo = support_path("fifo");

	begin("app.debug=off");
	pid_t worker = daemon_worker(&daemon_under_test, 0);
	size_t descriptors = process_descriptors(worker), told = 0;

	for (size_t i = 0; i < COUNT(ways) * COUNT(protocols); i++) {
		const char *gate = protocols[i % COUNT(protocols)];
		struct client client;
		char query[512];

		snprintf(query, sizeof query, "arg=%s%s", write_holder(fifo),
		        ways[i / COUNT(protocols)]);
		gate_ask_query(gate, address, query, NULL, &client);
		pid_t pid = read_pid(fifo);

		client_close(&client);
		process_check_killed(pid, gate);
		told = process_expect(&daemon_under_test.process, "run ended with " AG_GONE, told);
	}
	process_check_nothing_left(worker, descriptors);
	daemon_stop(&daemon_under_test);
}

/* A client that ends in the middle of the body that the program reads. */
Test(run, client_goes_away_in_the_body, .timeout = 60)
{
	const char *fifo = support_path("fifo");
	struct client client;
	struct bytes out = { 0 };

	begin("app.debug=off");
	bytes_printf(&out,
	        "POST /?body=1&arg=%s HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
	        write_holder(fifo));
	client_open(&client, address);
	client_send(&client, out.data, out.length);
	client_flush(&client);
	pid_t pid = read_pid(fifo);

	client_close(&client);
	process_check_killed(pid, "http");
	daemon_expect(&daemon_under_test, "run ended with " AG_GONE);
	bytes_free(&out);
	daemon_stop(&daemon_under_test);
}

Test(run, request_timeout, .timeout = 60)
{
	const char *fifo = support_path("fifo");
	struct response response;
	struct client client;
	char query[512];

	begin("daemon.request_timeout=500ms");
	snprintf(query, sizeof query, "arg=%s&ms=60000", write_holder(fifo));
	gate_ask_query("http", address, query, NULL, &client);
	pid_t pid = read_pid(fifo);

	gate_answer("http", &client, &response);
	cr_expect_eq(response.status, 504);
	process_check_killed(pid, "http");
	daemon_expect(&daemon_under_test, "run ended with " AG_TIMEOUT);
	response_free(&response);
	daemon_stop(&daemon_under_test);
}

/* ---- many ---- */

static void check_many(const char *query, unsigned times, const char *one)
{
	gate_check_query("http", address, query, NULL, one, times);
}

Test(run, nothing_is_left_of_many, .timeout = 240)
{
	begin("daemon.programs=0");
	check("http", "arg=true", NULL, "0 0 0 0 0 0\n");
	pid_t worker = daemon_worker(&daemon_under_test, 0);
	size_t descriptors = process_descriptors(worker);

	for (int i = 0; i < 500; i++)
		check(protocols[i % (int)COUNT(protocols)], "arg=true", NULL, "0 0 0 0 0 0\n");
	check_many("arg=sleep&arg=0.2&times=50", 50, "0 0 0 0 0 0\n");
	check_many("arg=sleep&arg=3600&times=50&ms=100", 50, "0 -1 9 1 0 0\n");
	process_check_nothing_left(worker, descriptors);
	daemon_stop(&daemon_under_test);
}

/* ---- daemon.programs ---- */

/* Fails where another of its kind runs at the same time. */
static const char *write_alone(void)
{
	char commands[512];
	const char *lock = support_path("lock");

	snprintf(commands, sizeof commands, "mkdir %s || exit 1\nsleep 0.05\nrmdir %s\n", lock,
	        lock);
	return program_write("alone", commands);
}

Test(run, waits_its_turn, .timeout = 60)
{
	char query[512];

	begin("daemon.programs=1");
	snprintf(query, sizeof query, "arg=%s&times=8", write_alone());
	check_many(query, 8, "0 0 0 0 0 0\n");
	daemon_stop(&daemon_under_test);
}

/* One that gives up while it waits leaves its place; failures to start give theirs back. */
Test(run, gives_up_its_turn, .timeout = 60)
{
	const char *fifo = support_path("fifo"), *holder = write_holder(fifo);
	struct client first, second;
	char query[512];

	begin("daemon.programs=1");
	for (int i = 0; i < 3; i++)
		check("http", "arg=/etc/passwd", NULL, AG_NOENT " -1 0 0 0 0\n");
	snprintf(query, sizeof query, "arg=%s", holder);
	gate_ask_query("http", address, query, NULL, &first);
	pid_t pid = read_pid(fifo);
	size_t told = 0;

	gate_ask_query("scgi", address, "arg=true&times=3", NULL, &second);
	for (size_t i = 0; i < 3 + 1 + 3; i++)
		told = process_expect(&daemon_under_test.process, "run begins", told);
	client_close(&second);
	for (size_t i = 0; i < 3; i++)
		told = process_expect(&daemon_under_test.process, "run ended with " AG_GONE, told);
	client_close(&first);
	process_check_killed(pid, "http");
	check_many("arg=true&times=4", 4, "0 0 0 0 0 0\n");
	daemon_stop(&daemon_under_test);
}

/* A CGI program does not wait for its turn. */
Test(run, cgi_is_refused, .timeout = 60)
{
	const char *fifo = support_path("fifo");
	struct response response;
	struct client client;
	char program[512];

	snprintf(program, sizeof program, "app.program=%s", write_holder(fifo));
	daemon_start(&daemon_under_test, 1, "-w", "1", "-l", "127.0.0.1:0", "-s",
	        "daemon.programs=1", "-s", program, "cgi", NULL);
	address = daemon_address(&daemon_under_test);
	gate_ask_query("http", address, "", NULL, &client);
	pid_t pid = read_pid(fifo);

	http_get(address, "/", &response);
	cr_expect_eq(response.status, 503);
	daemon_expect(&daemon_under_test, "daemon.programs of them run");
	response_free(&response);
	client_close(&client);
	process_check_killed(pid, "http");
	daemon_stop(&daemon_under_test);
}

/* ---- the example ---- */

Test(run, example, .timeout = 60)
{
	struct response response;

	daemon_start(
	        &daemon_under_test, 1, "-w", "1", "-l", "127.0.0.1:0", DAEMON_APPS "run.so", NULL);
	http_get(daemon_address(&daemon_under_test), "/", &response);
	cr_expect_eq(response.status, 200);
	cr_expect_str_eq(response.body.data, "sleep 5: killed after 3000 ms\n"
	                                     "sleep 1: exited with 0\n"
	                                     "no-such-program : no such program\n"
	                                     "cat /no/such/file: exited with 1\n"
	                                     "cat: /no/such/file: No such file or directory\n");
	response_free(&response);
	daemon_stop(&daemon_under_test);
}
