#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "privileges.h"
#include "worker.h"

/* Deaths in a row that are answered at once; after that one start a second. */
#define FAST_RESTARTS 5
#define SLOW_MS       1000

/* A worker that lives this long is no crash loop. */
#define STABLE_MS 10000

/* What a worker gets beyond graceful_timeout before it is killed, in ms. */
#define KILL_AFTER_MS 2000

struct child {
	pid_t pid; /* 0: to be started at `due` */
	uint64_t started, due;
};

struct master {
	const struct config *config;
	const struct bound *bound;
	size_t bound_count;
	struct child *children; /* worker N is children[N - 1] */
	size_t count;
	unsigned deaths; /* in a row, of workers that had just started */
	bool stopping;
	uint64_t kill_at; /* ms; when stopping */
	sigset_t signals;
};

/* What fork() returned in a child: the master's loop must not go on in it. */
enum spawned {
	SPAWN_MASTER,
	SPAWN_WORKER, /* this process was a worker and is done */
	SPAWN_FAILED,
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int run_child(const struct master *master, size_t index, int ready)
{
	char error[256];

	sigprocmask(SIG_UNBLOCK, &master->signals, NULL);
	if (!privileges_drop(&master->config->daemon, error, sizeof(error))) {
		fprintf(stderr, "anygate: %s\n", error);
		return 1;
	}
	return worker_run(
	        master->config, master->bound, master->bound_count, (int)index + 1, ready);
}

/* Starts worker `index`; in it, `*status` is its exit status. Waits until it is ready. */
static enum spawned spawn(struct master *master, size_t index, int *status)
{
	struct child *child = &master->children[index];
	int pipe_ends[2];
	char byte;

	if (pipe2(pipe_ends, O_CLOEXEC) < 0)
		return SPAWN_FAILED;
	child->pid = fork();
	if (child->pid == 0) {
		close(pipe_ends[0]);
		*status = run_child(master, index, pipe_ends[1]);
		return SPAWN_WORKER;
	}
	close(pipe_ends[1]);
	ssize_t n = child->pid > 0 ? read(pipe_ends[0], &byte, 1) : -1;

	close(pipe_ends[0]);
	child->started = now_ms();
	if (child->pid < 0)
		child->pid = 0;
	return n == 1 ? SPAWN_MASTER : SPAWN_FAILED;
}

static void signal_children(const struct master *master, int signal)
{
	for (size_t i = 0; i < master->count; i++)
		if (master->children[i].pid > 0)
			kill(master->children[i].pid, signal);
}

static struct child *child_of(const struct master *master, pid_t pid)
{
	for (size_t i = 0; i < master->count; i++)
		if (master->children[i].pid == pid)
			return &master->children[i];
	return NULL;
}

static void log_death(const struct child *child, size_t number, int status, uint64_t age)
{
	if (WIFSIGNALED(status))
		log_line(LOG_LEVEL_ERROR,
		        "worker %zu (pid %ld) died of signal %d (%s) after %llu ms", number,
		        (long)child->pid, WTERMSIG(status), strsignal(WTERMSIG(status)),
		        (unsigned long long)age);
	else
		log_line(LOG_LEVEL_ERROR,
		        "worker %zu (pid %ld) exited with status %d after %llu ms", number,
		        (long)child->pid, WEXITSTATUS(status), (unsigned long long)age);
}

/* A worker is gone: unless all are to go, it is started again, soon or, in a row of deaths, later.
 */
static void bury(struct master *master, struct child *child, int status)
{
	uint64_t now = now_ms(), age = now - child->started;

	if (!master->stopping)
		log_death(child, (size_t)(child - master->children) + 1, status, age);
	child->pid = 0;
	master->deaths = age < STABLE_MS ? master->deaths + 1 : 0;
	child->due = master->deaths <= FAST_RESTARTS ? now : now + SLOW_MS;
}

static void reap(struct master *master)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *child = child_of(master, pid);

		if (child)
			bury(master, child, status);
	}
}

