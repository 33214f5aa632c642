#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xmmintrin.h>

#include "app/task.h"
#include "tests/support/support.h"

SUITE(task);

#define STACK (256u * 1024)
#define TASKS 16

static struct task_pool pool;

/* What the tasks did, a letter for each step. */
static char trace[256];

static void note(char letter)
{
	size_t length = strlen(trace);

	cr_assert_lt(length, sizeof trace - 1);
	trace[length] = letter;
}

static struct walker {
	char letter;
	unsigned steps;
	struct task *task;
	const void *stack; /* an address on its stack */
	bool over;
} walkers[TASKS];

static void walk(void *argument)
{
	struct walker *walker = argument;
	volatile unsigned kept[64];

	for (unsigned i = 0; i < COUNT(kept); i++)
		kept[i] = i * 7 + (unsigned char)walker->letter;
	walker->stack = __builtin_frame_address(0);
	for (unsigned i = 0; i < walker->steps; i++) {
		note(walker->letter);
		task_suspend(&pool);
	}
	for (unsigned i = 0; i < COUNT(kept); i++)
		cr_expect_eq(kept[i], i * 7 + (unsigned char)walker->letter);
	note((char)(walker->letter - 'a' + 'A'));
	walker->over = true;
}

static void start(char letter, unsigned steps)
{
	struct walker *walker = &walkers[letter - 'a'];

	*walker = (struct walker){ .letter = letter, .steps = steps };
	cr_assert(task_start(&pool, &walker->task, walk, walker));
	cr_expect_null(pool.running);
}

static void go_on(char letter)
{
	task_resume(walkers[letter - 'a'].task);
	cr_expect_null(pool.running);
}

/* "a3" starts a, which suspends three times; "a." resumes it. In capitals: it ended. */
static const struct {
	const char *name, *steps, *trace;
	unsigned mapped; /* stacks at the end */
} rows[] = {
	{ "ends at once", "a0", "A", 1 },
	{ "suspends once", "a1 a.", "aA", 1 },
	{ "one after the other", "a0 b0 c0", "ABC", 1 },
	{ "two, in turn", "a2 b2 a. b. a. b.", "ababAB", 2 },
	{ "three, crossed", "a1 b2 c1 b. c. a. b.", "abcbCAB", 3 },
	{ "started between", "a2 a. b1 a. b.", "aabAB", 2 },
};

Test(task, order)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		memset(trace, 0, sizeof trace);
		task_pool_init(&pool, STACK);
		for (const char *at = rows[i].steps; *at; at += at[2] ? 3 : 2)
			if (at[1] == '.')
				go_on(at[0]);
			else
				start(at[0], (unsigned)(at[1] - '0'));
		cr_expect_str_eq(trace, rows[i].trace, "%s: %s", rows[i].name, trace);
		cr_expect_eq(pool.mapped, rows[i].mapped, "%s: %u", rows[i].name, pool.mapped);
		cr_expect_eq(pool.idle_count, pool.mapped, "%s", rows[i].name);
		task_pool_free(&pool);
		cr_expect_eq(pool.mapped, 0, "%s", rows[i].name);
	}
}

Test(task, many_interleaved)
{
	unsigned left = TASKS;

	task_pool_init(&pool, STACK);
	for (int i = 0; i < TASKS; i++)
		start((char)('a' + i), (unsigned)(i % 5 + 1));
	for (unsigned turn = 0; left; turn += 7) {
		struct walker *walker = &walkers[turn % TASKS];

		if (walker->over)
			continue;
		go_on(walker->letter);
		left -= walker->over;
	}
	cr_expect_eq(pool.mapped, TASKS);
	for (int i = 0; i < TASKS; i++)
		for (int k = 0; k < i; k++)
			cr_expect_neq(walkers[i].stack, walkers[k].stack);
	task_pool_free(&pool);
}

Test(task, last_stack_is_used_first)
{
	task_pool_init(&pool, STACK);
	start('a', 1);
	start('b', 1);
	start('c', 1);
	go_on('b');
	go_on('c');
	go_on('a');
	start('d', 0);
	cr_expect_eq(walkers[3].stack, walkers[0].stack, "a's, which ended last");
	start('d', 1);
	start('e', 1);
	start('f', 1);
	cr_expect_eq(walkers[3].stack, walkers[0].stack);
	cr_expect_eq(walkers[4].stack, walkers[2].stack);
	cr_expect_eq(walkers[5].stack, walkers[1].stack);
	go_on('d');
	go_on('e');
	go_on('f');
	cr_expect_eq(pool.mapped, 3);
	task_pool_free(&pool);
}

/* ---- registers ---- */

/* Calls task_suspend or task_resume with marks in all callee-saved registers that a compiler may
 * hold; returns how many of them came back changed. rbp is the frame's: the call returns. */
