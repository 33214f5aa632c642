/*
 * The access log of one worker: a line for each request that ended, answered, refused or cut. Lines
 * are gathered and written together, soon, and whole: other workers append to the same file.
 */
#ifndef DAEMON_ACCESS_H
#define DAEMON_ACCESS_H

#include <stdbool.h>

#include "../app/request.h"
#include "config.h"

struct access;
struct event_base;

/* Bytes of lines that are gathered, and ms until they are written all the same. */
#define ACCESS_BUFFER 65536
#define ACCESS_DELAY  500

/*
 * What is gathered, in memory that the master makes before it forks and shares with the worker: it
 * outlives that. NULL where there is no access log, or no memory.
 */
struct access_lines;
struct access_lines *access_lines_new(void);
void access_lines_free(struct access_lines *lines);

/* In the master: writes what a dead worker has left. NULL is fine, as above. */
void access_lines_rescue(struct access_lines *lines);

/*
 * For the worker's loop; NULL with errno. The log's sink was opened by log_open. Without `lines` it
 * has some of its own.
 */
struct access *access_new(
        const struct log_config *config, struct event_base *base, struct access_lines *lines);

/* Writes what is gathered. */
void access_free(struct access *access);

/* Whether requests must keep their times for this log. */
bool access_is_timed(const struct access *access);

/* The request is over. `peer` is the address to tell where the request does not; may be NULL. */
void access_request(struct access *access, struct ag_request *req, const char *peer);

/* Writes what is gathered, before the file changes. */
void access_flush(struct access *access);

#endif
