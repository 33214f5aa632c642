/*
 * Counts of durations, log-linear: 32 buckets for each power of two, so a bucket is at most 3.2 %
 * wide. Written by one process, read by others while it grows.
 */
#ifndef DAEMON_HISTOGRAM_H
#define DAEMON_HISTOGRAM_H

#include <stdint.h>

/* From 0 to 2^36 us (19 hours); what is longer counts in the last. */
#define HISTOGRAM_STEPS   32
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 32)

struct histogram {
	uint64_t count, sum; /* sum: us */
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t us);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* us below which the share `quantile` (0 to 1) of all durations lies; 0 where there are none. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

/* The first duration that is not in bucket `i` any more. */
uint64_t histogram_bound(unsigned i);

#endif
