#include "scaling.h"

#include "log.h"
#include "master_private.h"

/* Samples are taken ten times a second. */
#define SAMPLE_MS 100
#define SAMPLES   10

/* Most workers that are started at once. */
#define BURST_MAX 8

/* Seconds with too many spare workers before one of them goes. */
#define PLENTY_SECONDS 5

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned within(const struct daemon_config *config, unsigned workers)
{
	return workers < config->workers_min ? config->workers_min
	                                     : least(workers, config->workers_max);
}

unsigned scaling_first(const struct daemon_config *config, unsigned serving)
{
	return config->workers_max && serving ? within(config, serving) : config->workers;
}

unsigned scaling_next(struct scaling *scaling, const struct daemon_config *config, unsigned wanted,
        unsigned spare)
{
	unsigned burst = scaling->burst ? scaling->burst : 1;

	scaling->plenty = spare > config->spare_max ? scaling->plenty + 1 : 0;
	scaling->burst = 1;
	if (spare < config->spare_min && wanted < config->workers_max) {
		scaling->burst = least(2 * burst, BURST_MAX);
		wanted += burst;
	} else if (scaling->plenty >= PLENTY_SECONDS && wanted > config->workers_min) {
		wanted--;
	}
	return within(config, wanted);
}

bool scaling_busy(unsigned entered, unsigned samples, uint64_t cpu)
{
	uint64_t second = samples * (uint64_t)SAMPLE_MS * 1000;

	return 2 * entered >= samples || 2 * cpu >= second;
}

/* ---- in the master ---- */

static bool counts(const struct master *master, const struct child *child)
{
	return child->generation == master->now->number && child->number != ADMIN_NUMBER &&
	       child->state != CHILD_ENDING && child->slot;
}

static void take_sample(struct master *master)
{
	for (struct child *child = master->children; child; child = child->next)
		if (counts(master, child))
			child->busy.entered += count_read(&child->slot->entered) != 0;
	master->scaling.samples++;
}

/* One that starts will be spare; it has used CPU time to load its applications. */
static bool was_spare(struct child *child, unsigned samples)
{
	uint64_t rss, cpu, before = child->busy.cpu;
	unsigned entered = child->busy.entered;

	scoreboard_measure(child->slot, &rss, &cpu);
	child->busy = (struct busyness){ .cpu = cpu };
	if (child->state == CHILD_STARTING || !before)
		return true;
	return !scaling_busy(entered, samples, cpu > before ? cpu - before : 0);
}

static void end_second(struct master *master)
{
	struct scaling *scaling = &master->scaling;
	unsigned spare = 0, all = 0, wanted;

	for (struct child *child = master->children; child; child = child->next)
		if (counts(master, child)) {
			all++;
			spare += was_spare(child, scaling->samples);
		}
	scaling->samples = 0;
	wanted = scaling_next(scaling, &master->now->config->daemon, master->wanted, spare);
	if (wanted == master->wanted)
		return;
	master->wanted = master->board->wanted = wanted;
	log_line(LOG_LEVEL_INFO, "%u workers from now on: %u of %u are spare", wanted, spare, all);
}

uint64_t scaling_step(struct master *master)
{
	struct scaling *scaling = &master->scaling;
	uint64_t now = now_ms();

	if (!master->now || master->next || master->stopping ||
	        !master->now->config->daemon.workers_max)
		return 0;
	if (now < scaling->sample_at)
		return scaling->sample_at;
	take_sample(master);
	if (scaling->samples >= SAMPLES)
		end_second(master);
	return scaling->sample_at = now + SAMPLE_MS;
}
