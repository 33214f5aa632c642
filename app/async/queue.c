/* Queues: what one task gives to another, which waits for it. */
#include <stdlib.h>

#include "waiters.h"

/*
 * Nobody waits to get while there are items, nor to put while there is room: whoever puts hands
 * over, and whoever gets lets the next one put.
 */
struct ag_queue {
	struct waiters putters, getters;
	size_t size, count, first;
	bool closed;
	void *items[];
};

struct ag_queue *ag_queue_new(size_t size)
{
	struct ag_queue *queue = NULL;

	if (size && size <= SIZE_MAX / 2 / sizeof(*queue->items))
		queue = calloc(1, sizeof(*queue) + size * sizeof(*queue->items));
	if (!queue)
		return NULL;
	queue->size = size;
	TAILQ_INIT(&queue->putters);
	TAILQ_INIT(&queue->getters);
	return queue;
}

static void append(struct ag_queue *queue, void *item)
{
	queue->items[(queue->first + queue->count) % queue->size] = item;
	queue->count++;
}

int ag_queue_put(struct ag_request *req, struct ag_queue *queue, void *item, unsigned ms)
{
	struct waiter waiter = { .item = item }, *getter;

	if (queue->closed)
		return AG_CLOSED;
	if ((getter = waiters_wake(&queue->getters, 0))) {
		getter->item = item;
		return 0;
	}
	if (queue->count == queue->size)
		return waiters_wait(req, &queue->putters, &waiter, ms);
	append(queue, item);
	return 0;
}

int ag_queue_get(struct ag_request *req, struct ag_queue *queue, void **item, unsigned ms)
{
	struct waiter waiter = { .item = NULL }, *putter;

	if (!queue->count) {
		int answer = queue->closed ? AG_CLOSED
		                           : waiters_wait(req, &queue->getters, &waiter, ms);

		if (!answer)
			*item = waiter.item;
		return answer;
	}
	*item = queue->items[queue->first];
	queue->first = (queue->first + 1) % queue->size;
	queue->count--;
	if ((putter = waiters_wake(&queue->putters, 0)))
		append(queue, putter->item);
	return 0;
}

size_t ag_queue_count(const struct ag_queue *queue)
{
	return queue->count;
}

void ag_queue_close(struct ag_queue *queue)
{
	queue->closed = true;
	while (waiters_wake(&queue->putters, AG_CLOSED))
		;
	while (waiters_wake(&queue->getters, AG_CLOSED))
		;
}

void ag_queue_free(struct ag_queue *queue)
{
	if (queue)
		ag_queue_close(queue);
	free(queue);
}
