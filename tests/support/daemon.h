/* anygate, as a test starts it: BUILD_DIR/anygate, on addresses that the system chose. */
#ifndef TESTS_SUPPORT_DAEMON_H
#define TESTS_SUPPORT_DAEMON_H

#include "process.h"

#define DAEMON_PROGRAM   BUILD_DIR "/anygate"
#define DAEMON_PLAIN     BUILD_DIR "/../anygate" /* without sanitizers, as it is installed */
#define DAEMON_APPS      BUILD_DIR "/apps/"
#define DAEMON_LISTENERS 8

struct listening {
	char address[128]; /* "127.0.0.1:40123" or "unix:/path" */
	char protocol[16];
};

struct daemon {
	struct process process;
	struct listening listening[DAEMON_LISTENERS];
	size_t count;
};

/* Starts anygate with these arguments, NULL at the end, and waits until `listeners` are ready. */
void daemon_start(struct daemon *daemon, size_t listeners, ...) __attribute__((sentinel));
void daemon_start_with(
        struct daemon *daemon, size_t listeners, const struct process_options *options);

/* The address of the first listener. */
const char *daemon_address(const struct daemon *daemon);

/* What it wrote on standard error so far. */
const char *daemon_text(struct daemon *daemon);

/* Waits for a text on standard error. */
void daemon_expect(struct daemon *daemon, const char *text);

/* The pid of the only worker of `-w 1`, other than `but`; waits until there is one. */
pid_t daemon_worker(struct daemon *daemon, pid_t but);

/* Stops it with SIGTERM: it has to end with 0, without a word from a sanitizer. */
void daemon_stop(struct daemon *daemon);

/* The same for one that has been told to end, or that a sanitizer may have a word on. */
void daemon_end(struct daemon *daemon, int status, bool sanitizer);

/* Runs anygate with arguments that make it end by itself. Returns its exit status. */
int daemon_run(struct process *process, ...) __attribute__((sentinel));

#endif
