#include "access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "log.h"
#include "log_template.h"

/* RFC 5424 6.2.1: facility daemon, severity informational. */
#define SYSLOG_PRIORITY (3 << 3 | 6)

/* Bytes of one value, cut to half and half again until the line is short enough for its sink. */
#define VALUE_MAX 4096
#define VALUE_MIN 8

struct access_lines {
	size_t used;
	char buffer[ACCESS_BUFFER];
};

struct access {
	struct log_template *log_template;
	struct log_sink *sink; /* the process's */
	struct event flush;
	struct access_lines *lines;
	bool own; /* nobody else has those */
};

/* ---- what outlives the worker ---- */

struct access_lines *access_lines_new(void)
{
	void *lines = MAP_FAILED;

	if (log_access_sink()->kind != LOG_OFF)
		lines = mmap(NULL, sizeof(struct access_lines), PROT_READ | PROT_WRITE,
		        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return lines == MAP_FAILED ? NULL : lines;
}

void access_lines_free(struct access_lines *lines)
{
	if (lines)
		munmap(lines, sizeof(*lines));
}

/* A worker that ran wild may have written anything there: no more than lines is taken of it. */
void access_lines_rescue(struct access_lines *lines)
{
	size_t used = lines ? __atomic_load_n(&lines->used, __ATOMIC_ACQUIRE) : 0;

	if (used > ACCESS_BUFFER)
		return;
	while (used && lines->buffer[used - 1] != '\n')
		used--;
	if (used)
		log_sink_write(log_access_sink(), lines->buffer, used);
}

/* Whole lines are there before they count. */
static void set_used(struct access *access, size_t used)
{
	__atomic_store_n(&access->lines->used, used, __ATOMIC_RELEASE);
}

/* ---- the worker's ---- */

static void on_flush(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	access_flush(argument);
}

static void access_drop(struct access *access)
{
	log_template_free(access->log_template);
	if (access->own)
		access_lines_free(access->lines);
	free(access);
}

struct access *access_new(
        const struct log_config *config, struct event_base *base, struct access_lines *lines)
{
	struct access *access = malloc(sizeof(*access));
	char error[256];

	if (!access)
		return NULL;
	access->lines = lines ? lines : access_lines_new();
	access->own = !lines;
	access->sink = log_access_sink();
	access->log_template = log_template_new(config->format, error, sizeof(error));
	evtimer_assign(&access->flush, base, on_flush, access);
	if (access->log_template && access->lines)
		return access;
	access_drop(access);
	return NULL;
}

void access_free(struct access *access)
{
	if (!access)
		return;
	access_flush(access);
	evtimer_del(&access->flush);
	access_drop(access);
}

bool access_is_timed(const struct access *access)
{
	return log_template_is_timed(access->log_template);
}

void access_flush(struct access *access)
{
	struct log_sink *sink = access->sink;
	uint64_t dropped = sink->dropped, untold = sink->untold;

	if (!access->lines->used)
		return;
	log_sink_write(sink, access->lines->buffer, access->lines->used);
	set_used(access, 0);
	if (sink->dropped == dropped && untold)
		log_tell_dropped();
	else if (sink->dropped > dropped && !untold)
		log_line(LOG_LEVEL_ERROR, "the access log takes no more: %s; lines are dropped",
		        sink->error == EAGAIN ? "nobody reads it" : strerror(sink->error));
}

/* The line at the end of the buffer; its length, or 0 where there is no room. */
static size_t write_line(struct access *access, const struct log_entry *entry)
{
	char *line = access->lines->buffer + access->lines->used;
	size_t room = ACCESS_BUFFER - access->lines->used,
	       longest = log_sink_line_max(access->sink);
	size_t head = 0;

	if (room < longest)
		return 0;
	if (access->sink->kind == LOG_SYSLOG)
		head = log_syslog_head(line, longest, SYSLOG_PRIORITY, "anygate-access");
	for (size_t most = VALUE_MAX; most >= VALUE_MIN; most /= 2) {
		struct writer out = { (uint8_t *)line + head, (uint8_t *)line + longest - 1,
			false };

		log_template_write(access->log_template, entry, most, &out);
		if (out.overflow)
			continue;
		*out.at++ = '\n';
		return (size_t)((char *)out.at - line);
	}
	return 0;
}

void access_request(struct access *access, struct ag_request *req, const char *peer)
{
	const struct timeval soon = { ACCESS_DELAY / 1000, ACCESS_DELAY % 1000 * 1000 };
	struct log_entry entry = { req, peer, request_clock() };
	size_t length = write_line(access, &entry);

	if (!length) {
		access_flush(access);
		length = write_line(access, &entry);
	}
	if (!access->lines->used && length)
		evtimer_add(&access->flush, &soon);
	set_used(access, access->lines->used + length);
}
