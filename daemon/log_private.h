/* What the parts of the log share; for daemon/log*.c and daemon/access.c only. */
#ifndef DAEMON_LOG_PRIVATE_H
#define DAEMON_LOG_PRIVATE_H

#include "log_sink.h"

struct logs {
	struct log_sink error, access;
	unsigned level;
	char name[16];
};

extern struct logs logs;

/* The time now, local, as ISO 8601 with milliseconds; returns its length. */
#define LOG_STAMP_MAX 40
size_t log_stamp(char *to, size_t size);

#endif