static unsigned marked_call(void (*function)(void *), void *argument, uint64_t mark)
{
	uint64_t changed;

	__asm__ volatile(
	        "	movq %[mark], %%rbx\n"
	        "	leaq 1(%[mark]), %%r12\n"
	        "	leaq 2(%[mark]), %%r13\n"
	        "	leaq 3(%[mark]), %%r14\n"
	        "	leaq 4(%[mark]), %%r15\n"
	        "	leaq -128(%%rsp), %%rsp\n" /* the red zone */
	        "	pushq %[mark]\n"
	        "	movq %%rsp, %%rax\n"
	        "	andq $-16, %%rsp\n"
	        "	pushq %%rax\n"
	        "	pushq %%rax\n"
	        "	call *%[function]\n"
	        "	popq %%rax\n"
	        "	movq %%rax, %%rsp\n"
	        "	popq %%rcx\n"
	        "	leaq 128(%%rsp), %%rsp\n"
	        "	subq %%rcx, %%rbx\n"
	        "	subq %%rcx, %%r12\n"
	        "	subq %%rcx, %%r13\n"
	        "	subq %%rcx, %%r14\n"
	        "	subq %%rcx, %%r15\n"
	        "	xorq $1, %%r12\n"
	        "	xorq $2, %%r13\n"
	        "	xorq $3, %%r14\n"
	        "	xorq $4, %%r15\n"
	        "	orq %%r12, %%rbx\n"
	        "	orq %%r13, %%rbx\n"
	        "	orq %%r14, %%rbx\n"
	        "	orq %%r15, %%rbx\n"
	        "	movq %%rbx, %%rax\n"
	        : "=&a"(changed), "+D"(argument), [function] "+S"(function), [mark] "+d"(mark)
	        :
	        : "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory",
	        "cc");
	return changed != 0;
}

static void suspend(void *argument)
{
	task_suspend(argument);
}

static void resume(void *argument)
{
	task_resume(argument);
}

static unsigned task_changed;

static void keeps_registers(void *argument)
{
	(void)argument;
	for (int i = 0; i < 3; i++)
		task_changed += marked_call(suspend, &pool, 0xaaaa000000000000 + (unsigned)i * 256);
}

Test(task, registers)
{
	struct task *task;
	unsigned changed = 0;

	task_pool_init(&pool, STACK);
	cr_assert(task_start(&pool, &task, keeps_registers, NULL));
	for (int i = 0; i < 3; i++)
		changed += marked_call(resume, task, 0x5555000000000000 + (unsigned)i * 256);
	cr_expect_eq(changed, 0, "of the worker's");
	cr_expect_eq(task_changed, 0, "of the task's");
	cr_expect_eq(pool.idle_count, 1);
	task_pool_free(&pool);
}

/* Rounding, in both control words: 0 to nearest, 1 down, 2 up, 3 towards zero. */
static void set_rounding(unsigned how)
{
	uint16_t word;

	__asm__ volatile("fnstcw %0" : "=m"(word));
	word = (uint16_t)((word & ~0xc00u) | how << 10);
	__asm__ volatile("fldcw %0" ::"m"(word));
	_mm_setcsr((_mm_getcsr() & ~0x6000u) | how << 13);
}

/* What is set, or 4 where the two words differ. */
static unsigned get_rounding(void)
{
	uint16_t word;

	__asm__ volatile("fnstcw %0" : "=m"(word));
	unsigned how = word >> 10 & 3;

	return how == (_mm_getcsr() >> 13 & 3) ? how : 4;
}

static unsigned rounding[3];

static void rounds_down(void *argument)
{
	(void)argument;
	rounding[0] = get_rounding();
	set_rounding(1);
	task_suspend(&pool);
	rounding[1] = get_rounding();
}

static void rounds(void *argument)
{
	(void)argument;
	rounding[2] = get_rounding();
}

/*
 * The ABI counts the control words among what calls keep: the worker and other tasks keep theirs
 * whatever a task does before it waits or ends, and it keeps its own.
 */
Test(task, control_words)
{
	struct task *task, *other;

	set_rounding(2);
	task_pool_init(&pool, STACK);
	cr_assert(task_start(&pool, &task, rounds_down, NULL));
	unsigned waiting = get_rounding();

	cr_assert(task_start(&pool, &other, rounds, NULL));
	task_resume(task);
	unsigned over = get_rounding();

	set_rounding(0);
	cr_expect_eq(waiting, 2, "of the worker while it waits: %u", waiting);
	cr_expect_eq(over, 2, "of the worker when it is over: %u", over);
	cr_expect_eq(rounding[0], 2, "of a new task: %u", rounding[0]);
	cr_expect_eq(rounding[1], 1, "of a task that went on: %u", rounding[1]);
	cr_expect_eq(rounding[2], 2, "of another one: %u", rounding[2]);
	task_pool_free(&pool);
}

