/* Records of crashes: what a worker writes when it faults, or is asked. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/request.h"
#include "daemon/config.h"
#include "daemon/crash.h"
#include "daemon/symbols.h"
#include "tests/support/loopback.h"

SUITE(crash);

#define STACK (256u * 1024)

static const struct daemon_config as_we_are;
static struct runtime runtime;

static struct crash *shared_record(void)
{
	struct crash *crash = mmap(
	        NULL, sizeof *crash, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(crash, MAP_FAILED);
	return crash;
}

/* ---- what a worker writes ---- */

/* Not NULL, which UndefinedBehaviorSanitizer would find first. */
static char *volatile nowhere = (char *)8;
static volatile int zero;

__attribute__((noinline)) static void recurs(void *argument)
{
	volatile char block[1024];

	block[0] = *(char *)argument;
	if (!block[0]) /* it never is not */
		recurs((void *)block);
	block[1] = block[0];
}

__attribute__((noinline)) static void writes_nowhere(void *argument)
{
	*nowhere = *(char *)argument;
}

__attribute__((noinline)) static void aborts(void *argument)
{
	(void)argument;
	abort();
}

__attribute__((noinline)) static void traps(void *argument)
{
	(void)argument;
	__asm__ volatile("int3");
}

__attribute__((noinline)) static void is_illegal(void *argument)
{
	(void)argument;
	__asm__ volatile("ud2");
}

__attribute__((noinline)) static void divides(void *argument)
{
	(void)argument;
	__asm__ volatile("xorl %%edx, %%edx\n movl $1, %%eax\n divl %0" ::"m"(zero) : "eax", "edx");
}

__attribute__((noinline)) static void is_sent_one(void *argument)
{
	(void)argument;
	raise(SIGSEGV);
}

/* Without a stack there are no callers: the unwinder faults. */
__attribute__((noinline)) static void loses_its_stack(void *argument)
{
	(void)argument;
	__asm__ volatile("movq $4096, %%rsp\n movq $4096, %%rbp\n movl $0, 0\n" ::: "memory");
}

/* A call from there finds nothing to go back to either. */
__attribute__((noinline)) static void loses_its_way(void *argument)
{
	(void)argument;
	__asm__ volatile("movq $4096, %%rsp\n xorl %%eax, %%eax\n jmp *%%rax\n" ::: "memory");
}

__attribute__((noinline)) static void calls_nothing(void *argument)
{
	void (*volatile function)(void *) = NULL;

	function(argument);
	zero++;
}

__attribute__((noinline)) static void is_asked(void *argument)
{
	(void)argument;
	raise(CRASH_PROBE);
}

__attribute__((noinline)) static void *faults_alone(void *argument)
{
	writes_nowhere(argument);
	return NULL;
}

/* A thread of the application's has no stack for signals of its own. */
__attribute__((noinline)) static void has_threads(void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, faults_alone, argument) == 0)
		pthread_join(thread, NULL);
}

static void goes_on(void *argument)
{
	(void)argument;
}

