#include "scoreboard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x61676174 /* "agat" */

/* To be raised when a field of the structures changes its place or its meaning. */
#define VERSION 4

/* More than a machine has workers; keeps sizes far from overflow. */
#define SLOTS_MAX 65536

/* Tries of a reader to see no counters on the move; after them it takes what there is. */
#define TRIES 100

static size_t size_of(size_t count)
{
	return sizeof(struct scoreboard) + count * sizeof(struct slot);
}

/*
 * One private page lies below the shared ones and holds what must stay true whatever a worker does
 * to them.
 */
struct frame {
	size_t count;
};

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static const struct frame *frame_of(const struct scoreboard *board)
{
	return (const struct frame *)((const char *)board - page_size());
}

size_t scoreboard_count(const struct scoreboard *board)
{
	return frame_of(board)->count;
}

static struct scoreboard *map(int fd, size_t count)
{
	size_t page = page_size(), size = size_of(count);
	char *low = mmap(
	        NULL, page + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (low == MAP_FAILED)
		return NULL;
	if (mmap(low + page, size, PROT_READ | PROT_WRITE,
	            MAP_SHARED | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0) == MAP_FAILED) {
		munmap(low, page + size);
		return NULL;
	}
	*(struct frame *)low = (struct frame){ count };
	return (struct scoreboard *)(low + page);
}

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct scoreboard *scoreboard_new(size_t count, int *fd)
{
	struct scoreboard *board = NULL;

	if (!count || count > SLOTS_MAX) {
		errno = EINVAL;
		return NULL;
	}
	*fd = memfd_create("anygate-scoreboard", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return NULL;
	/* sealed: a file that was cut would kill every process that reads it */
	if (ftruncate(*fd, (off_t)size_of(count)) == 0 &&
	        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		board = map(*fd, count);
	if (!board) {
		close(*fd);
		*fd = -1;
		board = map(*fd, count); /* RLIMIT_FSIZE: memory without a file */
	}
	if (!board)
		return NULL;
	board->magic = MAGIC;
	board->version = VERSION;
	board->slot_size = sizeof(struct slot);
	board->count = (uint32_t)count;
	board->started = clock_ms(CLOCK_MONOTONIC);
	board->started_at = clock_ms(CLOCK_REALTIME) / 1000;
	return board;
}

/* Whether the memory is one of ours: of `count` slots as this binary knows them. */
static bool is_ours(const struct scoreboard *board, size_t count)
{
	return board->magic == MAGIC && board->version == VERSION &&
	       board->slot_size == sizeof(struct slot) && board->count == count;
}

struct scoreboard *scoreboard_map(int fd, size_t count)
{
	const int needed = F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat status;

	if (fstat(fd, &status) < 0 || (fcntl(fd, F_GET_SEALS) & needed) != needed ||
	        (size_t)status.st_size < size_of(1))
		return NULL;
	size_t found = ((size_t)status.st_size - size_of(0)) / sizeof(struct slot);

	if (found < count || found > SLOTS_MAX || size_of(found) != (size_t)status.st_size)
		return NULL;
	struct scoreboard *board = map(fd, found);

	if (board && !is_ours(board, found)) {
		scoreboard_free(board);
		return NULL;
	}
	return board;
}

void scoreboard_free(struct scoreboard *board)
{
	if (board)
		munmap((char *)board - page_size(), page_size() + size_of(scoreboard_count(board)));
}

struct slot *scoreboard_take(struct scoreboard *board)
{
	for (size_t i = 0; i < scoreboard_count(board); i++) {
		struct slot *slot = &board->slots[i];

		if (slot->state != WORKER_NONE)
			continue;
		memset(slot, 0, sizeof(*slot));
		__atomic_store_n(&slot->state, WORKER_STARTING, __ATOMIC_RELEASE);
		return slot;
	}
	return NULL;
}

struct slot *scoreboard_new_slot(void)
{
	void *slot = mmap(NULL, sizeof(struct slot), PROT_READ | PROT_WRITE,
	        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return slot == MAP_FAILED ? NULL : slot;
}

void scoreboard_free_slot(struct slot *slot)
{
	if (slot)
		munmap(slot, sizeof(*slot));
}

void scoreboard_protect(struct scoreboard *board)
{
	mprotect(board, size_of(scoreboard_count(board)), PROT_READ);
}

_Static_assert(sizeof(struct counters) % sizeof(uint64_t) == 0, "all counters are uint64_t");

static void add_counters(struct counters *into, const struct counters *from)
{
	uint64_t *to = (uint64_t *)into;
	const uint64_t *more = (const uint64_t *)from;

	for (size_t i = 0; i < sizeof(*into) / sizeof(*to); i++)
		count_up(&to[i], count_read(&more[i]));
}

/* A master that died in between leaves `sequence` odd; the next one goes on from there. */
void scoreboard_give(struct scoreboard *board, struct slot *slot)
{
	uint32_t sequence = board->sequence | 1;

	__atomic_store_n(&board->sequence, sequence, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	add_counters(&board->ended, &slot->counters);
	__atomic_store_n(&slot->state, WORKER_NONE, __ATOMIC_RELAXED);
	__atomic_store_n(&board->sequence, sequence + 1, __ATOMIC_RELEASE);
}

static void add_all(const struct scoreboard *board, struct counters *total)
{
	*total = (struct counters){ 0 };
	add_counters(total, &board->ended);
	for (size_t i = 0; i < scoreboard_count(board); i++)
		if (__atomic_load_n(&board->slots[i].state, __ATOMIC_ACQUIRE) != WORKER_NONE)
			add_counters(total, &board->slots[i].counters);
}

void scoreboard_total(const struct scoreboard *board, struct counters *total)
{
	for (int i = 0; i < TRIES; i++) {
		uint32_t before = __atomic_load_n(&board->sequence, __ATOMIC_ACQUIRE);

		add_all(board, total);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(before & 1) && before == __atomic_load_n(&board->sequence, __ATOMIC_RELAXED))
			return;
	}
}

/* A file of /proc as text; "" where it can't be read. */
static void read_proc(int32_t pid, const char *file, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
}

/* proc(5): utime and stime are the 12th and 13th fields behind the name, which may hold anything.
 */
static uint64_t cpu_ticks(const char *stat)
{
	unsigned long long user = 0, system = 0;
	const char *at = strrchr(stat, ')');

	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
	                   &system) != 2)
		return 0;
	return user + system;
}

void scoreboard_measure(const struct slot *slot, uint64_t *rss, uint64_t *cpu_us)
{
	unsigned long long pages = 0;
	char text[512];

	*rss = *cpu_us = 0;
	if (slot->pid <= 0)
		return;
	read_proc(slot->pid, "statm", text, sizeof(text));
	if (sscanf(text, "%*u %llu", &pages) == 1)
		*rss = pages * page_size();
	read_proc(slot->pid, "stat", text, sizeof(text));
	*cpu_us = cpu_ticks(text) * (1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}
