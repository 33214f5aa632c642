/*
 * Workers that crash: the log names the signal, the request, the function and who else was there;
 * who else was there is all that is lost. With the sanitizers, whose own reports come as well, and
 * as it is installed.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"

SUITE(crashing);

#define BYSTANDER 3

static const struct crash_row {
	const char *target, *signal, *function; /* function: of the application, and its module */
} rows[] = {
	{ "/segv?a=b", "SIGSEGV at address 0x0", "#0 segv_here (crash.so+0x" },
	{ "/nested?", "SIGSEGV at address 0x0", "#1 nested_here (crash.so+0x" },
	{ "/abort", "SIGABRT", " abort_here (crash.so+0x" },
	{ "/divide", "SIGFPE", "#0 divide_here (crash.so+0x" },
	{ "/illegal", "SIGILL", "#0 illegal_here (crash.so+0x" },
	{ "/trap", "SIGTRAP", "#0 trap_here (crash.so+0x" },
	{ "/call", "SIGSEGV at address 0x0", "#1 call_here (crash.so+0x" },
	{ "/smash", "SIGSEGV at address 0x0", "#0 write_through (crash.so+0x" },
	{ "/overflow", "SIGSEGV at address 0x", "#1 recur_here (crash.so+0x" },
	{ "/segv?ms=20", "SIGSEGV at address 0x0", "#0 segv_here (crash.so+0x" },
};

static void check_file(const char *path, const char *wanted)
{
	char text[1024];
	FILE *file = fopen(path, "re");

	cr_assert(file, "%s", path);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	cr_expect_str_eq(text, wanted, "%s", text);
}

static void check_served(struct daemon *daemon)
{
	http_check(daemon_address(daemon), "/", 200, NULL);
}

static void check_lost(struct client *client, const char *target)
{
	client_read_all(client);
	cr_expect_eq(client->in.length, 0, "%s: %s", target, client->in.data);
	client_close(client);
}

/* A request that its worker does not outlive. */
static void crash(struct daemon *daemon, const char *target)
{
	struct client client;

	gate_ask_for("http", daemon_address(daemon), target, &client);
	check_lost(&client, target);
}

static void start(struct daemon *daemon, const char *program)
{
	const char *const arguments[] = { program, "-w", "1", "-l", "http=127.0.0.1:0",
		DAEMON_APPS "crash.so", NULL };
	const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	daemon_start_with(daemon, 1, &(struct process_options){ .arguments = arguments });
}

/* The log's lines of one crash; the frames come last. */
static void check_log(struct daemon *daemon, const struct crash_row *row)
{
	char head[128];

	snprintf(head, sizeof head, " in GET %s (for ", row->target);
	size_t frame = process_expect(&daemon->process, row->function, 0);

	process_expect(&daemon->process, " tests/e2e/apps/crash.c:", frame);

	const char *text = daemon_text(daemon);

	cr_expect(strstr(text, row->signal) && strstr(text, head), "not \"%s\", \"%s\": %s",
	        row->signal, head, text);
	for (int i = 0; i < BYSTANDER; i++) {
		snprintf(head, sizeof head, "other request in flight: GET /sleep?%d (for ", i);
		cr_expect(strstr(text, head), "not \"%s\": %s", head, text);
	}
	cr_expect_eq(strstr(text, "stack overflow in a handler") != NULL,
	        strcmp(row->target, "/overflow") == 0, "%s", text);
}

static void run_row(const char *program, const struct crash_row *row)
{
	struct client clients[BYSTANDER];
	struct daemon daemon;
	char target[32];

	start(&daemon, program);
	for (int i = 0; i < BYSTANDER; i++) {
		snprintf(target, sizeof target, "/sleep?%d", i);
		gate_ask_for("http", daemon_address(&daemon), target, &clients[i]);
	}
	/* one worker reads its connections in the order in which they came */
	check_served(&daemon);
	check_served(&daemon);
	crash(&daemon, row->target);
	for (int i = 0; i < BYSTANDER; i++)
		check_lost(&clients[i], "/sleep");
	check_served(&daemon);
	check_log(&daemon, row);
	kill(daemon.process.pid, SIGTERM);
	daemon_end(&daemon, 0, true);
}

Test(crashing, with_sanitizers, .timeout = 180)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		run_row(DAEMON_PROGRAM, &rows[i]);
}

Test(crashing, as_installed, .timeout = 180)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		run_row(DAEMON_PLAIN, &rows[i]);
}

/* Of the kernel's and the master's view: the signal is the one it would have been. */
Test(crashing, dies_of_its_signal, .timeout = 60)
{
	struct daemon daemon;

	start(&daemon, DAEMON_PLAIN);
	crash(&daemon, "/segv");
	daemon_expect(&daemon, "died of signal 11 ");
	crash(&daemon, "/abort");
	daemon_expect(&daemon, "died of signal 6 ");
	check_served(&daemon);
	daemon_stop(&daemon);
}

