/* The worker processes: how they start, what they say, how they end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "access.h"
#include "background.h"
#include "control.h"
#include "crash.h"
#include "log.h"
#include "master_private.h"
#include "privileges.h"
#include "upkeep.h"
#include "worker.h"

/* What a worker gets beyond graceful_timeout before it is killed, in ms. */
#define KILL_AFTER_MS 2000

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the start ---- */

/* In the child: what is the master's alone goes. */
static void leave_master(struct master *master)
{
	for (struct child *child = master->children; child; child = child->next) {
		if (child->control >= 0)
			close(child->control);
		access_lines_free(child->lines);
	}
	close(master->signal_fd);
	if (master->bus.fd >= 0)
		close(master->bus.fd);
	close(master->options->start); /* a directory leads out of any root */
	master->start->on_forked(master->start->data);
	sigprocmask(SIG_UNBLOCK, &master->signals, NULL);
}

static bool serves(const struct worker_start *start, int fd)
{
	for (size_t i = 0; i < start->bound_count; i++)
		if (start->bound[i].fd == fd)
			return true;
	return false;
}

/* Sockets that only others serve: kept open here, they would go on taking connections. */
static void leave_sockets(const struct generation *generation, const struct worker_start *start)
{
	for (size_t i = 0; generation && i < generation->bound_count; i++)
		if (!serves(start, generation->bound[i].fd))
			close(generation->bound[i].fd);
}

/* What a root directory of its own may lack. */
static void leave_root(const struct daemon_config *config)
{
	crash_name_program();
	if (config->chroot && config->daemonize && background_leave_terminal())
		log_follow_stderr();
}

static int run_child(const struct master *master, const struct generation *generation,
        const struct child *child, int control)
{
	bool admin = child->number == ADMIN_NUMBER;
	const struct worker_start start = {
		.config = generation->config,
		.bound = admin ? generation_admin(generation) : generation->bound,
		.bound_count = admin ? 1 : generation->config->listen_count,
		.number = (int)child->number,
		.control = control,
		.slot = child->slot,
		.lines = child->lines,
		.bus = admin ? NULL : &master->bus,
		.statm = upkeep_open_statm(),
	};
	char error[CONTROL_TEXT_MAX];

	leave_sockets(master->now, &start);
	leave_sockets(master->next, &start);
	leave_root(&generation->config->daemon);
	if (privileges_apply(
	            &generation->config->daemon, (unsigned)start.number, error, sizeof(error)))
		return admin ? admin_run(master, &start) : worker_run(&start);
	control_send(control, CONTROL_FAILED, error);
	return 1;
}

static void forget(struct master *master, struct child **link)
{
	struct child *child = *link;

	*link = child->next;
	if (child->control >= 0)
		close(child->control);
	if (child->number == ADMIN_NUMBER)
		scoreboard_free_slot(child->slot);
	else if (child->slot)
		scoreboard_give(master->board, child->slot);
	access_lines_free(child->lines);
	free(child->failure);
	free(child);
}

bool child_start(struct master *master, const struct generation *generation, unsigned number)
{
	struct child *child = calloc(1, sizeof(*child));
	int control;

	if (!child || !control_pair(&child->control, &control)) {
		free(child);
		return false;
	}
	child->number = number;
	child->generation = generation->number;
	child->started = now_ms();
	child->kill_at = child->started + generation->config->daemon.start_timeout;
	child->slot = number == ADMIN_NUMBER ? scoreboard_new_slot()
	                                     : scoreboard_take(master->board);
	if (child->slot)
		child->slot->generation = generation->number;
	if (number != ADMIN_NUMBER)
		child->lines = access_lines_new();
	child->pid = child->slot ? fork() : -1;
	if (child->pid == 0) {
		leave_master(master);
		close(child->control);
		exit(run_child(master, generation, child, control));
	}
	close(control);
	child->next = master->children;
	master->children = child;
	if (child->pid > 0)
		return true;
	forget(master, &master->children);
	return false;
}

/* ---- the end ---- */

void child_drain(struct master *master, struct child *child)
{
	unsigned graceful =
	        (master->now ? master->now : master->next)->config->daemon.graceful_timeout;

	if (child->state == CHILD_ENDING)
		return;
	child->state = CHILD_ENDING;
	child->kill_at = now_ms() + graceful + KILL_AFTER_MS;
	if (!control_send(child->control, CONTROL_DRAIN, NULL))
		kill(child->pid, SIGTERM);
}

