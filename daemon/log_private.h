/* What the parts of the log share; for daemon/log*.c and daemon/access.c only. */
#ifndef DAEMON_LOG_PRIVATE_H
#define DAEMON_LOG_PRIVATE_H

#include <time.h>

#include "log_sink.h"

struct logs {
	struct log_sink error, access;
	unsigned level;
	char name[16];
	time_t stamped; /* s: the time that `date` and `zone` are made of */
	char date[24], zone[8];
};

extern struct logs logs;

/* The time now, local, as ISO 8601 with milliseconds; returns its length. */
#define LOG_STAMP_MAX 40
size_t log_stamp(char *to, size_t size);

#endif
