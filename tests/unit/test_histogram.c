/* Histograms: what a bucket holds, quantiles next to sorted durations, sums of two. */
#include <stdlib.h>
#include <string.h>

#include "daemon/histogram.h"
#include "tests/support/support.h"

SUITE(histogram);

#define MANY    20000
#define LONGEST (UINT64_C(1) << 36)

/* The same numbers in each run (xorshift64). */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

/* Of all magnitudes below 2^36 alike. */
static uint64_t random_duration(uint64_t *state)
{
	unsigned bits = (unsigned)(next_random(state) % 37);

	return bits ? next_random(state) >> (64 - bits) : 0;
}

/* The one bucket that adding `us` made grow. */
static unsigned bucket_of(uint64_t us)
{
	static struct histogram histogram;
	unsigned found = HISTOGRAM_BUCKETS, count = 0;

	memset(&histogram, 0, sizeof histogram);
	histogram_add(&histogram, us);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		if (histogram.buckets[i]) {
			count++;
			found = i;
		}
	cr_assert(count == 1 && histogram.buckets[found] == 1, "%llu us", (unsigned long long)us);
	cr_assert(histogram.count == 1 && histogram.sum == us);
	return found;
}

static void check_bucket(uint64_t us)
{
	unsigned i = bucket_of(us);
	uint64_t low = i ? histogram_bound(i - 1) : 0, end = histogram_bound(i);

	cr_expect(low <= us && us < end, "%llu us in bucket %u", (unsigned long long)us, i);
	cr_expect((double)(end - 1 - low) <= 0.032 * (double)us, "bucket %u is too wide", i);
}

Test(histogram, buckets)
{
	uint64_t state = 1;

	for (uint64_t us = 0; us < 64; us++)
		cr_expect_eq(bucket_of(us), us);
	for (uint64_t edge = 64; edge < LONGEST; edge *= 2) {
		check_bucket(edge - 1);
		check_bucket(edge);
		check_bucket(edge + 1);
	}
	for (int i = 0; i < MANY / 10; i++)
		check_bucket(random_duration(&state));
	cr_expect_eq(bucket_of(LONGEST - 1), HISTOGRAM_BUCKETS - 1);
	cr_expect_eq(bucket_of(LONGEST), HISTOGRAM_BUCKETS - 1);
	cr_expect_eq(bucket_of(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

Test(histogram, bounds_grow)
{
	for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++)
		cr_expect_gt(histogram_bound(i), histogram_bound(i - 1), "bucket %u", i);
	cr_expect_eq(histogram_bound(HISTOGRAM_BUCKETS - 1), LONGEST);
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static void check_quantile(
        const struct histogram *histogram, const uint64_t *sorted, size_t count, double quantile)
{
	double place = quantile * (double)count;
	size_t rank = (size_t)place;
	uint64_t got = histogram_quantile(histogram, quantile), wanted;

	rank += (double)rank < place;
	wanted = sorted[rank ? rank - 1 : 0];
	double off = got > wanted ? (double)(got - wanted) : (double)(wanted - got);

	cr_expect_leq(off, 0.016 * (double)wanted + 0.5, "quantile %g: %llu, not %llu", quantile,
	        (unsigned long long)got, (unsigned long long)wanted);
}

static const double quantiles[] = { 0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1 };

Test(histogram, quantiles)
{
	static struct histogram histogram;
	static uint64_t values[MANY];
	uint64_t state = 2;

	for (size_t count = 1; count <= MANY; count = count * 3 + 1) {
		memset(&histogram, 0, sizeof histogram);
		for (size_t i = 0; i < count; i++) {
			values[i] = random_duration(&state);
			histogram_add(&histogram, values[i]);
		}
		qsort(values, count, sizeof *values, by_value);
		for (size_t i = 0; i < COUNT(quantiles); i++)
			check_quantile(&histogram, values, count, quantiles[i]);
	}
}

/* Of nothing, and of what a worker gone wild may leave in the memory. */
Test(histogram, odd_contents)
{
	static struct histogram histogram;

	cr_expect_eq(histogram_quantile(&histogram, 0.5), 0);
	histogram.count = 1000;
	cr_expect_eq(histogram_quantile(&histogram, 0.5), 0);
	memset(&histogram, 0xff, sizeof histogram);
	cr_expect_leq(histogram_quantile(&histogram, 0.5), LONGEST);
	cr_expect_leq(histogram_quantile(&histogram, 7), LONGEST);
	cr_expect_leq(histogram_quantile(&histogram, -7), LONGEST);
}

Test(histogram, merge)
{
	static struct histogram parts[2], whole;
	uint64_t state = 3;

	for (size_t i = 0; i < MANY; i++) {
		uint64_t us = random_duration(&state);

		histogram_add(&parts[i % 3 == 0], us);
		histogram_add(&whole, us);
	}
	histogram_merge(&parts[0], &parts[1]);
	cr_expect_eq(memcmp(&parts[0], &whole, sizeof whole), 0);
}
