/* The ring of messages: whole, round and round, overtaken, and left by writers that were killed. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/bus_ring.h"
#include "tests/support/support.h"

SUITE(bus_ring);

static struct ring *ring;
static struct ring_reader reader;
static struct ring_message *message;
static uint64_t lost;
static int fd;

static void begin(void)
{
	ring = ring_new(&fd);
	cr_assert(ring, "%m");
	message = malloc(sizeof *message);
	ring_join(ring, &reader);
	lost = 0;
}

static void finish(void)
{
	free(message);
	ring_free(ring);
	close(fd);
}

/* What the n-th message holds: its length and bytes follow from n. */
static size_t make(unsigned n, char *data, char *name)
{
	size_t size = n % 7 == 0 ? 0 : (n * 7919U) % 3001;

	sprintf(name, "channel %u", n);
	memset(data, 'a' + (int)(n % 26), size);
	return size;
}

static void put(unsigned n)
{
	static char data[4096];
	char name[32];
	size_t size = make(n, data, name);

	cr_assert_eq(ring_write(ring, name, data, size), 0);
}

static bool get(void)
{
	return ring_read(ring, &reader, message, &lost);
}

static void expect(unsigned n)
{
	static char data[4096];
	char name[32];
	size_t size = make(n, data, name);

	cr_assert(get(), "message %u", n);
	cr_assert_str_eq(message->channel, name);
	cr_assert_eq(message->size, size, "%u", n);
	cr_assert_eq(memcmp(message->data, data, size), 0, "%u", n);
	cr_assert_eq(message->number, n);
}

Test(bus_ring, in_order)
{
	begin();
	cr_expect_not(get());
	for (unsigned n = 0; n < 3; n++)
		put(n);
	for (unsigned n = 0; n < 3; n++)
		expect(n);
	cr_expect_not(get());
	cr_expect_eq(ring_count(ring), 3);
	cr_expect_eq(lost, 0);
	finish();
}

/* Several times round, never far behind, each place of the seam in turn. */
Test(bus_ring, wraps)
{
	unsigned n = 0;

	begin();
	for (; n < 20000; n++) {
		put(n);
		if (n >= 5)
			expect(n - 5);
	}
	cr_expect_gt(reader.at, 5 * (uint64_t)RING_SIZE);
	for (unsigned left = 5; left; left--)
		expect(n - left);
	cr_expect_not(get());
	cr_expect_eq(lost, 0);
	finish();
}

Test(bus_ring, extremes)
{
	char name[CHANNEL_NAME_MAX + 1], *data = support_noise(AG_PUBLISH_MAX);

	begin();
	memset(name, 'n', CHANNEL_NAME_MAX);
	name[CHANNEL_NAME_MAX] = '\0';
	for (int i = 0; i < 200; i++) {
		cr_assert_eq(ring_write(ring, name, data, AG_PUBLISH_MAX), 0);
		cr_assert(get());
		cr_assert_str_eq(message->channel, name);
		cr_assert_eq(message->size, AG_PUBLISH_MAX);
		cr_assert_eq(memcmp(message->data, data, AG_PUBLISH_MAX), 0);
	}
	cr_expect_eq(lost, 0);
	free(data);
	finish();
}

/* Who is overtaken goes on with the oldest there is, and knows how many are gone. */
Test(bus_ring, lags)
{
	const unsigned count = 10000;

	begin();
	put(0);
	expect(0);
	for (unsigned n = 1; n < count; n++)
		put(n);
	cr_assert(get());
	unsigned first = (unsigned)message->number;

	cr_expect_gt(first, count / 2);
	cr_expect_eq(lost, first - 1);
	for (unsigned n = first + 1; n < count; n++)
		expect(n);
	cr_expect_not(get());
	cr_expect_eq(lost, first - 1);
	finish();
}

Test(bus_ring, joins_late)
{
	begin();
	put(0);
	ring_join(ring, &reader);
	cr_expect_not(get());
	put(1);
	expect(1);
	cr_expect_eq(lost, 0);
	finish();
}

/* ---- other processes ---- */

static pid_t start(void (*run)(void))
{
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* where the test fails */
		run();
		_exit(0);
	}
	return child;
}

