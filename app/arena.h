/*
 * Memory of one request: allocated in pieces, freed in one stroke. It grows by blocks from the
 * worker's pool, up to a cap; what is larger than a block gets a block of its own.
 */
#ifndef APP_ARENA_H
#define APP_ARENA_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>

/* Free blocks of one size, kept for the next request; one pool per worker. Zeroed is empty. */
struct block_pool {
	struct block *free;
	unsigned count;
};

struct arena {
	struct block_pool *pool;
	struct block *blocks; /* newest first */
	char *at, *end;       /* what is free in the newest block */
	size_t left;          /* bytes that may still be taken from the system */
	struct kept *kept;    /* arena_keep's */
};

/*
 * Bytes of a pooled block, its own header included. What a request usually needs fits into one;
 * with the page of its stack and its connection a task that waits has less than two pages.
 */
#define ARENA_BLOCK 3568

/* An empty arena that may hold `cap` bytes in all. `pool` must outlive it. */
void arena_init(struct arena *arena, struct block_pool *pool, size_t cap);

/*
 * `size` zeroed bytes of an arena of their own, which is what they begin with: they are freed with
 * it. NULL like arena_alloc.
 */
void *arena_new(struct block_pool *pool, size_t cap, size_t size);

/* Puts a block with room for `size` bytes in front. A large one does not end the use of the other.
 */
char *arena_grow(struct arena *arena, size_t size);

/* `size` bytes for text; NULL above the cap or without memory. */
static inline char *arena_text(struct arena *arena, size_t size)
{
	char *at = arena->at;

	if ((size_t)(arena->end - at) < size)
		return arena_grow(arena, size);
	arena->at = at + size;
	return at;
}

/* The same, aligned for any type. Nothing is zeroed. */
static inline void *arena_alloc(struct arena *arena, size_t size)
{
	/* a block ends at an aligned place, or nothing is left of it */
	size_t left = (size_t)(arena->end - arena->at), skip = left % alignof(max_align_t);

	if (left - skip < size)
		return arena_grow(arena, size);
	arena->at += skip + size;
	return arena->at - size;
}

/* The same, zeroed. */
void *arena_zeroed(struct arena *arena, size_t size);

/* A NUL-terminated copy; NULL like arena_alloc. */
char *arena_copy(struct arena *arena, const char *text, size_t length);

/*
 * Takes over memory of malloc(3), which the cap does not count, to free it with the rest. False, it
 * stays the caller's: no room to note it.
 */
bool arena_keep(struct arena *arena, void *memory);

/* Gives every block back. The arena may be used again after arena_init. */
void arena_free(struct arena *arena);

/* A block of `size` bytes that is no arena's; one pool has one size, at least a pointer's. */
void *block_get(struct block_pool *pool, size_t size);
void block_put(struct block_pool *pool, void *block);

/* Frees what a pool keeps. */
void block_pool_free(struct block_pool *pool);

#endif
