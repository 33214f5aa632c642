/* The fields of the access log's lines; for daemon/log_template.c and daemon/log_fields.c only. */
#ifndef DAEMON_LOG_FIELDS_H
#define DAEMON_LOG_FIELDS_H

#include "../app/request.h"
#include "log_template.h"

/* A line that is being written. */
struct line {
	struct writer *out;
	const struct log_entry *entry;
	const char *variable; /* of log_tell_variable */
	size_t most;          /* bytes of a value */
	bool json;
	bool word; /* the value is one without blanks */
};

#define FIELD_TIMED 1 /* needs runtime->timed */
#define FIELD_WORD  2 /* has no blanks but in attacks: they are escaped */

struct log_field {
	const char *name;
	void (*tell)(struct line *line);
	const char *variable;
	unsigned flags;
};

extern const struct log_field log_fields[];
extern const size_t log_field_count;

/* Writes the variable that the line names. */
void log_tell_variable(struct line *line);

#endif
