/* What the parts of the master share; for daemon/master.c, crew.c and their like only. */
#ifndef DAEMON_MASTER_PRIVATE_H
#define DAEMON_MASTER_PRIVATE_H

#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "bus.h"
#include "generation.h"
#include "handover.h"
#include "master.h"
#include "scaling.h"
#include "scoreboard.h"

enum child_state {
	CHILD_STARTING, /* loads its applications */
	CHILD_SERVING,
	CHILD_ENDING, /* told to end, or killed */
};

/* The number of the process that serves [admin]: see admin.c. */
#define ADMIN_NUMBER 0

/* A worker process, or the one of [admin]. */
struct child {
	struct child *next;
	pid_t pid;
	enum child_state state;
	unsigned number;     /* from 1, or ADMIN_NUMBER; its successor has the same */
	unsigned generation; /* it was started for */
	int control;         /* the master's end; -1: closed */
	bool recycle;        /* wants a successor */
	bool drains;         /* has said that it takes no new connections */
	bool hung;           /* killed by the watchdog */
	uint64_t started;    /* ms */
	uint64_t kill_at;    /* ms; 0: not to be killed */
	struct slot *slot;
	struct access_lines *lines; /* see access.h; or NULL */
	struct busyness busy;
	char *failure; /* why it could not start, in its words or ours; or NULL */
};

/* See upgrade.c. */
struct upgrade {
	char path[PATH_MAX]; /* of the program, new or not */
	int exe;             /* the program that runs */
	int previous;        /* the one before, until its successor has proved itself; else -1 */
	pid_t trial;         /* of the process that tries the new one, or 0 */
	int output;          /* what it says */
	uint64_t give_up;    /* ms: when the trial is killed */
	bool tried;          /* the trial was good: to be executed at the next turn */
	char why[256];       /* ... or the former program, for this reason */
};

struct master {
	const struct options *options;
	struct generation *now;  /* serves; NULL until the first start has succeeded */
	struct generation *next; /* is brought up to follow it, or NULL */
	struct child *children;
	struct scoreboard *board;
	int board_fd;
	bool board_new; /* adopted workers have their slots elsewhere */
	struct bus_shared bus;
	int pidfile; /* -1: none */
	struct upgrade upgrade;
	sigset_t signals;
	int signal_fd;
	unsigned wanted; /* workers of `now` */
	struct scaling scaling;
	unsigned last_generation; /* numbers are not used again */
	unsigned deaths;          /* in a row, of workers that had just started */
	uint64_t due;             /* ms: no worker is started before */
	unsigned admin_deaths;    /* as deaths and due, of the process of [admin] */
	uint64_t admin_due;
	uint64_t take_over; /* ms: when `next` becomes `now`; 0: not all of it is ready */
	uint64_t look_at;   /* ms: when the watchdog looks again */
	uint64_t tell_at;   /* ms: when the service manager hears of us; 0: never */
	uint64_t scale_at;  /* ms: when scaling does; 0: never */
	uint64_t kill_at;   /* ms; when stopping */
	bool stopping;
	bool reload_again; /* asked for while another was on its way */
	bool handing_over; /* `now` serves, but an old worker may still accept */
	int status;        /* to exit with */
	const struct master_start *start;
};

/* CLOCK_MONOTONIC in ms. */
uint64_t now_ms(void);

/* ---- crew.c: processes ---- */

/* Starts worker `number` of a generation. In the worker it does not return. False with errno. */
bool child_start(struct master *master, const struct generation *generation, unsigned number);

/* Tells it to end, with what is in flight and nothing lost; it is killed some time after. */
void child_drain(struct master *master, struct child *child);

/* Kills it at once. */
void child_kill(struct child *child);

/* One that starts or serves for a generation under this number, or NULL; the oldest. */
struct child *child_find(const struct master *master, unsigned generation, unsigned number);

/* Whether a younger one with its number starts or serves. */
bool child_has_successor(const struct master *master, const struct child *child);

/* Workers, [admin]'s process not counted, of a generation in a state. */
unsigned child_count(const struct master *master, unsigned generation, enum child_state state);

/* Lets go of all of them: they end when they notice, without being in the middle of something. */
void children_leave(struct master *master);

/* One of a generation serves: it learns of the others, and the first one there was of it. */
void children_share(const struct master *master, const struct child *ready);

/* A signal for all of them; but TERM not for the process of [admin], which ends last. */
void children_signal(const struct master *master, int signal);

/* Sends all of them the logs that were opened again. */
void children_log(const struct master *master);

/* Takes in who has died; calls child_died (master.c) for each and forgets it. */
void children_reap(struct master *master);

/* Reads what a worker has to say; calls child_ready (master.c). */
void child_listen(struct master *master, struct child *child);

/* ---- master.c ---- */

void child_died(struct master *master, const struct child *child, int status);

/* The first start has come to nothing: `why`, if any, is printed, and all ends with `status`. */
void master_give_up(struct master *master, const char *why, int status);
void child_ready(struct master *master, struct child *child);

/* ---- reload.c: one generation after another ---- */

/* HUP: parses, opens, and begins to bring up the next generation; a fault leaves all as it is. */
void reload_begin(struct master *master);

/* The next generation is not to be: the one that serves goes on. `why` is for the log. */
void reload_abandon(struct master *master, const char *why);

/* Says so once the workers of older generations take no new connections. */
void reload_report(struct master *master);

/* Starts what the next generation lacks, and lets it take over once it has proved itself. */
void reload_step(struct master *master);

/* ---- admin.c ---- */

/* Starts the process of [admin], replaces it, ends it: as it should be now. */
void admin_step(struct master *master);

/* It has died without being told to. */
void admin_died(struct master *master, const struct child *child);

struct worker_start;

/* In that process: like worker_run. */
int admin_run(const struct master *master, const struct worker_start *given);

/* ---- scaling.c ---- */

/* Looks how busy the workers are; changes `wanted`. Returns when to look again (ms); 0: never. */
uint64_t scaling_step(struct master *master);

/* ---- watchdog.c ---- */

/* Ends workers that hang. Returns when to look again (ms). */
uint64_t watchdog_step(struct master *master);

/* ---- upgrade.c: one program after another ---- */

/* Finds out which program runs. False with errno. */
bool upgrade_prepare(struct master *master);

/* USR2: the program of our name is tried. */
void upgrade_begin(struct master *master);

/* The trial has ended. */
void upgrade_tried(struct master *master, int status);

/* The new program's workers do not come up: the former one is executed at the next turn. */
void upgrade_undo(struct master *master, const char *why);

/* Executes what is to be executed, if anything. Returns where there is nothing, or it can't. */
void upgrade_step(struct master *master);

/* Takes over the workers of the program before. False without memory. */
bool upgrade_adopt(struct master *master, const struct handover *handover);

/* The new program's own workers serve: there is no way back any more. */
void upgrade_done(struct master *master);

#endif
