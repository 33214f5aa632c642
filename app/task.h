/*
 * Tasks: functions that run on stacks of their own and can be left in the middle (coroutines). The
 * worker's thread runs one at a time; a switch saves the registers the ABI asks for and makes no
 * system call. Stacks are mapped once and pooled; below each lies a guard page, so an overflow
 * faults, and task_is_overflow() tells it from other faults.
 */
#ifndef APP_TASK_H
#define APP_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct task;

/* The control words of a processor's floating-point units. */
struct task_control {
	uint32_t sse;
	uint16_t x87;
};

/* Stacks for tasks; one pool per worker. */
struct task_pool {
	struct task *idle;    /* stacks kept for the next task, most recently used first */
	struct task *running; /* the task on the processor, or NULL: the worker's own stack */
	size_t stack_size;    /* bytes of address space of a stack, a whole number of pages */
	unsigned idle_count;
	unsigned mapped;             /* stacks in all */
	void *home_sp;               /* where a task goes when it suspends */
	struct task_control control; /* the worker's own */
	void *home_fake;             /* AddressSanitizer's view of the worker's own stack */
	const void *home_bottom;
	size_t home_size;
};

/* An empty pool; `stack_size` is rounded up to whole pages. */
void task_pool_init(struct task_pool *pool, size_t stack_size);

/* Unmaps the idle stacks; none may be running or suspended. */
void task_pool_free(struct task_pool *pool);

/* Gives back to the system the pages that idle stacks touched below their warm top. */
void task_pool_trim(struct task_pool *pool);

/*
 * Starts function(argument) on a stack and returns when it first suspends or ends; `*task` is set
 * before it runs and is valid until the function has returned. False: no memory for a stack,
 * nothing ran. Call on the worker's own stack.
 */
bool task_start(
        struct task_pool *pool, struct task **task, void (*function)(void *), void *argument);

/* Goes on with a suspended task until it suspends again or ends. On the worker's own stack only. */
void task_resume(struct task *task);

/* Leaves the running task; returns when somebody resumes it. In a task only. */
void task_suspend(struct task_pool *pool);

/* Whether an access to `address` that faulted was the running task's, beyond its stack's end. For
 * signal handlers too. */
bool task_is_overflow(const struct task_pool *pool, const void *address);

#endif
