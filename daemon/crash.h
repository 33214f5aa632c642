/*
 * The last words of a worker: which request it ran and where it was, kept in its slot of the
 * scoreboard, for the master to log. Written by a signal handler on a stack of its own (crash.c):
 * nothing there allocates or locks. Read by the master (crash_log.c), which believes nothing of it:
 * the worker that wrote it ran wild. Symbols are looked up from the files of the modules
 * (symbols.h), so that static functions have names too.
 *
 * Under AddressSanitizer the record is written first; then its own handler makes its report.
 */
#ifndef DAEMON_CRASH_H
#define DAEMON_CRASH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ag_request;
struct daemon_config;
struct runtime;
struct slot;

/*
 * Sent to a worker that makes no progress: it writes its record and goes on. Nobody else has a use
 * for it in a worker, and one that was meant for the master does no harm there.
 */
#define CRASH_PROBE SIGUSR2

/* One request, as a line of the log names it: cut, not escaped. */
struct running {
	char method[16];
	char uri[112];
	uint64_t since; /* ms, CLOCK_MONOTONIC: its head was complete */
};

#define CRASH_FRAMES 24
#define CRASH_OTHERS 16
#define CRASH_MODULE 256
#define CRASH_BUILD  20

struct crash_frame {
	char module[CRASH_MODULE]; /* path of the file, "" where it is unknown */
	uint64_t offset; /* an address as the file counts them; in memory where there is none */
	uint64_t times;  /* as often in a row, by recursion */
	uint8_t build[CRASH_BUILD]; /* the module's GNU build ID, all 0 where it has none */
};

/* How much of a record is written; what is behind it is not there. */
enum crash_stage {
	CRASH_NOTHING,
	CRASH_SIGNAL,  /* signal, address, at */
	CRASH_REQUEST, /* ran, overflow, request */
	CRASH_TRACED,  /* frames */
	CRASH_WHOLE,   /* others */
};

struct crash {
	uint32_t signal;                   /* 0: nothing is written */
	uint32_t stage;                    /* enum crash_stage */
	uint64_t address;                  /* that faulted */
	uint64_t at;                       /* ms, CLOCK_MONOTONIC: when */
	uint32_t frame_count, other_count; /* readers bound them */
	uint32_t others_in_all;
	uint32_t ran;      /* not 0: a handler had the processor: `request` is its request */
	uint32_t overflow; /* not 0: of a handler's stack */
	struct running request;
	struct crash_frame frames[CRASH_FRAMES]; /* innermost first */
	struct running others[CRASH_OTHERS];     /* requests that waited in the same worker */
};

/* ---- in the worker ---- */

/* Tells crash_other of every request that a handler has; the lists it follows may be broken. */
typedef void crash_walk(const void *data, struct crash *crash);

/* Notes the path of this program, before a root directory of its own hides it. */
void crash_name_program(void);

/*
 * From now on a signal that kills for a fault of the program leaves its record in `into`, and the
 * process dies of it as it would have without; CRASH_PROBE leaves one too. For the calling thread,
 * once for each process. False: no memory.
 */
bool crash_catch(
        struct crash *into, const struct runtime *runtime, crash_walk *walk, const void *data);

/* The requests are no more; what follows is a record without them. */
void crash_forget(void);

/* Adds a request to the others, unless it is the current one. False: it is one too many. */
bool crash_other(struct crash *crash, const struct ag_request *req);

/* Async-signal-safe. */
void running_set(struct running *running, const struct ag_request *req);

/* ---- in the master ---- */

struct crash_worker {
	unsigned number;
	pid_t pid;
	uint64_t uptime;                 /* ms */
	const struct daemon_config *run; /* whose rights the worker had */
};

/*
 * Asks a worker where it is: sends CRASH_PROBE and waits up to `ms` for the record. False: there is
 * none, as the process is gone or does not come out of the kernel.
 */
bool crash_ask(struct crash *record, pid_t pid, unsigned ms);

/*
 * Says what the record holds: what happened to which request, the others in flight, a backtrace
 * with the names of functions. Takes up to SYMBOLS_MS.
 */
typedef void crash_line(void *data, const char *text);
void crash_describe(const struct crash *record, const struct crash_worker *worker, crash_line *line,
        void *data);

/* The same to the error log. */
void crash_log(const struct crash *record, const struct crash_worker *worker);

/*
 * Of a worker that has ended, by `signal` or 0: its record, or, where it had no time to write one
 * (SIGKILL), what its slot says that it ran. Nothing, where it ran nothing.
 */
void crash_log_death(const struct slot *slot, int signal, const struct crash_worker *worker);

#endif
