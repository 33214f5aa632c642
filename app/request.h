/*
 * One request: its variables, what they mean, its body on the way in, its answer on the way out,
 * and the task that runs its handler. It knows no socket and no protocol: what carries it is a
 * gate, a handful of functions that a connection (or a test) provides.
 */
#ifndef APP_REQUEST_H
#define APP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "anygate.h"
#include "arena.h"
#include "async/channel.h"
#include "async/slots.h"
#include "env.h"
#include "limits.h"
#include "spool.h"
#include "task.h"
#include "waiting.h"

struct async;
struct event_base;
struct expiry;
struct sse;
struct subprocess;
struct tick;

/* What the requests of one worker share. */
struct runtime {
	struct event_base *base; /* for app/async only */
	struct async *async;     /* its own */
	const struct limits *limits;
	const struct host *host; /* the applications */
	struct task_pool tasks;
	struct ag_request *current; /* whose handler has the processor, or NULL */
	struct ag_task *task;       /* and which of its tasks */
	struct block_pool blocks;
	struct block_pool buffers;
	struct subprocess *subprocesses; /* to be reaped: app/async/subprocess.h */
	struct slots programs;           /* that run */
	struct slots fetches;            /* on their way */
	struct block_pool task_blocks;
	struct channels *channels; /* NULL: nobody has subscribed yet */
	struct bus *bus;           /* takes messages to other workers; NULL: there are none */
	struct channel_counters *channel_counters; /* never NULL once async has started */
	int worker;                                /* from 1 */
	unsigned threads;                          /* for ag_offload, 0: none */
	uint64_t requests;                         /* so far */
	uint64_t seed;                             /* of their ids: no other worker has the same */
	bool timed; /* requests keep `ran`, for which the clock is asked */
	bool debug;
	uint64_t now; /* us, CLOCK_MONOTONIC, not long ago; 0: nobody keeps it */
	/* is told, on the worker's own stack, that `current` has changed; or NULL */
	void (*switched)(struct runtime *runtime);
	/* what a task without a client says, for the error log; or NULL */
	void (*log)(struct ag_request *req, const char *line);
};

/* An answer's head, as the application wants it. `fields` are ready "Name: value\r\n" lines. */
struct head {
	int status;
	const char *fields;
	size_t fields_length;
	int64_t length; /* bytes of body, -1: not known */
	bool bodiless;  /* HEAD, 204, 304 */
};

/*
 * What carries a request. send() takes a piece of the answer, copying what it can't pass on at
 * once: first with the head, last with `end`; it returns 0, 1 when the client is slow (wait
 * for request_room before sending more), or AG_GONE.
 */
struct gate {
	const char *protocol;
	int (*send)(struct ag_request *req, const struct head *head, const void *body, size_t size,
	        bool end);
	void (*waits)(
	        struct ag_request *req); /* the running task suspends, or ends before others */
	void (*finished)(
	        struct ag_request *req); /* handler and answer are over; frees the request */
	void (*log)(struct ag_request *req, const char *line); /* for the error log */
	/* what comes from here on is the body, without end: before the head with status 101.
	 * False: the gateway can't pass that on */
	bool (*upgrade)(struct ag_request *req);
};

struct ag_request {
	struct arena arena; /* its memory, which it stands in itself: see arena_new */

	/* who carries it */
	const struct gate *gate;
	void *carrier;           /* the gate's own */
	struct ag_request *next; /* the carrier's list */
	struct runtime *runtime;
	uint64_t number;   /* among the worker's, from 1 */
	const char *name;  /* ag_request_id's answer, once asked for */
	uint64_t ran;      /* us that its handler had the processor, where runtime->timed */
	uint16_t id;       /* of the exchange on its connection */
	uint8_t redirects; /* within the server, so far */
	bool has_head;     /* the carrier's: request_head was called */
	bool over;         /* the carrier's: the answer's end is on its way */
	bool handled;      /* the carrier's: a handler has it, or had */
	uint8_t answered;  /* the carrier's: first digit of the status on its way, or 0 */
	bool upgraded;     /* body and answer are another protocol's, without end and limits */
	bool leaving;      /* has been told that it is to end: its worker does */
	bool closes;       /* by the answer: what follows may be no request */
	bool authorizer;   /* asked whether to let a request pass (FastCGI 6.3) */

	/* what was asked; set by request_head */
	uint64_t since; /* us, CLOCK_MONOTONIC: the head was complete */
	uint64_t fed;   /* us: its body too; 0: not yet */
	struct env env;
	const char *method;
	const char *path; /* after the mount */
	const char *mount;
	const char *query;
	int64_t length; /* of the body; -1 not known */
	struct ag_app *app;
	struct params *params;       /* what the route's names matched */
	struct arguments *arguments; /* of the query, once asked for */
	struct ag_ws *websocket;     /* once accepted */
	struct sse *sse;             /* server-sent events, once begun */
	struct subscriptions subscriptions;
	bool started; /* the handler has begun */
	bool is_head; /* HEAD */

