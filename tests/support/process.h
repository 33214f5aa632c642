/* Programs that a test runs. Each leads a process group, which ends with the test. */
#ifndef TESTS_SUPPORT_PROCESS_H
#define TESTS_SUPPORT_PROCESS_H

#include "support.h"

struct process_options {
	const char *const *arguments; /* argv with NULL at the end; argv[0] is looked up in PATH */
	const char *const *environment; /* NAME=value and NULL, before the inherited; may be NULL */
	bool clean;                     /* nothing is inherited */
	int input;                      /* becomes descriptor 0; 0: /dev/null */
	const int *pass;                /* become descriptors 3, 4, ... */
	size_t pass_count;
};

struct process {
	pid_t pid;
	int pidfd;
	int out_fd, err_fd;    /* -1 once at their end */
	struct bytes out, err; /* never NULL */
	bool ended;
	int status; /* of wait(2), once ended */
};

void process_start(struct process *process, const struct process_options *options);

/* Waits until standard error holds `text` behind `from`; fails the test where it never does.
 * Returns the place behind it. */
size_t process_expect(struct process *process, const char *text, size_t from);

/* Reads what there is without waiting. */
void process_drain(struct process *process);

/* Waits for the end, reading both outputs. Returns the exit status, or 128 + the signal. */
int process_wait(struct process *process);

/* Runs a program to its end; its outputs stay until process_free. */
int process_run(struct process *process, const struct process_options *options);

/* The same for one that has to end with 0: the test fails with all it said where it does not. */
void process_succeed(struct process *process, const struct process_options *options);

/* Kills what is left of the group, and frees. */
void process_free(struct process *process);

/* Waits for the end of a process that is not our child but descends from us (its parent has ended:
 * process_start makes us its heir). Returns like process_wait. */
int process_wait_orphan(pid_t pid);

/* The children of a process, at most `max`; returns how many there are. */
size_t process_children(pid_t pid, pid_t *children, size_t max);

/*
 * A descendant of ours has to have been killed. Its parent, killed with it, may have had the time
 * to reap it; if not, it is ours.
 */
void process_check_killed(pid_t pid, const char *what);

/* How many descriptors a process has open. */
size_t process_descriptors(pid_t pid);

/* Waits until a worker has neither a child nor more descriptors than these. */
void process_check_nothing_left(pid_t worker, size_t descriptors);

/* Resident memory of a process in KiB. */
long process_memory(pid_t pid);

#endif
