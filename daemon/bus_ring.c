#include "bus_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x61676275 /* "agbu" */

/* To be raised when a field of the structures changes its place or its meaning. */
#define VERSION 1

/* ms that a writer waits for another, which has a copy of some KiB to make. */
#define PATIENCE 100

/* Tries of a reader to get a message that is not overwritten meanwhile. */
#define TRIES 100

struct record {
	uint64_t at; /* where it is itself */
	uint64_t number;
	uint32_t name_length, size; /* the name follows, then the data */
};

struct ring {
	uint32_t magic, version;
	uint32_t size, mutex_size;
	uint64_t id;
	uint32_t link;
	pthread_mutex_t mutex;      /* for writers */
	alignas(64) uint64_t begin; /* bytes since it was made: the oldest record, */
	uint64_t end;               /* ... and behind the youngest */
	uint64_t count;             /* of records */
	alignas(4096) uint8_t data[RING_SIZE];
};

/* ---- the memory ---- */

static struct ring *map(int fd)
{
	void *ring = mmap(NULL, sizeof(struct ring), PROT_READ | PROT_WRITE,
	        MAP_SHARED | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	return ring == MAP_FAILED ? NULL : ring;
}

static bool make_mutex(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attributes;

	return pthread_mutexattr_init(&attributes) == 0 &&
	       pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
	       pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
	       pthread_mutex_init(mutex, &attributes) == 0;
}

static uint64_t make_id(void)
{
	struct timespec now;
	uint64_t id;

	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) == sizeof(id))
		return id;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec << 16 ^ (uint64_t)getpid();
}

struct ring *ring_new(int *fd)
{
	struct ring *ring = NULL;

	*fd = memfd_create("anygate-bus", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return NULL;
	/* sealed: a file that was cut would kill every process that reads it */
	if (ftruncate(*fd, sizeof(*ring)) == 0 &&
	        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		ring = map(*fd);
	if (!ring) {
		close(*fd);
		*fd = -1;
		ring = map(*fd); /* RLIMIT_FSIZE: memory without a file */
	}
	if (!ring)
		return NULL;
	if (!make_mutex(&ring->mutex)) {
		ring_free(ring);
		return NULL;
	}
	ring->size = sizeof(*ring);
	ring->mutex_size = sizeof(ring->mutex);
	ring->id = make_id();
	ring->version = VERSION;
	ring->magic = MAGIC;
	return ring;
}

struct ring *ring_map(int fd)
{
	const int needed = F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat status;

	if (fstat(fd, &status) < 0 || (fcntl(fd, F_GET_SEALS) & needed) != needed ||
	        (size_t)status.st_size != sizeof(struct ring))
		return NULL;
	struct ring *ring = map(fd);

	if (ring &&
	        (ring->magic != MAGIC || ring->version != VERSION || ring->size != sizeof(*ring) ||
	                ring->mutex_size != sizeof(ring->mutex))) {
		ring_free(ring);
		return NULL;
	}
	return ring;
}

void ring_free(struct ring *ring)
{
	if (ring)
		munmap(ring, sizeof(*ring));
}

uint64_t ring_id(const struct ring *ring)
{
	return ring->id;
}

unsigned ring_exchange_link(struct ring *ring, unsigned state)
{
	return __atomic_exchange_n(&ring->link, state, __ATOMIC_RELAXED);
}

unsigned ring_link(const struct ring *ring)
{
	return __atomic_load_n(&ring->link, __ATOMIC_RELAXED);
}

static uint64_t load(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *to, uint64_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELEASE);
}

/* Bytes of a record, whole words. */
static uint64_t length_of(const struct record *record)
{
	return (sizeof(*record) + record->name_length + record->size + 7) & ~UINT64_C(7);
}

/* Whether it can be the record at `at`, with no more behind it than there is before `end`. */
static bool is_sane(const struct record *record, uint64_t at, uint64_t end)
{
	return record->at == at && record->name_length && record->name_length <= CHANNEL_NAME_MAX &&
	       record->size <= AG_PUBLISH_MAX && length_of(record) <= end - at;
}

static void copy_out(const struct ring *ring, uint64_t at, void *to, size_t size)
{
	size_t place = at % RING_SIZE, first = RING_SIZE - place;

	first = first < size ? first : size;
	memcpy(to, ring->data + place, first);
	memcpy((uint8_t *)to + first, ring->data, size - first);
}

static void copy_in(struct ring *ring, uint64_t at, const void *from, size_t size)
{
	size_t place = at % RING_SIZE, first = RING_SIZE - place;

	if (!size)
		return;
	first = first < size ? first : size;
	memcpy(ring->data + place, from, first);
	memcpy(ring->data, (const uint8_t *)from + first, size - first);
}

/* ---- writing ---- */

int ring_lock(struct ring *ring)
{
	struct timespec until;
	int error = pthread_mutex_trylock(&ring->mutex);

	if (error == EBUSY) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += PATIENCE * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		error = pthread_mutex_clocklock(&ring->mutex, CLOCK_MONOTONIC, &until);
	}
	/* who had it is dead: what it has not finished lies behind `end` */
	if (error == EOWNERDEAD)
		error = pthread_mutex_consistent(&ring->mutex);
	return error ? AG_BUSY : 0;
}

