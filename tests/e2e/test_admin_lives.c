/* [admin]: it goes on telling, through deaths, reloads and upgrades. */
#include "../support/admin.h"
#include "../support/client.h"
#include "../support/json.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAPPER "[app main]\nload = " DAEMON_APPS "napper.so\n"
#define HELLO  "[app main]\nload = hello\n"

/* Whether it is a worker, as the scoreboard says. */
static bool is_worker(const struct admin_site *site, pid_t pid)
{
	char *text = admin_fetch(site->admin, "/status.txt", 200), field[32];
	bool found;

	snprintf(field, sizeof(field), "\tpid=%d\t", (int)pid);
	found = strstr(text, field);
	free(text);
	return found;
}

/* The process of [admin], other than `but`: the daemon's only child that is no worker. */
static pid_t admin_pid(struct admin_site *site, pid_t but)
{
	pid_t children[16];

	for (int i = 0; i < CHANGES; i++, usleep(1000)) {
		size_t count = process_children(site->daemon.process.pid, children, 16);

		for (size_t j = 0; j < count && j < 16; j++)
			if (children[j] != but && !is_worker(site, children[j]))
				return children[j];
	}
	FAIL("there is no such process");
	return -1;
}

Test(admin_lives, lives_on, .timeout = 120)
{
	struct admin_site site;
	pid_t before;
	char died[64];

	admin_start(&site, HELLO);
	before = admin_pid(&site, -1);
	for (int i = 0; i < 3; i++) {
		kill(before, SIGKILL);
		snprintf(died, sizeof(died), "worker 0 (pid %d) died of signal 9", (int)before);
		daemon_expect(&site.daemon, died);
		before = admin_pid(&site, before);
	}
	cr_expect_eq(admin_figure(&site, "daemon/deaths"), 0, "it is no worker");
	kill(site.daemon.process.pid, SIGHUP);
	daemon_expect(&site.daemon, "generation 2 serves");
	admin_await(&site, "workers/0/generation", 2);
	admin_check(site.admin, "/healthz", 200, "ready");
	kill(site.daemon.process.pid, SIGUSR2);
	daemon_expect(&site.daemon, "generation 3 serves");
	admin_await(&site, "daemon/upgrades", 1);
	admin_await(&site, "workers/0/generation", 3);
	cr_expect_eq(admin_figure(&site, "daemon/reloads"), 2);
	admin_check(site.admin, "/healthz", 200, "ready");
	kill(site.daemon.process.pid, SIGHUP);
	daemon_expect(&site.daemon, "generation 4 serves");
	admin_await(&site, "daemon/reloads", 3);
	admin_stop(&site);
}

static size_t children_of(struct admin_site *site)
{
	pid_t children[16];

	return process_children(site->daemon.process.pid, children, 16);
}

static void await_children(struct admin_site *site, size_t count)
{
	for (int i = 0; i < CHANGES && children_of(site) != count; i++)
		usleep(1000);
	cr_expect_eq(children_of(site), count);
}

/* RLIMIT_FSIZE allows no file for the scoreboard, so an upgrade begins another: what the former
 * program's workers had in the old one is nobody's in the new one. */
Test(admin_lives, another_scoreboard, .timeout = 60)
{
	const struct rlimit small = { 65536, RLIM_INFINITY };
	struct rlimit before;
	struct admin_site site;
	struct client client;

	getrlimit(RLIMIT_FSIZE, &before);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	admin_start(&site, NAPPER);
	setrlimit(RLIMIT_FSIZE, &before);
	admin_begin(&site, &client, 1500);
	kill(site.daemon.process.pid, SIGUSR2);
	daemon_expect(&site.daemon, "generation 2 serves");
	admin_end(&client);
	await_children(&site, 3);
	cr_expect_eq(admin_figure(&site, "workers/0/number"), 1);
	cr_expect_eq(admin_figure(&site, "workers/1/number"), 2);
	admin_check(site.admin, "/healthz", 200, "ready");
	admin_stop(&site);
}

/* Another address, none, and one again: a reload is all it takes. */
Test(admin_lives, moves_with_a_reload, .timeout = 60)
{
	struct admin_site site;
	char more[256], other[128], path[128];

	admin_start(&site, HELLO);
	snprintf(other, sizeof(other), "unix:%s/other.sock", site.directory);
	snprintf(more, sizeof(more), "listen = %s\nmode = 0640\n" HELLO, other);
	admin_configure_all(&site, more);
	kill(site.daemon.process.pid, SIGHUP);
	daemon_expect(&site.daemon, "generation 2 serves");
	admin_check(other, "/healthz", 200, "ready");
	cr_expect_neq(access(site.admin + 5, F_OK), 0, "the old socket is there");

	struct stat status;

	cr_assert_eq(stat(other + 5, &status), 0);
	cr_expect_eq(status.st_mode & 0777, 0640);
	admin_configure_all(&site, HELLO);
	kill(site.daemon.process.pid, SIGHUP);
	daemon_expect(&site.daemon, "generation 3 serves");
	await_children(&site, 2);
	snprintf(path, sizeof(path), "%s", other + 5);
	cr_expect_neq(access(path, F_OK), 0, "the old socket is there");
	admin_configure(&site, HELLO);
	kill(site.daemon.process.pid, SIGHUP);
	daemon_expect(&site.daemon, "generation 4 serves");
	admin_check(site.admin, "/healthz", 200, "ready");
	admin_stop(&site);
}

/* The former program is executed again: it finds its process of [admin], and the socket. */
Test(admin_lives, an_upgrade_that_fails, .timeout = 60)
{
	struct admin_site site;
	char program[128], command[512];
	const char *arguments[] = { program, "-c", site.file, NULL };

	admin_make(&site);
	admin_configure(&site, "[app main]\nload = " DAEMON_APPS "once.so\n");
	/* a name that once.so knows */
	snprintf(program, sizeof(program), "%s/anygate-upgrade-of", site.directory);
	snprintf(command, sizeof(command), "cp %s %s", DAEMON_PROGRAM, program);
	cr_assert_eq(system(command), 0);
	daemon_start_with(&site.daemon, 2, &(struct process_options){ .arguments = arguments });
	kill(site.daemon.process.pid, SIGUSR2);
	daemon_expect(&site.daemon, "the former program goes on");
	admin_check(site.admin, "/healthz", 200, "ready");
	cr_expect_eq(admin_figure(&site, "daemon/upgrades"), 0);
	cr_expect_eq(admin_figure(&site, "daemon/failed_reloads"), 1);
	kill(admin_pid(&site, -1), SIGKILL);
	admin_check(site.admin, "/healthz", 200, "ready");
	unlink(program);
	admin_stop(&site);
}
