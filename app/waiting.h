/*
 * The tasks of a request and what they wait for. A request has one task for its handler, and those
 * that were spawned from it; a task waits for one thing at a time. Whoever makes a task go on calls
 * request_wake from the event loop, or waiting_wake_later from wherever it is.
 */
#ifndef APP_WAITING_H
#define APP_WAITING_H

#include <stdbool.h>
#include <sys/queue.h>

#include "anygate.h"
#include "task.h"

struct runtime;

/* What a suspended task waits for. */
enum waiting {
	WAITING_NOT,
	WAITING_BODY,    /* ag_read: bytes, the end, or a failure of the body */
	WAITING_END,     /* ag_write: the rest of the body, see send_piece */
	WAITING_ROOM,    /* ag_write: the client to take what was sent */
	WAITING_TIMER,   /* ag_sleep */
	WAITING_PROCESS, /* a program: its output, its end, room in its input */
	WAITING_FETCH,   /* another server's answer, or its taking of what it is sent */
	WAITING_FEED,    /* either of both, or bytes of the body for it */
	WAITING_QUEUE,   /* another task: a queue, a condition, a semaphore */
	WAITING_TASKS,   /* ag_join, or its function has returned: those it spawned, not given up */
	WAITING_OFFLOAD, /* a thread that runs its function; whoever gives up waits for it too */
	WAITING_TURN,    /* for its turn: what it waited for has come, or it has not begun */
};

TAILQ_HEAD(task_list, ag_task);

struct ag_task {
	TAILQ_ENTRY(ag_task) link; /* in req->tasks; once it is over in parent->ended */
	TAILQ_ENTRY(ag_task) turn; /* among those that wait for their turn */
	struct task_list ended;    /* those it spawned that are over and were not joined */
	struct ag_request *req;
	struct ag_task *parent; /* whose function spawned it; NULL: the handler's own */
	struct task *stack;
	ag_function *function; /* NULL: the handler that the route says */
	void *argument;
	void *job;       /* what WAITING_OFFLOAD is about */
	unsigned living; /* of those it spawned */
	enum waiting waiting;
	int woken;                    /* what the wait answers */
	int result;                   /* the function's */
	const struct ag_task *wanted; /* with WAITING_TASKS: this one, or NULL: any; */
	bool all;                     /* ... or all */
	bool begun;
	bool canceled;
};

/* ---- for the carrier ---- */

/* Runs the handler's task until it suspends or ends, gate->finished being called then. False: no
 * memory for a stack, nothing ran. */
bool waiting_begin(struct ag_task *task);

/*
 * Ends what the request's tasks wait for, with AG_GONE or AG_TIMEOUT, as far as it can be ended.
 * Its handler's task goes on at once, and gate->finished may have been called on return.
 */
void waiting_end(struct ag_request *req, int answer);

/* ---- for calls that wait ---- */

/*
 * Suspends the running task, which must be one of the request's, until it is woken; returns what
 * that gave. Or returns at once: AG_CANCELED, AG_TIMEOUT, or AG_INVALID, where another task of the
 * request is reading or writing, as this one wants to.
 */
int request_wait(struct ag_request *req, enum waiting what);

/* What the request's running task is told before it waits for anything but its client, or 0. */
int request_check(const struct ag_request *req);

/*
 * Goes on with a task that waits; one that waits for its turn only is left alone. On the worker's
 * own stack only. The request may be freed.
 */
void request_wake(struct ag_task *task, int answer);

/* The same in the next turn of the loop; from anywhere. False: it has been woken before. */
bool waiting_wake_later(struct ag_task *task, int answer);

/* ---- for app/async ---- */

/* The task's turn has come: it begins or goes on. On the worker's own stack. */
void waiting_turn(struct ag_task *task);

/*
 * Ends what the task waits for, and what those that it has spawned wait for, and all later waits;
 * NULL: all that the parent has spawned.
 */
void waiting_cancel(struct ag_task *parent, struct ag_task *task);

/*
 * Suspends the running task until this one is over, or (NULL) any or all of those it has spawned.
 * There must be one that is not. Nothing else ends it: what ends their waits ends this.
 */
void waiting_join(struct ag_task *parent, const struct ag_task *wanted, bool all);

/* The running task of the request, or NULL: then the call is a mistake of the application's. */
struct ag_task *waiting_task(const struct ag_request *req);

#endif
