/*
 * What `anygate status|reload|stop|reopen -c FILE` does: it asks a daemon that runs with this
 * configuration, by the process id in its pidfile and by what [admin] tells.
 */
#ifndef DAEMON_COMMAND_H
#define DAEMON_COMMAND_H

#include "config.h"
#include "options.h"

/* Returns the exit status: 0, or 1 after a line on standard error. */
int command_run(const struct options *options, const struct config *config);

/* ---- for the commands ---- */

/*
 * /status.txt of the daemon, see status.h; NULL with a line in `error`: it can't be had. To be
 * freed.
 */
char *command_fetch(const struct config *config, char *error, size_t size);

/* The line that begins with `kind`, the first one at or behind `at`; NULL: there is none. */
const char *command_line(const char *at, const char *kind);

/* The value of a line's field, up to the next tab, into `value`; false: it has none. */
bool command_field(const char *line, const char *name, char *value, size_t size);

/* The same as a number; 0 where there is none. */
uint64_t command_number(const char *line, const char *name);

/* Prints a table of the workers, again every second where that makes sense. Like command_run. */
int command_status(const struct options *options, const struct config *config);

#endif
