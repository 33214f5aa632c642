/*
 * One generation after another. The workers of the next start beside those that serve; when all are
 * ready and have lived for daemon.reload_watch, the old ones drain. If one of the new does not come
 * up, or dies meanwhile, they go instead, and nothing has happened but a line in the log.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "master_private.h"
#include "notify.h"

/* Told once for each change that only a restart brings about. */
static void warn_fixed(const struct daemon_config *now, const struct daemon_config *next)
{
	if (now->daemonize != next->daemonize)
		log_line(LOG_LEVEL_WARNING, "daemon.daemonize has changed: a restart applies it");
}

/* After an upgrade, the former program goes on. */
static void tell_failure(struct master *master, const char *why)
{
	snprintf(master->board->failure, sizeof(master->board->failure), "%s", why);
	count_up(&master->board->failed_reloads, 1);
	if (master->upgrade.previous >= 0)
		upgrade_undo(master, why);
	log_line(LOG_LEVEL_ERROR, "not reloaded: %s; generation %u goes on", why,
	        master->now->number);
	notify_ready("Ready; the last reload came to nothing");
}

static bool same_logs(const struct generation *one, const struct generation *other)
{
	const struct log_config *a = &one->config->log, *b = &other->config->log;

	return a->level == b->level && strcmp(a->error, b->error) == 0 &&
	       strcmp(a->access, b->access) == 0;
}

/* The next generation's logs where they are others; workers inherit them. */
static bool change_logs(
        const struct master *master, const struct generation *next, char *error, size_t size)
{
	return same_logs(master->now, next) || generation_open_logs(next, error, size);
}

/* Back to the logs and the directory of the generation that goes on; it has opened them before. */
static void restore(const struct master *master, const struct generation *next)
{
	const struct generation *now = master->now;
	char error[CONFIG_ERROR_MAX] = "can't go back to where it was started";

	if (fchdir(master->options->start) < 0 ||
	        (next && !same_logs(now, next) &&
	                !generation_open_logs(now, error, sizeof(error))) ||
	        !generation_enter(now->config, error, sizeof(error)))
		log_line(LOG_LEVEL_ERROR, "%s", error);
}

void reload_begin(struct master *master)
{
	struct generation *next;
	char error[CONFIG_ERROR_MAX];

	if (master->next) {
		master->reload_again = true;
		return;
	}
	notify_reloading();
	next = generation_parse(master->options, error, sizeof(error));
	if (!next || !change_logs(master, next, error, sizeof(error)) ||
	        !generation_open(next, master->now, error, sizeof(error))) {
		restore(master, next);
		generation_free(next, master->now);
		tell_failure(master, error);
		return;
	}
	master->next = next;
	master->next->number = ++master->last_generation;
	master->take_over = 0;
	warn_fixed(&master->now->config->daemon, &master->next->config->daemon);
	log_line(LOG_LEVEL_INFO, "reloading: generation %u follows %u", master->next->number,
	        master->now->number);
}

static void end_generation(struct master *master, unsigned generation)
{
	for (struct child *child = master->children; child; child = child->next)
		if (child->generation == generation && child->state == CHILD_SERVING)
			child_drain(master, child);
		else if (child->generation == generation && child->state == CHILD_STARTING)
			child_kill(child);
}

static void again(struct master *master)
{
	bool asked = master->reload_again;

	master->reload_again = false;
	if (asked && !master->stopping)
		reload_begin(master);
}

void reload_abandon(struct master *master, const char *why)
{
	struct generation *failed = master->next;

	end_generation(master, failed->number);
	master->next = NULL;
	restore(master, failed);
	generation_free(failed, master->now);
	tell_failure(master, why);
	again(master);
}

static void take_over(struct master *master)
{
	struct generation *before = master->now;

	master->now = master->next;
	master->next = NULL;
	master->wanted = scaling_first(&master->now->config->daemon, master->wanted);
	master->board->wanted = master->wanted;
	master->deaths = 0;
	master->board->generation = master->now->number;
	if (before) {
		count_up(&master->board->reloads, 1);
		end_generation(master, before->number);
		generation_free(before, master->now);
		upgrade_done(master);
		master->handing_over = true;
	} else {
		master->start->on_ready(master->start->data, master->now);
	}
	again(master);
}

void reload_report(struct master *master)
{
	if (!master->handing_over)
		return;
	for (const struct child *child = master->children; child; child = child->next)
		if (child->generation < master->now->number && !child->drains)
			return;
	master->handing_over = false;
	log_line(LOG_LEVEL_INFO, "reloaded: generation %u serves", master->now->number);
	notify_ready("Ready");
}

static void refuse_start(struct master *master)
{
	char why[128];

	snprintf(why, sizeof(why), "can't start a worker: %s", strerror(errno));
	if (master->now)
		reload_abandon(master, why);
	else
		master_give_up(master, why, 1);
}

void reload_step(struct master *master)
{
	struct generation *next = master->next;
	unsigned workers = scaling_first(&next->config->daemon, master->wanted);
	uint64_t now = now_ms();

	for (unsigned i = 1; i <= workers; i++)
		if (!child_find(master, next->number, i) && !child_start(master, next, i)) {
			refuse_start(master);
			return;
		}
	if (child_count(master, next->number, CHILD_SERVING) < workers)
		return;
	if (!master->take_over) {
		master->take_over = now + (master->now ? next->config->daemon.reload_watch : 0);
		if (master->now)
			log_line(LOG_LEVEL_INFO, "generation %u is ready", next->number);
	}
	if (now >= master->take_over)
		take_over(master);
}
