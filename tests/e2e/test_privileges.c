/* What workers may do and use, as /proc tells it; most of it only root can show. */
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/proc.h"

SUITE(privileges);

#define LOCAL "-l", "http=127.0.0.1:0"
#define SET   "-s"

/* The leak checker cannot look at a process that has changed its user. */
static const char *const no_leak_check[] = { "ASAN_OPTIONS=detect_leaks=0", NULL };

static void start(struct daemon *daemon, size_t listeners, const char *const *arguments)
{
	daemon_start_with(daemon, listeners,
	        &(struct process_options){ .arguments = arguments, .environment = no_leak_check });
}

/* ---- another user ---- */

/* As /proc/PID/status shows the identity of nobody. */
static void check_nobody(pid_t pid)
{
	const struct passwd *user = getpwnam("nobody");
	gid_t groups[64];
	int count = COUNT(groups);
	char ids[256] = "";

	cr_assert(user);
	cr_assert_neq(user->pw_uid, 0);
	snprintf(ids, sizeof ids, "%u\t%u\t%u\t%u", user->pw_uid, user->pw_uid, user->pw_uid,
	        user->pw_uid);
	proc_check_status(pid, "Uid", ids);
	snprintf(ids, sizeof ids, "%u\t%u\t%u\t%u", user->pw_gid, user->pw_gid, user->pw_gid,
	        user->pw_gid);
	proc_check_status(pid, "Gid", ids);
	cr_assert_gt(getgrouplist("nobody", user->pw_gid, groups, &count), 0);
	for (int i = 0, length = 0; i < count; i++)
		length += snprintf(
		        ids + length, sizeof ids - (size_t)length, "%s%u", i ? " " : "", groups[i]);
	proc_check_status(pid, "Groups", ids);
}

static const struct {
	const char *name, *value;
} statuses[] = {
	{ "NoNewPrivs", "1" },
	{ "CapInh", "0000000000000000" },
	{ "CapPrm", "0000000000000000" },
	{ "CapEff", "0000000000000000" },
	{ "CapAmb", "0000000000000000" },
	{ "Umask", "0037" },
};

Test(privileges, workers_of_another_user, .timeout = 60)
{
	struct daemon daemon;
	char admin[256], here[512];
	pid_t pids[8];

	if (geteuid() != 0)
		return;
	snprintf(admin, sizeof admin, "admin.listen=unix:%s", support_path("admin"));
	start(&daemon, 2,
	        (const char *const[]){ DAEMON_PROGRAM, "-w", "2", LOCAL, SET, "daemon.user=nobody",
	                SET, admin, SET, "daemon.umask=0037", SET, "daemon.nice=5", SET,
	                "daemon.core_size=1M", SET, "daemon.open_files=256", "hello", NULL });
	cr_assert(getcwd(here, sizeof here));
	http_check(daemon_address(&daemon), "/", 200, NULL);
	/* that process may come up after the workers */
	http_check(strchr(admin, '=') + 1, "/healthz", 200, NULL);
	cr_assert_eq(process_children(daemon.process.pid, pids, COUNT(pids)), 3);
	for (size_t i = 0; i < 3; i++) {
		check_nobody(pids[i]);
		for (size_t j = 0; j < COUNT(statuses); j++)
			proc_check_status(pids[i], statuses[j].name, statuses[j].value);
		cr_expect_eq(getpriority(PRIO_PROCESS, (id_t)pids[i]), 5);
		proc_check_limit(pids[i], "Max core file size", 1 << 20);
		cr_expect(strstr(proc_read(pids[i], "limits"), "Max open files            256 "));
		proc_check_link(pids[i], "cwd", here);
		proc_check_link(pids[i], "root", "/");
		proc_check_descriptors(pids[i]);
	}
	cr_expect(!strstr(daemon_text(&daemon), "running as root"), "%s", daemon_text(&daemon));
	daemon_stop(&daemon);
}

