#include "waiting.h"

#include <assert.h>

#include "async/async.h"
#include "request.h"
#include "response.h"

/* ---- whose turn it is ---- */

/* Says whose task gets the processor; NULL: none has it any more. */
static void switch_to(struct runtime *runtime, struct ag_task *task)
{
	runtime->task = task;
	runtime->current = task ? task->req : NULL;
	if (runtime->switched)
		runtime->switched(runtime);
}

static uint64_t enter(struct ag_task *task)
{
	struct runtime *runtime = task->req->runtime;

	switch_to(runtime, task);
	return runtime->timed ? request_clock() : 0;
}

static void leave(struct ag_request *req, uint64_t entered)
{
	switch_to(req->runtime, NULL);
	if (entered)
		req->ran += request_clock() - entered;
}

struct ag_task *waiting_task(const struct ag_request *req)
{
	struct ag_task *task = req->runtime->task;

	return task && task->req == req ? task : NULL;
}

/* ---- suspending ---- */

static void suspend(struct ag_task *task, enum waiting what)
{
	struct ag_request *req = task->req;

	task->waiting = what;
	task->woken = 0;
	req->gate->waits(req);
	task_suspend(&req->runtime->tasks);
}

/* Where the request notes who waits for its client in this way; one can. */
static struct ag_task **client_side(struct ag_request *req, enum waiting what)
{
	if (what == WAITING_BODY || what == WAITING_FEED)
		return &req->reader;
	return what == WAITING_END || what == WAITING_ROOM ? &req->writer : NULL;
}

int request_check(const struct ag_request *req)
{
	const struct ag_task *task = waiting_task(req);

	if (!task)
		return AG_INVALID;
	if (req->gone)
		return AG_GONE;
	if (task->canceled)
		return AG_CANCELED;
	return req->late || req->expired ? AG_TIMEOUT : 0;
}

int request_wait(struct ag_request *req, enum waiting what)
{
	struct ag_task *task = waiting_task(req), **side = client_side(req, what);

	if (!task || (side && *side))
		return AG_INVALID;
	if (task->canceled)
		return AG_CANCELED;
	if (req->late || req->expired)
		return AG_TIMEOUT;
	if (side)
		*side = task;
	suspend(task, what);
	return task->woken;
}

void waiting_join(struct ag_task *parent, const struct ag_task *wanted, bool all)
{
	parent->wanted = wanted;
	parent->all = all;
	suspend(parent, WAITING_TASKS);
}

/* ---- going on ---- */

/* It waits no more, whatever for. */
static void take_off(struct ag_task *task, int answer)
{
	struct ag_task **side = client_side(task->req, task->waiting);

	if (side)
		*side = NULL;
	task->woken = answer;
}

/* Lets the task run until it suspends or ends. */
static void go_on(struct ag_task *task)
{
	struct ag_request *req = task->req;
	uint64_t entered = enter(task);

	task->waiting = WAITING_NOT;
	task_resume(task->stack);
	leave(req, entered);
	if (req->done)
		req->gate->finished(req);
}

void request_wake(struct ag_task *task, int answer)
{
	assert(task->waiting != WAITING_NOT);
	if (task->waiting == WAITING_TURN)
		return;
	take_off(task, answer);
	go_on(task);
}

bool waiting_wake_later(struct ag_task *task, int answer)
{
	if (task->waiting == WAITING_NOT || task->waiting == WAITING_TURN)
		return false;
	take_off(task, answer);
	task->waiting = WAITING_TURN;
	async_turn(task->req->runtime, task);
	return true;
}

/* ---- the tasks' functions ---- */

/* A function has returned: what it spawned does not outlive it. */
static void end_spawned(struct ag_task *task)
{
	struct ag_task *each, *next;

	if (task->living)
		waiting_cancel(task, NULL);
	if (task->living)
		waiting_join(task, NULL, true);
	for (each = TAILQ_FIRST(&task->ended); each; each = next) {
		next = TAILQ_NEXT(each, link);
		block_put(&task->req->runtime->task_blocks, each);
	}
	TAILQ_INIT(&task->ended);
}