void ring_unlock(struct ring *ring)
{
	pthread_mutex_unlock(&ring->mutex);
}

/* Where the oldest record is that may stay when the ring reaches up to `end`. */
static uint64_t make_room(const struct ring *ring, uint64_t end)
{
	uint64_t begin = load(&ring->begin), now = load(&ring->end);
	struct record record;

	while (begin < now && end - begin > RING_SIZE) {
		copy_out(ring, begin, &record, sizeof(record));
		if (!is_sane(&record, begin, now))
			return now; /* written over by a worker that ran wild */
		begin += length_of(&record);
	}
	return begin <= now ? begin : now;
}

int ring_write(struct ring *ring, const char *channel, const void *data, size_t size)
{
	struct record record = { .name_length = (uint32_t)strlen(channel), .size = (uint32_t)size };
	uint64_t length = length_of(&record);
	int error = ring_lock(ring);

	if (error)
		return error;
	record.at = load(&ring->end);
	record.number = load(&ring->count);
	store(&ring->begin, make_room(ring, record.at + length));
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* before what it held is written over */
	store(&ring->count, record.number + 1);
	copy_in(ring, record.at, &record, sizeof(record));
	copy_in(ring, record.at + sizeof(record), channel, record.name_length);
	copy_in(ring, record.at + sizeof(record) + record.name_length, data, size);
	store(&ring->end, record.at + length);
	ring_unlock(ring);
	return 0;
}

uint64_t ring_count(const struct ring *ring)
{
	return load(&ring->count);
}

/* ---- reading ---- */

void ring_join(const struct ring *ring, struct ring_reader *reader)
{
	reader->at = load(&ring->end);
	reader->number = load(&ring->count);
}

/* Whether a copy of the record at `at` was made while it was there. */
static bool copy_message(const struct ring *ring, uint64_t at, uint64_t end, struct record *record,
        struct ring_message *message)
{
	copy_out(ring, at, record, sizeof(*record));
	bool sane = is_sane(record, at, end);

	if (sane) {
		uint64_t name = at + sizeof(*record);

		copy_out(ring, name, message->channel, record->name_length);
		copy_out(ring, name + record->name_length, message->data, record->size);
		message->channel[record->name_length] = '\0';
		message->size = record->size;
		message->number = record->number;
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return sane && load(&ring->begin) <= at;
}

bool ring_read(const struct ring *ring, struct ring_reader *reader, struct ring_message *message,
        uint64_t *lost)
{
	struct record record;

	for (int i = 0; i < TRIES; i++) {
		uint64_t end = load(&ring->end), begin = load(&ring->begin);

		if (reader->at == end)
			return false;
		if (reader->at < begin && begin <= end)
			reader->at = begin;
		if (end - reader->at <= RING_SIZE &&
		        copy_message(ring, reader->at, end, &record, message)) {
			if (record.number > reader->number)
				*lost += record.number - reader->number;
			reader->number = record.number + 1;
			reader->at += length_of(&record);
			return true;
		}
	}
	/* written over faster than it can be read, or by a worker that ran wild */
	reader->at = load(&ring->end);
	return false;
}