/* Without a key nothing of it is touched but what is always so. */
Test(privileges, defaults, .timeout = 60)
{
	static const char warning[] =
	        "running as root: applications may do anything; set daemon.user";
	struct daemon daemon;
	char before[256];

	start(&daemon, 1, (const char *const[]){ DAEMON_PROGRAM, "-w", "1", LOCAL, "hello", NULL });
	pid_t worker = daemon_worker(&daemon, 0);

	proc_check_status(worker, "NoNewPrivs", "1");
	proc_check_status(worker, "Umask", "0027");
	proc_status(getpid(), "Uid", before);
	proc_check_status(worker, "Uid", before);
	proc_status(getpid(), "Cpus_allowed_list", before);
	proc_check_status(worker, "Cpus_allowed_list", before);
	cr_expect_eq(getpriority(PRIO_PROCESS, (id_t)worker), getpriority(PRIO_PROCESS, 0));
	cr_expect_eq(strstr(daemon_text(&daemon), warning) != NULL, geteuid() == 0, "%s",
	        daemon_text(&daemon));
	daemon_stop(&daemon);
}

Test(privileges, new_ones_where_they_are_allowed, .timeout = 60)
{
	struct daemon daemon;
	char before[256];

	start(&daemon, 1,
	        (const char *const[]){ DAEMON_PROGRAM, "-w", "1", LOCAL, SET,
	                "daemon.no_new_privileges=off", "hello", NULL });
	proc_status(getpid(), "NoNewPrivs", before);
	proc_check_status(daemon_worker(&daemon, 0), "NoNewPrivs", before);
	daemon_stop(&daemon);
}

/* ---- another root ---- */

static void copy_file(const char *from, const char *to)
{
	FILE *in = fopen(from, "re"), *out = fopen(to, "we");
	char piece[65536];
	size_t size;

	cr_assert(in && out, "%s, %s", from, to);
	while ((size = fread(piece, 1, sizeof piece, in)) > 0)
		cr_assert_eq(fwrite(piece, 1, size, out), size);
	fclose(in);
	fclose(out);
	chmod(to, 0755);
}

/* A root with one application in it, as "daemon.chroot=DIRECTORY". */
static const char *make_root(char setting[256])
{
	snprintf(setting, 256, "daemon.chroot=%s", support_path("root"));
	cr_assert_eq(mkdir(support_path("root"), 0755), 0);
	chmod(support_path("root"), 0755);
	chmod(support_directory(), 0711); /* who reads symbols for nobody is outside */
	copy_file(DAEMON_APPS "process.so", support_path("root/app.so"));
	return strchr(setting, '=') + 1;
}

Test(privileges, another_root, .timeout = 60)
{
	struct daemon daemon;
	char setting[256];

	if (geteuid() != 0)
		return;
	const char *root = make_root(setting);

	start(&daemon, 1,
	        (const char *const[]){ DAEMON_PROGRAM, "-w", "1", LOCAL, SET, setting, SET,
	                "daemon.user=nobody", SET, "daemon.rss_limit=1", "/app.so", NULL });
	daemon_expect(&daemon, "daemon.rss_limit: it has ");
	http_check(daemon_address(&daemon), "/file?path=/app.so", 200, NULL);
	http_check(daemon_address(&daemon), "/file?path=" DAEMON_PROGRAM, 404, NULL);
	daemon_stop(&daemon);

	start(&daemon, 1,
	        (const char *const[]){ DAEMON_PROGRAM, "-w", "1", LOCAL, SET, setting, SET,
	                "daemon.user=nobody", "/app.so", NULL });
	pid_t worker = daemon_worker(&daemon, 0);

	check_nobody(worker);
	proc_check_link(worker, "root", root);
	proc_check_link(worker, "cwd", root);
	proc_check_descriptors(worker);
	daemon_stop(&daemon);
}

/* The log names the functions of an application that is inside. */
Test(privileges, crash_in_another_root, .timeout = 60)
{
	struct daemon daemon;
	char setting[256];

	if (geteuid() != 0)
		return;
	make_root(setting);
	copy_file(DAEMON_APPS "crash.so", support_path("root/app.so"));
	start(&daemon, 1,
	        (const char *const[]){ DAEMON_PROGRAM, "-w", "1", LOCAL, SET, setting, SET,
	                "daemon.user=nobody", "/app.so", NULL });
	http_check(daemon_address(&daemon), "/segv", 0, NULL);
	daemon_expect(&daemon, "#0 segv_here (app.so+0x");
	kill(daemon.process.pid, SIGTERM);
	daemon_end(&daemon, 0, true);
}

