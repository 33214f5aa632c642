/* A daemon with [admin], in a directory of its own, and what it tells of itself. */
#ifndef TESTS_SUPPORT_ADMIN_H
#define TESTS_SUPPORT_ADMIN_H

#include "client.h"
#include "daemon.h"

/* Looks at something that changes in its own time, 1 ms apart. */
#define CHANGES 10000

struct admin_site {
	char directory[64], file[96];
	char admin[128]; /* the usual address of [admin] */
	struct daemon daemon;
};

void admin_write(const char *path, const char *text);

/* Writes the configuration: two workers on main.sock, then `more`, which begins in [admin]. */
void admin_configure_all(const struct admin_site *site, const char *more);

/* The same with the usual [admin], then `more`. */
void admin_configure(const struct admin_site *site, const char *more);

/* Makes the directory, or configures and starts all. */
void admin_make(struct admin_site *site);
void admin_start(struct admin_site *site, const char *more);

/* The end of both; the directory has to be empty. */
void admin_remove(struct admin_site *site);
void admin_stop(struct admin_site *site);

/* The body of an answer, which has to have this status; to be freed. */
char *admin_fetch(const char *address, const char *target, int status);

/* The same, which has to hold a text. */
void admin_check(const char *address, const char *target, int status, const char *expected);

/* A number of /status.json. */
long admin_figure(const struct admin_site *site, const char *path);

/* No event tells of a figure: looks until it is as expected. */
void admin_await(const struct admin_site *site, const char *path, long expected);

/* Sends a request that napper.so takes this long for, and waits until it runs; then its answer. */
void admin_begin(const struct admin_site *site, struct client *client, int ms);
void admin_end(struct client *client);

#endif
