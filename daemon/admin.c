/*
 * The process that tells how the daemon is. It is a worker like any other, under the number 0, with
 * one listener ([admin] listen), one application (`status`) and figures of its own, which nobody
 * adds up. It goes with the generation that serves, and ends after all workers.
 */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "master_private.h"
#include "status.h"
#include "worker.h"

/* ms between two starts, after several deaths in a row. */
#define SLOW_MS       1000
#define FAST_RESTARTS 5
#define STABLE_MS     10000

/* ---- in the process ---- */

int admin_run(const struct master *master, const struct worker_start *given)
{
	const struct status_source source = status_source(master->board);
	struct app_config app = { .name = (char *)"admin",
		.load = (char *)"status",
		.mount = (char *)"/",
		.status = &source };
	struct config config = *given->config;
	struct listen_config listen = config.admin;
	struct worker_start start = *given;

	scoreboard_protect(master->board);
	config.listen = &listen;
	config.app = &app;
	config.listen_count = config.app_count = 1;
	config.daemon.max_requests = config.daemon.max_lifetime = 0;
	config.daemon.rss_limit = 0;
	config.log.access = (char *)"off";
	config.log.slow = 0;
	start.config = &config;
	return worker_run(&start);
}

/* ---- in the master ---- */

/* Nobody else is left. */
static bool is_alone(const struct master *master)
{
	for (const struct child *child = master->children; child; child = child->next)
		if (child->number != ADMIN_NUMBER)
			return false;
	return true;
}

static void end_all(struct master *master)
{
	for (struct child *child = master->children; child; child = child->next) {
		if (child->state == CHILD_ENDING)
			continue;
		child_drain(master, child);
		kill(child->pid, SIGTERM); /* nobody follows: idle connections need not wait */
	}
}

/* Those of a generation that does not serve any more. */
static void end_others(struct master *master, const struct generation *generation)
{
	for (struct child *child = master->children; child; child = child->next) {
		if (child->number != ADMIN_NUMBER || child->generation == generation->number)
			continue;
		if (child->state == CHILD_SERVING)
			child_drain(master, child);
		else if (child->state == CHILD_STARTING)
			child_kill(child);
	}
}

void admin_step(struct master *master)
{
	const struct generation *generation = master->now ? master->now : master->next;

	if (master->stopping) {
		if (is_alone(master))
			end_all(master);
		return;
	}
	end_others(master, generation);
	if (!generation_admin(generation) || now_ms() < master->admin_due ||
	        child_find(master, generation->number, ADMIN_NUMBER))
		return;
	if (!child_start(master, generation, ADMIN_NUMBER))
		master->admin_due = now_ms() + SLOW_MS;
}

void admin_died(struct master *master, const struct child *child)
{
	bool stable = now_ms() - child->started >= STABLE_MS;

	master->admin_deaths = stable ? 0 : master->admin_deaths + 1;
	if (master->admin_deaths > FAST_RESTARTS)
		master->admin_due = now_ms() + SLOW_MS;
}
