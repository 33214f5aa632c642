/*
 * What the workers do, in memory that all processes share and that outlives each of them: one slot
 * for each worker process, written by that process alone, without locks; read by anyone, who may
 * see counters of slightly different moments. It holds numbers and short texts only: no pointer and
 * no index that a reader would follow, since a worker that runs wild can write anything there.
 */
#ifndef DAEMON_SCOREBOARD_H
#define DAEMON_SCOREBOARD_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../app/async/channel.h"
#include "crash.h"
#include "histogram.h"
#include "reasons.h"

enum worker_state {
	WORKER_NONE,     /* the slot is free */
	WORKER_STARTING, /* loads its applications */
	WORKER_SERVING,
	WORKER_DRAINING, /* takes no new connections */
	WORKER_ENDED,    /* the process is gone, its figures are still to be added up */
};

/* Counters since the worker started; added up when it ends. All are uint64_t. */
struct counters {
	uint64_t accepted;            /* connections; those in `closed` are over */
	uint64_t requests;            /* that reached a handler */
	uint64_t by_gate[4];          /* of those, in the order of protocols[] */
	uint64_t by_class[6];         /* answers by the status' first digit; 0: no head sent */
	uint64_t bytes_in, bytes_out; /* of the sockets */
	uint64_t closed[CLOSE_REASON_COUNT]; /* connections, by reason */
	uint64_t refused[REFUSAL_COUNT];     /* requests and connections, see enum refusal */
	uint64_t log_dropped;                /* lines of a log that took no more */
	struct channel_counters channels;    /* messages */
	struct histogram latency;            /* us from a request's head to its answer's end */
	struct histogram queued;             /* us that an accepted connection waited, at most */
};

struct slot {
	alignas(64) int32_t pid;
	uint32_t state;      /* enum worker_state */
	uint32_t number;     /* the worker's, from 1; two generations share it for a while */
	uint32_t generation; /* counts reloads, from 1 */
	uint64_t started;    /* ms, CLOCK_MONOTONIC */
	uint64_t beat;       /* ms: the loop's last turn; one with nothing to do makes none */
	uint64_t entered; /* ms: when the handler that runs now got the processor; 0: none runs */
	uint32_t connections; /* open now */
	uint32_t bus;         /* enum bus_link: to Redis */
	uint32_t in_flight;   /* requests that a handler has and that are not answered */
	struct counters counters;
	struct running running; /* the request whose handler ran last */
	struct crash crash;     /* written by the worker's last act, or when the watchdog asks */
};

struct scoreboard {
	uint32_t magic, version;
	uint32_t slot_size, count; /* as made; scoreboard_count is what readers trust */
	uint32_t sequence;         /* odd while an ended worker's counters move to `ended` */
	uint64_t started;          /* ms, CLOCK_MONOTONIC: the daemon, through all upgrades */
	uint64_t started_at;       /* s, CLOCK_REALTIME */
	uint32_t generation;
	uint32_t wanted; /* workers that should serve */
	uint64_t deaths; /* workers that died by a signal or a status other than 0 */
	uint64_t reloads, failed_reloads, upgrades, recycled, killed; /* killed: by the watchdog */
	char failure[256];     /* why the last reload failed, in one line */
	struct counters ended; /* of workers that are gone; written by the master alone */
	struct slot slots[];
};

/*
 * A scoreboard of `count` slots in a memory file that can't be resized, mapped shared. `*fd`
 * (close-on-exec) is what a new binary maps it again from; -1 where RLIMIT_FSIZE allows no such
 * file. NULL with errno.
 */
struct scoreboard *scoreboard_new(size_t count, int *fd);

/*
 * The one behind `fd`, with as many slots as it has. NULL where those are fewer than `count`, or
 * where it is of another version or size: the figures start anew.
 */
struct scoreboard *scoreboard_map(int fd, size_t count);
void scoreboard_free(struct scoreboard *board);

/* Slots there are; kept beside the shared memory, where no worker can change it. */
size_t scoreboard_count(const struct scoreboard *board);

/* A free slot, cleared, for a worker that starts; NULL: none is free. By the master only. */
struct slot *scoreboard_take(struct scoreboard *board);

/* Adds a dead worker's counters to `ended` and frees its slot. By the master only. */
void scoreboard_give(struct scoreboard *board, struct slot *slot);

/* One beside the board, whose figures nobody adds up; NULL with errno. */
struct slot *scoreboard_new_slot(void);
void scoreboard_free_slot(struct slot *slot);

/* From now on this process can't write to it. */
void scoreboard_protect(struct scoreboard *board);

/* Of all workers, dead and alive. */
void scoreboard_total(const struct scoreboard *board, struct counters *total);

/* RSS in bytes and CPU time in us of a slot's process, from /proc; 0 where there is none. */
void scoreboard_measure(const struct slot *slot, uint64_t *rss, uint64_t *cpu_us);

#endif
