/* A worker's part in the logs. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "access.h"
#include "log.h"
#include "worker.h"

bool worker_start_logs(struct worker *worker, struct access_lines *lines)
{
	const struct config *config = worker->config;
	struct runtime *runtime = &worker->runtime;

	if (getrandom(&runtime->seed, sizeof(runtime->seed), GRND_NONBLOCK) < 0)
		runtime->seed = request_clock() << 16 | (uint16_t)getpid();
	runtime->seed &= (UINT64_C(1) << 48) - 1;
	runtime->timed = config->debug || config->log.slow;
	worker->tells = config->debug || config->log.slow;
	log_count(&worker->slot->counters.log_dropped);
	if (log_access_sink()->kind == LOG_OFF)
		return true;
	worker->access = access_new(&config->log, worker->base, lines);
	worker->tells = true;
	runtime->timed |= worker->access && access_is_timed(worker->access);
	return worker->access;
}

void worker_take_logs(struct worker *worker, int control)
{
	if (worker->access)
		access_flush(worker->access);
	if (!log_take_descriptors(control))
		log_line(LOG_LEVEL_ERROR, "the logs were not opened again: %s", strerror(errno));
}

void worker_stop_logs(struct worker *worker)
{
	access_free(worker->access);
	log_tell_dropped();
}
