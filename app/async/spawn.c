/* Tasks that a handler starts, and waits for. */
#include "../request.h"
#include "async.h"

struct ag_task *ag_spawn(struct ag_request *req, ag_function *function, void *argument)
{
	struct ag_task *parent = waiting_task(req);
	struct ag_task *task = parent ? block_get(&req->runtime->task_blocks, sizeof(*task)) : NULL;

	if (!task)
		return NULL;
	*task = (struct ag_task){ .req = req,
		.parent = parent,
		.function = function,
		.argument = argument,
		.canceled = parent->canceled,
		.waiting = WAITING_TURN };
	TAILQ_INIT(&task->ended);
	TAILQ_INSERT_TAIL(&req->tasks, task, link);
	parent->living++;
	async_turn(req->runtime, task);
	return task;
}

/* Among those of the parent that are over. */
static struct ag_task *find_ended(struct ag_task *parent, const struct ag_task *wanted)
{
	struct ag_task *task = TAILQ_FIRST(&parent->ended);

	while (task && task != wanted)
		task = TAILQ_NEXT(task, link);
	return task;
}

/* It is over: gives its result, and forgets it. */
static void take_result(struct ag_task *parent, struct ag_task *task, int *result)
{
	if (result)
		*result = task->result;
	TAILQ_REMOVE(&parent->ended, task, link);
	block_put(&parent->req->runtime->task_blocks, task);
}

int ag_join(struct ag_request *req, struct ag_task *task, int *result)
{
	struct ag_task *self = waiting_task(req);

	if (!self || !task || task->parent != self)
		return AG_INVALID;
	if (!find_ended(self, task))
		waiting_join(self, task, false);
	take_result(self, task, result);
	return 0;
}

int ag_join_any(struct ag_request *req, struct ag_task **task, int *result)
{
	struct ag_task *self = waiting_task(req), *ended;

	if (!self || (!self->living && TAILQ_EMPTY(&self->ended)))
		return AG_INVALID;
	if (TAILQ_EMPTY(&self->ended))
		waiting_join(self, NULL, false);
	ended = TAILQ_FIRST(&self->ended);
	if (task)
		*task = ended;
	take_result(self, ended, result);
	return 0;
}

int ag_join_all(struct ag_request *req)
{
	struct ag_task *self = waiting_task(req), *ended;

	if (!self)
		return AG_INVALID;
	if (self->living)
		waiting_join(self, NULL, true);
	while ((ended = TAILQ_FIRST(&self->ended)))
		take_result(self, ended, NULL);
	return 0;
}

void ag_cancel(struct ag_request *req, struct ag_task *task)
{
	struct ag_task *self = waiting_task(req);

	if (self)
		waiting_cancel(self, task);
}
