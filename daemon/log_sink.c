#include "log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "scoreboard.h"

/* Of a datagram; RFC 3164 asks for less, but systemd, rsyslog and syslog-ng take this. */
#define SYSLOG_LINE 8192
#define FILE_LINE   32768

#define SYSLOG_PATH "/dev/log"

/* ---- opening ---- */

/* A file is opened again after the working directory may have changed. */
static char *absolute(const char *path)
{
	char *whole = NULL, *here;

	if (*path == '/')
		return strdup(path);
	here = getcwd(NULL, 0);
	if (here && asprintf(&whole, "%s/%s", here, path) < 0)
		whole = NULL;
	free(here);
	return whole;
}

/* O_NONBLOCK is for FIFOs: neither the start nor a write waits for a reader. */
static int open_file(const char *path)
{
	return open(path,
	        O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
	        0640);
}

static enum log_kind kind_of(int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return LOG_OFF;
	if (S_ISREG(status.st_mode))
		return LOG_FILE;
	return S_ISSOCK(status.st_mode) ? LOG_SOCKET : LOG_STREAM;
}

static bool open_path(struct log_sink *sink, const char *path, char *error, size_t size)
{
	sink->path = absolute(path);
	sink->fd = sink->path ? open_file(sink->path) : -1;
	if (sink->fd < 0) {
		snprintf(error, size, "can't open %s: %s", path,
		        errno == ELOOP   ? "it is a symbolic link"
		        : errno == ENXIO ? "nobody reads it"
		                         : strerror(errno));
		return false;
	}
	sink->kind = kind_of(sink->fd);
	return true;
}

/*
 * Standard error belongs to others too: O_NONBLOCK on it would be theirs as well. /proc opens the
 * same pipe or terminal once more, with flags of its own.
 */
static void open_stderr(struct log_sink *sink)
{
	sink->fd = STDERR_FILENO;
	sink->kind = kind_of(STDERR_FILENO);
	if (sink->kind != LOG_STREAM)
		return;
	int own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_APPEND);

	if (own >= 0)
		sink->fd = own;
	else
		sink->kind = LOG_SHARED;
}

static int connect_syslog(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int reason = errno;

	close(fd);
	errno = reason;
	return -1;
}

static bool open_syslog(struct log_sink *sink, const char *path, char *error, size_t size)
{
	sink->path = strdup(path);
	sink->fd = sink->path ? connect_syslog(path) : -1;
	if (sink->fd < 0) {
		snprintf(error, size, "can't connect to the socket of syslog, %s: %s", path,
		        strerror(errno));
		return false;
	}
	sink->kind = LOG_SYSLOG;
	return true;
}

bool log_sink_open(struct log_sink *sink, const char *where, char *error, size_t size)
{
	bool fine = true;

	*sink = (struct log_sink){ .kind = LOG_OFF, .fd = -1 };
	if (strcmp(where, "off") == 0)
		return true;
	if (strcmp(where, "stderr") == 0)
		open_stderr(sink);
	else if (strcmp(where, "syslog") == 0)
		fine = open_syslog(sink, SYSLOG_PATH, error, size);
	else if (strncmp(where, "syslog:", 7) == 0)
		fine = open_syslog(sink, where + 7, error, size);
	else
		fine = open_path(sink, where, error, size);
	if (!fine)
		log_sink_close(sink);
	return fine;
}

bool log_sink_reopen(struct log_sink *sink)
{
	if (!sink->path || sink->kind == LOG_SYSLOG)
		return true;
	int fd = open_file(sink->path);

	if (fd < 0)
		return false;
	bool fine = dup3(fd, sink->fd, O_CLOEXEC) >= 0;

	close(fd);
	sink->torn &= !fine;
	return fine;
}

void log_sink_close(struct log_sink *sink)
{
	if (sink->fd > STDERR_FILENO)
		close(sink->fd);
	free(sink->path);
	*sink = (struct log_sink){ .kind = LOG_OFF, .fd = -1 };
}

