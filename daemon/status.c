#include "status.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bus_redis.h"

static const char *const states[] = {
	[WORKER_NONE] = "none",
	[WORKER_STARTING] = "starting",
	[WORKER_SERVING] = "serving",
	[WORKER_DRAINING] = "draining",
	[WORKER_ENDED] = "ended",
};

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint32_t state_of(const struct slot *slot)
{
	return __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
}

static uint64_t since(uint64_t now, uint64_t moment)
{
	return moment < now ? now - moment : 0;
}

/* ---- one moment ---- */

static void copy_counters(struct counters *to, const struct counters *from)
{
	uint64_t *into = (uint64_t *)to;
	const uint64_t *field = (const uint64_t *)from;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*into); i++)
		into[i] = count_read(&field[i]);
}

/* False: nobody has it. A worker that runs wild can have written anything. */
static bool read_slot(struct worker_status *worker, const struct slot *slot, uint64_t now)
{
	uint32_t state = state_of(slot);
	uint64_t entered = count_read(&slot->entered);

	if (state == WORKER_NONE)
		return false;
	worker->number = slot->number;
	worker->generation = slot->generation;
	worker->pid = slot->pid;
	worker->state = state < sizeof(states) / sizeof(*states) ? states[state] : "unknown";
	worker->uptime = slot->started ? since(now, slot->started) : 0;
	worker->connections = slot->connections;
	worker->in_flight = slot->in_flight;
	worker->bus_connected = slot->bus == BUS_LINK_UP;
	scoreboard_measure(slot, &worker->rss, &worker->cpu);
	worker->runs = entered != 0;
	worker->runs_for = entered ? since(now, entered) : 0;
	worker->running = slot->running;
	worker->running.method[sizeof(worker->running.method) - 1] = '\0';
	worker->running.uri[sizeof(worker->running.uri) - 1] = '\0';
	copy_counters(&worker->counters, &slot->counters);
	return true;
}

static int by_number(const void *a, const void *b)
{
	const struct worker_status *left = a, *right = b;

	if (left->number != right->number)
		return left->number < right->number ? -1 : 1;
	if (left->uptime != right->uptime)
		return left->uptime > right->uptime ? -1 : 1;
	return left->pid < right->pid ? -1 : left->pid > right->pid;
}

static size_t count_slots(const struct scoreboard *board)
{
	size_t count = 0;

	for (size_t i = 0; i < scoreboard_count(board); i++)
		count += state_of(&board->slots[i]) != WORKER_NONE;
	return count;
}

static void read_board(struct status *status, const struct scoreboard *board)
{
	status->pid = getppid();
	status->now = clock_ms();
	status->uptime = since(status->now, board->started);
	status->generation = board->generation;
	status->wanted = board->wanted;
	status->deaths = count_read(&board->deaths);
	status->reloads = count_read(&board->reloads);
	status->failed_reloads = count_read(&board->failed_reloads);
	status->upgrades = count_read(&board->upgrades);
	status->recycled = count_read(&board->recycled);
	status->killed = count_read(&board->killed);
	memcpy(status->failure, board->failure, sizeof(status->failure) - 1);
	scoreboard_total(board, &status->total);
}

struct status *status_read(const struct scoreboard *board)
{
	size_t room = count_slots(board);
	struct status *status = calloc(1, sizeof(*status) + room * sizeof(status->workers[0]));

	if (!status)
		return NULL;
	read_board(status, board);
	for (size_t i = 0; i < scoreboard_count(board) && status->count < room; i++) {
		struct worker_status *worker = &status->workers[status->count];

		if (!read_slot(worker, &board->slots[i], status->now))
			continue;
		status->connections += worker->connections;
		status->in_flight += worker->in_flight;
		status->bus_connected += worker->bus_connected;
		status->count++;
	}
	qsort(status->workers, status->count, sizeof(status->workers[0]), by_number);
	return status;
}

uint64_t status_errors(const struct counters *counters)
{
	return counters->by_class[0] + counters->by_class[5];
}

/* ---- the source ---- */

static const char *obstacle(const void *data)
{
	const struct scoreboard *board = data;
	bool draining = false;

	if (!board->generation)
		return "starting: no worker is ready";
	for (size_t i = 0; i < scoreboard_count(board); i++) {
		const struct slot *slot = &board->slots[i];

		if (slot->generation == board->generation && state_of(slot) == WORKER_SERVING)
			return NULL;
		draining |= slot->generation == board->generation &&
		            state_of(slot) == WORKER_DRAINING;
	}
	return draining ? "stopping: workers finish what is in flight" : "no worker serves";
}

static int write_as(const struct scoreboard *board, struct ag_request *req,
        void (*form)(const struct status *, struct ag_request *))
{
	struct status *status = status_read(board);

	if (!status)
		return 503;
	form(status, req);
	free(status);
	return 200;
}

static int write_page(const void *data, struct ag_request *req)
{
	return write_as(data, req, status_write_page);
}

static int write_json(const void *data, struct ag_request *req)
{
	return write_as(data, req, status_write_json);
}

static int write_text(const void *data, struct ag_request *req)
{
	return write_as(data, req, status_write_text);
}

static int write_metrics(const void *data, struct ag_request *req)
{
	return write_as(data, req, status_write_metrics);
}

struct status_source status_source(const struct scoreboard *board)
{
	return (struct status_source){
		.data = board,
		.obstacle = obstacle,
		.page = write_page,
		.json = write_json,
		.text = write_text,
		.metrics = write_metrics,
	};
}
