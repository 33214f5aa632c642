/*
 * The error log: one line for each event, one write for each line. Control bytes of what others
 * sent are escaped, so that no request can forge a line. The log is the process's: where it goes is
 * the one state that is not passed around.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a line's text with its end; longer ones are cut. */
#define LOG_LINE_MAX 2048

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Opens `path`, or stays with standard error for "stderr". False with errno. */
bool log_open(const char *path, unsigned level);

/* What stands before each line's text after this: "master", "worker 2". Copied, at most 15 bytes.
 */
void log_name(const char *name);

/* Whether lines of this level are written. */
bool log_wants(unsigned level);

__attribute__((format(printf, 2, 3))) void log_line(unsigned level, const char *format, ...);

/* Copies text with control bytes as \xHH; returns the new length, less than `size`. */
size_t log_escape(char *to, size_t size, const char *text);

#endif
