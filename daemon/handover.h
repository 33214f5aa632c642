/*
 * A binary upgrade keeps the process: the master executes the new program, which finds here what it
 * goes on with. Everything is a number or a short text in a memory file, whose descriptor the
 * environment names; all other descriptors keep their numbers.
 */
#ifndef DAEMON_HANDOVER_H
#define DAEMON_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "socket.h"

/* Holds the number of the memory file's descriptor. */
#define HANDOVER_VARIABLE "ANYGATE_HANDOVER"

/* Holds that of a pipe in a trial, and what a program that takes over answers there. */
#define TRIAL_VARIABLE "ANYGATE_TRIAL"
#define TRIAL_ANSWER   "anygate handover 1"

struct handed_child {
	pid_t pid;
	unsigned number, generation;
	bool ending; /* has been told to end */
	int control;
	size_t slot;      /* of the scoreboard; SIZE_MAX: none */
	uint64_t started; /* ms, CLOCK_MONOTONIC */
	uint64_t kill_at; /* ms; 0: not to be killed */
};

struct handover {
	int config;     /* file of the configuration in force */
	int board;      /* of the scoreboard; -1: none */
	int ring, wake; /* of the bus; -1: none */
	int pidfile;    /* -1: none */
	int previous;   /* the program before, to go back to; -1: this is the way back */
	unsigned generation, last_generation, wanted;
	struct bound *bound;
	size_t bound_count;
	struct handed_child *children;
	size_t child_count;
	char why[256]; /* on the way back: what was wrong with the new program */
};

/* A descriptor of the memory file, not close-on-exec; -1 with errno. */
int handover_write(const struct handover *handover);

/*
 * What the environment names, which forgets it; NULL when nothing is handed over. `error` has a
 * line where what is there is damaged, else it is "".
 */
struct handover *handover_read(char *error, size_t size);

/* Executes the former program again, with `why`: before anything was done. Returns if it can't. */
void handover_return(struct handover *handover, const char *why, char **argv);

/* In a trial: tells the master that this program knows how to take over. False: it can't hear. */
bool handover_confirm(void);
void handover_free(struct handover *handover);

#endif
