/* The scoreboard: slots taken and given back, seen by other mappings and other processes. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/scoreboard.h"
#include "tests/support/support.h"

SUITE(scoreboard);

static struct scoreboard *make(size_t count, int *fd)
{
	struct scoreboard *board = scoreboard_new(count, fd);

	cr_assert(board, "%m");
	cr_assert_eq(scoreboard_count(board), count);
	return board;
}

static void finish(struct scoreboard *board, int fd)
{
	scoreboard_free(board);
	close(fd);
}

Test(scoreboard, slots)
{
	struct slot *slots[3];
	int fd;
	struct scoreboard *board = make(3, &fd);

	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	for (size_t i = 0; i < COUNT(slots); i++) {
		slots[i] = scoreboard_take(board);
		cr_assert(slots[i]);
		cr_expect_eq(slots[i]->state, WORKER_STARTING);
		cr_expect_eq((uintptr_t)slots[i] % 64, 0, "shares a cache line");
	}
	cr_expect(!scoreboard_take(board), "a fourth of three");
	memset(&slots[1]->running, 'x', sizeof slots[1]->running);
	scoreboard_give(board, slots[1]);
	cr_expect_eq(scoreboard_take(board), slots[1]);
	cr_expect_eq(slots[1]->running.uri[0], '\0', "is not cleared");
	finish(board, fd);
}

Test(scoreboard, totals)
{
	static struct counters total;
	int fd;
	struct scoreboard *board = make(2, &fd);

	for (int i = 0; i < 5; i++) {
		struct slot *slot = scoreboard_take(board), *other = scoreboard_take(board);

		count_up(&slot->counters.requests, 3);
		count_up(&slot->counters.closed[CLOSE_MEMORY], 1);
		histogram_add(&other->counters.latency, 7);
		scoreboard_total(board, &total);
		cr_expect_eq(total.requests, 3u * (unsigned)(i + 1));
		scoreboard_give(board, slot);
		scoreboard_give(board, other);
		scoreboard_total(board, &total);
		cr_expect_eq(total.requests, 3u * (unsigned)(i + 1), "lost, or counted twice");
		cr_expect_eq(total.closed[CLOSE_MEMORY], (unsigned)(i + 1));
		cr_expect_eq(total.latency.buckets[7], (unsigned)(i + 1));
		cr_expect_eq(total.latency.sum, 7u * (unsigned)(i + 1));
	}
	board->sequence |= 1; /* a master died while it added up: no reader hangs */
	scoreboard_total(board, &total);
	cr_expect_eq(total.requests, 15);
	scoreboard_give(board, scoreboard_take(board));
	cr_expect_eq(board->sequence % 2, 0);
	finish(board, fd);
}

Test(scoreboard, written_by_another_process)
{
	int fd, status;
	struct scoreboard *board = make(1, &fd);
	struct slot *slot = scoreboard_take(board);
	pid_t child = fork();

	if (child == 0) {
		for (int i = 0; i < 1000; i++)
			count_up(&slot->counters.requests, 2);
		board->count = UINT32_MAX; /* and what it breaks, nobody follows */
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_expect_eq(slot->counters.requests, 2000);
	cr_expect_eq(scoreboard_count(board), 1);
	cr_expect(!scoreboard_take(board));
	finish(board, fd);
}

Test(scoreboard, mapped_again)
{
	int fd;
	struct scoreboard *board = make(3, &fd), *again;

	count_up(&scoreboard_take(board)->counters.requests, 5);
	for (size_t count = 0; count <= 3; count++) {
		again = scoreboard_map(fd, count);
		cr_assert(again, "%zu slots of 3", count);
		cr_expect_eq(scoreboard_count(again), 3);
		cr_expect_eq(again->slots[0].counters.requests, 5);
		cr_expect_eq(again->started, board->started);
		scoreboard_free(again);
	}
	cr_expect(!scoreboard_map(fd, 4), "4 slots of 3");
	cr_expect_lt(ftruncate(fd, 0), 0, "a file that can be cut kills its readers");
	finish(board, fd);
}

static void break_magic(struct scoreboard *board)
{
	board->magic++;
}

static void break_version(struct scoreboard *board)
{
	board->version++;
}

static void break_slot_size(struct scoreboard *board)
{
	board->slot_size++;
}

static void break_count(struct scoreboard *board)
{
	board->count++;
}

Test(scoreboard, of_another_version)
{
	static void (*const broken[])(
	        struct scoreboard *) = { break_magic, break_version, break_slot_size, break_count };

	for (size_t i = 0; i < COUNT(broken); i++) {
		int fd;
		struct scoreboard *board = make(2, &fd);

		broken[i](board);
		cr_expect(!scoreboard_map(fd, 2), "row %zu", i);
		finish(board, fd);
	}
}

/* Files that are no scoreboards: of any size, sealed or not, and no file at all. */
Test(scoreboard, of_another_size)
{
	static const size_t sizes[] = { 0, 1, sizeof(struct scoreboard),
		sizeof(struct scoreboard) + sizeof(struct slot) - 1,
		sizeof(struct scoreboard) + sizeof(struct slot),
		sizeof(struct scoreboard) + sizeof(struct slot) + 1 };

	for (size_t i = 0; i < COUNT(sizes) * 2; i++) {
		int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		cr_assert_geq(fd, 0);
		cr_assert_eq(ftruncate(fd, (off_t)sizes[i / 2]), 0);
		if (i % 2)
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
		cr_expect(!scoreboard_map(fd, 1), "%zu bytes", sizes[i / 2]);
		close(fd);
	}
	cr_expect(!scoreboard_map(-1, 1));
}

Test(scoreboard, no_slots)
{
	int fd;

	cr_expect(!scoreboard_new(0, &fd));
	cr_expect(!scoreboard_new(SIZE_MAX, &fd));
}

Test(scoreboard, measure)
{
	static struct slot slot;
	uint64_t rss, cpu, later;

	slot.pid = getpid();
	scoreboard_measure(&slot, &rss, &cpu);
	cr_expect_geq(rss, 100 * 1024);
	do /* until a tick of CPU time has passed */
		scoreboard_measure(&slot, &rss, &later);
	while (later <= cpu);
	slot.pid = 0;
	scoreboard_measure(&slot, &rss, &cpu);
	cr_expect(rss == 0 && cpu == 0);
	slot.pid = INT32_MAX;
	scoreboard_measure(&slot, &rss, &cpu);
	cr_expect(rss == 0 && cpu == 0);
}
