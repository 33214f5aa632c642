/*
 * A program that a handler runs, in a session and process group of its own, with three pipes to its
 * standard descriptors and no other descriptor of ours. The handler's task waits for it without
 * blocking the worker; its end is seen by a pidfd, so there is no handler for SIGCHLD.
 *
 * Its end and its group: whoever has to give up on a program kills the group. A program that ended
 * by itself is reaped, and what it left running in the background is left alone, unless that still
 * holds the standard output that the answer is read from.
 */
#ifndef APP_ASYNC_SUBPROCESS_H
#define APP_ASYNC_SUBPROCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "../request.h"

struct subprocess;

/* PATH, where nothing else says. */
#define SUBPROCESS_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct subprocess_spec {
	const char *path;         /* of the program; not looked up anywhere */
	char *const *argv;        /* NULL at the end */
	char *const *environment; /* NAME=value, NULL at the end; nothing else is inherited */
	const char *directory;    /* to run in; NULL: the worker's */
	unsigned timeout;         /* ms, see subprocess_run; 0: none */
};

/*
 * Starts the program; `*process` goes back by subprocess_end. Returns 0, or the errno of what
 * failed, with its name (a path, or what was asked of the system) in `*what`: then nothing is left.
 * A program that can't be executed is such a failure. All of it happens before this returns;
 * nothing suspends. The caller has taken a slot, which goes back when the program has been reaped,
 * or now.
 */
int subprocess_start(struct ag_request *req, const struct subprocess_spec *spec,
        struct subprocess **process, const char **what);

/* What goes in and what happens to what comes out. Bytes are valid for the call only. */
struct subprocess_io {
	void *to; /* for the three below; each may be NULL, and suspend */
	int (*output)(void *to, const char *data, size_t size);
	int (*error)(void *to, const char *data, size_t size);
	int (*idle)(void *to); /* nothing more has come for a moment */
	const char *input;     /* `input_size` bytes for standard input */
	size_t input_size;
	bool body; /* instead of them: the request's body, as it comes */
	/*
	 * The output is the answer: `timeout` runs anew with each sign of life and not while the
	 * client is to send, the end of the output is the end, and a client that has closed its
	 * sending side only is given what comes within a moment.
	 */
	bool answers;
};

/*
 * Feeds the program and takes its outputs until it has ended and they are read. Suspends. Returns
 * 0; AG_GONE, the client went away; AG_TIMEOUT, `timeout` is over; another AG_... the body failed
 * with; or what one of the functions returned that was not 0. Once only.
 */
int subprocess_run(struct subprocess *process, const struct subprocess_io *io);

/* How it ended: si_code and si_status of waitid(2). False: it has not been seen to end. */
bool subprocess_exited(const struct subprocess *process, int *code, int *status);

/* Whether the program has ended, but somebody it left behind holds its standard output. */
bool subprocess_held(const struct subprocess *process);

/*
 * Gives it back; what has not ended is reaped when it does. `kill`: its group is killed now. Else a
 * program that still runs may do so until its time is over. Never suspends.
 */
void subprocess_end(struct subprocess *process, bool kill);

/* Kills and forgets what is still to be reaped. The worker ends. */
void subprocesses_stop(struct runtime *runtime);

#endif
