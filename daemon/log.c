#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
	int fd;
	unsigned level;
	char name[16];
} error_log = { STDERR_FILENO, LOG_LEVEL_INFO, "anygate" };

static const char *const level_names[] = { "error", "warning", "info", "debug" };

bool log_open(const char *path, unsigned level)
{
	error_log.level = level;
	if (strcmp(path, "stderr") == 0)
		return true;
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return false;
	error_log.fd = fd;
	return true;
}

void log_name(const char *name)
{
	snprintf(error_log.name, sizeof(error_log.name), "%s", name);
}

bool log_wants(unsigned level)
{
	return level <= error_log.level;
}

size_t log_escape(char *to, size_t size, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (; *text && n + 5 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != 0x7f) {
			to[n++] = *text;
			continue;
		}
		to[n++] = '\\';
		to[n++] = 'x';
		to[n++] = digits[c >> 4];
		to[n++] = digits[c & 15];
	}
	return n;
}

static size_t stamp(char *line, size_t size)
{
	struct timespec now;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	size_t n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &utc);

	return n + (size_t)snprintf(line + n, size - n, ".%03ldZ ", now.tv_nsec / 1000000);
}

void log_line(unsigned level, const char *format, ...)
{
	char text[LOG_LINE_MAX], line[LOG_LINE_MAX + 128];
	va_list arguments;

	if (!log_wants(level))
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	size_t n = stamp(line, sizeof(line));

	n += (size_t)snprintf(
	        line + n, sizeof(line) - n, "%s %s: ", level_names[level], error_log.name);
	n += log_escape(line + n, sizeof(line) - n, text);
	line[n++] = '\n';
	/* a log that can't be written must not stop the server */
	if (write(error_log.fd, line, n) < 0)
		return;
}