static size_t living(const struct master *master)
{
	size_t count = 0;

	for (size_t i = 0; i < master->count; i++)
		count += master->children[i].pid > 0;
	return count;
}

/* Starts the workers that are due. */
static enum spawned revive(struct master *master, int *status)
{
	for (size_t i = 0; i < master->count && !master->stopping; i++) {
		struct child *child = &master->children[i];

		if (child->pid || child->due > now_ms())
			continue;
		enum spawned spawned = spawn(master, i, status);

		if (spawned == SPAWN_WORKER)
			return spawned;
		if (spawned == SPAWN_FAILED && !child->pid)
			child->due = now_ms() + SLOW_MS;
	}
	return SPAWN_MASTER;
}

/* ms until something is due; 0 when it is already. */
static uint64_t next_due(const struct master *master)
{
	uint64_t now = now_ms(), next = now + 3600000;

	if (master->stopping)
		next = master->kill_at;
	for (size_t i = 0; i < master->count && !master->stopping; i++)
		if (!master->children[i].pid && master->children[i].due < next)
			next = master->children[i].due;
	return next > now ? next - now : 0;
}

static void stop(struct master *master, int signal)
{
	bool now = signal == SIGINT || master->stopping;

	signal_children(master, now ? SIGINT : SIGTERM);
	master->kill_at = now_ms() + KILL_AFTER_MS +
	                  (now ? 0 : master->config->daemon.graceful_timeout);
	master->stopping = true;
}

static int loop(struct master *master)
{
	int status = 0;

	while (!master->stopping || living(master)) {
		uint64_t wait = next_due(master);
		struct timespec limit = { (time_t)(wait / 1000), (long)(wait % 1000) * 1000000 };
		int signal = sigtimedwait(&master->signals, NULL, &limit);

		if (signal == SIGTERM || signal == SIGQUIT || signal == SIGINT)
			stop(master, signal);
		if (master->stopping && now_ms() >= master->kill_at) {
			signal_children(master, SIGKILL);
			master->kill_at = now_ms() + KILL_AFTER_MS;
		}
		reap(master);
		if (revive(master, &status) == SPAWN_WORKER)
			return status;
	}
	return 0;
}

/* The first start: an application that does not load ends the master with the worker's status. */
static bool start_all(struct master *master, int *status)
{
	for (size_t i = 0; i < master->count; i++) {
		enum spawned spawned = spawn(master, i, status);

		if (spawned == SPAWN_MASTER)
			continue;
		if (spawned == SPAWN_WORKER)
			return false;
		*status = 1;
		if (!master->children[i].pid)
			fprintf(stderr, "anygate: can't start a worker: %s\n", strerror(errno));
		else if (waitpid(master->children[i].pid, status, 0) > 0)
			*status = WIFEXITED(*status) ? WEXITSTATUS(*status) : 1;
		master->children[i].pid = 0;
		signal_children(master, SIGKILL);
		while (waitpid(-1, NULL, 0) > 0)
			continue;
		return false;
	}
	return true;
}

sigset_t master_block_signals(void)
{
	static const int wanted[] = { SIGTERM, SIGQUIT, SIGINT, SIGCHLD, SIGHUP };
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		sigaddset(&signals, wanted[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signals;
}

int master_run(const struct config *config, const struct bound *bound, size_t count,
        void (*on_ready)(void *data), void *data)
{
	struct master master = { .config = config,
		.bound = bound,
		.bound_count = count,
		.count = config->daemon.workers };
	int status = 0;

	master.children = calloc(master.count, sizeof(*master.children));
	if (!master.children)
		return 1;
	master.signals = master_block_signals();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* RLIMIT_FSIZE is an error of the write, not a death */
	log_name("master");
	pid_t own = getpid();

	if (start_all(&master, &status)) {
		on_ready(data);
		status = loop(&master);
	}
	if (getpid() == own)
		log_line(LOG_LEVEL_DEBUG, "stopped");
	free(master.children);
	return status;
}
