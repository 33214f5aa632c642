/* What the scoreboard holds, copied and made safe at one moment; and the forms it is shown in. */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include "../app/builtin/status.h"
#include "scoreboard.h"

struct worker_status {
	unsigned number, generation;
	int32_t pid;
	const char *state;
	uint64_t uptime; /* ms */
	uint64_t connections, in_flight;
	uint64_t bus_connected; /* 1: to Redis */
	uint64_t rss;           /* bytes */
	uint64_t cpu;           /* us */
	bool runs;              /* a handler has the processor now: */
	uint64_t runs_for;      /* ms: since then */
	struct running running; /* its request; a worker's bytes, but NUL-terminated */
	struct counters counters;
};

struct status {
	pid_t pid;            /* the master's */
	uint64_t now, uptime; /* ms */
	unsigned generation, wanted;
	uint64_t deaths, reloads, failed_reloads, upgrades, recycled, killed;
	char failure[256]; /* why the last reload failed; "": none has */
	uint64_t connections, in_flight, bus_connected;
	struct counters total; /* of workers that are gone, too */
	size_t count;
	struct worker_status workers[]; /* by number, then by age */
};

/* NULL without memory; to be freed. */
struct status *status_read(const struct scoreboard *board);

/* Answers that no head was sent for, and those that begin with 5. */
uint64_t status_errors(const struct counters *counters);

/* For the application `status`: shows this board in all forms. */
struct status_source status_source(const struct scoreboard *board);

/* The forms; each in a file of its own. */
void status_write_json(const struct status *status, struct ag_request *req);
void status_write_metrics(const struct status *status, struct ag_request *req);
void status_write_page(const struct status *status, struct ag_request *req);

/*
 * Lines of fields, NAME=VALUE, with a tab before each: "daemon", "total", one "worker" for each,
 * and "end". Names may be added. Texts are printable ASCII.
 */
void status_write_text(const struct status *status, struct ag_request *req);

#endif