static void await(pid_t child, int signal)
{
	int status;

	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(WIFSIGNALED(status) ? WTERMSIG(status) : 0, signal);
}

static void lock_and_die(void)
{
	if (ring_lock(ring) == 0)
		raise(SIGKILL);
}

static void lock_and_stop(void)
{
	if (ring_lock(ring) == 0)
		raise(SIGSTOP);
}

Test(bus_ring, dead_writer)
{
	begin();
	put(0);
	for (unsigned n = 1; n < 10; n++) {
		await(start(lock_and_die), SIGKILL);
		put(n);
	}
	for (unsigned n = 0; n < 10; n++)
		expect(n);
	cr_expect_eq(lost, 0);
	finish();
}

/* One that stands still with the lock keeps others from writing, but not for ever, nor readers. */
Test(bus_ring, stopped_writer)
{
	int status;

	begin();
	put(0);
	pid_t child = start(lock_and_stop);

	cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
	cr_expect_eq(ring_write(ring, "a", "b", 1), AG_BUSY);
	expect(0);
	kill(child, SIGKILL);
	await(child, SIGKILL);
	put(1);
	expect(1);
	finish();
}

static void write_for_ever(void)
{
	static char data[4096];

	for (unsigned n = 0;; n++) {
		memset(data, 'a' + (int)(n % 26), sizeof data);
		int error = ring_write(ring, "a", data, n % sizeof data);

		/* busy: on a machine with much to do the other one may rest with the lock */
		if (error && error != AG_BUSY)
			_exit(1);
	}
}

/* Two write as fast as they can and are killed whenever; what is read is whole all the time. */
Test(bus_ring, killed_writers, .timeout = 60)
{
	uint64_t got = 0;

	begin();
	for (int turn = 0; turn < 30; turn++) {
		pid_t children[] = { start(write_for_ever), start(write_for_ever) };
		uint64_t until = got + 500;

		while (got < until) {
			if (!get())
				continue;
			got++;
			cr_assert_str_eq(message->channel, "a");
			for (size_t i = 1; i < message->size; i++)
				cr_assert_eq(message->data[i], message->data[0]);
		}
		for (size_t i = 0; i < COUNT(children); i++) {
			kill(children[i], SIGKILL);
			await(children[i], SIGKILL);
		}
	}
	cr_expect_leq(got + lost, ring_count(ring));
	ring_join(ring, &reader);
	uint64_t before = ring_count(ring);

	cr_assert_eq(ring_write(ring, "b", "c", 1), 0);
	cr_assert(get());
	cr_expect_eq(message->number, before);
	finish();
}

/* ---- other mappings ---- */

Test(bus_ring, mapped_again)
{
	begin();
	put(0);
	struct ring *again = ring_map(fd), *first = ring;

	cr_assert(again);
	cr_expect_eq(ring_id(again), ring_id(ring));
	ring = again;
	put(1);
	ring = first;
	expect(0);
	expect(1);
	ring_free(again);
	finish();
}

Test(bus_ring, foreign)
{
	int other = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	begin();
	cr_expect_null(ring_map(other), "not sealed");
	cr_assert_eq(fcntl(other, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	cr_expect_null(ring_map(other), "too small");
	close(other);
	memset(ring, 0xff, 4); /* another magic */
	cr_expect_null(ring_map(fd), "not a ring");
	finish();
}

/* A worker that runs wild can spoil what is there, but nobody reads beyond it, or for ever. */
Test(bus_ring, damaged)
{
	unsigned char *bytes;

	begin();
	for (unsigned n = 0; n < 100; n++)
		put(n);
	bytes = (unsigned char *)ring + 4096;
	for (unsigned seed = 1; seed < 2000; seed++) {
		srand(seed);
		for (int i = 0; i < 20; i++)
			bytes[rand() % 200000] = (unsigned char)rand();
		ring_join(ring, &reader);
		reader.at = 0;
		for (int i = 0; i < 200 && get(); i++)
			cr_assert_leq(message->size, AG_PUBLISH_MAX);
		put(100);
	}
	ring_join(ring, &reader);
	cr_assert_eq(ring_write(ring, "a", "b", 1), 0);
	cr_expect(get());
	finish();
}
