/* anygate status|reload|stop|reopen -c FILE. */
#include "../support/client.h"
#include "../support/daemon.h"
#include "../support/support.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ADMIN "[admin]\nlisten = unix:%s/admin.sock\n"
#define HELLO "[app main]\nload = hello\n"

/* A daemon with a pidfile, in a directory of its own. */
struct site {
	char directory[64], file[96];
	struct daemon daemon;
};

/* `more` begins a section; its %s is the directory. */
static void configure(const struct site *site, const char *more)
{
	FILE *file = fopen(site->file, "w");

	cr_assert(file);
	fprintf(file,
	        "[daemon]\nworkers = 2\nreload_watch = 0\npidfile = %s/pid\n"
	        "[log]\nerror = %s/log\n[listen main]\naddress = unix:%s/main.sock\n",
	        site->directory, site->directory, site->directory);
	fprintf(file, more, site->directory); /* NOLINT: a row of the test */
	fclose(file);
}

static void site_make(struct site *site, const char *more)
{
	snprintf(site->directory, sizeof(site->directory), "%s/XXXXXX", support_directory());
	cr_assert(mkdtemp(site->directory));
	snprintf(site->file, sizeof(site->file), "%s/anygate.ini", site->directory);
	configure(site, more);
}

static void site_remove(const struct site *site)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/log", site->directory);
	unlink(path);
	unlink(site->file);
	cr_expect_eq(rmdir(site->directory), 0, "something is left in %s", site->directory);
}

/* Runs a command: its exit status, and what it has to print, on either output. */
static void check(const struct site *site, const char *command, int status, const char *expected)
{
	struct process process;
	const char *out;

	cr_expect_eq(daemon_run(&process, command, "-c", site->file, NULL), status, "%s: %s%s",
	        command, process.out.data, process.err.data);
	out = status ? process.err.data : process.out.data;
	cr_expect(strstr(out, expected), "%s: no \"%s\" in %s", command, expected, out);
	process_free(&process);
}

/* Each starts from the configuration of the one before. */
static const struct {
	const char *name, *more;
	int status;
	const char *expected;
} reloads[] = {
	{ "another application", ADMIN "[app main]\nload = env\n", 0,
	        "reloaded: generation 2 serves\n" },
	{ "a fault in the file, which is not even asked for", ADMIN "wrokers = 2\n" HELLO, 2,
	        "wrokers" },
	{ "an application that is missing", ADMIN "[app main]\nload = /nowhere/app.so\n", 1,
	        "anygate: not reloaded: cannot load /nowhere/app.so" },
	{ "all well again", ADMIN HELLO, 0, "reloaded: generation 4 serves\n" },
	{ "without [admin]", HELLO, 0, "is asked to reload; the log tells how it goes, as " },
};

Test(command, reload_tells_how_it_went, .timeout = 60)
{
	struct site site;

	site_make(&site, ADMIN HELLO);
	daemon_start(&site.daemon, 2, "-c", site.file, NULL);
	for (size_t i = 0; i < COUNT(reloads); i++) {
		configure(&site, reloads[i].more);
		check(&site, "reload", reloads[i].status, reloads[i].expected);
	}
	check(&site, "stop", 0, "stopped\n");
	daemon_end(&site.daemon, 0, false);
	site_remove(&site);
}

Test(command, reopen, .timeout = 60)
{
	struct site site;
	char log[128], moved[128];

	site_make(&site, HELLO);
	snprintf(log, sizeof(log), "%s/log", site.directory);
	snprintf(moved, sizeof(moved), "%s/log.1", site.directory);
	daemon_start(&site.daemon, 1, "-c", site.file, NULL);
	cr_assert_eq(rename(log, moved), 0);
	check(&site, "reopen", 0, "");
	for (int i = 0; i < PATIENCE && access(log, F_OK) < 0; i++)
		usleep(1000);
	cr_expect_eq(access(log, F_OK), 0, "the log was not opened again");
	check(&site, "stop", 0, "stopped\n");
	daemon_end(&site.daemon, 0, false);
	unlink(moved);
	site_remove(&site);
}

/* Nobody runs, or nothing says where. */
static const struct {
	const char *command, *more;
	bool pidfile; /* a file that nobody has locked */
	const char *expected;
} faults[] = {
	{ "reload", HELLO, false, "anygate: no anygate runs: there is no " },
	{ "stop", HELLO, false, "anygate: no anygate runs: there is no " },
	{ "reopen", HELLO, true, "/pid is not locked\n" },
	{ "reload", "[daemon]\n" HELLO, false, "duplicate section [daemon]" },
	{ "status", HELLO, true, "anygate: admin.listen is off\n" },
	{ "status", ADMIN HELLO, false, "admin.listen: can't connect to unix:" },
	{ "status", "[admin]\nlisten = 127.0.0.1:0\n" HELLO, false, "has port 0" },
};

