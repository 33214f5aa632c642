/* The master's side of crash.h. A record is copied before it is looked at, as its worker may still
 * be writing, and every number and text in it is bounded. */
#include "crash.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "scoreboard.h"
#include "symbols.h"

/* Where lines go, and what each begins with. */
struct description {
	const struct crash_worker *worker;
	crash_line *line;
	void *data;
};

__attribute__((format(printf, 2, 3))) static void say(
        const struct description *to, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	size_t n = (size_t)snprintf(text, sizeof(text), "worker %u: ", to->worker->number);

	va_start(arguments, format);
	vsnprintf(text + n, sizeof(text) - n, format, arguments);
	va_end(arguments);
	to->line(to->data, text);
}

static size_t at_most(uint32_t count, size_t most)
{
	return count < most ? count : most;
}

/* A copy that can be read safely. */
static void sanitize(struct crash *crash)
{
	crash->frame_count = (uint32_t)at_most(crash->frame_count, CRASH_FRAMES);
	crash->other_count = (uint32_t)at_most(crash->other_count, CRASH_OTHERS);
	for (size_t i = 0; i < CRASH_FRAMES; i++)
		crash->frames[i].module[CRASH_MODULE - 1] = '\0';
	for (size_t i = 0; i <= CRASH_OTHERS; i++) {
		struct running *one = i ? &crash->others[i - 1] : &crash->request;

		one->method[sizeof(one->method) - 1] = '\0';
		one->uri[sizeof(one->uri) - 1] = '\0';
	}
}

/* "GET /a?b=c (for 12 ms)" */
static const char *request_text(
        const struct crash *crash, const struct running *one, char *text, size_t size)
{
	if (one->since && one->since <= crash->at)
		snprintf(text, size, "%s %s (for %llu ms)", one->method, one->uri,
		        (unsigned long long)(crash->at - one->since));
	else
		snprintf(text, size, "%s %s", one->method, one->uri);
	return text;
}

/* "SIGSEGV at address 0x10" */
static const char *signal_text(const struct crash *crash, char *text, size_t size)
{
	int signal = crash->signal < NSIG ? (int)crash->signal : 0;
	const char *name = sigabbrev_np(signal);

	if (!name)
		snprintf(text, size, "signal %u", crash->signal);
	else if (signal == SIGSEGV || signal == SIGBUS)
		snprintf(text, size, "SIG%s at address 0x%llx", name,
		        (unsigned long long)crash->address);
	else
		snprintf(text, size, "SIG%s", name);
	return text;
}

static void say_head(const struct description *to, const struct crash *crash)
{
	char request[256] = "no request", what[64];
	unsigned long long uptime = (unsigned long long)to->worker->uptime;
	long pid = (long)to->worker->pid;

	if (crash->ran)
		request_text(crash, &crash->request, request, sizeof(request));
	if (crash->signal == CRASH_PROBE)
		say(to, "held up in %s; pid %ld, up %llu ms", request, pid, uptime);
	else
		say(to, "%s in %s; pid %ld, up %llu ms", signal_text(crash, what, sizeof(what)),
		        request, pid, uptime);
	if (crash->overflow)
		say(to, "stack overflow in a handler: give it less to keep on its stack, or raise "
		        "daemon.stack_size");
}

static void say_others(const struct description *to, const struct crash *crash)
{
	char request[256];

	for (size_t i = 0; i < crash->other_count; i++)
		say(to, "other request in flight: %s",
		        request_text(crash, &crash->others[i], request, sizeof(request)));
	if (crash->others_in_all > crash->other_count)
		say(to, "%u other requests in flight are not listed",
		        crash->others_in_all - crash->other_count);
}

/* "#1 handler (app.so+0x1234) app.c:12 (9 times)", as far as it is known. */
static void say_frame(const struct description *to, size_t i, const struct crash_frame *frame,
        const struct symbol *symbol)
{
	const char *slash = strrchr(frame->module, '/');
	const char *module = slash ? slash + 1 : frame->module;
	char line[sizeof(symbol->file) + 32] = "", times[40] = "";

	if (symbol->changed)
		snprintf(line, sizeof(line), " (changed on disk)");
	else if (*symbol->file)
		snprintf(line, sizeof(line), " %s:%u", symbol->file, symbol->line);
	if (frame->times > 1)
		snprintf(times, sizeof(times), " (%llu times)", (unsigned long long)frame->times);
	say(to, "#%zu %s (%s+0x%llx)%s%s", i, *symbol->function ? symbol->function : "?",
	        *module ? module : "?", (unsigned long long)frame->offset, line, times);
}

void crash_describe(
        const struct crash *record, const struct crash_worker *worker, crash_line *line, void *data)
{
	const struct description to = { worker, line, data };
	struct symbol symbols[CRASH_FRAMES];
	struct crash crash = *record;

	sanitize(&crash);
	say_head(&to, &crash);
	say_others(&to, &crash);
	symbols_find(crash.frames, crash.frame_count, worker->run, symbols);
	for (size_t i = 0; i < crash.frame_count; i++)
		say_frame(&to, i, &crash.frames[i], &symbols[i]);
}

static void to_log(void *data, const char *text)
{
	(void)data;
	log_line(LOG_LEVEL_ERROR, "%s", text);
}

void crash_log(const struct crash *record, const struct crash_worker *worker)
{
	crash_describe(record, worker, to_log, NULL);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void crash_log_death(const struct slot *slot, int signal, const struct crash_worker *worker)
{
	struct crash crash = { .signal = (uint32_t)signal, .at = now_ms(), .ran = true };

	if (slot->crash.signal && slot->crash.signal != CRASH_PROBE) {
		crash_log(&slot->crash, worker);
	} else if (signal && slot->entered) {
		crash.request = slot->running;
		crash_log(&crash, worker);
	}
}

bool crash_ask(struct crash *record, pid_t pid, unsigned ms)
{
	const struct timespec pause = { 0, 1000000 };

	record->signal = 0;
	__atomic_store_n(&record->stage, CRASH_NOTHING, __ATOMIC_RELEASE);
	/* to the thread that runs handlers, not to any */
	if (syscall(SYS_tgkill, pid, pid, CRASH_PROBE) < 0)
		return false;
	for (unsigned i = 0; i < ms; i++) {
		if (__atomic_load_n(&record->stage, __ATOMIC_ACQUIRE) == CRASH_WHOLE)
			return true;
		nanosleep(&pause, NULL);
	}
	return __atomic_load_n(&record->signal, __ATOMIC_ACQUIRE) != 0;
}
