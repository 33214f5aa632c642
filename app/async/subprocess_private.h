/* What the parts of a program's run share; for app/async/subprocess*.c only. */
#ifndef APP_ASYNC_SUBPROCESS_PRIVATE_H
#define APP_ASYNC_SUBPROCESS_PRIVATE_H

#include <stdint.h>
#include <sys/types.h>

#include <event2/event_struct.h>

#include "subprocess.h"

#define SUBPROCESS_INPUT_SIZE  8192
#define SUBPROCESS_OUTPUT_SIZE 16384

struct subprocess {
	struct runtime *runtime;
	struct ag_request *req;             /* NULL behind subprocess_end */
	struct ag_task *task;               /* that waits for it */
	struct subprocess *previous, *next; /* to be reaped */
	pid_t pid;                          /* the group's too; not reaped while this lives */
	int pidfd;
	int in, out, err; /* our ends, -1: closed */
	struct event on_exit, on_in, on_out, on_err, on_timer;
	bool exited;
	int code, status; /* once exited, as in siginfo_t */

	/* subprocess_run's */
	unsigned timeout;  /* ms */
	uint64_t deadline; /* ms on the monotonic clock; 0: none */
	uint64_t grace;    /* when the wait for a late end is over; 0: not begun */
	uint64_t gone;     /* the same for a client that has half gone */
	bool moved;        /* bytes went in or out in this turn */
	bool busy;         /* its outputs may hold more than a turn takes */
	bool full;         /* it does not take its input as fast as that comes */
	bool starved;      /* it would take more of the body than has come */
	uint64_t quiet;    /* when idle() is to be called; 0: not until more comes */
	const char *at;    /* what is to go in next */
	size_t left;
	char input[SUBPROCESS_INPUT_SIZE];
	char output[SUBPROCESS_OUTPUT_SIZE];
};

uint64_t subprocess_now(void); /* ms on the monotonic clock */

void subprocess_close(int *fd);

/* Looks, without waiting, whether the program has ended; it stays to be reaped. */
void subprocess_look(struct subprocess *process);

#endif
