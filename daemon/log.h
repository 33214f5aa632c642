/*
 * The error log: one line for each event, one write for each line, none of which ever waits.
 *
 *	2026-11-21T10:00:00.123+00:00 warning: worker 2[4711]: request 5f1c02d9a3b7-1f: TEXT
 *
 * Control bytes and what is not UTF-8 are escaped, so that no request can forge a line; what others
 * sent goes through log_text besides. The logs are the process's: where they go is the one state
 * that is not passed around.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log_sink.h"

/* Bytes of a line's text with its end; longer ones are cut. */
#define LOG_LINE_MAX 2048

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/*
 * Opens both logs, as log_sink_open takes them; before privileges are dropped, as the workers
 * inherit the descriptors. Called again it replaces them. False with a line in `error`, and then
 * the logs are as they were.
 */
bool log_open(
        const char *error_log, const char *access_log, unsigned level, char *error, size_t size);

/* Closes what was opened; the error log is standard error again. */
void log_close(void);

/* Standard error has become something else: the log goes with it. */
void log_follow_stderr(void);

/* What stands before each line's text after this: "master", "worker 2". Copied, at most 15 bytes.
 */
void log_name(const char *name);

/* Whether lines of this level are written. */
bool log_wants(unsigned level);

__attribute__((format(printf, 2, 3))) void log_line(unsigned level, const char *format, ...);

/* A line about the request of this id; NULL: about none. */
__attribute__((format(printf, 3, 4))) void log_request_line(
        unsigned level, const char *request_id, const char *format, ...);

/*
 * What others sent, for an argument of the above: quotes and backslashes are escaped as well, and
 * what does not fit ends in "...". Returns `to`.
 */
const char *log_text(char *to, size_t size, const char *text);

/* Where the access log goes. */
struct log_sink *log_access_sink(void);

/* Lines of both logs that this process has dropped. */
uint64_t log_dropped(void);

/* Counts them in `shared` too, from now on: a field that only this process writes. */
void log_count(uint64_t *shared);

/* Says in the error log how many lines were dropped since it last did, once lines go again. */
void log_tell_dropped(void);

/* ---- SIGUSR1: files that were moved away are made anew ---- */

/* In the master: opens the files of both logs by their paths. A failure is logged. */
void log_reopen(void);

/*
 * Workers may not be allowed to: the master sends each the descriptors over its control socket, in
 * a message CONTROL_REOPEN, and does not wait. False with errno.
 */
bool log_send_descriptors(int socket);

/*
 * In a worker, when that message is next: takes them in place of those it has. Flush the access log
 * before. False with errno; 0 where the master's end is closed or the message is another.
 */
bool log_take_descriptors(int socket);

#endif