/* In the background: there is no /dev/null inside. */
Test(privileges, another_root_in_the_background, .timeout = 60)
{
	struct process process;
	char setting[256], address[256];
	pid_t pid = 0, worker;

	if (geteuid() != 0)
		return;
	make_root(setting);
	snprintf(address, sizeof address, "unix:%s", support_path("socket"));
	process_succeed(&process,
	        &(struct process_options){ .arguments = (const char *const[]){ DAEMON_PROGRAM, "-d",
	                                           "-p", support_path("pid"), "-w", "1", "-l",
	                                           address, SET, setting, "/app.so", NULL },
	                .environment = no_leak_check });
	process_free(&process);
	FILE *file = fopen(support_path("pid"), "re");

	cr_assert(file && fscanf(file, "%d", &pid) == 1);
	fclose(file);
	support_guard(pid);
	cr_assert_eq(process_children(pid, &worker, 1), 1);
	for (int fd = 0; fd < 3; fd++) {
		char name[16];

		snprintf(name, sizeof name, "fd/%d", fd);
		proc_check_link(worker, name, "/dev/null");
	}
	http_check(address, "/file?path=/app.so", 200, NULL);
	kill(pid, SIGTERM);
	cr_expect_eq(process_wait_orphan(pid), 0);
	support_forget(pid);
}

/* --check looks for an application where workers will. */
Test(privileges, check_in_another_root, .timeout = 60)
{
	static const struct {
		const char *load;
		int status;
	} rows[] = { { "/app.so", 0 }, { DAEMON_APPS "process.so", 2 } };
	char setting[256];

	if (geteuid() != 0)
		return;
	make_root(setting);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct process process;
		int status = process_run(
		        &process, &(struct process_options){
		                          .arguments = (const char *const[]){ DAEMON_PROGRAM, "-t",
		                                  SET, setting, rows[i].load, NULL },
		                          .environment = no_leak_check });

		cr_expect_eq(status, rows[i].status, "%s: %d: %s", rows[i].load, status,
		        process.err.data);
		process_free(&process);
	}
}

/* ---- what they have ---- */

/* Every worker is on one CPU of ours, and each of those has its share of workers. */
Test(privileges, workers_on_their_cpus, .timeout = 60)
{
	cpu_set_t ours, its;
	unsigned used[CPU_SETSIZE] = { 0 }, most = 0, least = 4;
	struct daemon daemon;
	pid_t pids[8];

	start(&daemon, 1,
	        (const char *const[]){ DAEMON_PROGRAM, "-w", "4", LOCAL, SET,
	                "daemon.cpu_affinity=auto", "hello", NULL });
	cr_assert_eq(sched_getaffinity(0, sizeof ours, &ours), 0);
	cr_assert_eq(process_children(daemon.process.pid, pids, COUNT(pids)), 4);
	for (size_t i = 0; i < 4; i++) {
		cr_assert_eq(sched_getaffinity(pids[i], sizeof its, &its), 0);
		cr_expect_eq(CPU_COUNT(&its), 1);
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			used[cpu] += CPU_ISSET(cpu, &its) != 0;
	}
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &ours))
			continue;
		most = used[cpu] > most ? used[cpu] : most;
		least = used[cpu] < least ? used[cpu] : least;
	}
	cr_expect_leq(most - least, 1, "from %u to %u on a CPU", least, most);
	daemon_stop(&daemon);
}

Test(privileges, workers_on_a_listed_cpu, .timeout = 60)
{
	char setting[64], list[16];
	struct daemon daemon;
	cpu_set_t ours;
	pid_t pids[8];
	int last = CPU_SETSIZE - 1;

	cr_assert_eq(sched_getaffinity(0, sizeof ours, &ours), 0);
	while (last > 0 && !CPU_ISSET(last, &ours))
		last--;
	snprintf(list, sizeof list, "%d", last);
	snprintf(setting, sizeof setting, "daemon.cpu_affinity=%d", last);
	start(&daemon, 1,
	        (const char *const[]){
	                DAEMON_PROGRAM, "-w", "2", LOCAL, SET, setting, "hello", NULL });
	cr_assert_eq(process_children(daemon.process.pid, pids, COUNT(pids)), 2);
	for (size_t i = 0; i < 2; i++)
		proc_check_status(pids[i], "Cpus_allowed_list", list);
	daemon_stop(&daemon);
}