size_t log_sink_line_max(const struct log_sink *sink)
{
	if (sink->kind == LOG_SYSLOG)
		return SYSLOG_LINE;
	return sink->kind == LOG_FILE ? FILE_LINE : LOG_PIPE_LINE;
}

/* ---- writing ---- */

static void drop(struct log_sink *sink, const char *lines, size_t length)
{
	const char *end = lines + length;
	uint64_t count = 0;

	sink->error = errno;
	for (const char *at = lines; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
		count++;
	sink->dropped += count;
	sink->untold += count;
	if (sink->shared)
		count_up(sink->shared, count);
}

/* Like write(2), but EAGAIN where that would wait. */
static ssize_t put(const struct log_sink *sink, const char *data, size_t length)
{
	struct pollfd ready = { sink->fd, POLLOUT, 0 };
	ssize_t n;

	if (sink->kind == LOG_SOCKET)
		return send(sink->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sink->kind == LOG_SHARED && poll(&ready, 1, 0) != 1) {
		errno = EAGAIN;
		return -1;
	}
	do
		n = write(sink->fd, data, length);
	while (n < 0 && errno == EINTR);
	return n;
}

/* One write of whole lines; false: not all of it was taken. */
static bool put_lines(struct log_sink *sink, const char *lines, size_t length)
{
	size_t end = 0;

	if (sink->torn && put(sink, "\n", 1) == 1)
		sink->torn = false;
	ssize_t n = sink->torn ? -1 : put(sink, lines, length);

	if (n == (ssize_t)length)
		return true;
	if (n > 0) {
		errno = ENOSPC;
		sink->torn = lines[n - 1] != '\n';
		end = (size_t)n;
		while (end && lines[end - 1] != '\n')
			end--;
	}
	drop(sink, lines + end, length - end);
	return false;
}

/* The lines that fit in `most` bytes; at least the first. */
static size_t lines_within(const char *lines, size_t length, size_t most)
{
	if (length <= most)
		return length;
	const char *end = memrchr(lines, '\n', most);

	if (!end)
		end = memchr(lines, '\n', length);
	return end ? (size_t)(end - lines) + 1 : length;
}

/* The daemon behind the socket may have been started anew. */
static bool send_datagram(struct log_sink *sink, const char *line, size_t length)
{
	if (send(sink->fd, line, length, MSG_NOSIGNAL) >= 0)
		return true;
	if (errno == EAGAIN || errno == ENOBUFS)
		return false;
	int fd = connect_syslog(sink->path);

	if (fd < 0)
		return false;
	dup3(fd, sink->fd, O_CLOEXEC);
	close(fd);
	return send(sink->fd, line, length, MSG_NOSIGNAL) >= 0;
}

static void write_datagrams(struct log_sink *sink, const char *lines, size_t length)
{
	while (length) {
		size_t n = lines_within(lines, length, 1);

		if (!send_datagram(sink, lines, lines[n - 1] == '\n' ? n - 1 : n))
			drop(sink, lines, n);
		lines += n;
		length -= n;
	}
}

void log_sink_write(struct log_sink *sink, const char *lines, size_t length)
{
	if (sink->kind == LOG_SYSLOG) {
		write_datagrams(sink, lines, length);
		return;
	}
	while (length && sink->kind != LOG_OFF) {
		size_t n = sink->kind == LOG_FILE ? length
		                                  : lines_within(lines, length, LOG_PIPE_LINE);

		if (!put_lines(sink, lines, n)) {
			drop(sink, lines + n, length - n);
			return;
		}
		lines += n;
		length -= n;
	}
}

size_t log_syslog_head(char *to, size_t size, unsigned priority, const char *tag)
{
	struct timespec now;
	struct tm local;
	char stamp[32];

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &local);
	strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &local);
	int n = snprintf(to, size, "<%u>%s %s[%ld]: ", priority, stamp, tag, (long)getpid());

	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}