static const struct fault_row {
	const char *name;
	void (*function)(void *);
	bool in_task;
	int signal;      /* 0: it lives on */
	uint32_t record; /* the record's signal */
	bool overflow;
	const char *frame; /* a function of the backtrace, or NULL */
} fault_rows[] = {
	{ "recursion without bound", recurs, true, SIGSEGV, SIGSEGV, true, "recurs" },
	{ "a fault in a task", writes_nowhere, true, SIGSEGV, SIGSEGV, false, "writes_nowhere" },
	{ "on the worker's stack", writes_nowhere, false, SIGSEGV, SIGSEGV, false, "run_fault" },
	{ "abort", aborts, true, SIGABRT, SIGABRT, false, "aborts" },
	{ "trap", traps, true, SIGTRAP, SIGTRAP, false, "traps" },
	{ "illegal instruction", is_illegal, true, SIGILL, SIGILL, false, "is_illegal" },
	{ "division", divides, true, SIGFPE, SIGFPE, false, "divides" },
	{ "a signal sent", is_sent_one, true, SIGSEGV, SIGSEGV, false, "is_sent_one" },
	{ "no stack", loses_its_stack, true, SIGSEGV, SIGSEGV, false, "loses_its_stack" },
	{ "no stack, no code", loses_its_way, true, SIGSEGV, SIGSEGV, false, NULL },
	{ "call of no function", calls_nothing, true, SIGSEGV, SIGSEGV, false, "calls_nothing" },
	{ "in a thread", has_threads, true, SIGSEGV, SIGSEGV, false, "faults_alone" },
	{ "asked", is_asked, true, 0, CRASH_PROBE, false, "is_asked" },
	{ "asked outside of a task", is_asked, false, 0, CRASH_PROBE, false, "run_fault" },
	{ "nothing", goes_on, true, 0, 0, false, NULL },
};

/* What the worker's lists are when memory is broken. */
static void walk_nowhere(const void *data, struct crash *crash)
{
	(void)data;
	crash->others_in_all = 7;
	*nowhere = 1;
}

/* AddressSanitizer's own handlers would make an exit of the signal. */
static void be_plain(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP };

	for (size_t i = 0; i < COUNT(signals); i++)
		signal(signals[i], SIG_DFL);
}

__attribute__((noinline)) static void run_fault(const struct fault_row *row, struct crash *crash)
{
	static char none;
	struct task *task;

	be_plain();
	task_pool_init(&runtime.tasks, STACK);
	if (!crash_catch(crash, &runtime, walk_nowhere, NULL))
		_exit(2);
	if (row->in_task)
		task_start(&runtime.tasks, &task, row->function, &none);
	else
		row->function(&none);
	_exit(0);
}

static bool names(const struct symbol *symbols, size_t count, const char *function)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(symbols[i].function, function) == 0 && symbols[i].line)
			return true;
	return false;
}

static void check_record(const struct fault_row *row, const struct crash *crash)
{
	struct symbol symbols[CRASH_FRAMES];

	cr_expect_eq(crash->signal, row->record, "%s: signal %u", row->name, crash->signal);
	cr_expect_eq(crash->stage, row->record ? CRASH_WHOLE : CRASH_NOTHING, "%s: %u", row->name,
	        crash->stage);
	cr_expect_eq(crash->others_in_all, row->record ? 7 : 0, "%s", row->name);
	cr_expect_eq(crash->overflow, row->overflow, "%s", row->name);
	cr_expect_eq(crash->frame_count > 0, row->record != 0, "%s", row->name);
	cr_assert_leq(crash->frame_count, CRASH_FRAMES);
	symbols_find(crash->frames, crash->frame_count, &as_we_are, symbols);
	if (row->frame)
		cr_expect(names(symbols, crash->frame_count, row->frame), "%s: #0 %s of %u frames",
		        row->name, symbols[0].function, crash->frame_count);
}

/* Runs it in a process of its own; returns what wait(2) says. */
static int make_record(const struct fault_row *row, struct crash *crash)
{
	int status;

	memset(crash, 0, sizeof *crash);
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0)
		run_fault(row, crash);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

Test(crash, faults, .timeout = 60)
{
	struct crash *crash = shared_record();

	for (size_t i = 0; i < COUNT(fault_rows); i++) {
		const struct fault_row *row = &fault_rows[i];
		int status = make_record(row, crash);

		cr_expect_eq(WIFSIGNALED(status) ? WTERMSIG(status) : 0, row->signal,
		        "%s: status %x", row->name, (unsigned)status);
		check_record(row, crash);
	}
	munmap(crash, sizeof *crash);
}

