/*
 * USR2: another binary takes the place of this one in the same process, so its id, its sockets, its
 * lock and its children stay. First the new program checks the configuration (-t) in a process of
 * its own; then the master executes it. It finds the workers that serve (handover.h) and brings up
 * its own beside them like any reload; if that fails it executes the former program again.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "handover.h"
#include "log.h"
#include "master_private.h"

#define DELETED " (deleted)"

bool upgrade_prepare(struct master *master)
{
	static const char self[] = "/proc/self/exe";
	struct upgrade *upgrade = &master->upgrade;
	ssize_t n = readlink(self, upgrade->path, sizeof(upgrade->path) - 1);
	size_t tail = sizeof(DELETED) - 1;

	upgrade->exe = open(self, O_PATH | O_CLOEXEC);
	if (n < 0 || upgrade->exe < 0)
		return false;
	upgrade->path[n] = '\0';
	/* replaced since it was started: the new one is what has the name now */
	if ((size_t)n > tail && strcmp(upgrade->path + n - tail, DELETED) == 0)
		upgrade->path[(size_t)n - tail] = '\0';
	return true;
}

/* ---- the trial ---- */

static void run_trial(const struct master *master, int out)
{
	char **argv = master->options->argv;
	size_t count = 0;

	while (argv[count])
		count++;
	char **arguments = calloc(count + 2, sizeof(*arguments));

	if (!arguments)
		_exit(1);
	arguments[0] = argv[0];
	arguments[1] = (char *)"-t";
	memcpy(arguments + 2, argv + 1, (count - 1) * sizeof(*arguments));
	sigprocmask(SIG_UNBLOCK, &master->signals, NULL);
	if (dup2(out, STDERR_FILENO) < 0 || fchdir(master->options->start) < 0 ||
	        setenv(TRIAL_VARIABLE, "2", 1) < 0)
		_exit(1);
	execv(master->upgrade.path, arguments);
	dprintf(STDERR_FILENO, "can't execute %s: %s\n", master->upgrade.path, strerror(errno));
	_exit(1);
}

void upgrade_begin(struct master *master)
{
	struct upgrade *upgrade = &master->upgrade;
	int ends[2];

	if (upgrade->trial || master->next) {
		log_line(LOG_LEVEL_WARNING, "not upgraded: a reload or an upgrade is on its way");
		return;
	}
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
		log_line(LOG_LEVEL_ERROR, "not upgraded: %s", strerror(errno));
		return;
	}
	log_line(LOG_LEVEL_INFO, "upgrading: %s is tried", upgrade->path);
	upgrade->trial = fork();
	if (upgrade->trial == 0)
		run_trial(master, ends[1]);
	close(ends[1]);
	upgrade->output = ends[0];
	upgrade->give_up = now_ms() + master->now->config->daemon.start_timeout;
	if (upgrade->trial > 0)
		return;
	log_line(LOG_LEVEL_ERROR, "not upgraded: %s", strerror(errno));
	close(upgrade->output);
	upgrade->trial = 0;
}

/* Why the trial was none, as a line. */
static const char *describe_trial(char *text, int status)
{
	text[strcspn(text, "\n")] = '\0';
	if (*text)
		return text;
	if (WIFSIGNALED(status))
		return strsignal(WTERMSIG(status));
	return "it does not know how to take over";
}

void upgrade_tried(struct master *master, int status)
{
	struct upgrade *upgrade = &master->upgrade;
	char text[4096];
	ssize_t n = read(upgrade->output, text, sizeof(text) - 1);

	close(upgrade->output);
	upgrade->trial = 0;
	text[n > 0 ? n : 0] = '\0';
	if (master->stopping)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && strstr(text, TRIAL_ANSWER))
		upgrade->tried = true;
	else
		log_line(LOG_LEVEL_ERROR, "not upgraded: %s: %s; all goes on as before",
		        upgrade->path, describe_trial(text, status));
}

/* ---- the exec ---- */

static void keep_open(int fd, bool keep)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

/* What the new program goes on with stays open over exec, or does not any more. */
static void keep_all(struct master *master, const struct handover *handover, bool keep)
{
	keep_open(handover->board, keep);
	keep_open(handover->ring, keep);
	keep_open(handover->wake, keep);
	keep_open(handover->pidfile, keep);
	keep_open(handover->previous, keep);
	for (size_t i = 0; i < handover->bound_count; i++)
		keep_open(handover->bound[i].fd, keep);
	for (struct child *child = master->children; child; child = child->next)
		keep_open(child->control, keep);
}

