#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- start ---- */

static char **make_environment(const struct process_options *options)
{
	const char *const *own = options->environment;
	size_t count = 0, inherited = 0;

	for (size_t i = 0; own && own[i]; i++)
		count++;
	while (!options->clean && environ[inherited])
		inherited++;

	char **all = calloc(count + inherited + 1, sizeof *all);

	cr_assert(all);
	for (size_t i = 0; i < count; i++)
		all[i] = (char *)own[i];
	for (size_t i = 0; i < inherited; i++)
		all[count + i] = environ[i];
	return all;
}

/* In the child: only calls that are safe behind fork. */
static void child_main(const struct process_options *options, char **environment, int out, int err)
{
	int pass[16], input = options->input ? options->input : open("/dev/null", O_RDONLY);
	sigset_t none;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* high first, so that nothing is overwritten before it is used */
	input = fcntl(input, F_DUPFD, 100);
	out = fcntl(out, F_DUPFD, 100);
	err = fcntl(err, F_DUPFD, 100);
	for (size_t i = 0; i < options->pass_count; i++)
		pass[i] = fcntl(options->pass[i], F_DUPFD, 100);
	dup2(input, 0);
	dup2(out, 1);
	dup2(err, 2);
	for (size_t i = 0; i < options->pass_count; i++)
		dup2(pass[i], 3 + (int)i);
	close_range(3 + (unsigned)options->pass_count, ~0U, 0);
	execvpe(options->arguments[0], (char **)options->arguments, environment);
	dprintf(2, "%s: %s\n", options->arguments[0], strerror(errno));
	_exit(127);
}

void process_start(struct process *process, const struct process_options *options)
{
	char **environment = make_environment(options);
	int out[2], err[2];

	*process = (struct process){ .out = bytes_empty(), .err = bytes_empty() };
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	support_directory(); /* the guard is to be older than what it guards */
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(err, O_CLOEXEC), 0);
	process->pid = fork();
	cr_assert_geq(process->pid, 0, "fork: %s", strerror(errno));
	if (process->pid == 0)
		child_main(options, environment, out[1], err[1]);
	setpgid(process->pid, process->pid);
	support_guard(process->pid);
	process->pidfd = pidfd_open(process->pid, 0);
	cr_assert_geq(process->pidfd, 0, "pidfd_open: %s", strerror(errno));
	close(out[1]);
	close(err[1]);
	process->out_fd = out[0];
	process->err_fd = err[0];
	fcntl(process->out_fd, F_SETFL, O_NONBLOCK);
	fcntl(process->err_fd, F_SETFL, O_NONBLOCK);
	free(environment);
}

/* ---- what it says ---- */

