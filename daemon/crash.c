#include "crash.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "../app/request.h"

/* Of the handlers: the unwinder and AddressSanitizer's report take some 10 KiB. */
#define STACK_SIZE (256 * 1024)

/* Own frames and the kernel's between the unwinder's start and what was interrupted. */
#define OWN_FRAMES 32

/* Frames to look at: a recursion's, to see who began it, or a broken stack's, which may be a ring.
 */
#define STEPS_MAX 100000

/* More than a worker can have: the list is a ring. */
#define OTHERS_MAX 1000000

/* What signal handlers work with: they have no argument. */
static struct {
	struct crash *into;
	const struct runtime *runtime;
	crash_walk *walk;
	const void *data;
	pid_t thread;               /* that runs handlers */
	pid_t writer;               /* thread that writes the record, or 0 */
	volatile bool in_step;      /* `way_out` is set */
	void *way_out[5];           /* __builtin_setjmp's */
	char program[CRASH_MODULE]; /* its path, which the loader does not know */
	struct sigaction before[NSIG];
} state;

static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };

/* What was interrupted, and the record of it. */
struct fault {
	struct crash *crash;
	const siginfo_t *info;
	ucontext_t *context;
};

/* ---- what requests are called ---- */

/* Appends; the rest is cut. */
static size_t append(char *to, size_t size, size_t at, const char *from)
{
	while (from && *from && at + 1 < size)
		to[at++] = *from++;
	to[at] = '\0';
	return at;
}

void running_set(struct running *running, const struct ag_request *req)
{
	const struct var *uri = env_known(&req->env, VAR_REQUEST_URI);
	size_t n = 0;

	append(running->method, sizeof(running->method), 0, req->method);
	if (!uri)
		n = append(running->uri, sizeof(running->uri), 0, req->mount);
	append(running->uri, sizeof(running->uri), n, uri ? env_value(uri) : req->path);
	running->since = req->since / 1000;
}

bool crash_other(struct crash *crash, const struct ag_request *req)
{
	if (req == state.runtime->current)
		return true;
	crash->others_in_all++;
	if (crash->other_count < CRASH_OTHERS) {
		running_set(&crash->others[crash->other_count], req);
		crash->other_count++;
	}
	return crash->others_in_all < OTHERS_MAX;
}

/* ---- where it was ---- */

static void copy_build(struct crash_frame *frame, const ElfW(Nhdr) * note, const char *end)
{
	while ((const char *)(note + 1) < end) {
		const char *name = (const char *)(note + 1);
		const char *id = name + (note->n_namesz + 3) / 4 * 4;
		size_t size = note->n_descsz < CRASH_BUILD ? note->n_descsz : CRASH_BUILD;

		if (note->n_type == NT_GNU_BUILD_ID && memcmp(name, "GNU", 4) == 0) {
			memcpy(frame->build, id, size);
			return;
		}
		note = (const ElfW(Nhdr) *)(id + (note->n_descsz + 3) / 4 * 4);
	}
}

/* From the module in memory: its file may be another by now. */
static void find_build(struct crash_frame *frame, const struct dl_find_object *found)
{
	const ElfW(Ehdr) *head = found->dlfo_map_start;
	const ElfW(Phdr) *part = (const ElfW(Phdr) *)((const char *)head + head->e_phoff);

	if (memcmp(head->e_ident, ELFMAG, SELFMAG) != 0)
		return;
	for (unsigned i = 0; i < head->e_phnum; i++) {
		const char *at = (const char *)found->dlfo_link_map->l_addr + part[i].p_vaddr;

		/* one with other padding holds none */
		if (part[i].p_type == PT_NOTE && part[i].p_align == 4)
			copy_build(frame, (const ElfW(Nhdr) *)at, at + part[i].p_memsz);
	}
}

