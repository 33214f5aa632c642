/* Latencies by size: 64 steps for each power of two of ns, so that a step is at most 1.6 % wide. */
#ifndef TESTS_BENCH_LATENCY_H
#define TESTS_BENCH_LATENCY_H

#include <stdint.h>

#define LATENCY_STEP_BITS 6
#define LATENCY_STEPS     (1 << LATENCY_STEP_BITS)
#define LATENCY_BUCKETS   ((64 - LATENCY_STEP_BITS + 1) * LATENCY_STEPS)

/* Zeroed means empty. */
struct latency {
	uint64_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t ns);

/* What `share` of all did not exceed, in us; 0 of none. */
double latency_us(const struct latency *latency, double share);

#endif
