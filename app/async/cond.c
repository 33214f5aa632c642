/* Conditions and semaphores: tasks that wait until another one says that they may go on. */
#include <stdlib.h>

#include "waiters.h"

struct ag_cond {
	struct waiters waiters;
};

struct ag_cond *ag_cond_new(void)
{
	struct ag_cond *cond = malloc(sizeof(*cond));

	if (cond)
		TAILQ_INIT(&cond->waiters);
	return cond;
}

int ag_cond_wait(struct ag_request *req, struct ag_cond *cond, unsigned ms)
{
	struct waiter waiter = { .item = NULL };

	return waiters_wait(req, &cond->waiters, &waiter, ms);
}

bool ag_cond_notify(struct ag_cond *cond)
{
	return waiters_wake(&cond->waiters, 0);
}

size_t ag_cond_notify_all(struct ag_cond *cond)
{
	size_t count = 0;

	while (ag_cond_notify(cond))
		count++;
	return count;
}

void ag_cond_free(struct ag_cond *cond)
{
	while (cond && waiters_wake(&cond->waiters, AG_CLOSED))
		;
	free(cond);
}

/* ---- semaphores ---- */

struct ag_semaphore {
	struct waiters waiters; /* none while there is a permit */
	size_t count;           /* of permits that nobody has */
};

struct ag_semaphore *ag_semaphore_new(size_t count)
{
	struct ag_semaphore *semaphore = malloc(sizeof(*semaphore));

	if (!semaphore)
		return NULL;
	TAILQ_INIT(&semaphore->waiters);
	semaphore->count = count;
	return semaphore;
}

int ag_semaphore_take(struct ag_request *req, struct ag_semaphore *semaphore, unsigned ms)
{
	struct waiter waiter = { .item = NULL };

	if (!semaphore->count)
		return waiters_wait(req, &semaphore->waiters, &waiter, ms);
	semaphore->count--;
	return 0;
}

void ag_semaphore_give(struct ag_semaphore *semaphore)
{
	if (!waiters_wake(&semaphore->waiters, 0))
		semaphore->count++;
}

void ag_semaphore_free(struct ag_semaphore *semaphore)
{
	while (semaphore && waiters_wake(&semaphore->waiters, AG_CLOSED))
		;
	free(semaphore);
}
