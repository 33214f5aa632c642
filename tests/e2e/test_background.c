/* Becoming a daemon: the background, the pidfile, the three standard descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"

SUITE(background);

#define LOCAL "-w", "1", "-l", "http=127.0.0.1:0"

static pid_t read_pid(const char *path)
{
	FILE *file = fopen(path, "re");
	pid_t pid = 0;

	cr_assert(file, "%s: %s", path, strerror(errno));
	cr_expect_eq(fscanf(file, "%d", &pid), 1);
	fclose(file);
	return pid;
}

/* The address of the only ready line. */
static void read_address(const struct process *process, char address[128])
{
	const char *line = strstr(process->err.data, "anygate: listening on ");

	cr_assert(line, "%s", process->err.data);
	cr_assert_eq(sscanf(line, "anygate: listening on %127s", address), 1);
}

static void check_hello(const char *address)
{
	http_check(address, "/", 200, NULL);
}

/* Neither the master nor a worker holds what the starter of the daemon may be waiting to see
 * closed.
 */
static void check_no_terminal(pid_t pid)
{
	char path[64], target[64];

	for (int fd = 0; fd <= 2; fd++) {
		snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
		ssize_t n = readlink(path, target, sizeof target - 1);

		target[n > 0 ? n : 0] = '\0';
		cr_expect_str_eq(target, "/dev/null", "%s is %s", path, target);
	}
}

/* When the first process ends, the daemon serves; it has the terminal no more, so nothing holds its
 * output open. */
Test(background, serves_and_leaves_the_terminal, .timeout = 60)
{
	const char *pidfile = support_path("pid");
	struct process process;
	char address[128], second[64];
	int ended = daemon_run(&process, "-d", "-p", pidfile, LOCAL, "hello", NULL);

	cr_assert_eq(ended, 0, "%d: %s", ended, process.err.data);
	pid_t pid = read_pid(pidfile), worker;

	support_guard(pid);
	read_address(&process, address);
	cr_expect_eq(getsid(pid), pid);
	check_hello(address);
	cr_assert_eq(process_children(pid, &worker, 1), 1);
	check_no_terminal(pid);
	check_no_terminal(worker);
	process_free(&process);
	ended = daemon_run(&process, "-d", "-p", pidfile, LOCAL, "hello", NULL);
	cr_expect_eq(ended, 1);
	snprintf(second, sizeof second, "anygate runs already, as pid %d\n", pid);
	cr_expect(strstr(process.err.data, second), "%s", process.err.data);
	process_free(&process);
	check_hello(address);
	kill(pid, SIGTERM);
	cr_expect_eq(process_wait_orphan(pid), 0);
	support_forget(pid);
	cr_expect_neq(access(pidfile, F_OK), 0, "the pidfile is still there");
}

/* The parent ends as the daemon does that could not start. */
Test(background, tells_of_a_failure, .timeout = 60)
{
	const char *pidfile = support_path("pid");
	struct process process;
	int ended = daemon_run(&process, "-d", "-p", pidfile, LOCAL, "/no/such/app.so", NULL);

	cr_expect_eq(ended, 2, "%d", ended);
	cr_expect(strstr(process.err.data, "/no/such/app.so"), "%s", process.err.data);
	cr_expect_neq(access(pidfile, F_OK), 0, "the pidfile is still there");
	process_free(&process);
}

Test(background, pidfile_in_the_foreground, .timeout = 60)
{
	const char *pidfile = support_path("pid");
	struct daemon daemon;

	daemon_start(&daemon, 1, "-p", pidfile, LOCAL, "hello", NULL);
	check_hello(daemon_address(&daemon));
	daemon_expect(&daemon, "listening on");
	cr_expect_eq(read_pid(pidfile), daemon.process.pid);
	daemon_stop(&daemon);
	cr_expect_neq(access(pidfile, F_OK), 0, "the pidfile is still there");
}

/* ---- the service manager ---- */

/* A socket for sd_notify(3), and its variable. */
static int make_manager(char variable[256])
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(where.sun_path, sizeof where.sun_path, "%s", support_path("notify"));
	cr_assert_eq(bind(fd, (struct sockaddr *)&where, sizeof where), 0);
	snprintf(variable, 256, "NOTIFY_SOCKET=%s", where.sun_path);
	return fd;
}

static void hear(int fd, char got[1024], const char *text)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	ssize_t size;

	cr_assert_eq(poll(&one, 1, PATIENCE), 1, "never told \"%s\"", text);
	size = recv(fd, got, 1023, 0);
	cr_assert_gt(size, 0);
	got[size] = '\0';
}

static void expect_told(int fd, const char *text)
{
	char got[1024];

	hear(fd, got, text);
	cr_expect_str_eq(got, text);
}

static void expect_begins(int fd, const char *text)
{
	char got[1024];

	hear(fd, got, text);
	cr_expect_eq(strncmp(got, text, strlen(text)), 0, "%s", got);
}

Test(background, tells_the_service_manager, .timeout = 60)
{
	char variable[256], ready[128];
	int manager = make_manager(variable);
	struct daemon daemon;

	daemon_start_with(&daemon, 1,
	        &(struct process_options){
	                .arguments = (const char *const[]){ DAEMON_PROGRAM, LOCAL, "-s",
	                        "daemon.reload_watch=0", "hello", NULL },
	                .environment = (const char *const[]){ variable, NULL },
	        });
	snprintf(ready, sizeof ready, "READY=1\nMAINPID=%d\nSTATUS=Ready", daemon.process.pid);
	expect_told(manager, ready);
	check_hello(daemon_address(&daemon));
	kill(daemon.process.pid, SIGHUP);
	expect_begins(manager, "RELOADING=1\nMONOTONIC_USEC=");
	expect_told(manager, ready);
	kill(daemon.process.pid, SIGTERM);
	expect_told(manager, "STOPPING=1\nSTATUS=Stopping");
	daemon_end(&daemon, 0, false);
	close(manager);
}

/* ---- descriptors 0, 1 and 2 ---- */

/* Started with all three closed: no socket and no log gets their numbers, so nothing that is
 * printed goes to a client. */
Test(background, closed_standard_descriptors, .timeout = 60)
{
	const char *pidfile = support_path("pid");
	struct process process;
	char command[512], link[64], target[64] = "";

	snprintf(command, sizeof command, "exec %s -d -p %s -w 1 -l unix:%s hello <&- >&- 2>&-",
	        DAEMON_PROGRAM, pidfile, support_path("socket"));
	process_succeed(&process,
	        &(struct process_options){
	                .arguments = (const char *const[]){ "/bin/sh", "-c", command, NULL } });
	process_free(&process);

	pid_t pid = read_pid(pidfile);

	support_guard(pid);
	for (int fd = 0; fd < 3; fd++) {
		snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, fd);
		cr_assert_gt(readlink(link, target, sizeof target - 1), 0, "%d is closed", fd);
		cr_expect_str_eq(target, "/dev/null");
	}
	kill(pid, SIGTERM);
	cr_expect_eq(process_wait_orphan(pid), 0);
	support_forget(pid);
}