/* ---- stacks ---- */

/* Touches `bytes` of the stack from here down. */
static void go_deep(void *argument)
{
	size_t bytes = *(size_t *)argument;
	volatile char *block = __builtin_alloca(bytes);

	for (size_t i = 0; i < bytes; i += 512)
		block[i] = 1;
	walkers[0].stack = __builtin_frame_address(0);
}

/* Pages of the stack under `top` that are in memory. */
static unsigned pages_in_memory(const void *top)
{
	static unsigned char pages[STACK / 4096];
	uintptr_t end = ((uintptr_t)top + 4095) & ~(uintptr_t)4095;
	unsigned count = 0;

	/* the bottom page is left out: the frame's page is not surely the highest one */
	cr_assert_eq(mincore((void *)(end - STACK + 8192), STACK - 8192, pages), 0);
	for (size_t i = 0; i < (STACK - 8192) / 4096; i++)
		count += pages[i] & 1;
	return count;
}

Test(task, trim_gives_pages_back)
{
	size_t deep = STACK - 64 * 1024;
	struct task *task;

	task_pool_init(&pool, STACK);
	for (int i = 0; i < 2; i++) {
		cr_assert(task_start(&pool, &task, go_deep, &deep));
		cr_expect_geq(pages_in_memory(walkers[0].stack), deep / 4096);
		task_pool_trim(&pool);
		cr_expect_leq(pages_in_memory(walkers[0].stack), 4, "the warm top");
		cr_expect_eq(pool.mapped, 1);
	}
	task_pool_free(&pool);
}

static void waits(void *argument)
{
	(void)argument;
	task_suspend(&pool);
}

Test(task, trim_unmaps_all_but_64)
{
	static struct task *tasks[100];

	task_pool_init(&pool, 32 * 1024);
	for (size_t i = 0; i < COUNT(tasks); i++)
		cr_assert(task_start(&pool, &tasks[i], waits, NULL));
	task_pool_trim(&pool);
	cr_expect_eq(pool.mapped, 100, "none is idle");
	for (size_t i = 0; i < COUNT(tasks); i++)
		task_resume(tasks[i]);
	cr_expect_eq(pool.idle_count, 100);
	task_pool_trim(&pool);
	cr_expect_eq(pool.mapped, 64);
	cr_expect_eq(pool.idle_count, 64);
	task_pool_free(&pool);
	cr_expect_eq(pool.mapped, 0);
}

Test(task, stack_size_is_whole_pages)
{
	static const size_t sizes[][2] = { { 1, 4096 }, { 4096, 4096 }, { 4097, 8192 },
		{ STACK, STACK } };

	for (size_t i = 0; i < COUNT(sizes); i++) {
		task_pool_init(&pool, sizes[i][0]);
		cr_expect_eq(pool.stack_size, sizes[i][1], "%zu", sizes[i][0]);
	}
}

/* ---- in processes of their own ---- */

static void forbid_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { COUNT(filter), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(2);
}

static void suspends_often(void *argument)
{
	for (unsigned *turns = argument; *turns < 1000; ++*turns)
		task_suspend(&pool);
}

/* AddressSanitizer's two calls around a switch make none either, nor does starting on an idle
 * stack: only a stack's first use maps it. */
Test(task, switches_without_a_system_call)
{
	unsigned turns = 1000;
	struct task *task;
	int status;

	task_pool_init(&pool, STACK);
	cr_assert(task_start(&pool, &task, suspends_often, &turns));
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		forbid_calls();
		turns = 0;
		task_start(&pool, &task, suspends_often, &turns);
		while (turns < 1000)
			task_resume(task);
		syscall(SYS_exit_group, 0); /* before _exit, AddressSanitizer makes a call */
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
	task_pool_free(&pool);
}

/* ---- where the guard lies ---- */

/* From the stack's bottom. */
static const struct {
	long offset;
	bool overflow;
} guard_rows[] = {
	{ 0, false },
	{ STACK - 1, false },
	{ -1, true },
	{ -65536, true },
	{ -65537, false },
};

static const char *bottom; /* of the running task's stack */

static void asks_for_the_guard(void *argument)
{
	(void)argument;
	bottom = (const char *)((((uintptr_t)pool.running + 4095) & ~(uintptr_t)4095) - STACK);
	for (size_t i = 0; i < COUNT(guard_rows); i++)
		cr_expect_eq(task_is_overflow(&pool, bottom + guard_rows[i].offset),
		        guard_rows[i].overflow, "%ld", guard_rows[i].offset);
}

Test(task, is_overflow)
{
	struct task *task;

	task_pool_init(&pool, STACK);
	cr_assert(task_start(&pool, &task, asks_for_the_guard, NULL));
	cr_expect(bottom && !task_is_overflow(&pool, bottom - 1), "no task runs");
	task_pool_free(&pool);
}
