#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "crash.h"
#include "log.h"
#include "master_private.h"
#include "notify.h"

/* Deaths in a row that are answered at once; after that one start a second. */
#define FAST_RESTARTS 5
#define SLOW_MS       1000

/* A worker that lives this long is no crash loop. */
#define STABLE_MS 10000

/* What workers get beyond graceful_timeout before they are killed, in ms. */
#define KILL_AFTER_MS 2000

/* Slots of the scoreboard, at least: several generations may drain at a time. */
#define SLOTS_MIN 256

/* ---- who died, who is ready ---- */

/* How a worker has ended, for the log; why, where it knew. */
static void describe_death(const struct child *child, int status, char *text, size_t size)
{
	unsigned long long age = now_ms() - child->started;

	if (child->failure)
		snprintf(text, size, "%s", child->failure);
	else if (WIFSIGNALED(status))
		snprintf(text, size, "worker %u (pid %ld) died of signal %d (%s) after %llu ms",
		        child->number, (long)child->pid, WTERMSIG(status),
		        strsignal(WTERMSIG(status)), age);
	else
		snprintf(text, size, "worker %u (pid %ld) exited with status %d after %llu ms",
		        child->number, (long)child->pid, WEXITSTATUS(status), age);
}

void master_give_up(struct master *master, const char *why, int status)
{
	fprintf(stderr, "anygate: %s\n", why);
	master->status = status;
	master->stopping = true;
	master->kill_at = now_ms() + KILL_AFTER_MS;
	children_leave(master);
}

/* One that serves already: it is started again, soon or, in a row of deaths, later. */
static void lose(struct master *master, const struct child *child, const char *why)
{
	log_line(LOG_LEVEL_ERROR, "%s", why);
	master->deaths = now_ms() - child->started < STABLE_MS ? master->deaths + 1 : 0;
	if (master->deaths > FAST_RESTARTS)
		master->due = now_ms() + SLOW_MS;
}

/* What it was doing, where it has left word of it. */
static void log_crash(const struct master *master, const struct child *child, int status)
{
	const struct generation *generation = master->now ? master->now : master->next;
	const struct crash_worker worker = { .number = child->number,
		.pid = child->pid,
		.uptime = now_ms() - child->started,
		.run = &generation->config->daemon };

	if (child->slot) /* not so after an upgrade from another layout */
		crash_log_death(child->slot, WIFSIGNALED(status) ? WTERMSIG(status) : 0, &worker);
}