/* The configuration in force, as a file that only descriptors name; -1 with errno. */
static int write_config(const struct master *master)
{
	int fd = memfd_create("anygate-config", 0);
	FILE *file = fd < 0 ? NULL : fdopen(dup(fd), "w");

	if (!file)
		return -1;
	config_print(master->now->config, file);
	if (fclose(file) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool list_children(const struct master *master, struct handover *handover)
{
	size_t count = 0;

	for (const struct child *child = master->children; child; child = child->next)
		count++;
	handover->children = calloc(count + 1, sizeof(*handover->children));
	if (!handover->children)
		return false;
	for (const struct child *child = master->children; child; child = child->next)
		handover->children[handover->child_count++] = (struct handed_child){
			.pid = child->pid,
			.number = child->number,
			.generation = child->generation,
			.ending = child->state == CHILD_ENDING,
			.control = child->control,
			.slot = child->slot && child->number != ADMIN_NUMBER
			                ? (size_t)(child->slot - master->board->slots)
			                : SIZE_MAX,
			.started = child->started,
			.kill_at = child->kill_at,
		};
	return true;
}

/* The new program, or, with `why`, the former one. */
static void execute(struct master *master, const char *why)
{
	struct upgrade *upgrade = &master->upgrade;
	struct handover handover = {
		.config = write_config(master),
		.board = master->board_fd,
		.ring = master->bus.fd,
		.wake = master->bus.wake,
		.pidfile = master->pidfile,
		.previous = why ? -1 : upgrade->exe,
		.generation = master->now->number,
		.last_generation = master->last_generation,
		.wanted = master->wanted,
		.bound = master->now->bound,
		.bound_count = master->now->bound_count,
	};
	char number[16];

	snprintf(handover.why, sizeof(handover.why), "%s", why ? why : "");
	int fd = list_children(master, &handover) ? handover_write(&handover) : -1;

	if (fd >= 0 && handover.config >= 0) {
		snprintf(number, sizeof(number), "%d", fd);
		setenv(HANDOVER_VARIABLE, number, 1);
		keep_all(master, &handover, true);
		if (fchdir(master->options->start) == 0 && why)
			fexecve(upgrade->previous, master->options->argv, environ);
		else
			execv(upgrade->path, master->options->argv);
	}
	log_line(LOG_LEVEL_ERROR, "not upgraded: can't execute: %s", strerror(errno));
	keep_all(master, &handover, false);
	unsetenv(HANDOVER_VARIABLE);
	close(fd);
	close(handover.config);
	free(handover.children);
}

void upgrade_undo(struct master *master, const char *why)
{
	snprintf(master->upgrade.why, sizeof(master->upgrade.why), "%s", why);
}

void upgrade_step(struct master *master)
{
	struct upgrade *upgrade = &master->upgrade;

	if (upgrade->tried)
		execute(master, NULL);
	else if (*upgrade->why)
		execute(master, upgrade->why);
	upgrade->tried = false;
	*upgrade->why = '\0';
}

/* ---- the other side ---- */

static struct child *adopt(struct master *master, const struct handed_child *handed)
{
	struct child *child = calloc(1, sizeof(*child));

	if (!child)
		return NULL;
	child->pid = handed->pid;
	child->number = handed->number;
	child->generation = handed->generation;
	child->control = handed->control;
	child->started = handed->started;
	child->kill_at = handed->kill_at;
	child->state = handed->ending ? CHILD_ENDING : CHILD_SERVING;
	keep_open(child->control, false);
	if (!master->board_new && handed->slot < scoreboard_count(master->board))
		child->slot = &master->board->slots[handed->slot];
	return child;
}

bool upgrade_adopt(struct master *master, const struct handover *handover)
{
	struct child **end = &master->children;

	master->wanted = handover->wanted;
	master->last_generation = handover->last_generation;
	master->now->number = handover->generation;
	master->upgrade.previous = handover->previous;
	keep_open(handover->previous, false);
	keep_open(handover->board, false);
	keep_open(handover->ring, false);
	keep_open(handover->wake, false);
	for (size_t i = 0; i < handover->child_count; i++, end = &(*end)->next)
		if (!(*end = adopt(master, &handover->children[i])))
			return false;
	if (*handover->why)
		log_line(LOG_LEVEL_ERROR, "not upgraded: %s; the former program goes on",
		        handover->why);
	return true;
}

void upgrade_done(struct master *master)
{
	struct upgrade *upgrade = &master->upgrade;

	if (upgrade->previous < 0)
		return;
	close(upgrade->previous);
	upgrade->previous = -1;
	count_up(&master->board->upgrades, 1);
	log_line(LOG_LEVEL_INFO, "upgraded to %s, version %s", upgrade->path, ANYGATE_VERSION);
}