/* Built plain: a sanitizer needs more addresses than any limit leaves. */
Test(privileges, memory_limit, .timeout = 60)
{
	struct daemon daemon;

	start(&daemon, 1,
	        (const char *const[]){ DAEMON_PLAIN, "-w", "1", LOCAL, SET,
	                "daemon.memory_limit=256M", DAEMON_APPS "process.so", NULL });
	proc_check_limit(daemon_worker(&daemon, 0), "Max address space", 256 << 20);
	http_check(daemon_address(&daemon), "/memory?mib=16", 200, NULL);
	http_check(daemon_address(&daemon), "/memory?mib=300", 507, NULL);
	http_check(daemon_address(&daemon), "/memory?mib=16", 200, NULL);
	daemon_stop(&daemon);
}

/* ---- a reload ---- */

static const char *write_config(const char *more)
{
	const char *path = support_path("anygate.ini");
	FILE *file = fopen(path, "we");

	cr_assert(file);
	fprintf(file,
	        "[listen main]\naddress = http=unix:%s\n[app main]\nload = %s\n"
	        "[daemon]\nworkers = 1\nreload_watch = 0\n%s",
	        support_path("main.sock"), DAEMON_APPS "process.so", more);
	fclose(file);
	return path;
}

static void start_config(struct daemon *daemon, const char *more)
{
	start(daemon, 1, (const char *const[]){ DAEMON_PROGRAM, "-c", write_config(more), NULL });
}

Test(privileges, environment, .timeout = 60)
{
	struct daemon daemon;

	start_config(&daemon, "environment = OTHER=1\n"
	                      "environment = COLOUR=\n"
	                      "environment = COLOUR=red, a=b c\n");
	http_check(daemon_address(&daemon), "/colour", 200, "red, a=b c");
	write_config("");
	kill(daemon.process.pid, SIGHUP);
	daemon_expect(&daemon, "reloaded: generation 2 serves");
	http_check(daemon_address(&daemon), "/colour", 200, "none");
	daemon_stop(&daemon);
}

static const struct {
	const char *more, *message;
	bool root; /* others hear of something else */
} faults[] = {
	{ "chroot = /no/such/root\n",
	        "not reloaded: daemon.chroot: can't enter /no/such/root: No such file", true },
	{ "cpu_affinity = 1023\n",
	        "not reloaded: daemon.cpu_affinity: can't bind worker 1 by \"1023\": Invalid",
	        false },
	{ "user = no-such-user\n", "not reloaded: daemon.user: there is no user no-such-user",
	        false },
	{ "group = no-such-group\n", "not reloaded: daemon.group: there is no group no-such-group",
	        false },
};

Test(privileges, a_reload_without_them_changes_nothing, .timeout = 120)
{
	struct daemon daemon;

	start_config(&daemon, "environment = COLOUR=blue\n");
	for (size_t i = 0; i < COUNT(faults); i++) {
		if (faults[i].root && geteuid() != 0)
			continue;
		write_config(faults[i].more);
		kill(daemon.process.pid, SIGHUP);
		daemon_expect(&daemon, faults[i].message);
		http_check(daemon_address(&daemon), "/colour", 200, "blue");
	}
	daemon_stop(&daemon);
}

/* Who is not root may still name what it is, as a service manager may have made it that. */
Test(privileges, the_user_it_is_already, .timeout = 60)
{
	struct daemon daemon;
	struct process process;

	if (geteuid() != 0)
		return;
#define AS_NOBODY                                                                                  \
	"setpriv", "--reuid", "nobody", "--regid", "nogroup", "--init-groups", DAEMON_PLAIN
	start(&daemon, 1,
	        (const char *const[]){
	                AS_NOBODY, "-w", "1", LOCAL, "-u", "nobody", "hello", NULL });
	check_nobody(daemon_worker(&daemon, 0));
	daemon_stop(&daemon);
	int status = process_run(&process,
	        &(struct process_options){ .arguments = (const char *const[]){ AS_NOBODY, "-w", "1",
	                                           LOCAL, "-u", "daemon", "hello", NULL } });

	cr_expect_eq(status, 1, "%d", status);
	cr_expect(strstr(process.err.data, "daemon.user"), "%s", process.err.data);
	process_free(&process);
}