void child_died(struct master *master, const struct child *child, int status)
{
	char why[CONTROL_TEXT_MAX + 128];

	describe_death(child, status, why, sizeof(why));
	log_crash(master, child, status); /* takes its time */
	if (child->state == CHILD_ENDING || master->stopping)
		return;
	if (child->number == ADMIN_NUMBER) {
		log_line(LOG_LEVEL_ERROR, "%s", why);
		admin_died(master, child);
		return;
	}
	count_up(&master->board->deaths, 1);
	if (!master->next || child->generation != master->next->number)
		lose(master, child, why);
	else if (master->now)
		reload_abandon(master, why);
	else
		master_give_up(master, why,
		        WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

void child_ready(struct master *master, struct child *child)
{
	for (struct child *other = master->children; other; other = other->next)
		if (other != child && other->generation == child->generation &&
		        other->number == child->number && other->state == CHILD_SERVING)
			child_drain(master, other);
	children_share(master, child);
}

/* ---- what should be ---- */

/* A worker for every number that has none, a successor for those that want one. */
static void keep_up(struct master *master)
{
	unsigned generation = master->now->number;

	for (struct child *child = master->children; child; child = child->next)
		if (child->generation == generation && child->number > master->wanted &&
		        child->state != CHILD_ENDING)
			child_drain(master, child);
	for (unsigned i = 1; i <= master->wanted && now_ms() >= master->due; i++) {
		struct child *oldest = child_find(master, generation, i);

		if (oldest && !(oldest->recycle && oldest->state == CHILD_SERVING))
			continue;
		if (oldest && child_has_successor(master, oldest))
			continue;
		if (!child_start(master, master->now, i))
			master->due = now_ms() + SLOW_MS;
	}
}

/* Those that did not come up, or did not end, in time. */
static void kill_late(struct master *master)
{
	uint64_t now = now_ms();

	for (struct child *child = master->children; child; child = child->next) {
		if (!child->kill_at || child->kill_at > now)
			continue;
		if (child->state == CHILD_STARTING && !child->failure)
			child->failure = strdup(
			        "a worker was not ready within daemon.start_timeout");
		else
			log_line(LOG_LEVEL_WARNING, "worker %u (pid %ld) does not end: killed",
			        child->number, (long)child->pid);
		kill(child->pid, SIGKILL);
		child->kill_at = now + KILL_AFTER_MS;
	}
	if (master->upgrade.trial && master->upgrade.give_up <= now) {
		kill(master->upgrade.trial, SIGKILL);
		master->upgrade.give_up = now + KILL_AFTER_MS;
	}
	if (master->stopping && master->kill_at <= now) {
		children_signal(master, SIGKILL);
		master->kill_at = now + KILL_AFTER_MS;
	}
}

static void stop(struct master *master, int signal)
{
	bool now = signal == SIGINT || master->stopping;
	const struct generation *generation = master->now ? master->now : master->next;

	if (!master->stopping)
		notify_stopping();
	children_signal(master, now ? SIGINT : SIGTERM);
	master->kill_at = now_ms() + KILL_AFTER_MS +
	                  (now ? 0 : generation->config->daemon.graceful_timeout);
	master->stopping = true;
}

/* One worker more or less, until the next reload. */
static void change_wanted(struct master *master, int by)
{
	unsigned wanted = master->wanted + (unsigned)by;

	if (!master->now || wanted < 1 || wanted > WORKERS_MAX)
		return;
	master->wanted = master->board->wanted = wanted;
	log_line(LOG_LEVEL_INFO, "%u workers from now on", wanted);
}

static void on_signal(struct master *master, int signal)
{
	switch (signal) {
	case SIGTERM:
	case SIGQUIT:
	case SIGINT:
		stop(master, signal);
		return;
	case SIGHUP:
		if (master->now && !master->stopping)
			reload_begin(master);
		return;
	case SIGUSR1:
		log_reopen();
		children_log(master);
		return;
	case SIGUSR2:
		if (master->now && !master->stopping)
			upgrade_begin(master);
		return;
	case SIGTTIN:
	case SIGTTOU:
		change_wanted(master, signal == SIGTTIN ? 1 : -1);
		return;
	default: /* CHLD: children_reap runs in any case */
		return;
	}
}

/* ---- the loop ---- */

static void earlier(uint64_t *next, uint64_t than)
{
	if (than && than < *next)
		*next = than;
}

/* ms until something is due; 0 when it is already. */
static int next_due(const struct master *master)
{
	uint64_t now = now_ms(), next = now + 3600000;

	earlier(&next, master->look_at);
	earlier(&next, master->tell_at);
	earlier(&next, master->scale_at);
	if (master->stopping)
		earlier(&next, master->kill_at);
	if (master->due > now && !master->stopping)
		earlier(&next, master->due);
	if (master->admin_due > now && !master->stopping)
		earlier(&next, master->admin_due);
	if (master->next)
		earlier(&next, master->take_over);
	if (master->upgrade.trial)
		earlier(&next, master->upgrade.give_up);
	for (const struct child *child = master->children; child; child = child->next)
		earlier(&next, child->kill_at);
	return next > now ? (int)(next - now) : 0;
}

static void take_signals(struct master *master)
{
	struct signalfd_siginfo info;

	while (read(master->signal_fd, &info, sizeof(info)) == sizeof(info))
		on_signal(master, (int)info.ssi_signo);
}

/* Waits for a signal, a word from a worker, or the time. */
static void wait_for_events(struct master *master)
{
	struct pollfd fds[1 + SLOTS_MIN]; /* what does not fit is heard at the next turn */
	nfds_t count = 1;

	fds[0] = (struct pollfd){ .fd = master->signal_fd, .events = POLLIN };
	for (struct child *child = master->children; child && count <= SLOTS_MIN;
	        child = child->next)
		if (child->control >= 0)
			fds[count++] = (struct pollfd){ .fd = child->control, .events = POLLIN };
	poll(fds, count, next_due(master));
	for (struct child *child = master->children; child; child = child->next)
		child_listen(master, child);
	take_signals(master);
	children_reap(master);
}

/* A sign of life for the service manager, where it wants one. */
static void tell_manager(struct master *master)
{
	uint64_t interval = notify_watchdog_interval(), now = now_ms();

	if (!interval || now < master->tell_at)
		return;
	notify_watchdog();
	master->tell_at = now + interval;
}

static void loop(struct master *master)
{
	while (!master->stopping || master->children) {
		if (!master->stopping && master->next)
			reload_step(master);
		master->scale_at = scaling_step(master);
		if (!master->stopping && master->now)
			keep_up(master);
		reload_report(master);
		admin_step(master);
		if (!master->stopping)
			upgrade_step(master);
		master->look_at = watchdog_step(master);
		tell_manager(master);
		wait_for_events(master);
		kill_late(master);
	}
}

sigset_t master_block_signals(void)
{
	static const int wanted[] = { SIGTERM, SIGQUIT, SIGINT, SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2,
		SIGTTIN, SIGTTOU };
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		sigaddset(&signals, wanted[i]);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signals;
}

/* The scoreboard goes on through upgrades, unless it has changed its form. */
static bool open_board(
        struct master *master, const struct handover *handover, const struct daemon_config *config)
{
	unsigned workers = config->workers_max ? config->workers_max : config->workers;
	size_t count = workers * 4 > SLOTS_MIN ? workers * 4 : SLOTS_MIN;

	master->board_fd = handover ? handover->board : -1;
	if (master->board_fd >= 0)
		master->board = scoreboard_map(master->board_fd, count);
	master->board_new = !master->board;
	if (!master->board)
		master->board = scoreboard_new(count, &master->board_fd);
	return master->board;
}

static bool master_open(struct master *master, const struct master_start *start)
{
	master->signals = master_block_signals();
	master->signal_fd = signalfd(-1, &master->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (master->signal_fd < 0 ||
	        !open_board(master, start->handover, &start->first->config->daemon) ||
	        !bus_open(&master->bus, start->handover ? start->handover->ring : -1,
	                start->handover ? start->handover->wake : -1) ||
	        !upgrade_prepare(master))
		return false;
	if (!start->handover) {
		master->next = start->first;
		return true;
	}
	master->now = start->first;
	if (!upgrade_adopt(master, start->handover))
		return false;
	if (master->upgrade.previous >= 0)
		reload_begin(master);
	return true;
}

static void master_close(struct master *master)
{
	if (master->upgrade.trial)
		kill(master->upgrade.trial, SIGKILL);
	generation_free(master->next, master->now);
	generation_free(master->now, NULL);
	scoreboard_free(master->board);
	bus_close(&master->bus);
	close(master->signal_fd);
	close(master->upgrade.exe);
}

int master_run(const struct master_start *start)
{
	struct master master = {
		.options = start->options,
		.last_generation = start->first->number,
		.pidfile = start->pidfile,
		.bus = { .fd = -1, .wake = -1 },
		.upgrade = { .previous = -1 },
		.start = start,
	};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* RLIMIT_FSIZE is an error of the write, not a death */
	log_name("master");
	if (master_open(&master, start)) {
		loop(&master);
		log_line(LOG_LEVEL_DEBUG, "stopped");
	} else {
		fprintf(stderr, "anygate: can't start: %s\n", strerror(errno));
		master.status = 1;
	}
	master_close(&master);
	return master.status;
}