/* A sanitizer's report is not lost. */
Test(crashing, sanitizer_reports, .timeout = 60)
{
	struct daemon daemon;

	start(&daemon, DAEMON_PROGRAM);
	crash(&daemon, "/segv");
	daemon_expect(&daemon, "ERROR: AddressSanitizer: SEGV");
	daemon_expect(&daemon, "SIGSEGV at address 0x0 in GET /segv");
	kill(daemon.process.pid, SIGTERM);
	daemon_end(&daemon, 0, true);
}

/* Another crash, whose record is another's; one that leaves none has none. */
Test(crashing, one_after_the_other, .timeout = 60)
{
	struct daemon daemon;

	start(&daemon, DAEMON_PLAIN);
	crash(&daemon, "/segv");
	daemon_expect(&daemon, " task_begin ("); /* who reads the symbols has gone again */
	check_served(&daemon);

	pid_t worker = daemon_worker(&daemon, 0);

	kill(worker, SIGKILL);
	daemon_worker(&daemon, worker);
	check_served(&daemon);
	daemon_expect(&daemon, "died of signal 9 ");

	const char *text = daemon_text(&daemon), *first = strstr(text, "SIGSEGV");

	cr_expect(first && !strstr(first + 1, "SIGSEGV"), "%s", text);
	daemon_stop(&daemon);
}

/* No handler of the worker's sees SIGKILL: what it ran stands in its slot. */
Test(crashing, killed_in_a_handler, .timeout = 60)
{
	struct daemon daemon;
	struct client client;

	start(&daemon, DAEMON_PLAIN);
	gate_ask_for("http", daemon_address(&daemon), "/spin?c=d", &client);
	daemon_expect(&daemon, "spinning");
	kill(daemon_worker(&daemon, 0), SIGKILL);
	check_lost(&client, "/spin");
	check_served(&daemon);
	daemon_expect(&daemon, "SIGKILL in GET /spin?c=d (for ");
	daemon_stop(&daemon);
}

/* Who was answered just before is in the access log, once, whatever the worker died of. */
Test(crashing, access_log, .timeout = 60)
{
	static const struct {
		const char *target, *died;
	} deaths[] = {
		{ "/segv", "died of signal 11 " },
		{ "/abort", "died of signal 6 " },
		{ "/spin", "died of signal 9 " },
	};
	char setting[512], lines[128] = "";
	const char *const arguments[] = { DAEMON_PLAIN, "-w", "1", "-l", "http=127.0.0.1:0", "-s",
		setting, "-s", "log.format={uri} {status}", DAEMON_APPS "crash.so", NULL };
	const char *log = support_path("access.log");
	struct client client;
	struct daemon daemon;

	snprintf(setting, sizeof setting, "log.access=%s", log);
	daemon_start_with(&daemon, 1, &(struct process_options){ .arguments = arguments });
	for (size_t i = 0; i < COUNT(deaths); i++) {
		char target[16];

		for (int n = 0; n < 2; n++) {
			snprintf(target, sizeof target, "/?%zu-%d", i, n);
			http_check(daemon_address(&daemon), target, 200, NULL);
			strcat(strcat(lines, target), " 200\n");
		}
		gate_ask_for("http", daemon_address(&daemon), deaths[i].target, &client);
		if (strcmp(deaths[i].target, "/spin") == 0) {
			daemon_expect(&daemon, "spinning");
			kill(daemon_worker(&daemon, 0), SIGKILL);
		}
		check_lost(&client, deaths[i].target);
		daemon_expect(&daemon, deaths[i].died);
	}
	check_file(log, lines);
	kill(daemon.process.pid, SIGTERM);
	daemon_end(&daemon, 0, true);
}

/* The watchdog's signal ends nothing, nor is it a crash. */
Test(crashing, probe, .timeout = 60)
{
	struct daemon daemon;
	struct client client;

	start(&daemon, DAEMON_PROGRAM);
	pid_t worker = daemon_worker(&daemon, 0);

	gate_ask_for("http", daemon_address(&daemon), "/sleep", &client);
	check_served(&daemon);
	for (int i = 0; i < 10; i++) {
		kill(worker, SIGUSR2);
		check_served(&daemon);
	}
	cr_expect_eq(daemon_worker(&daemon, 0), worker);
	kill(worker, SIGKILL);
	check_lost(&client, "/sleep");
	daemon_expect(&daemon, "died of signal 9 ");
	cr_expect(!strstr(daemon_text(&daemon), "held up"), "%s", daemon_text(&daemon));
	daemon_stop(&daemon);
}
