/*
 * The last words of a worker: which request it ran and where it was, kept in its slot of the
 * scoreboard, for the master to log. Written by a signal handler on a stack of its own: nothing
 * here allocates or locks in the worker. Symbols are looked up by the master, from the files of the
 * modules (libdw), so that static functions have names too.
 */
#ifndef DAEMON_CRASH_H
#define DAEMON_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One request, as a line of the log names it: cut, not escaped. */
struct running {
	char method[16];
	char uri[112];
	uint64_t since; /* ms, CLOCK_MONOTONIC: its head was complete */
};

#define CRASH_FRAMES 24
#define CRASH_OTHERS 16

struct crash_frame {
	char module[104]; /* path of the file, "" where it is unknown */
	uint64_t offset;  /* in the module as loaded; the address itself where it is unknown */
};

struct crash {
	uint32_t signal;                   /* 0: nothing is written */
	uint32_t complete;                 /* the rest is written */
	uint64_t address;                  /* that faulted */
	uint32_t frame_count, other_count; /* readers bound them */
	uint32_t others_in_all;
	bool ran;      /* a handler had the processor: `request` is its request */
	bool overflow; /* of a handler's stack */
	struct running request;
	struct crash_frame frames[CRASH_FRAMES]; /* innermost first */
	struct running others[CRASH_OTHERS];     /* requests that waited in the same worker */
};

#endif