Test(command, faults, .timeout = 60)
{
	struct site site;
	char path[128];

	site_make(&site, HELLO);
	snprintf(path, sizeof(path), "%s/pid", site.directory);
	for (size_t i = 0; i < COUNT(faults); i++) {
		configure(&site, faults[i].more);
		if (faults[i].pidfile)
			fclose(fopen(path, "w"));
		check(&site, faults[i].command, strstr(faults[i].expected, "duplicate") ? 2 : 1,
		        faults[i].expected);
		unlink(path);
	}
	site_remove(&site);

	struct process process;

	cr_expect_eq(
	        daemon_run(&process, "stop", "-c", "/dev/null", "-s", "app.main.load=hello", NULL),
	        1);
	cr_expect(strstr(process.err.data, "daemon.pidfile is not set"), "%s", process.err.data);
	process_free(&process);
}

/* ---- the table ---- */

/* The text without what a terminal obeys. */
static char *plain_text(const char *text)
{
	char *plain = strdup(text), *to = plain;

	for (const char *at = text; *at; at++) {
		if (*at == '\033') /* CSI ... a letter */
			at += 2 + strspn(at + 2, "?0123456789;");
		else if (*at != '\r')
			*to++ = *at;
	}
	*to = '\0';
	return plain;
}

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : NULL;
}

/* Every worker's row has its cells where the titles end. */
static void check_aligned(const char *table, size_t workers)
{
	static const char *const titles[] = { "PID", "GEN", "REQ/S", "ERR/S", "IN FLIGHT", "CONNS",
		"P50", "P99", "RSS", "CPU%", "UP" };
	const char *head = strstr(table, "WORKER"), *row = head ? next_line(head) : NULL;

	cr_assert(row && strncmp(row, "all ", 4) == 0, "%s", table);
	for (size_t i = 0; i < workers; i++) {
		row = next_line(row);
		cr_assert(row && *row == '1' + (char)i, "no worker %zu in %s", i + 1, table);
		for (size_t j = 0; j < COUNT(titles); j++) {
			size_t end = (size_t)(strstr(head, titles[j]) - head) + strlen(titles[j]);

			cr_expect(strcspn(row, "\n") >= end && row[end - 1] != ' ' &&
			                  strchr(" \n", row[end]),
			        "%s of worker %zu: %s", titles[j], i + 1, table);
		}
	}
}

static void start_site(struct site *site)
{
	site_make(site, ADMIN HELLO);
	daemon_start(&site->daemon, 2, "-c", site->file, NULL);
	for (int i = 0; i < 20; i++)
		http_check(daemon_address(&site->daemon), "/", 200, NULL);
}

static void stop_site(struct site *site)
{
	check(site, "stop", 0, "stopped\n");
	daemon_end(&site->daemon, 0, false);
	site_remove(site);
}

Test(command, status_once, .timeout = 60)
{
	struct site site;
	struct process process;

	start_site(&site);
	cr_expect_eq(daemon_run(&process, "status", "-c", site.file, NULL), 0);
	check_aligned(process.out.data, 2);
	cr_expect(!strchr(process.out.data, '\033'), "it is no terminal");
	cr_expect(strstr(process.out.data, "generation 1  workers wanted 2\n"), "%s",
	        process.out.data);
	process_free(&process);
	stop_site(&site);
}

static size_t count_of(const char *text, const char *what)
{
	size_t count = 0;

	for (const char *at = text; at && (at = strstr(at, what)) != NULL; at++)
		count++;
	return count;
}

/* On a terminal: `frames` of them, or to its end where that is 0. */
static char *watch(
        const struct site *site, const char *more, const char *environment, size_t frames)
{
	char command[256], *text;
	const char *arguments[] = { "script", "-qfec", command, "/dev/null", NULL };
	const char *variables[] = { environment, "TERM=xterm", NULL };
	struct process process;

	snprintf(command, sizeof(command), "%s status -c %s %s", DAEMON_PROGRAM, site->file, more);
	process_start(&process,
	        &(struct process_options){ .arguments = arguments, .environment = variables });
	if (!frames)
		cr_expect_eq(process_wait(&process), 0);
	for (int i = 0; i < PATIENCE && count_of(process.out.data, "\033[?7h") < frames; i++) {
		poll(NULL, 0, 1);
		process_drain(&process);
	}
	text = strdup(process.out.data);
	process_free(&process);
	return text;
}

Test(command, status_on_a_terminal, .timeout = 60)
{
	struct site site;
	char *text, *plain;
	const char *second;

	start_site(&site);
	text = watch(&site, "", "NO_COLOR=", 2);
	second = strstr(strstr(text, "\033[H") + 1, "\033[H");
	cr_assert(second, "%s", text);
	plain = plain_text(second);
	check_aligned(plain, 2);
	cr_expect(strstr(second, "\033[32mserving"), "%s", second);
	free(plain);
	free(text);

	text = watch(&site, "", "NO_COLOR=1", 1);
	cr_expect(strstr(text, "serving") && !strstr(text, "\033[32m"), "%s", text);
	free(text);

	text = watch(&site, "--once", "NO_COLOR=", 0);
	cr_expect(!strstr(text, "\033[H") && strstr(text, "\033[32mserving"), "%s", text);
	free(text);
	stop_site(&site);
}
