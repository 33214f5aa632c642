#include "task.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef ANYGATE_SANITIZED
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

/* Below a stack; wider than a page, so that a large frame does not step over it. */
#define GUARD 65536

/* The top of an idle stack that keeps its pages: what most handlers touch. */
#define WARM 16384

/* Idle stacks that a trim leaves mapped. */
#define IDLE_MAX 64

/* Lies at the top of its own stack. */
struct task {
	void *sp; /* while it does not run */
	struct task_pool *pool;
	struct task *next; /* idle */
	void (*function)(void *);
	void *argument;
	void *fake_stack; /* AddressSanitizer's */
	bool over;
	bool touched; /* ran since the last trim */
};

/*
 * What the System V ABI keeps across calls is pushed on the stack that is left, whose pointer goes
 * to *save, and popped from the one that is taken up. task_begin takes up a new one, beginning with
 * task_main(task); task_return takes one up and leaves a stack for good.
 */
void task_switch(void **save, void *load);
void task_begin(void **save, void *stack, struct task *task);
void task_return(void *load);
void task_main(struct task *task);

#if defined(__x86_64__)
#define FUNCTION(name) ".hidden " name "\n.globl " name "\n.type " name ", @function\n" name ":\n"
#define PUSH           "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
#define POP            "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\n"

/* clang-format off */
__asm__(".pushsection .text\n"
        FUNCTION("task_switch")
        PUSH
        "movq %rsp, (%rdi)\n"
        "movq %rsi, %rdi\n"
        FUNCTION("task_return") /* goes on here */
        "movq %rdi, %rsp\n"
        POP
        "ret\n"
        ".size task_switch, .-task_switch\n"
        ".size task_return, .-task_return\n"
        FUNCTION("task_begin")
        PUSH
        "movq %rsp, (%rdi)\n"
        "movq %rsi, %rsp\n"
        "movq %rdx, %rdi\n"
        "xorl %ebp, %ebp\n" /* no frame above */
        "call task_main\n"
        "ud2\n"
        ".size task_begin, .-task_begin\n"
        ".popsection\n");
/* clang-format on */

/*
 * The control words of the SSE and x87 units: rounding, and which exceptions trap. The ABI has them
 * kept by functions too, so none of ours changes them, and a switch need not; a task's function may
 * have done so when it waits, and may even have forgotten it when it ends.
 */
static inline struct task_control control_get(void)
{
	struct task_control control;

	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(control.sse), "=m"(control.x87));
	return control;
}

static inline void control_set(const struct task_control *control)
{
	__asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(control->sse), "m"(control->x87));
}
#else
#error "anygate runs on x86-64: give this processor what is above here"
#endif

static char *stack_bottom(const struct task *task)
{
	return (char *)(task + 1) - task->pool->stack_size;
}

/* The pair of calls around every switch tells AddressSanitizer whose stack it is on. */
static void leave_home(struct task_pool *pool, struct task *task)
{
#ifdef ANYGATE_SANITIZED
	__sanitizer_start_switch_fiber(&pool->home_fake, stack_bottom(task), pool->stack_size);
#else
	(void)pool;
	(void)task;
#endif
}

static void arrive_home(struct task_pool *pool)
{
#ifdef ANYGATE_SANITIZED
	__sanitizer_finish_switch_fiber(pool->home_fake, NULL, NULL);
#else
	(void)pool;
#endif
}

static void leave_task(struct task *task)
{
#ifdef ANYGATE_SANITIZED
	__sanitizer_start_switch_fiber(task->over ? NULL : &task->fake_stack,
	        task->pool->home_bottom, task->pool->home_size);
#else
	(void)task;
#endif
}

static void arrive_task(struct task *task)
{
#ifdef ANYGATE_SANITIZED
	__sanitizer_finish_switch_fiber(
	        task->fake_stack, &task->pool->home_bottom, &task->pool->home_size);
#else
	(void)task;
#endif
}

