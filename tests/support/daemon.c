#include "daemon.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define READY         "anygate: listening on "
#define ARGUMENTS_MAX 32

/* argv of anygate from the arguments up to NULL. */
static void collect(const char *argv[ARGUMENTS_MAX], va_list arguments)
{
	size_t count = 0;

	argv[count++] = DAEMON_PROGRAM;
	do {
		cr_assert_lt(count, ARGUMENTS_MAX);
		argv[count] = va_arg(arguments, const char *);
	} while (argv[count++]);
}

/* "anygate: listening on 127.0.0.1:40123 (fastcgi)\n" */
static void read_ready(struct daemon *daemon, const char *line)
{
	struct listening *one = &daemon->listening[daemon->count++];

	cr_assert_eq(sscanf(line, "%127s (%15[a-z])\n", one->address, one->protocol), 2,
	        "not a listener: %s", line);
}

void daemon_start_with(
        struct daemon *daemon, size_t listeners, const struct process_options *options)
{
	size_t at = 0;

	daemon->count = 0;
	process_start(&daemon->process, options);
	while (daemon->count < listeners && daemon->count < DAEMON_LISTENERS) {
		size_t begin = process_expect(&daemon->process, READY, at);

		at = process_expect(&daemon->process, "\n", begin);
		read_ready(daemon, daemon->process.err.data + begin);
	}
}

void daemon_start(struct daemon *daemon, size_t listeners, ...)
{
	const char *argv[ARGUMENTS_MAX];
	va_list arguments;

	va_start(arguments, listeners);
	collect(argv, arguments);
	va_end(arguments);
	daemon_start_with(daemon, listeners, &(struct process_options){ .arguments = argv });
}

int daemon_run(struct process *process, ...)
{
	const char *argv[ARGUMENTS_MAX];
	va_list arguments;

	va_start(arguments, process);
	collect(argv, arguments);
	va_end(arguments);
	return process_run(process, &(struct process_options){ .arguments = argv });
}

const char *daemon_address(const struct daemon *daemon)
{
	return daemon->listening[0].address;
}

const char *daemon_text(struct daemon *daemon)
{
	process_drain(&daemon->process);
	return daemon->process.err.data;
}

void daemon_expect(struct daemon *daemon, const char *text)
{
	process_expect(&daemon->process, text, 0);
}

/* No event tells of a new process: looked up again until it is there. */
pid_t daemon_worker(struct daemon *daemon, pid_t but)
{
	int64_t deadline = deadline_in(PATIENCE);
	pid_t workers[8];

	for (;;) {
		size_t count = process_children(daemon->process.pid, workers, COUNT(workers));

		for (size_t i = 0; i < count; i++)
			if (workers[i] != but)
				return workers[i];
		cr_assert_gt(deadline_left(deadline), 0, "no worker: %s", daemon_text(daemon));
		poll(NULL, 0, 5);
	}
}

void daemon_end(struct daemon *daemon, int status, bool sanitizer)
{
	int ended = process_wait(&daemon->process);
	const char *text = daemon_text(daemon);

	cr_expect_eq(ended, status, "exit status %d, not %d:\n%s", ended, status, text);
	if (!sanitizer)
		cr_expect(!strstr(text, "Sanitizer") && !strstr(text, "runtime error"), "%s", text);
	process_free(&daemon->process);
}

void daemon_stop(struct daemon *daemon)
{
	kill(daemon->process.pid, SIGTERM);
	daemon_end(daemon, 0, false);
}
