/* Each message against a socket of the test's own, by a path and by an abstract name. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/notify.h"
#include "tests/support/support.h"

SUITE(notify);

/* A manager's socket, which $NOTIFY_SOCKET names. */
static int listen_at(bool abstract)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	char name[sizeof(where.sun_path)];
	socklen_t length;
	int fd;

	support_directory(); /* what it forks is not to hold the socket */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (abstract)
		snprintf(name, sizeof(name), "@anygate-test-%d", getpid());
	else
		snprintf(name, sizeof(name), "%s", support_path("notify"));
	memcpy(where.sun_path, name, sizeof(name));
	if (abstract)
		where.sun_path[0] = '\0';
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	cr_assert_eq(bind(fd, (struct sockaddr *)&where, length), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void expect(int fd, const char *text)
{
	char got[2048];
	ssize_t size = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	cr_assert_geq(size, 0, "nothing came instead of \"%s\"", text);
	got[size] = '\0';
	cr_expect_str_eq(got, text);
}

Test(notify, messages)
{
	char ready[64], main_pid[32];

	snprintf(ready, sizeof(ready), "READY=1\nMAINPID=%d\nSTATUS=two workers", getpid());
	snprintf(main_pid, sizeof(main_pid), "MAINPID=%d", getppid());
	for (int abstract = 0; abstract < 2; abstract++) {
		int fd = listen_at(abstract);

		cr_expect(notify_ready("two workers"));
		expect(fd, ready);
		cr_expect(notify_stopping());
		expect(fd, "STOPPING=1\nSTATUS=Stopping");
		cr_expect(notify_status("a=b, c"));
		expect(fd, "STATUS=a=b, c");
		cr_expect(notify_main_pid(getppid()));
		expect(fd, main_pid);
		cr_expect(notify_watchdog());
		expect(fd, "WATCHDOG=1");
		close(fd);
		cr_expect(!notify_watchdog(), "nobody is there");
	}
}

Test(notify, reloading)
{
	int fd = listen_at(false);
	char got[256] = "";
	long long first = 0, second = 0;

	cr_expect(notify_reloading());
	cr_expect(notify_reloading());
	cr_expect_gt(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 0);
	cr_expect_eq(sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%lld\n", &first), 1, "%s", got);
	cr_expect_gt(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 0);
	cr_expect_eq(sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%lld\n", &second), 1, "%s", got);
	cr_expect(first > 0 && first <= second);
	close(fd);
}

Test(notify, nobody_to_tell)
{
	static const char *const names[] = { "", "/", "@", "relative", "vsock:2:1234",
		"/no/such/socket", "@no-such-name" };
	char longest[256];

	unsetenv("NOTIFY_SOCKET");
	cr_expect(!notify_ready(""));
	for (size_t i = 0; i < COUNT(names); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		cr_expect(!notify_ready(""), "%s", names[i]);
	}
	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	cr_expect(!notify_ready(""));
}

static const struct watchdog_row {
	const char *usec, *pid; /* "own": ours */
	uint64_t ms;
} watchdogs[] = {
	{ NULL, NULL, 0 },
	{ NULL, "own", 0 },
	{ "0", "own", 0 },
	{ "30000000", "own", 15000 },
	{ "30000000", NULL, 15000 },
	{ "30000000", "1", 0 },
	{ "30000000", "", 0 },
	{ "30000000", "own1", 0 },
	{ "1000", "own", 1 },
	{ "-1", "own", 0 },
	{ "30s", "own", 0 },
	{ "", "own", 0 },
	{ "99999999999999999999999", "own", 0 },
};

Test(notify, watchdog_interval)
{
	for (size_t i = 0; i < COUNT(watchdogs); i++) {
		const struct watchdog_row *row = &watchdogs[i];
		char pid[32];

		snprintf(pid, sizeof(pid), "%d", getpid());
		unsetenv("WATCHDOG_USEC");
		unsetenv("WATCHDOG_PID");
		if (row->usec)
			setenv("WATCHDOG_USEC", row->usec, 1);
		if (row->pid)
			setenv("WATCHDOG_PID", strcmp(row->pid, "own") ? row->pid : pid, 1);
		cr_expect_eq(notify_watchdog_interval(), row->ms, "row %zu: %llu", i,
		        (unsigned long long)notify_watchdog_interval());
	}
}

Test(notify, forget)
{
	int fd = listen_at(false);

	setenv("WATCHDOG_USEC", "1000000", 1);
	setenv("LISTEN_FDS", "1", 1);
	notify_forget();
	cr_expect(!notify_ready("") && !notify_watchdog_interval() && !getenv("LISTEN_FDS"));
	close(fd);
}
