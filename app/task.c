#include "task.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
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
 * void task_switch(void **save, void *load): saves what the System V ABI keeps across calls on the
 * stack, its pointer in *save, and takes up the stack `load`.
 */
void task_switch(void **save, void *load);
void task_entry(void);

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
        ".hidden task_switch\n"
        ".globl task_switch\n"
        ".type task_switch, @function\n"
        "task_switch:\n"
        "	pushq %rbp\n"
        "	pushq %rbx\n"
        "	pushq %r12\n"
        "	pushq %r13\n"
        "	pushq %r14\n"
        "	pushq %r15\n"
        "	subq $8, %rsp\n"
        "	stmxcsr (%rsp)\n"
        "	fnstcw 4(%rsp)\n"
        "	movq %rsp, (%rdi)\n"
        "	movq %rsi, %rsp\n"
        "	ldmxcsr (%rsp)\n"
        "	fldcw 4(%rsp)\n"
        "	addq $8, %rsp\n"
        "	popq %r15\n"
        "	popq %r14\n"
        "	popq %r13\n"
        "	popq %r12\n"
        "	popq %rbx\n"
        "	popq %rbp\n"
        "	ret\n"
        ".size task_switch, .-task_switch\n"
        /* where a new task begins: its own pointer is in rbx */
        ".hidden task_entry\n"
        ".globl task_entry\n"
        ".type task_entry, @function\n"
        "task_entry:\n"
        "	movq %rbx, %rdi\n"
        "	call task_main\n"
        "	ud2\n"
        ".size task_entry, .-task_entry\n"
        ".popsection\n");

/* The words that task_switch pops, lowest first: control words, r15 to r12, rbx, rbp, return. */
static void *first_frame(struct task *task)
{
	uint64_t *sp = (uint64_t *)((uintptr_t)task & ~(uintptr_t)15) - 2;
	const uint64_t frame[] = { 0x1f80 | UINT64_C(0x037f) << 32, 0, 0, 0, 0,
		(uint64_t)(uintptr_t)task, 0, (uint64_t)(uintptr_t)task_entry };

	sp -= sizeof(frame) / sizeof(*frame);
	memcpy(sp, frame, sizeof(frame));
	return sp;
}
#else
#error "anygate runs on x86-64: give this processor a task_switch and a first_frame here"
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

void task_main(struct task *task);

/* Runs on the task's stack, from task_entry; never returns. */
__attribute__((used)) void task_main(struct task *task)
{
	struct task_pool *pool = task->pool;

	arrive_task(task);
	task->function(task->argument);
	task->over = true;
	leave_task(task);
	task_switch(&task->sp, pool->home_sp);
	abort();
}

void task_pool_init(struct task_pool *pool, size_t stack_size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	*pool = (struct task_pool){ .stack_size = (stack_size + page - 1) / page * page };
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

bool task_start(
        struct task_pool *pool, struct task **started, void (*function)(void *), void *argument)
{
	struct task *task = pool->idle;

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
	task->sp = first_frame(task);
	*started = task;
	task_resume(task);
	return true;
}

void task_resume(struct task *task)
{
	struct task_pool *pool = task->pool;

	assert(!pool->running && !task->over);
	pool->running = task;
	leave_home(pool, task);
	task_switch(&pool->home_sp, task->sp);
	arrive_home(pool);
	pool->running = NULL;
	if (!task->over)
		return;
	task->next = pool->idle;
	pool->idle = task;
	pool->idle_count++;
}

void task_suspend(struct task_pool *pool)
{
	struct task *task = pool->running;

	assert(task);
	leave_task(task);
	task_switch(&task->sp, pool->home_sp);
	arrive_task(task);
}

bool task_is_overflow(const struct task_pool *pool, const void *address)
{
	const struct task *task = pool->running;
	const char *at = address;

	return task && at >= stack_bottom(task) - GUARD && at < stack_bottom(task);
}
