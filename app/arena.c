#include "arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "copy.h"

struct block {
	struct block *next;
	size_t size; /* ARENA_BLOCK for those that go back to the pool */
};

struct kept {
	struct kept *next;
	void *memory;
};

/* Blocks that a pool keeps; more than a busy worker's requests need at a time is given back. */
#define POOL_KEEPS 256u

/* Under AddressSanitizer every block is fresh, so that a use after the request ends is seen. */
#ifdef ANYGATE_SANITIZED
#define POOL_MAX 0u
#else
#define POOL_MAX POOL_KEEPS
#endif

void *block_get(struct block_pool *pool, size_t size)
{
	struct block *block = pool->free;

	if (!block)
		return malloc(size);
	pool->free = block->next;
	pool->count--;
	return block;
}

void block_put(struct block_pool *pool, void *memory)
{
	struct block *block = memory;

	if (pool->count + 1 > POOL_MAX) {
		free(block);
		return;
	}
	block->next = pool->free;
	pool->free = block;
	pool->count++;
}

void block_pool_free(struct block_pool *pool)
{
	while (pool->free)
		free(block_get(pool, 0));
}

void arena_init(struct arena *arena, struct block_pool *pool, size_t cap)
{
	*arena = (struct arena){ .pool = pool, .left = cap };
}

/* Not inlined: where GCC sees a size it takes `rep stos`, which begins slowly, for memset(3). */
static __attribute__((noinline)) void *zero(void *at, size_t size)
{
	return memset(at, 0, size);
}

void *arena_new(struct block_pool *pool, size_t cap, size_t size)
{
	struct block *block = cap < ARENA_BLOCK ? NULL : block_get(pool, ARENA_BLOCK);

	assert(size <= ARENA_BLOCK - sizeof(*block));
	if (!block)
		return NULL;
	*block = (struct block){ NULL, ARENA_BLOCK };
	struct arena *arena = zero(block + 1, size);

	*arena = (struct arena){
		.pool = pool,
		.blocks = block,
		.at = (char *)arena + size,
		.end = (char *)block + ARENA_BLOCK,
		.left = cap - ARENA_BLOCK,
	};
	return arena;
}

char *arena_grow(struct arena *arena, size_t size)
{
	size_t whole = ARENA_BLOCK;
	bool large = size > ARENA_BLOCK - sizeof(struct block);

	if (large && __builtin_add_overflow(size, sizeof(struct block), &whole))
		return NULL;
	if (whole > arena->left)
		return NULL;
	struct block *block = large ? malloc(whole) : block_get(arena->pool, ARENA_BLOCK);
	if (!block)
		return NULL;
	arena->left -= whole;
	block->size = whole;
	if (large && arena->blocks) {
		block->next = arena->blocks->next;
		arena->blocks->next = block;
		return (char *)(block + 1);
	}
	block->next = arena->blocks;
	arena->blocks = block;
	arena->at = (char *)(block + 1) + size;
	arena->end = (char *)block + whole;
	return (char *)(block + 1);
}

void *arena_zeroed(struct arena *arena, size_t size)
{
	void *at = arena_alloc(arena, size);

	return at ? zero(at, size) : NULL;
}

char *arena_copy(struct arena *arena, const char *text, size_t length)
{
	char *copy = length < SIZE_MAX ? arena_text(arena, length + 1) : NULL;

	if (!copy)
		return NULL;
	copy_short(copy, text, length);
	copy[length] = '\0';
	return copy;
}

bool arena_keep(struct arena *arena, void *memory)
{
	struct kept *kept = arena_alloc(arena, sizeof(*kept));

	if (!kept)
		return false;
	*kept = (struct kept){ arena->kept, memory };
	arena->kept = kept;
	return true;
}

void arena_free(struct arena *arena)
{
	struct block_pool *pool = arena->pool; /* the arena may stand in one of its blocks */

	for (const struct kept *kept = arena->kept; kept; kept = kept->next)
		free(kept->memory);
	for (struct block *block = arena->blocks, *next; block; block = next) {
		next = block->next;
		if (block->size == ARENA_BLOCK)
			block_put(pool, block);
		else
			free(block);
	}
}