/* Names from another build of the file would be wrong ones. */
Test(crash, changed_module, .timeout = 60)
{
	struct crash *crash = shared_record();
	struct symbol symbols[1];

	make_record(&fault_rows[1], crash);
	symbols_find(crash->frames, 1, &as_we_are, symbols);
	cr_expect_str_eq(symbols[0].function, "writes_nowhere");
	cr_expect_eq(symbols[0].changed, 0);
	crash->frames[0].build[CRASH_BUILD - 1] ^= 1;
	symbols_find(crash->frames, 1, &as_we_are, symbols);
	cr_expect_str_eq(symbols[0].function, "");
	cr_expect_neq(symbols[0].changed, 0);
	memset(crash->frames[0].build, 0, CRASH_BUILD);
	symbols_find(crash->frames, 1, &as_we_are, symbols);
	cr_expect_str_eq(symbols[0].function, "writes_nowhere", "it has none to compare");
	munmap(crash, sizeof *crash);
}

/* ---- what requests are called ---- */

#define TEN   "0123456789"
#define FIFTY TEN TEN TEN TEN TEN

static const struct {
	const char *method, *uri, *path; /* uri or path: NULL for none */
	const char *says_method, *says_uri;
} name_rows[] = {
	{ "GET", "/a/b?c=d", NULL, "GET", "/a/b?c=d" },
	{ "GET", NULL, "/a/b", "GET", "/a/b" },
	{ "GET", "/" FIFTY FIFTY TEN "x", NULL, "GET", "/" FIFTY FIFTY TEN },
	{ "VERSION-CONTROLS", "/", NULL, "VERSION-CONTROL", "/" },
	{ "BASELINE-CONTROL", "/", NULL, "BASELINE-CONTRO", "/" },
};

Test(crash, names_of_requests)
{
	static struct loopback loop;
	struct running running;

	for (size_t i = 0; i < COUNT(name_rows); i++) {
		loopback_open(&loop);
		loopback_mount(&loop, "/a");
		const char *uri = name_rows[i].uri, *path = name_rows[i].path;

		loopback_head(
		        &loop, PAIRS({ "REQUEST_METHOD", name_rows[i].method },
		                       { uri ? "REQUEST_URI" : "PATH_INFO", uri ? uri : path }));
		memset(&running, 0x55, sizeof running);
		running_set(&running, loop.req);
		cr_expect_str_eq(running.method, name_rows[i].says_method, "%s", running.method);
		cr_expect_str_eq(running.uri, name_rows[i].says_uri, "%s", running.uri);
		cr_expect_eq(running.since, loop.req->since / 1000);
		loopback_drop(&loop);
		loopback_close(&loop);
	}
}

/* ---- asking ---- */

static void no_requests(const void *data, struct crash *crash)
{
	(void)data;
	(void)crash;
}

/* A process that says when it is ready, and then does nothing else. */
static pid_t start_idler(struct crash *crash, bool listens)
{
	int ends[2];
	char byte;

	cr_assert_eq(pipe(ends), 0);
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		sigset_t all;

		sigfillset(&all);
		if (!crash_catch(crash, &runtime, no_requests, NULL) ||
		        (!listens && sigprocmask(SIG_SETMASK, &all, NULL) < 0) ||
		        write(ends[1], "1", 1) != 1)
			_exit(2);
		for (;;)
			pause();
	}
	cr_assert_eq(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

Test(crash, ask, .timeout = 60)
{
	struct crash *crash = shared_record();
	pid_t pid = start_idler(crash, true);

	for (int i = 0; i < 3; i++) {
		cr_expect(crash_ask(crash, pid, PATIENCE), "time %d", i);
		cr_expect_eq(crash->signal, CRASH_PROBE);
		cr_expect_gt(crash->frame_count, 1);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_expect_not(crash_ask(crash, pid, PATIENCE), "nobody is there");
	cr_expect_eq(crash->signal, 0);
	pid = start_idler(crash, false);
	cr_expect_not(crash_ask(crash, pid, 20), "it does not hear");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(crash, sizeof *crash);
}
