#include "latency.h"

#include <stddef.h>

static size_t bucket_of(uint64_t ns)
{
	if (ns < LATENCY_STEPS)
		return (size_t)ns;
	unsigned shift = 63 - LATENCY_STEP_BITS - (unsigned)__builtin_clzll(ns);

	return (size_t)shift * LATENCY_STEPS + (size_t)(ns >> shift);
}

/* The least latency of a bucket. */
static uint64_t bucket_ns(size_t bucket)
{
	size_t shift = bucket / LATENCY_STEPS;

	return shift < 2 ? bucket
	                 : (uint64_t)(bucket % LATENCY_STEPS + LATENCY_STEPS) << (shift - 1);
}

void latency_add(struct latency *latency, uint64_t ns)
{
	latency->buckets[bucket_of(ns)]++;
}

double latency_us(const struct latency *latency, double share)
{
	uint64_t total = 0, seen = 0;
	size_t i = 0;

	for (size_t b = 0; b < LATENCY_BUCKETS; b++)
		total += latency->buckets[b];
	if (!total)
		return 0;
	for (; i < LATENCY_BUCKETS - 1; i++) {
		seen += latency->buckets[i];
		if (seen && (double)seen >= share * (double)total)
			break;
	}
	return (double)bucket_ns(i) / 1000;
}