	/* the body on its way in */
	char *body; /* what came and was not read yet */
	size_t body_at, body_end, body_size;
	struct spool spool; /* and what came behind it, above limits.body_memory */
	uint64_t body_received;
	int body_error; /* AG_..., told to the next read */
	int refused;    /* status to answer instead of the handler's, or 0 */
	bool body_ended;

	/* the answer */
	int status; /* by ag_status or the handler */
	char *fields;
	size_t fields_length, fields_size;
	int64_t announced; /* Content-Length set by the handler, -1 none */
	uint64_t body_sent;
	char *buffer; /* body bytes not sent yet */
	size_t buffered;
	bool has_type, head_sent, ended;
	bool cut_short; /* less was sent than announced: the connection must not go on */

	/* the handler */
	struct ag_task handler;
	struct task_list tasks; /* those it spawned, and they did, that are not over */
	struct ag_task *reader; /* waits for the body, to read it; or NULL */
	struct ag_task *writer; /* waits for the client, to write; or NULL */
	bool late;              /* it has taken too long: no wait waits any more */
	struct expiry *expiry;  /* ag_deadline's timer, once there was one */
	struct tick *tick;      /* async_tick's */
	bool timed;             /* ... which runs, or has run out: */
	bool expired;           /* no wait waits any more, unless it is taken back */
	bool done;              /* the handler has returned */
	bool gone;              /* the client went away, perhaps only for reading */
	bool broken;            /* nothing can be sent any more */
};

/* Bytes of body that gather before they are sent. */
#define REQUEST_BUFFER 16384

/* ---- for the carrier ---- */

/* A request of an exchange that opened; NULL without memory. The carrier frees it by request_free.
 */
struct ag_request *request_new(
        struct runtime *runtime, const struct gate *gate, void *carrier, uint16_t id);
void request_free(struct ag_request *req);

/*
 * All variables have come and been checked: finds out what they mean (path rule, mount, length,
 * server and scheme) and which application answers. Returns 0 or the status to refuse with.
 */
int request_head(struct ag_request *req);

/* Now, in us, as req->since. */
uint64_t request_clock(void);

/* The same, exact enough for time-outs. */
uint64_t request_now(const struct runtime *runtime);

/* Runs the handler until it ends or waits; gate->finished may have been called on return. */
void request_start(struct ag_request *req);

/* Answers with `status` and its page without a handler; gate->finished has been called on return.
 */
void request_refuse(struct ag_request *req, int status);

/* Bytes of the body; copied. Returns 0, or the status to refuse with (413, 500, 507). */
int request_body(struct ag_request *req, const void *data, size_t size);

/* No more bytes come; 0, or 400 when the body is shorter than announced. */
int request_body_end(struct ag_request *req);

/* Whether bytes of the body are here that the handler has not read. */
bool request_body_unread(const struct ag_request *req);

/* Whether a task waits for the body. */
bool request_body_wanted(const struct ag_request *req);

/* Whether such a task has something to learn. */
bool request_body_ready(const struct ag_request *req);

/* The body can't be had: AG_GONE, AG_TIMEOUT or AG_REFUSED with the status that answers it. */
void request_body_fail(struct ag_request *req, int error, int status);

/* The client went away; `broken`: and takes nothing any more. Waiting calls end. */
void request_gone(struct ag_request *req, bool broken);

/*
 * Whether the handler waits for something other than its client, and has done so, its body being
 * complete, since before `limit` (us).
 */
bool request_is_late(const struct ag_request *req, uint64_t limit);

/* The handler has taken too long: waits end with AG_TIMEOUT, the answer is 504 if it still can be.
 */
void request_late(struct ag_request *req);

/* The worker ends: an upgraded request's reader learns it, a stream of events ends, others go on.
 */
void request_leave(struct ag_request *req);

/* The client took what was sent: a waiting ag_write goes on. */
void request_room(struct ag_request *req);

/* Whether an ag_write waits for that. */
bool request_room_wanted(const struct ag_request *req);

/* Goes on with one task, where request_body_ready. */
void request_body_wake(struct ag_request *req);

/* ---- in the handler's task ---- */

/* Finds the handler and runs it; its result. */
int request_dispatch(struct ag_request *req);

/* ---- for applications compiled in ---- */

/*
 * Answers as a request for another target of this server would be, a path and perhaps a query: GET,
 * without a body. In the handler, with nothing written; its result is the handler's. Suspends.
 */
int request_redirect(struct ag_request *req, const char *target);

/* The variables as they arrived, before anything was derived: false past the last. */
bool request_arrived_at(
        const struct ag_request *req, size_t i, const char **name, const char **value);

#endif
