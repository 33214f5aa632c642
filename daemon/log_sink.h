/*
 * Where the lines of a log go. Writing never waits: a line that the other end does not take at once
 * is dropped and counted. Lines are written whole: several processes may append to one file.
 */
#ifndef DAEMON_LOG_SINK_H
#define DAEMON_LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_kind {
	LOG_OFF,
	LOG_FILE,   /* a file of ours: may be opened again */
	LOG_STREAM, /* a pipe or terminal that does not block us */
	LOG_SHARED, /* one that would, as it is not ours to change: asked before each write */
	LOG_SOCKET, /* standard error, where that is a socket */
	LOG_SYSLOG, /* each line is a datagram with a head of its own */
};

struct log_sink {
	enum log_kind kind;
	int fd;
	char *path;       /* of LOG_FILE, absolute; of LOG_SYSLOG, the socket's; else NULL */
	uint64_t dropped; /* lines, by this process */
	uint64_t *shared; /* is counted up likewise; or NULL */
	uint64_t untold;  /* of those, the ones that no line has told of */
	int error;        /* errno of the last that was dropped */
	bool torn;        /* what was written last ends within a line */
};

/* Most bytes of a line for a pipe: PIPE_BUF of Linux, up to which a write is atomic. */
#define LOG_PIPE_LINE 4096

/*
 * Opens "off", "stderr", "syslog" (/dev/log), "syslog:PATH" of a datagram socket, or the path of a
 * file, which is made with mode 0640 and appended to. False with a reason in `error`.
 */
bool log_sink_open(struct log_sink *sink, const char *where, char *error, size_t size);

/* Opens a file's path once more, keeping the descriptor's number; the old stays where that fails.
 * False with errno. */
bool log_sink_reopen(struct log_sink *sink);

void log_sink_close(struct log_sink *sink);

/* Most bytes of one line, its line feed included. */
size_t log_sink_line_max(const struct log_sink *sink);

/* Writes whole lines, each with its line feed; drops and counts what is not taken. */
void log_sink_write(struct log_sink *sink, const char *lines, size_t length);

/* The head of a syslog message (RFC 3164 4.1, as syslog(3) writes it); `priority` is severity and
 * facility. Returns its length. */
size_t log_syslog_head(char *to, size_t size, unsigned priority, const char *tag);

#endif