/* Runs on the task's stack, from task_begin. */
__attribute__((used)) void task_main(struct task *task)
{
	struct task_pool *pool = task->pool;

	arrive_task(task);
	task->function(task->argument);
	task->over = true;
	control_set(&pool->control);
	leave_task(task);
	task_return(pool->home_sp);
	abort();
}

void task_pool_init(struct task_pool *pool, size_t stack_size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	*pool = (struct task_pool){ .stack_size = (stack_size + page - 1) / page * page,
		.control = control_get() };
}

static struct task *stack_map(struct task_pool *pool)
{
	size_t size = GUARD + pool->stack_size;
	char *low = mmap(NULL, size, PROT_NONE,
	        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (low == MAP_FAILED)
		return NULL;
	if (mprotect(low + GUARD, pool->stack_size, PROT_READ | PROT_WRITE) < 0) {
		munmap(low, size);
		return NULL;
	}
	struct task *task = (struct task *)(low + size) - 1;

	task->pool = pool;
	pool->mapped++;
	return task;
}

static void stack_unmap(struct task *task)
{
	struct task_pool *pool = task->pool;
	char *bottom = stack_bottom(task);

#ifdef ANYGATE_SANITIZED
	__asan_unpoison_memory_region(bottom, pool->stack_size);
#endif
	munmap(bottom - GUARD, GUARD + pool->stack_size);
	pool->mapped--;
}

void task_pool_free(struct task_pool *pool)
{
	while (pool->idle) {
		struct task *task = pool->idle;

		pool->idle = task->next;
		stack_unmap(task);
	}
	pool->idle_count = 0;
}

void task_pool_trim(struct task_pool *pool)
{
	struct task **link = &pool->idle;

	for (unsigned kept = 0; *link && kept < IDLE_MAX; kept++, link = &(*link)->next) {
		if (!(*link)->touched || pool->stack_size <= WARM)
			continue;
		(*link)->touched = false;
		madvise(stack_bottom(*link), pool->stack_size - WARM, MADV_DONTNEED);
	}
	while (*link) {
		struct task *task = *link;

		*link = task->next;
		pool->idle_count--;
		stack_unmap(task);
	}
}

/* The task is over, or waits. */
static void come_home(struct task_pool *pool, struct task *task)
{
	arrive_home(pool);
	pool->running = NULL;
	if (!task->over)
		return;
	task->next = pool->idle;
	pool->idle = task;
	pool->idle_count++;
}

bool task_start(
        struct task_pool *pool, struct task **started, void (*function)(void *), void *argument)
{
	struct task *task = pool->idle;

	assert(!pool->running);
	if (task) {
		pool->idle = task->next;
		pool->idle_count--;
	} else {
		task = stack_map(pool);
	}
	if (!task)
		return false;
	task->function = function;
	task->argument = argument;
	task->over = false;
	task->touched = true;
	task->fake_stack = NULL;
	*started = pool->running = task;
	leave_home(pool, task);
	task_begin(&pool->home_sp, (void *)((uintptr_t)task & ~(uintptr_t)15), task);
	come_home(pool, task);
	return true;
}

void task_resume(struct task *task)
{
	struct task_pool *pool = task->pool;

	assert(!pool->running && !task->over);
	pool->running = task;
	leave_home(pool, task);
	task_switch(&pool->home_sp, task->sp);
	come_home(pool, task);
}

void task_suspend(struct task_pool *pool)
{
	struct task *task = pool->running;
	struct task_control own = control_get();

	assert(task);
	control_set(&pool->control);
	leave_task(task);
	task_switch(&task->sp, pool->home_sp);
	arrive_task(task);
	control_set(&own);
}

bool task_is_overflow(const struct task_pool *pool, const void *address)
{
	const struct task *task = pool->running;
	const char *at = address;

	return task && at >= stack_bottom(task) - GUARD && at < stack_bottom(task);
}
