#include "access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "log.h"
#include "log_template.h"

/* RFC 5424 6.2.1: facility daemon, severity informational. */
#define SYSLOG_PRIORITY (3 << 3 | 6)

/* Bytes of one value, cut to half and half again until the line is short enough for its sink. */
#define VALUE_MAX 4096
#define VALUE_MIN 8

struct access {
	struct log_template *log_template;
	struct log_sink *sink; /* the process's */
	struct event flush;
	size_t used;
	char buffer[ACCESS_BUFFER];
};

static void on_flush(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	access_flush(argument);
}

struct access *access_new(const struct log_config *config, struct event_base *base)
{
	struct access *access = malloc(sizeof(*access));
	char error[256];

	if (!access)
		return NULL;
	access->used = 0;
	access->sink = log_access_sink();
	access->log_template = log_template_new(config->format, error, sizeof(error));
	evtimer_assign(&access->flush, base, on_flush, access);
	if (access->log_template)
		return access;
	free(access);
	return NULL;
}

void access_free(struct access *access)
{
	if (!access)
		return;
	access_flush(access);
	evtimer_del(&access->flush);
	log_template_free(access->log_template);
	free(access);
}

bool access_is_timed(const struct access *access)
{
	return log_template_is_timed(access->log_template);
}

void access_flush(struct access *access)
{
	struct log_sink *sink = access->sink;
	uint64_t dropped = sink->dropped, untold = sink->untold;

	if (!access->used)
		return;
	log_sink_write(sink, access->buffer, access->used);
	access->used = 0;
	if (sink->dropped == dropped && untold)
		log_tell_dropped();
	else if (sink->dropped > dropped && !untold)
		log_line(LOG_LEVEL_ERROR, "the access log takes no more: %s; lines are dropped",
		        sink->error == EAGAIN ? "nobody reads it" : strerror(sink->error));
}

/* The line at the end of the buffer; its length, or 0 where there is no room. */
static size_t write_line(struct access *access, const struct log_entry *entry)
{
	char *line = access->buffer + access->used;
	size_t room = ACCESS_BUFFER - access->used, longest = log_sink_line_max(access->sink);
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
	if (!access->used && length)
		evtimer_add(&access->flush, &soon);
	access->used += length;
}