void child_kill(struct child *child)
{
	child->state = CHILD_ENDING;
	child->kill_at = now_ms() + KILL_AFTER_MS; /* again, should it need that */
	kill(child->pid, SIGKILL);
}

void children_signal(const struct master *master, int signal)
{
	for (struct child *child = master->children; child; child = child->next)
		if (child->number != ADMIN_NUMBER || signal != SIGTERM)
			kill(child->pid, signal);
}

void children_log(const struct master *master)
{
	for (struct child *child = master->children; child; child = child->next)
		if (child->control >= 0 && !log_send_descriptors(child->control))
			log_line(LOG_LEVEL_ERROR, "worker %u (pid %ld) keeps its old logs: %s",
			        child->number, (long)child->pid, strerror(errno));
}

/*
 * Of the workers that sleep the kernel tells one that somebody has connected. If it can't take him,
 * or is dead, the others are told to look.
 */
static void children_look(const struct master *master)
{
	for (struct child *child = master->children; child; child = child->next)
		if (child->state == CHILD_SERVING && child->control >= 0)
			control_send(child->control, CONTROL_LOOK, NULL);
}

void children_share(const struct master *master, const struct child *ready)
{
	unsigned count = child_count(master, ready->generation, CHILD_SERVING);

	for (struct child *child = master->children; count > 1 && child; child = child->next) {
		bool unaware = child == ready ||
		               (count == 2 && child->generation == ready->generation &&
		                       child->number != ADMIN_NUMBER);

		if (unaware && child->state == CHILD_SERVING && child->control >= 0)
			control_send(child->control, CONTROL_OTHERS, NULL);
	}
}

void children_leave(struct master *master)
{
	for (struct child *child = master->children; child; child = child->next) {
		if (child->control >= 0)
			close(child->control);
		child->control = -1;
		child->state = CHILD_ENDING;
	}
}

static struct child **link_of(struct master *master, pid_t pid)
{
	struct child **link = &master->children;

	while (*link && (*link)->pid != pid)
		link = &(*link)->next;
	return link;
}

void children_reap(struct master *master)
{
	struct child **link;
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == master->upgrade.trial)
			upgrade_tried(master, status);
		link = link_of(master, pid);
		if (!*link)
			continue;
		child_listen(master, *link); /* its last words */
		access_lines_rescue((*link)->lines);
		child_died(master, *link, status);
		forget(master, link_of(master, pid));
		children_look(master);
	}
}

/* ---- between ---- */

struct child *child_find(const struct master *master, unsigned generation, unsigned number)
{
	struct child *found = NULL;

	/* the list is newest first */
	for (struct child *child = master->children; child; child = child->next)
		if (child->generation == generation && child->number == number &&
		        child->state != CHILD_ENDING)
			found = child;
	return found;
}

bool child_has_successor(const struct master *master, const struct child *child)
{
	struct child *other = master->children;

	while (other != child &&
	        (other->generation != child->generation || other->number != child->number ||
	                other->state == CHILD_ENDING))
		other = other->next;
	return other != child;
}

unsigned child_count(const struct master *master, unsigned generation, enum child_state state)
{
	unsigned count = 0;

	for (struct child *child = master->children; child; child = child->next)
		count += child->number != ADMIN_NUMBER && child->generation == generation &&
		         child->state == state;
	return count;
}

void child_listen(struct master *master, struct child *child)
{
	char text[CONTROL_TEXT_MAX];
	enum control kind = CONTROL_NONE;

	while (child->control >= 0 && (kind = control_receive(child->control, text))) {
		if (kind == CONTROL_CLOSED) {
			close(child->control);
			child->control = -1;
		} else if (kind == CONTROL_READY && child->state == CHILD_STARTING) {
			child->state = CHILD_SERVING;
			child->kill_at = 0;
			child_ready(master, child);
		} else if (kind == CONTROL_LOOK) {
			children_look(master);
		} else if (kind == CONTROL_DRAINING) {
			child->drains = true;
		} else if (kind == CONTROL_FAILED) {
			free(child->failure);
			child->failure = strdup(text);
		} else if (kind == CONTROL_RECYCLE && !child->recycle) {
			child->recycle = true;
			count_up(&master->board->recycled, 1);
			log_line(LOG_LEVEL_INFO, "worker %u (pid %ld) is replaced: %s",
			        child->number, (long)child->pid, text);
		}
	}
}
