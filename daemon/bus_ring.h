/*
 * What workers tell each other: a ring of records in memory that all of them share and that
 * outlives each, written by all, one after another, and read by each at its own pace. Nobody waits
 * for a reader: one that falls behind by the whole ring learns how much it has lost. A worker may
 * die at any moment, with the lock too; a record is there only once it is whole. Like the
 * scoreboard it holds no pointer and no size that a reader trusts.
 */
#ifndef DAEMON_BUS_RING_H
#define DAEMON_BUS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../app/async/channel.h"

/* Bytes of records. Pages that were never written to cost nothing. */
#define RING_SIZE (4 * 1024 * 1024)

struct ring;

/*
 * A ring in a memory file that can't be resized, mapped shared. `*fd` (close-on-exec) is what a new
 * binary maps it again from; -1 where RLIMIT_FSIZE allows no such file. NULL with errno.
 */
struct ring *ring_new(int *fd);

/* The one behind `fd`; NULL where it is none, or of another version. */
struct ring *ring_map(int fd);
void ring_free(struct ring *ring);

/* What tells this daemon's messages from others'; made with the ring. */
uint64_t ring_id(const struct ring *ring);

/* What the daemon's link to others is like, for whoever finds out a change: returns what it was. */
unsigned ring_exchange_link(struct ring *ring, unsigned state);
unsigned ring_link(const struct ring *ring);

/*
 * Appends a message: of a channel's name (1 to CHANNEL_NAME_MAX bytes) and up to AG_PUBLISH_MAX
 * bytes. Returns 0, or AG_BUSY: a worker that stands still in here has the lock.
 */
int ring_write(struct ring *ring, const char *channel, const void *data, size_t size);

/* Messages written so far: the number of the next one. */
uint64_t ring_count(const struct ring *ring);

/* Where a reader is. */
struct ring_reader {
	uint64_t at;     /* bytes, since the ring was made */
	uint64_t number; /* of the next message */
};

struct ring_message {
	uint64_t number;
	size_t size;
	char channel[CHANNEL_NAME_MAX + 1];
	char data[AG_PUBLISH_MAX];
};

/* Behind what has been written. */
void ring_join(const struct ring *ring, struct ring_reader *reader);

/* Copies the next message out; false: there is none. Adds to `*lost` what was passed over. */
bool ring_read(const struct ring *ring, struct ring_reader *reader, struct ring_message *message,
        uint64_t *lost);

/* For ring_write, and for tests of what becomes of the lock. */
int ring_lock(struct ring *ring);
void ring_unlock(struct ring *ring);

#endif
