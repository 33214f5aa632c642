/* How a program begins and ends; what happens between is subprocess_run.c. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "subprocess_private.h"

uint64_t subprocess_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void subprocess_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- the beginning ---- */

/* What the child reads and, as vfork(2) lets it share our memory, writes. */
struct launch {
	const struct subprocess_spec *spec;
	int in, out, err; /* the child's ends */
	pid_t parent;
	volatile int error; /* errno of what failed */
	const char *volatile what;
};

/* In the child, on our stack while we stand still: system calls only, and never back. */
__attribute__((noreturn)) static void child_fail(struct launch *launch, const char *what)
{
	launch->error = errno;
	launch->what = what;
	_exit(127);
}

/* An end of a pipe, where no standard descriptor is overwritten before it is used. */
static int child_lift(struct launch *launch, int fd)
{
	int high = fcntl(fd, F_DUPFD, 3);

	if (high < 0)
		child_fail(launch, "a descriptor");
	return high;
}

/*
 * Ignored signals would stay ignored, and handlers would run in memory that is not ours. By the
 * system call, as the C library lets nobody touch the two signals that it keeps to itself.
 */
static void child_signals(void)
{
	static const unsigned long by_default[4]; /* the kernel's struct: SIG_DFL, nothing more */
	sigset_t none;

	for (int signal = 1; signal < NSIG; signal++)
		syscall(SYS_rt_sigaction, signal, by_default, NULL, NSIG / 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

__attribute__((noreturn)) static void child_main(struct launch *launch)
{
	const struct subprocess_spec *spec = launch->spec;
	int in = child_lift(launch, launch->in), out = child_lift(launch, launch->out);
	int err = child_lift(launch, launch->err);

	if (setsid() < 0)
		child_fail(launch, "a session");
	/* a worker that is killed takes its programs along */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != launch->parent)
		_exit(127);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 || close_range(3, ~0U, 0) < 0)
		child_fail(launch, "a descriptor");
	if (spec->directory && chdir(spec->directory) < 0)
		child_fail(launch, spec->directory);
	child_signals();
	execve(spec->path, spec->argv, spec->environment);
	child_fail(launch, spec->path);
}

/* Signals stay blocked until the child has handlers of its own: ours would run in it. */
static pid_t launch_child(struct launch *launch)
{
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = vfork();

	if (pid == 0)
		child_main(launch);
	if (pid < 0) {
		launch->error = errno;
		launch->what = "a process";
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/* Pipes [0, 1], [2, 3], [4, 5] for standard input, output and error; all or none. */
static bool open_pipes(int ends[6])
{
	for (int i = 0; i < 6; i++)
		ends[i] = -1;
	for (int i = 0; i < 6; i += 2) {
		int ours = i == 0 ? 1 : i;

		if (pipe2(&ends[i], O_CLOEXEC) == 0 && fcntl(ends[ours], F_SETFL, O_NONBLOCK) == 0)
			continue;
		int error = errno;

		for (int j = 0; j < 6; j++)
			subprocess_close(&ends[j]);
		errno = error;
		return false;
	}
	return true;
}

/* A child that failed before its program ran, or that we can't watch. */
static void drop_child(pid_t pid)
{
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int start_child(struct subprocess *process, struct launch *launch)
{
	process->pid = launch_child(launch);
	if (process->pid < 0)
		return launch->error;
	if (!launch->error) {
		process->pidfd = pidfd_open(process->pid, 0);
		if (process->pidfd < 0) {
			launch->error = errno;
			launch->what = "a descriptor";
		}
	}
	if (launch->error)
		drop_child(process->pid);
	return launch->error;
}

int subprocess_start(struct ag_request *req, const struct subprocess_spec *spec,
        struct subprocess **process, const char **what)
{
	struct subprocess *new = calloc(1, sizeof(*new));
	int ends[6];

	*process = NULL;
	*what = "a pipe";
	if (!new || !open_pipes(ends)) {
		int error = new ? errno : ENOMEM;

		free(new);
		slot_free(&req->runtime->programs);
		return error;
	}
	struct launch launch = {
		.spec = spec, .in = ends[0], .out = ends[3], .err = ends[5], .parent = getpid()
	};

	new->runtime = req->runtime;
	new->req = req;
	new->in = ends[1];
	new->out = ends[2];
	new->err = ends[4];
	new->timeout = spec->timeout;
	int error = start_child(new, &launch);

	close(ends[0]);
	close(ends[3]);
	close(ends[5]);
	*what = launch.what;
	if (error) {
		subprocess_close(&new->in);
		subprocess_close(&new->out);
		subprocess_close(&new->err);
		free(new);
		slot_free(&req->runtime->programs);
		return error;
	}
	*process = new;
	return 0;
}

/* ---- the end ---- */

void subprocess_look(struct subprocess *process)
{
	siginfo_t info = { 0 };

	if (process->exited)
		return;
	if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		info.si_pid = process->pid; /* reaped for us, where SIGCHLD is ignored */
	if (!info.si_pid)
		return;
	process->exited = true;
	process->code = info.si_code;
	process->status = info.si_status;
}

bool subprocess_exited(const struct subprocess *process, int *code, int *status)
{
	*code = process->code;
	*status = process->status;
	return process->exited;
}

bool subprocess_held(const struct subprocess *process)
{
	return process->exited && process->out >= 0;
}

/* The program has ended: its number may be another's from here on. */
static void subprocess_reap(struct subprocess *process)
{
	siginfo_t info;

	waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG);
	close(process->pidfd);
	slot_free(&process->runtime->programs);
	free(process);
}

static void unlink_process(struct subprocess *process)
{
	struct runtime *runtime = process->runtime;

	*(process->previous ? &process->previous->next : &runtime->subprocesses) = process->next;
	if (process->next)
		process->next->previous = process->previous;
}

/* One that was let go has ended, or has had its time. */
static void on_late_exit(evutil_socket_t fd, short what, void *argument)
{
	struct subprocess *process = argument;

	(void)fd;
	subprocess_look(process);
	if (process->exited) {
		unlink_process(process);
		subprocess_reap(process);
	} else {
		if (what & EV_TIMEOUT)
			kill(-process->pid, SIGKILL);
		event_add(&process->on_exit, NULL);
	}
}

static void watch_late(struct subprocess *process, bool killed)
{
	struct runtime *runtime = process->runtime;
	uint64_t now = subprocess_now(), due = process->deadline;
	uint64_t left = due > now ? due - now : 0;
	struct timeval limit = { (time_t)(left / 1000), (suseconds_t)(left % 1000 * 1000) };

	process->previous = NULL;
	process->next = runtime->subprocesses;
	if (process->next)
		process->next->previous = process;
	runtime->subprocesses = process;
	event_assign(
	        &process->on_exit, runtime->base, process->pidfd, EV_READ, on_late_exit, process);
	event_add(&process->on_exit, killed || !due ? NULL : &limit);
}

void subprocess_end(struct subprocess *process, bool killed)
{
	subprocess_close(&process->in);
	subprocess_close(&process->out);
	subprocess_close(&process->err);
	process->req = NULL;
	if (killed)
		kill(-process->pid, SIGKILL);
	subprocess_look(process);
	if (process->exited)
		subprocess_reap(process);
	else
		watch_late(process, killed);
}

void subprocesses_stop(struct runtime *runtime)
{
	while (runtime->subprocesses) {
		struct subprocess *process = runtime->subprocesses;

		kill(-process->pid, SIGKILL);
		event_del(&process->on_exit);
		unlink_process(process);
		subprocess_reap(process);
	}
}