static void add_frame(struct crash *crash, uintptr_t pc)
{
	struct crash_frame *frame = &crash->frames[crash->frame_count];
	bool is_return = crash->frame_count > 0; /* it may be the first of the next function */
	struct dl_find_object found;

	frame->module[0] = '\0';
	frame->offset = pc;
	frame->times = 1;
	memset(frame->build, 0, sizeof(frame->build));
	crash->frame_count++;
	if (_dl_find_object((void *)(pc - is_return), &found) < 0)
		return;
	const char *name = found.dlfo_link_map->l_name;

	append(frame->module, sizeof(frame->module), 0, *name ? name : state.program);
	frame->offset = pc - found.dlfo_link_map->l_addr;
	find_build(frame, &found);
}

struct trace {
	struct crash *crash;
	uintptr_t from; /* where it was interrupted: what comes before is the handler's */
	uintptr_t last;
	unsigned steps;
	bool found;
};

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *data)
{
	struct trace *trace = data;
	uintptr_t pc = _Unwind_GetIP(context);

	trace->found |= pc == trace->from;
	if (++trace->steps > (trace->found ? STEPS_MAX : OWN_FRAMES))
		return _URC_END_OF_STACK;
	if (!trace->found)
		return _URC_NO_REASON;
	if (pc == trace->last) {
		trace->crash->frames[trace->crash->frame_count - 1].times++;
		return _URC_NO_REASON;
	}
	if (trace->crash->frame_count == CRASH_FRAMES)
		return _URC_END_OF_STACK;
	add_frame(trace->crash, pc);
	trace->last = pc;
	return _URC_NO_REASON;
}

/* The call of a bad address has left its mark on the stack only: goes back to the caller. */
static void step_back(const struct fault *fault, greg_t *registers)
{
	if ((uintptr_t)fault->info->si_addr != (uintptr_t)registers[REG_RIP] ||
	        (fault->crash->signal != SIGSEGV && fault->crash->signal != SIGBUS))
		return;
	add_frame(fault->crash, (uintptr_t)registers[REG_RIP]);
	registers[REG_RIP] = *(const greg_t *)registers[REG_RSP];
	registers[REG_RSP] += (greg_t)sizeof(greg_t);
}

static void trace_stack(const struct fault *fault)
{
	greg_t *registers = fault->context->uc_mcontext.gregs;

	step_back(fault, registers);
	struct trace trace = { .crash = fault->crash, .from = (uintptr_t)registers[REG_RIP] };

	_Unwind_Backtrace(on_frame, &trace);
	if (!trace.found)
		add_frame(fault->crash, trace.from);
}

/* ---- the record ---- */

static void name_request(const struct fault *fault)
{
	struct crash *crash = fault->crash;

	if (!state.runtime)
		return;
	crash->overflow = (crash->signal == SIGSEGV || crash->signal == SIGBUS) &&
	                  task_is_overflow(&state.runtime->tasks, fault->info->si_addr);
	if (!state.runtime->current || gettid() != state.thread)
		return;
	crash->ran = true;
	running_set(&crash->request, state.runtime->current);
}

static void name_others(const struct fault *fault)
{
	if (state.runtime)
		state.walk(state.data, fault->crash);
}

