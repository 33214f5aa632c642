#include "histogram.h"

/* log2 of HISTOGRAM_STEPS */
#define STEP_BITS 5

/*
 * Bucket s * 32 + m holds the durations whose leading six bits are m, from 32 to 63, and that have
 * s bits behind them; with s = 0 the first 64 buckets hold one duration each.
 */
static unsigned bucket_of(uint64_t us)
{
	unsigned bits = 63 - (unsigned)__builtin_clzll(us | HISTOGRAM_STEPS);
	unsigned shift = bits - STEP_BITS;
	uint64_t i = shift * HISTOGRAM_STEPS + (us >> shift);

	return i < HISTOGRAM_BUCKETS ? (unsigned)i : HISTOGRAM_BUCKETS - 1;
}

uint64_t histogram_bound(unsigned i)
{
	unsigned shift = i < HISTOGRAM_STEPS ? 0 : i / HISTOGRAM_STEPS - 1;

	return (uint64_t)(i - shift * HISTOGRAM_STEPS + 1) << shift;
}

void histogram_add(struct histogram *histogram, uint64_t us)
{
	count_up(&histogram->count, 1);
	count_up(&histogram->sum, us);
	count_up(&histogram->buckets[bucket_of(us)], 1);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	count_up(&into->count, count_read(&from->count));
	count_up(&into->sum, count_read(&from->sum));
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		count_up(&into->buckets[i], count_read(&from->buckets[i]));
}

/* How many lie at or below the quantile: rounded up, from 1 to `total`. */
static uint64_t rank_of(double quantile, uint64_t total)
{
	double exact = quantile * (double)total;

	if (!(exact > 1))
		return 1;
	if (exact >= (double)total)
		return total;
	uint64_t rank = (uint64_t)exact;

	return (double)rank < exact ? rank + 1 : rank;
}

/* `count` is not asked: it may be ahead of the buckets, or behind them. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
	uint64_t total = 0, seen = 0, rank, low = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += count_read(&histogram->buckets[i]);
	if (!total)
		return 0;
	rank = rank_of(quantile, total);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += count_read(&histogram->buckets[i]);
		if (seen >= rank)
			return low + (histogram_bound(i) - low) / 2;
		low = histogram_bound(i);
	}
	return low;
}
