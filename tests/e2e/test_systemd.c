/* The units in deploy/systemd, and sockets that systemd has opened. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"

SUITE(systemd);

#define UNITS    SOURCE_DIR "/deploy/systemd/"
#define PROGRAM  "/usr/local/bin/anygate"
#define ACTIVATE "systemd-socket-activate", "--fdname=one:two"

/* ---- the units ---- */

/* The unit as it would be installed, but for this program. */
static const char *copy_unit(const char *name)
{
	const char *path = support_path(name);
	char from[256], text[8192];

	snprintf(from, sizeof from, UNITS "%s", name);
	FILE *in = fopen(from, "re"), *out = fopen(path, "we");

	cr_assert(in && out, "%s, %s: %s", from, path, strerror(errno));
	text[fread(text, 1, sizeof text - 1, in)] = '\0';
	fclose(in);
	char *at = strstr(text, PROGRAM);

	if (at)
		fprintf(out, "%.*s" DAEMON_PROGRAM "%s", (int)(at - text), text,
		        at + strlen(PROGRAM));
	else
		fputs(text, out);
	fclose(out);
	return path;
}

static int verify(const char *unit, struct process *process)
{
	return process_run(process,
	        &(struct process_options){ .arguments = (const char *const[]){ "systemd-analyze",
	                                           "verify", "--man=no", unit, NULL } });
}

/* It only warns of a key or value that it does not know, and ends with 0. */
Test(systemd, units, .timeout = 60)
{
	static const char *const names[] = { "anygate.service", "anygate.socket" };
	const char *paths[COUNT(names)];
	struct process process;

	for (size_t i = 0; i < COUNT(names); i++)
		paths[i] = copy_unit(names[i]);
	for (size_t i = 0; i < COUNT(names); i++) {
		int status = verify(paths[i], &process);

		cr_expect_eq(status, 0, "%s: %d", paths[i], status);
		cr_expect_eq(process.err.length, 0, "%s", process.err.data);
		cr_expect_eq(process.out.length, 0, "%s", process.out.data);
		process_free(&process);
	}
	FILE *file = fopen(paths[0], "ae");

	cr_assert(file);
	fputs("[Service]\nWatchdgSec=1\n", file);
	fclose(file);
	verify(paths[0], &process);
	cr_expect(strstr(process.err.data, "WatchdgSec"), "a wrong key goes unnoticed");
	process_free(&process);
}

/* ---- sockets ---- */

/* Two sockets, at paths of ours; and the addresses for a client. */
struct sockets {
	char paths[2][128], addresses[2][136];
};

static void name_sockets(struct sockets *sockets)
{
	static const char *const names[] = { "one.sock", "two.sock" };

	for (int i = 0; i < 2; i++) {
		const char *path = support_path(names[i]);

		snprintf(sockets->paths[i], sizeof sockets->paths[i], "%s", path);
		snprintf(sockets->addresses[i], sizeof sockets->addresses[i], "unix:%s", path);
	}
}

static void check_served(const struct sockets *sockets)
{
	for (int i = 0; i < 2; i++)
		http_check(sockets->addresses[i], "/", 200, NULL);
}

/* The first connection starts it. */
Test(systemd, serves_its_sockets, .timeout = 60)
{
	struct sockets sockets;
	struct daemon daemon = { .count = 0 };
	char line[256];

	name_sockets(&sockets);
	process_start(&daemon.process,
	        &(struct process_options){
	                .arguments = (const char *const[]){ ACTIVATE, "-l", sockets.paths[0], "-l",
	                        sockets.paths[1], DAEMON_PROGRAM, "-w", "1", "-s",
	                        "daemon.reload_watch=0", "hello", NULL } });
	snprintf(line, sizeof line, "Listening on %s as 4.", sockets.paths[1]);
	daemon_expect(&daemon, line);
	check_served(&sockets);
	for (int i = 0; i < 2; i++) {
		snprintf(line, sizeof line, "anygate: listening on %s (auto)\n",
		        sockets.addresses[i]);
		daemon_expect(&daemon, line);
	}
	kill(daemon.process.pid, SIGHUP);
	daemon_expect(&daemon, "reloaded: generation 2 serves");
	check_served(&sockets);
	daemon_stop(&daemon);
	for (int i = 0; i < 2; i++)
		cr_expect_eq(access(sockets.paths[i], F_OK), 0, "%s is not ours to remove",
		        sockets.paths[i]);
}

static const char *write_config(void)
{
	const char *path = support_path("anygate.ini");
	FILE *file = fopen(path, "we");

	cr_assert(file);
	fprintf(file, "[daemon]\nworkers = 1\nreload_watch = 0\ndaemonize = on\npidfile = %s\n",
	        support_path("pid"));
	fprintf(file, "[admin]\nlisten = unix:%s\n", support_path("admin"));
	fprintf(file, "[log]\nerror = %s\n[app main]\nload = hello\n", support_path("log"));
	fclose(file);
	return path;
}

static pid_t read_pid(void)
{
	FILE *file = fopen(support_path("pid"), "re");
	pid_t pid = 0;

	cr_assert(file && fscanf(file, "%d", &pid) == 1);
	fclose(file);
	return pid;
}

/* In the background it has another pid than the one that the sockets were meant for. */
Test(systemd, serves_them_in_the_background, .timeout = 60)
{
	struct sockets sockets;
	struct process process;
	char config[128], line[256];

	name_sockets(&sockets);
	snprintf(config, sizeof config, "%s", write_config());
	process_start(&process,
	        &(struct process_options){
	                .arguments = (const char *const[]){ ACTIVATE, "-l", sockets.paths[0], "-l",
	                        sockets.paths[1], DAEMON_PROGRAM, "-c", config, NULL } });
	snprintf(line, sizeof line, "Listening on %s as 4.", sockets.paths[1]);
	process_expect(&process, line, 0);
	check_served(&sockets);
	cr_assert_eq(process_wait(&process), 0, "%s", process.err.data);
	pid_t pid = read_pid();

	support_guard(pid);
	process_free(&process);
	int status = daemon_run(&process, "reload", "-c", config, NULL);

	cr_expect_eq(status, 0, "%s", process.err.data);
	cr_expect_str_eq(process.out.data, "reloaded: generation 2 serves\n");
	process_free(&process);
	check_served(&sockets);
	kill(pid, SIGTERM);
	cr_expect_eq(process_wait_orphan(pid), 0);
	support_forget(pid);
}
