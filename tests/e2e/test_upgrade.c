/* USR2: another binary takes over in the same process, or all goes on as before. */
#include "../support/client.h"
#include "../support/daemon.h"
#include "../support/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A copy of anygate that a test may replace, and a daemon started from it. */
struct install {
	char directory[64], program[96], address[128];
	struct daemon daemon;
};

static void copy_program(const char *from, const char *to)
{
	char command[512];

	/* renamed into place: the file that runs can't be written to */
	snprintf(command, sizeof(command), "cp %s %s.new && mv %s.new %s", from, to, to, to);
	cr_assert_eq(system(command), 0, "%s", command);
}

static void write_program(const char *path, const char *text)
{
	char other[128];
	FILE *file;

	snprintf(other, sizeof(other), "%s.new", path);
	file = fopen(other, "w");
	cr_assert(file);
	fputs(text, file);
	fclose(file);
	chmod(other, 0755);
	cr_assert_eq(rename(other, path), 0);
}

static void install_start(struct install *install, const char *app)
{
	const char *arguments[] = { install->program, "-w", "1", "-l", install->address, "-s",
		"daemon.reload_watch=0", app, NULL };
	const struct process_options options = { .arguments = arguments };

	snprintf(install->directory, sizeof(install->directory), "%s/XXXXXX", support_directory());
	cr_assert(mkdtemp(install->directory));
	snprintf(install->program, sizeof(install->program), "%s/anygate", install->directory);
	snprintf(install->address, sizeof(install->address), "unix:%s/main.sock",
	        install->directory);
	copy_program(DAEMON_PROGRAM, install->program);
	daemon_start_with(&install->daemon, 1, &options);
}

static void install_stop(struct install *install)
{
	daemon_stop(&install->daemon);
	unlink(install->program);
	cr_expect_eq(rmdir(install->directory), 0, "something is left in %s", install->directory);
}

static void check_get(const struct install *install, const char *target)
{
	http_check(install->address, target, 200, NULL);
}

static void upgrade(struct install *install, const char *expected)
{
	kill(install->daemon.process.pid, SIGUSR2);
	daemon_expect(&install->daemon, expected);
}

Test(upgrade, three_times, .timeout = 120)
{
	struct install install;
	pid_t before[4], after[4];
	char serves[32];

	install_start(&install, "hello");
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(process_children(install.daemon.process.pid, before, 4), 1);
		copy_program(DAEMON_PROGRAM, install.program);
		snprintf(serves, sizeof(serves), "generation %d serves", i + 2);
		upgrade(&install, serves);
		daemon_expect(&install.daemon, "upgraded to ");
		check_get(&install, "/");
		/* the worker before may take its time to end */
		do
			usleep(1000);
		while (process_children(install.daemon.process.pid, after, 4) != 1);
		cr_expect_neq(before[0], after[0]);
	}
	install_stop(&install);
}

/* Programs that can't take over, and what the log says of them. */
static const struct {
	const char *text, *message;
} programs[] = {
	{ "#!/bin/sh\necho 'no way' >&2\nexit 1\n", "no way" },
	{ "#!/bin/sh\nexit 0\n", "it does not know how to take over" },
	{ "#!/nowhere/sh\n", "can't execute" },
	{ "#!/bin/sh\nkill -SEGV $$\n", "Segmentation fault" },
};

Test(upgrade, broken_programs_change_nothing, .timeout = 120)
{
	struct install install;
	pid_t before[4], after[4];

	install_start(&install, "hello");
	cr_assert_eq(process_children(install.daemon.process.pid, before, 4), 1);
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		write_program(install.program, programs[i].text);
		upgrade(&install, "not upgraded: ");
		daemon_expect(&install.daemon, programs[i].message);
		check_get(&install, "/");
		cr_assert_eq(process_children(install.daemon.process.pid, after, 4), 1);
		cr_expect_eq(before[0], after[0]);
	}
	copy_program(DAEMON_PROGRAM, install.program);
	upgrade(&install, "upgraded to ");
	check_get(&install, "/");
	install_stop(&install);
}

/* An application that loads in the trial and not afterwards: the former program comes back. */
Test(upgrade, goes_back, .timeout = 120)
{
	struct install install;

	install_start(&install, DAEMON_APPS "once.so");
	upgrade(&install, "not upgraded: ");
	daemon_expect(&install.daemon, "the former program goes on");
	check_get(&install, "/");
	upgrade(&install, "not upgraded: ");
	daemon_expect(&install.daemon, "the former program goes on");
	check_get(&install, "/");
	install_stop(&install);
}

/* A request that waits when the program changes is finished by the worker that has it. */
Test(upgrade, finishes_what_is_in_flight, .timeout = 60)
{
	struct install install;
	struct client client;
	struct response response;
	struct bytes request = { 0 };

	install_start(&install, DAEMON_APPS "napper.so");
	client_open(&client, install.address);
	http_build(&request, "GET", "/?ms=900", NULL, NULL, 0);
	client_send(&client, request.data, request.length);
	client_flush(&client);
	check_get(&install, "/?ms=0");
	check_get(&install, "/?ms=0"); /* so the first is in flight */
	upgrade(&install, "upgraded to ");
	client_response(&client, "GET", &response);
	cr_expect_eq(response.status, 200);
	response_free(&response);
	bytes_free(&request);
	client_close(&client);
	install_stop(&install);
}
