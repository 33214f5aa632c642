/*
 * How many workers there should be, where workers_max is set: more of them while too few are spare,
 * fewer when too many have been for some time. A worker is spare that was not busy: in less than
 * half of the last second a handler had the processor, and it used less than half of a CPU.
 */
#ifndef DAEMON_SCALING_H
#define DAEMON_SCALING_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"

struct scaling {
	unsigned burst;     /* workers to start at once next time; 0: as 1 */
	unsigned plenty;    /* seconds in a row with more than spare_max */
	unsigned samples;   /* taken of this second */
	uint64_t sample_at; /* ms: when the next is due */
};

/* What is known of one worker's last second. */
struct busyness {
	unsigned entered; /* samples in which a handler had the processor */
	uint64_t cpu;     /* us that it has used, up to the last second's end */
};

/* Workers that a generation begins with, where `serving` (0: none) serve now. */
unsigned scaling_first(const struct daemon_config *config, unsigned serving);

/* Once a second: the workers wanted from now on, of which `spare` are or will soon be spare. */
unsigned scaling_next(struct scaling *scaling, const struct daemon_config *config, unsigned wanted,
        unsigned spare);

/* Whether a second with so many samples and so much CPU time (us) was a busy one. */
bool scaling_busy(unsigned entered, unsigned samples, uint64_t cpu);

#endif
