#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log_escape.h"
#include "log_private.h"

/* RFC 5424 6.2.1: facility daemon. */
#define SYSLOG_DAEMON (3 << 3)

struct logs logs = {
	.error = { .kind = LOG_SHARED, .fd = STDERR_FILENO },
	.access = { .kind = LOG_OFF, .fd = -1 },
	.level = LOG_LEVEL_INFO,
	.name = "anygate",
};

static const struct {
	const char *name;
	unsigned severity;
} levels[] = { { "error", 3 }, { "warning", 4 }, { "info", 6 }, { "debug", 7 } };

/* ---- opening ---- */

static bool open_one(
        struct log_sink *sink, const char *key, const char *where, char *error, size_t size)
{
	char reason[256];

	if (log_sink_open(sink, where, reason, sizeof(reason)))
		return true;
	snprintf(error, size, "log.%s: %s", key, reason);
	return false;
}

bool log_open(
        const char *error_log, const char *access_log, unsigned level, char *error, size_t size)
{
	struct log_sink one, other;

	tzset(); /* a chroot may hide the zone's file */
	if (!open_one(&one, "error", error_log, error, size))
		return false;
	if (!open_one(&other, "access", access_log, error, size)) {
		log_sink_close(&one);
		return false;
	}
	log_close();
	logs.error = one;
	logs.access = other;
	logs.level = level;
	return true;
}

void log_close(void)
{
	log_sink_close(&logs.error);
	log_sink_close(&logs.access);
	logs.error = (struct log_sink){ .kind = LOG_SHARED, .fd = STDERR_FILENO };
}

static void follow_stderr(struct log_sink *sink)
{
	struct log_sink now;

	/* a file is written through descriptor 2 itself */
	if (sink->path || sink->kind == LOG_OFF || sink->kind == LOG_SYSLOG)
		return;
	log_sink_open(&now, "stderr", NULL, 0);
	now.dropped = sink->dropped;
	now.untold = sink->untold;
	now.shared = sink->shared;
	log_sink_close(sink);
	*sink = now;
}

void log_follow_stderr(void)
{
	follow_stderr(&logs.error);
	follow_stderr(&logs.access);
}

void log_reopen(void)
{
	struct log_sink *const sinks[] = { &logs.error, &logs.access };

	for (size_t i = 0; i < 2; i++)
		if (!log_sink_reopen(sinks[i]))
			log_line(LOG_LEVEL_ERROR, "can't open %s again: %s; the old file goes on",
			        sinks[i]->path, strerror(errno));
}

struct log_sink *log_access_sink(void)
{
	return &logs.access;
}

uint64_t log_dropped(void)
{
	return logs.error.dropped + logs.access.dropped;
}

void log_count(uint64_t *shared)
{
	logs.error.shared = logs.access.shared = shared;
}

void log_name(const char *name)
{
	snprintf(logs.name, sizeof(logs.name), "%s", name);
}

bool log_wants(unsigned level)
{
	return level <= logs.level;
}

/* ---- lines ---- */

/* 2026-11-21T10:00:00.123+00:00 (ISO 8601, local time). */
size_t log_stamp(char *to, size_t size)
{
	struct timespec now;
	struct tm local;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != logs.stamped) {
		logs.stamped = now.tv_sec;
		localtime_r(&now.tv_sec, &local);
		strftime(logs.date, sizeof(logs.date), "%Y-%m-%dT%H:%M:%S", &local);
		strftime(logs.zone, sizeof(logs.zone), "%z", &local); /* +hhmm */
	}
	return (size_t)snprintf(to, size, "%s.%03ld%.3s:%s", logs.date, now.tv_nsec / 1000000,
	        logs.zone, logs.zone + 3);
}

static size_t write_head(char *line, size_t size, unsigned level)
{
	size_t n;

	if (logs.error.kind == LOG_SYSLOG) {
		n = log_syslog_head(line, size, SYSLOG_DAEMON | levels[level].severity, "anygate");
		return n + (size_t)snprintf(line + n, size - n, "%s: ", logs.name);
	}
	n = log_stamp(line, size);
	return n + (size_t)snprintf(line + n, size - n, " %s: %s[%ld]: ", levels[level].name,
	                   logs.name, (long)getpid());
}

/* `text` is escaped and cut to what a line holds. */
static void write_line(unsigned level, const char *text)
{
	char line[LOG_PIPE_LINE];
	size_t head = write_head(line, sizeof(line), level);
	struct writer out = { (uint8_t *)line + head, (uint8_t *)line + sizeof(line) - 1, false };

	log_escape_line(&out, text, strlen(text));
	*out.at++ = '\n';
	log_sink_write(&logs.error, line, (size_t)((char *)out.at - line));
}

static void tell(struct log_sink *sink, const char *which)
{
	uint64_t told = sink->untold, before = logs.error.dropped;
	uint64_t *shared = logs.error.shared;
	char text[160];

	if (!told)
		return;
	snprintf(text, sizeof(text), "%llu line%s of the %s %s dropped: %s",
	        (unsigned long long)told, told == 1 ? "" : "s", which, told == 1 ? "was" : "were",
	        sink->error == EAGAIN ? "nobody took them" : strerror(sink->error));
	logs.error.shared = NULL;
	write_line(LOG_LEVEL_WARNING, text);
	logs.error.shared = shared;
	if (logs.error.dropped == before) {
		sink->untold -= told;
		return;
	}
	/* that it was not said is not one more of the lines that are missed */
	logs.error.dropped = before;
	logs.error.untold--;
}

void log_tell_dropped(void)
{
	tell(&logs.error, "log");
	tell(&logs.access, "access log");
}

static void log_arguments(
        unsigned level, const char *request_id, const char *format, va_list arguments)
{
	char text[LOG_LINE_MAX];
	size_t n = 0;

	if (request_id)
		n = (size_t)snprintf(text, sizeof(text), "request %.64s: ", request_id);
	vsnprintf(text + n, sizeof(text) - n, format, arguments);
	if (logs.error.untold)
		log_tell_dropped();
	write_line(level, text);
}

void log_line(unsigned level, const char *format, ...)
{
	va_list arguments;

	if (!log_wants(level))
		return;
	va_start(arguments, format);
	log_arguments(level, NULL, format, arguments);
	va_end(arguments);
}

void log_request_line(unsigned level, const char *request_id, const char *format, ...)
{
	va_list arguments;

	if (!log_wants(level))
		return;
	va_start(arguments, format);
	log_arguments(level, request_id, format, arguments);
	va_end(arguments);
}

const char *log_text(char *to, size_t size, const char *text)
{
	struct writer out = { (uint8_t *)to, (uint8_t *)to + size - sizeof("..."), false };

	log_escape_field(&out, text, strlen(text));
	memcpy(out.at, out.overflow ? "..." : "", out.overflow ? 4 : 1);
	return to;
}