static void drain(int *fd, struct bytes *bytes)
{
	char piece[4096];
	ssize_t size;

	while (*fd >= 0 && (size = read(*fd, piece, sizeof piece)) != 0) {
		if (size > 0)
			bytes_add(bytes, piece, (size_t)size);
		else if (errno != EINTR)
			return;
	}
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void process_drain(struct process *process)
{
	drain(&process->out_fd, &process->out);
	drain(&process->err_fd, &process->err);
}

static void check_ended(struct process *process)
{
	siginfo_t info = { 0 };

	if (process->ended || waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT))
		return;
	if (info.si_pid != process->pid)
		return;
	process->ended = true;
	process->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

/* Waits until something happens: output, or the end. */
static void step(struct process *process, int64_t deadline)
{
	struct pollfd polls[] = {
		{ .fd = process->out_fd, .events = POLLIN },
		{ .fd = process->err_fd, .events = POLLIN },
		{ .fd = process->ended ? -1 : process->pidfd, .events = POLLIN },
	};

	poll(polls, COUNT(polls), deadline_left(deadline));
	check_ended(process);
	process_drain(process);
}

/* Nothing more will come: whoever could write has closed. */
static bool silent(const struct process *process)
{
	return process->err_fd < 0 && process->ended;
}

size_t process_expect(struct process *process, const char *text, size_t from)
{
	int64_t deadline = deadline_in(PATIENCE);

	for (;;) {
		const char *found = strstr(process->err.data + from, text);

		if (found)
			return (size_t)(found - process->err.data) + strlen(text);
		cr_assert(!silent(process) && deadline_left(deadline) > 0,
		        "\"%s\" never came on standard error:\n%s", text, process->err.data);
		step(process, deadline);
	}
}

/* ---- end ---- */

int process_wait(struct process *process)
{
	int64_t deadline = deadline_in(PATIENCE);

	while (!process->ended) {
		cr_assert_gt(deadline_left(deadline), 0, "process %d does not end:\n%s",
		        process->pid, process->err.data);
		step(process, deadline);
	}
	process_drain(process);
	return process->status;
}

int process_run(struct process *process, const struct process_options *options)
{
	process_start(process, options);
	return process_wait(process);
}

void process_succeed(struct process *process, const struct process_options *options)
{
	struct bytes line = { 0 };
	int status = process_run(process, options);

	for (const char *const *at = options->arguments; *at; at++)
		bytes_printf(&line, "%s ", *at);
	cr_assert_eq(status, 0, "%s: status %d\n%s%s", line.data, status, process->out.data,
	        process->err.data);
	bytes_free(&line);
}

/* The group goes before its leader is reaped: until then its number can't be another's. */
void process_free(struct process *process)
{
	kill(-process->pid, SIGKILL);
	waitpid(process->pid, NULL, 0);
	support_forget(process->pid);
	close(process->pidfd);
	if (process->out_fd >= 0)
		close(process->out_fd);
	if (process->err_fd >= 0)
		close(process->err_fd);
	bytes_free(&process->out);
	bytes_free(&process->err);
}

int process_wait_orphan(pid_t pid)
{
	int pidfd = pidfd_open(pid, 0);
	struct pollfd one = { .fd = pidfd, .events = POLLIN };
	int status = 0;

	cr_assert_geq(pidfd, 0, "process %d: %s", pid, strerror(errno));
	cr_assert_eq(poll(&one, 1, PATIENCE), 1, "process %d does not end", pid);
	close(pidfd);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

size_t process_children(pid_t pid, pid_t *children, size_t max)
{
	char path[64];
	size_t count = 0;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);

	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	while (count < max && fscanf(file, "%d", &children[count]) == 1)
		count++;
	fclose(file);
	return count;
}

long process_memory(pid_t pid)
{
	char path[64], line[256];
	long kib = -1;

	snprintf(path, sizeof path, "/proc/%d/status", pid);

	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof line, file))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

/*
 * It has to have been killed. Its parent, killed with it, may have had the time to reap it; if not,
 * it is ours.
 */
void process_check_killed(pid_t pid, const char *what)
{
	int64_t deadline = deadline_in(PATIENCE);
	int status = SIGKILL;

	while (waitpid(pid, &status, WNOHANG) != pid && kill(pid, 0) == 0) {
		cr_assert_gt(deadline_left(deadline), 0, "%s: %d goes on", what, pid);
		poll(NULL, 0, 5);
	}
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s: %x", what, status);
}

size_t process_descriptors(pid_t pid)
{
	char path[64];
	size_t count = 0;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);

	DIR *directory = opendir(path);

	cr_assert(directory, "%s", path);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* No event tells of these: looked at again until the worker has neither child nor new descriptor.
 */
void process_check_nothing_left(pid_t worker, size_t descriptors)
{
	int64_t deadline = deadline_in(PATIENCE);
	pid_t child;

	while (process_children(worker, &child, 1) || process_descriptors(worker) > descriptors) {
		cr_assert_gt(deadline_left(deadline), 0, "%zu descriptors, not %zu; child %d",
		        process_descriptors(worker), descriptors, child);
		poll(NULL, 0, 5);
	}
}
