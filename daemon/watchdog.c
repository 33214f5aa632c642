/*
 * The watchdog: a handler that keeps the processor longer than daemon.request_timeout holds up
 * every other request of its worker, and can't be ended from inside. The worker is asked where it
 * is, which goes to the log, and killed; another one takes its place.
 */
#include <signal.h>

#include "crash.h"
#include "log.h"
#include "master_private.h"

/* ms that the worker gets to say where it is. */
#define ASK_MS 500

static void end_hung(struct master *master, struct child *child, uint64_t age)
{
	const struct crash_worker worker = {
		.number = child->number,
		.pid = child->pid,
		.uptime = now_ms() - child->started,
		.run = &(master->now ? master->now : master->next)->config->daemon,
	};

	log_line(LOG_LEVEL_ERROR,
	        "worker %u (pid %ld) hangs: a handler has the processor for %llu ms", child->number,
	        (long)child->pid, (unsigned long long)age);
	if (crash_ask(&child->slot->crash, child->pid, ASK_MS))
		crash_log(&child->slot->crash, &worker);
	child->hung = true;
	count_up(&master->board->killed, 1);
	kill(child->pid, SIGKILL);
}

uint64_t watchdog_step(struct master *master)
{
	uint64_t now = now_ms(), next = now + 3600000, limit;

	if (!master->now || !master->now->config->daemon.request_timeout)
		return next;
	limit = master->now->config->daemon.request_timeout;
	for (struct child *child = master->children; child; child = child->next) {
		if (!child->slot || child->hung)
			continue;
		uint64_t entered = count_read(&child->slot->entered);
		uint64_t due = (entered && entered < now ? entered : now) + limit;

		if (due <= now)
			end_hung(master, child, now - entered);
		else if (due < next)
			next = due;
	}
	return next;
}
