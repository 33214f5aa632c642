/*
 * One worker process: its event loop, its listeners and connections, and what requests share. It
 * owns all of them and ends in worker_stop.
 */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event_struct.h>

#include "../app/request.h"
#include "../app/router.h"
#include "bus.h"
#include "config.h"
#include "deadline.h"
#include "scoreboard.h"
#include "socket.h"
#include "upkeep.h"

/* Bytes read from a socket at a time, and room for what one send() of a request encodes. */
#define WORKER_SCRATCH 65536
#define WORKER_OUTPUT  (128 * 1024)

#define UNWATCHED UINT64_MAX

struct access;
struct conn;

struct listener {
	struct event event;
	struct worker *worker;
	const struct listen_config *config;
	const struct bound *bound;
	struct deadline_list keepalive;
	struct block_pool blocks; /* of connections, */
	size_t conn_size;         /* of so many bytes */
	size_t conn_count;
	bool exclusive;       /* of the workers that wait for clients, one is woken alone: this */
	size_t had;           /* conn_count when it last took somebody */
	size_t taken;         /* connections, since it went behind the other workers */
	bool paused;          /* max_connections are open */
	bool warned;          /* ... and the log says so, until half of them are closed */
	struct limits limits; /* the worker's, and what is decoded otherwise here */
	uint64_t empty;       /* us: since then its queue may have held what is taken from it now */
	bool full;            /* something was left in the queue, or may have been */
	uint64_t watched;     /* the last turn that looked at the queue, or will; or UNWATCHED */
	struct deadline calm; /* shed.c: when to see whether it is over */
	uint64_t shed;        /* connections answered 503 since it began; 0: none is */
	uint64_t shed_seen;   /* of those, when `calm` was set */
};

struct worker {
	struct runtime runtime; /* first: it is how handlers' switches find the worker */
	const struct config *config;
	struct event_base *base;
	int epoll; /* the base's; -1: not known, or no listener can be exclusive */
	struct listener *listeners;
	size_t listener_count; /* open ones: all or none */
	size_t listeners_made;
	struct conn *conns; /* all of them */
	size_t conn_count;
	struct access *access; /* NULL: none is kept */
	bool tells;            /* a request's end may be a line of either log */
	struct deadlines clock;
	struct deadline_list header, body, write, linger, first, leave, calm;
	struct event tidy, resume, cut, control, signals[3];
	bool tidying, paused, draining;
	uint64_t short_until; /* s: the log has said that there are no descriptors */
	bool softly;          /* draining, and others go on in its place */
	struct slot *slot;    /* its figures */
	struct upkeep upkeep;
	struct worker_bus bus;
	uint8_t *scratch; /* WORKER_SCRATCH for kept bytes, as many for those read last */
	uint8_t *output;  /* what is being encoded */
	char date[32];    /* HTTP-date of `dated` */
	uint64_t dated;   /* s */

	/* daemon/tally.c: us; runtime.now is this turn's begin, or later an answer's end */
	uint64_t asleep; /* the loop last began to wait */
	uint64_t woken;  /* the last turn's begin */
	uint64_t polled; /* what this turn found has not been there before */
	uint64_t turn;   /* counts them */
	bool fresh;      /* no handler ran since runtime.now */
	bool turned;     /* this turn's begin is noted */
	bool aged;       /* handlers or disks took time since clock.now */
};

/* What the master hands to a worker. */
struct worker_start {
	const struct config *config;
	const struct bound *bound;
	size_t bound_count;
	int number;  /* 0: the one that serves [admin] */
	int control; /* the worker's end, see control.h */
	int statm;   /* of upkeep_open_statm(), the worker's from here on */
	struct slot *slot;
	struct access_lines *lines;   /* the access log's; or NULL */
	const struct bus_shared *bus; /* NULL: it is not to publish anything */
};

/*
 * Runs a worker until it is told to stop; the master hears when its applications are loaded, or why
 * they are not. Returns the exit status: 0; 2 where an application did not load; 1 otherwise.
 */
int worker_run(const struct worker_start *start);

/* The time as HTTP-date (RFC 9110 5.6.7), made once a second. */
struct span worker_date(struct worker *worker);

/* The access log, and what requests keep for either log; false with errno. Then its end. */
bool worker_start_logs(struct worker *worker, struct access_lines *lines);
void worker_stop_logs(struct worker *worker);

/* CONTROL_REOPEN has come: what was gathered goes into the old files, the rest into the new. */
void worker_take_logs(struct worker *worker, int control);

/* Gives memory back soon; called when a request has ended. */
void worker_tidy(struct worker *worker);

/* A connection was closed: a paused listener may go on, a draining worker may be done. */
void worker_conn_closed(struct listener *listener);

#endif
