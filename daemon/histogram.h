/*
 * Counts of durations, log-linear: 32 buckets for each power of two, so a bucket is at most 3.2 %
 * wide, and exact below 64 us. Written by one process, read by others while it grows.
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

/*
 * The duration in us that the share `quantile` (0 to 1) of all does not exceed, as the middle of
 * its bucket: off by 1.6 % at most. 0 where there are none.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

/* The first duration that is not in bucket `i` any more. */
uint64_t histogram_bound(unsigned i);

/* For the only writer of a field: no lock, and never torn for a reader. */
static inline void count_up(uint64_t *field, uint64_t n)
{
	__atomic_store_n(field, *field + n, __ATOMIC_RELAXED);
}

static inline uint64_t count_read(const uint64_t *field)
{
	return __atomic_load_n(field, __ATOMIC_RELAXED);
}

#endif