/* One step of the record, which a fault of its own ends early: what it reads may be broken. */
__attribute__((noinline)) static void run_step(
        void (*step)(const struct fault *), const struct fault *fault, enum crash_stage stage)
{
	if (__builtin_setjmp(state.way_out) == 0) {
		state.in_step = true;
		step(fault);
	}
	state.in_step = false;
	__atomic_store_n(&state.into->stage, stage, __ATOMIC_RELEASE);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What is needed most comes first. */
static void write_record(int signal, const siginfo_t *info, ucontext_t *context)
{
	struct crash *crash = state.into;
	struct fault fault = { crash, info, context };
	greg_t *registers = context->uc_mcontext.gregs;
	greg_t pc = registers[REG_RIP], sp = registers[REG_RSP];

	crash->stage = CRASH_NOTHING;
	crash->frame_count = crash->other_count = crash->others_in_all = 0;
	crash->ran = crash->overflow = false;
	crash->address = info->si_code > 0 ? (uintptr_t)info->si_addr : 0;
	crash->at = now_ms();
	crash->signal = (uint32_t)signal;
	__atomic_store_n(&crash->stage, CRASH_SIGNAL, __ATOMIC_RELEASE);
	run_step(name_request, &fault, CRASH_REQUEST);
	run_step(trace_stack, &fault, CRASH_TRACED);
	registers[REG_RIP] = pc; /* trace_stack may have stepped back */
	registers[REG_RSP] = sp;
	run_step(name_others, &fault, CRASH_WHOLE);
}

/* ---- signals ---- */

static bool take_pen(pid_t thread)
{
	pid_t nobody = 0;

	return __atomic_compare_exchange_n(
	        &state.writer, &nobody, thread, false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE);
}

/* With whatever handled it before us. A fault comes again by itself, others do not. */
static void die(int signal, const siginfo_t *info)
{
	bool comes_again = info->si_code > 0 && signal != SIGABRT && signal != SIGTRAP &&
	                   signal != SIGSYS;
	sigset_t set;

	sigaction(signal, &state.before[signal], NULL);
	if (comes_again)
		return;
	sigemptyset(&set);
	sigaddset(&set, signal);
	sigprocmask(SIG_BLOCK, &set, NULL); /* until the return, to die where it was raised */
	raise(signal);
}

static void __attribute__((noreturn)) leave_step(void)
{
	__builtin_longjmp(state.way_out, 1);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	pid_t thread = gettid();

	if (__atomic_load_n(&state.writer, __ATOMIC_ACQUIRE) == thread) {
		if (state.in_step)
			leave_step();
	} else {
		while (!take_pen(thread))
			sched_yield(); /* another thread's fault ends the process any moment */
		write_record(signal, info, context);
	}
	die(signal, info);
}

static void on_probe(int signal, siginfo_t *info, void *context)
{
	int error = errno;

	if (!take_pen(gettid()))
		return;
	write_record(signal, info, context);
	__atomic_store_n(&state.writer, 0, __ATOMIC_RELEASE);
	errno = error;
}

static _Unwind_Reason_Code stop(struct _Unwind_Context *context, void *data)
{
	(void)context;
	(void)data;
	return _URC_END_OF_STACK;
}

/* On a stack of their own, as the one that faulted may have no room; a guard page lies below. */
static bool stack_set(void)
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE);
	char *low = mmap(NULL, guard + STACK_SIZE, PROT_READ | PROT_WRITE,
	        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	stack_t stack = { .ss_sp = low + guard, .ss_size = STACK_SIZE };

	return low != MAP_FAILED && mprotect(low, guard, PROT_NONE) == 0 &&
	       sigaltstack(&stack, NULL) == 0;
}

void crash_name_program(void)
{
	ssize_t length = readlink("/proc/self/exe", state.program, sizeof(state.program) - 1);

	state.program[length > 0 ? length : 0] = '\0';
}

bool crash_catch(
        struct crash *into, const struct runtime *runtime, crash_walk *walk, const void *data)
{
	struct sigaction action = { .sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	if (!stack_set())
		return false;
	if (!*state.program)
		crash_name_program();
	state.into = into;
	state.runtime = runtime;
	state.walk = walk;
	state.data = data;
	state.thread = gettid();
	_Unwind_Backtrace(stop, NULL); /* its first call may load and allocate */
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigdelset(&action.sa_mask, faults[i]);
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigaction(faults[i], &action, &state.before[faults[i]]);
	action.sa_sigaction = on_probe;
	action.sa_flags |= SA_RESTART;
	return sigaction(CRASH_PROBE, &action, NULL) == 0;
}

void crash_forget(void)
{
	state.runtime = NULL;
}