static bool has_spawned(const struct ag_task *task)
{
	return task->living || !TAILQ_EMPTY(&task->ended);
}

static void run_handler(void *argument)
{
	struct ag_task *task = argument;
	struct ag_request *req = task->req;
	int status = task->function ? task->function(req, task->argument) : request_dispatch(req);

	if (has_spawned(task))
		end_spawned(task);
	task->result = status;
	if (!task->function)
		response_finish(req, status);
	req->done = true;
}

/* Whether the parent has waited for this. */
static bool is_wanted(const struct ag_task *parent, const struct ag_task *task)
{
	if (parent->waiting != WAITING_TASKS)
		return false;
	return parent->all ? !parent->living : !parent->wanted || parent->wanted == task;
}

static void run_spawned(void *argument)
{
	struct ag_task *task = argument, *parent = task->parent;
	struct ag_request *req = task->req;

	task->result = task->function(req, task->argument);
	if (has_spawned(task))
		end_spawned(task);
	TAILQ_REMOVE(&req->tasks, task, link);
	TAILQ_INSERT_TAIL(&parent->ended, task, link);
	parent->living--;
	if (is_wanted(parent, task))
		waiting_wake_later(parent, 0);
	req->gate->waits(req); /* it may have left something to be sent */
}

/* Inlined where requests start. */
inline bool waiting_begin(struct ag_task *task)
{
	struct ag_request *req = task->req;
	uint64_t entered = enter(task);

	task->begun = true;
	task->waiting = WAITING_NOT;
	bool ran = task_start(
	        &req->runtime->tasks, &task->stack, task->parent ? run_spawned : run_handler, task);

	leave(req, entered);
	if (ran && req->done)
		req->gate->finished(req);
	return ran;
}

/* There is no stack for it. */
static void fail_begin(struct ag_task *task)
{
	struct ag_task *parent = task->parent;

	task->result = AG_NOMEM;
	TAILQ_REMOVE(&task->req->tasks, task, link);
	TAILQ_INSERT_TAIL(&parent->ended, task, link);
	parent->living--;
	if (is_wanted(parent, task))
		waiting_wake_later(parent, 0);
}

void waiting_turn(struct ag_task *task)
{
	if (task->begun)
		go_on(task);
	else if (!waiting_begin(task))
		fail_begin(task);
}

/* ---- giving up ---- */

/* Whether this wait ends because of what happened to the request or the task. */
static bool can_end(struct ag_task *task, int answer)
{
	switch (task->waiting) {
	case WAITING_NOT:
	case WAITING_TASKS:
	case WAITING_TURN:
		return false;
	case WAITING_ROOM:
		return answer != AG_GONE || task->req->broken;
	case WAITING_OFFLOAD:
		return async_withdraw(task);
	default:
		return true;
	}
}

void waiting_end(struct ag_request *req, int answer)
{
	struct ag_task *each;

	for (each = TAILQ_FIRST(&req->tasks); each; each = TAILQ_NEXT(each, link))
		if (can_end(each, answer))
			waiting_wake_later(each, answer);
	if (can_end(&req->handler, answer))
		request_wake(&req->handler, answer);
}

/* Tells those that were cancelled, and what they have spawned, which stands behind them. */
static void tell_canceled(struct ag_request *req)
{
	struct ag_task *each;

	for (each = TAILQ_FIRST(&req->tasks); each; each = TAILQ_NEXT(each, link)) {
		each->canceled |= each->parent->canceled;
		if (each->canceled && can_end(each, AG_CANCELED))
			waiting_wake_later(each, AG_CANCELED);
	}
}

void waiting_cancel(struct ag_task *parent, struct ag_task *task)
{
	struct ag_task *each;

	for (each = TAILQ_FIRST(&parent->req->tasks); each; each = TAILQ_NEXT(each, link))
		each->canceled |= task ? each == task : each->parent == parent;
	tell_canceled(parent->req);
}
