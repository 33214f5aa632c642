/*
 * What a handler waits for: time, tasks, threads, queues, channels, programs, other servers.
 * Part of anygate.h, which includes it; an application includes that one only.
 *
 * What a wait costs, in memory that nobody else can use, connection and request included (x86-64,
 * Debian 12): 8.7 KiB for a handler, whether in ag_sleep or between server-sent events; 9.8 KiB
 * for an idle WebSocket; 4.2 KiB for each further task. Most of it is stack, by whole pages of 4
 * KiB: a handler has used two, a task one. A deeper call or a large array makes it more for as
 * long as the task lives, even behind its return, so what is above a kilobyte or two is better off
 * in memory of malloc(3).
 */
#ifndef ANYGATE_ASYNC_H
#define ANYGATE_ASYNC_H

#include "../anygate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- time ---- */

/* For `ms`: as long as it takes. */
#define AG_FOREVER (~0U)

/* Suspends for `ms` milliseconds. Returns 0, or at once AG_GONE when the client goes away. */
int ag_sleep(struct ag_request *req, unsigned ms);

/*
 * From now on the request has `ms` milliseconds: then whatever its tasks wait for ends with
 * AG_TIMEOUT, and so do all later waits, and the answer is 504 unless some of it was sent already,
 * which is cut short then. It takes the place of daemon.request_timeout, whether sooner or later;
 * with 0 that is in force again, and what was timed out may go on, so a handler can give an answer
 * of its own. Each call begins anew. A handler that keeps the processor is not ended by it. Never
 * suspends. Returns 0, AG_NOMEM, or AG_INVALID outside of the request's tasks.
 */
int ag_deadline(struct ag_request *req, unsigned ms);

/*
 * Runs function(argument) on one of the worker's threads (daemon.threads) and suspends until it has
 * returned, so that it may keep a processor busy, or block. It must call nothing of this header,
 * and no other thread looks at what it works on. Returns 0 once it has returned; AG_GONE,
 * AG_TIMEOUT, AG_CANCELED where that came meanwhile: also only once it has returned, or when it is
 * sure not to begin, so `argument` may be on the caller's stack. It did not run, and never will,
 * after AG_BUSY: 1024 are waiting for a thread; AG_INVALID: daemon.threads is 0; AG_NOMEM.
 */
int ag_offload(struct ag_request *req, void (*function)(void *argument), void *argument);

/*
 * Starts a task of this request: `function` runs on a stack of its own whenever others wait, and
 * may wait itself. It begins after the caller has suspended. NULL: no memory. The task belongs to
 * its caller, which joins it; what was not joined when the caller's function returns is cancelled
 * and waited for, so no task outlives its request and `argument` may be on the caller's stack.
 * The body is read, and the answer written, by one task at a time: ag_read while another task
 * suspends in ag_read, ag_write or ag_flush while one suspends in either, is AG_INVALID. When the
 * client goes away every task is told by its own wait.
 */
struct ag_task *ag_spawn(struct ag_request *req, ag_function *function, void *argument);

/*
 * Suspends until a task that the caller has spawned is over; returns 0 with the function's result
 * in `*result` (or NULL), which is AG_NOMEM where there was no stack to run it on. The task is
 * forgotten then. Or AG_INVALID: it is not the caller's. Nothing else ends the wait: a client that
 * goes away, a deadline and ag_cancel end what the task waits for, and by that this.
 */
int ag_join(struct ag_request *req, struct ag_task *task, int *result);

/*
 * The same for whichever of the caller's tasks is over first, which `*task` (or NULL) then names,
 * for comparison only. AG_INVALID: there is none left.
 */
int ag_join_any(struct ag_request *req, struct ag_task **task, int *result);

/* The same for all of them, whatever their results. 0 where there is none. */
int ag_join_all(struct ag_request *req);

/*
 * Ends what the task waits for, and all it will wait for, with AG_CANCELED, and the same for those
 * that it has spawned; NULL: all tasks that the caller has spawned. A task has to return by itself
 * and to be joined all the same, and one that has not begun begins all the same. Never suspends.
 */
void ag_cancel(struct ag_request *req, struct ag_task *task);

/*
 * What the tasks of one worker, whichever requests they belong to, give each other and wait for.
 * `ms` is the longest wait, AG_FOREVER or 0: not at all. Who waits suspends, and those who came
 * first are served first. Beside what each call says, a wait ends with AG_TIMEOUT, AG_GONE or
 * AG_CANCELED, and then nothing was given or taken; or with AG_CLOSED when what it waits for is
 * closed or freed. Where there is nothing to wait for nothing suspends, and who has gone is not
 * told either. They belong to who has made them (NULL: no memory), in AG_APP or later, and to no
 * other worker.
 */

/* Up to `size` items, at least one, which the queue does not look at. */
struct ag_queue *ag_queue_new(size_t size);

/* Waits while the queue is full. 0; AG_CLOSED. */
int ag_queue_put(struct ag_request *req, struct ag_queue *queue, void *item, unsigned ms);

/* Waits while the queue is empty. 0 with the oldest in `*item`; AG_CLOSED: none is left. */
int ag_queue_get(struct ag_request *req, struct ag_queue *queue, void **item, unsigned ms);

/* How many can be had without a wait. */
size_t ag_queue_count(const struct ag_queue *queue);

/* From now on nothing can be put, and who waits to is told; what is in it can still be had. */
void ag_queue_close(struct ag_queue *queue);

/* Closes and frees it; what is in it is its owner's. NULL is fine, as below. */
void ag_queue_free(struct ag_queue *queue);

/* Something that others may be told of: it has no memory, so look before and after the wait. */
struct ag_cond *ag_cond_new(void);
int ag_cond_wait(struct ag_request *req, struct ag_cond *cond, unsigned ms);

/* Lets the first that waits go on, or all; whether there was one, how many there were. */
bool ag_cond_notify(struct ag_cond *cond);
size_t ag_cond_notify_all(struct ag_cond *cond);
void ag_cond_free(struct ag_cond *cond);

/* So many permits, each to be given back by who has taken it. */
struct ag_semaphore *ag_semaphore_new(size_t count);
int ag_semaphore_take(struct ag_request *req, struct ag_semaphore *semaphore, unsigned ms);
void ag_semaphore_give(struct ag_semaphore *semaphore);
void ag_semaphore_free(struct ag_semaphore *semaphore);

/* ---- channels ---- */

/*
 * A channel is a name of 1 to 255 bytes and needs no making. What is published there reaches
 * everybody who has subscribed to it before, in all workers of the daemon, the publisher's too, and
 * through reloads and upgrades; with [bus] redis in all daemons that share it. All of a daemon see
 * its messages in one order. Nothing is kept for who subscribes later, nor on disk.
 *
 * Who receives too slowly loses the oldest: a channel keeps 256 messages in a worker for those that
 * have not received them yet, or fewer, where they are more than 1 MiB. It is kept once, however
 * many are to have it. How many a subscription has lost is told with its next message; where the
 * worker itself was too slow, that is counted for each of its subscriptions, whatever the channels.
 */

/* Bytes of a message, at most. */
#define AG_PUBLISH_MAX 65536

/*
 * Publishes; `data` may be reused at once. Never suspends. 0, whether or not anybody listens;
 * AG_INVALID: no name, or more than AG_PUBLISH_MAX bytes; AG_BUSY: a stopped worker blocks the
 * daemon's memory for messages; AG_NOMEM. Nobody has got it then.
 */
int ag_publish(struct ag_request *req, const char *channel, const void *data, size_t size);

struct ag_message {
	const char *channel;
	const char *data; /* a NUL follows */
	size_t size;
	size_t lost; /* messages that this subscription has lost before this one */
};

/*
 * Subscribes to what is published from now on; in this worker at once, from others when this
 * returns, from other daemons a moment later. Ends with ag_unsubscribe, or with the request, which
 * must not end sooner than that it is used. Never suspends. NULL: no name, or no memory.
 */
struct ag_subscription *ag_subscribe(struct ag_request *req, const char *channel);

/*
 * Suspends until a message has come, for `ms` at most. Returns 0 with it, valid until the next call
 * for this subscription, or its end; AG_TIMEOUT, AG_GONE, AG_CANCELED; or AG_INVALID: another task
 * waits for it, or it is another request's.
 */
int ag_receive(struct ag_request *req, struct ag_subscription *subscription,
        struct ag_message *message, unsigned ms);

/* Ends it, with what was not received. 0, or AG_INVALID: a task waits in ag_receive. */
int ag_unsubscribe(struct ag_subscription *subscription);

/* ---- programs ---- */

/*
 * Takes a piece of a program's output, valid for the call; not 0 ends the program. It may suspend:
 * the program goes on meanwhile until its pipe is full (64 KiB), even beyond timeout_ms, which is
 * looked at when this has returned. Who waits for a slow client in here has limits.write_timeout.
 */
typedef int ag_run_output(struct ag_request *req, void *argument, const char *data, size_t size);

/* Which program to run and how; zeroed but for argv is good. */
struct ag_run_spec {
	/*
	 * NULL at the end. A first one without "/" is looked up in PATH: the one of `environment`,
	 * or else the system's usual directories; entries that are not absolute are passed over. A
	 * relative path starts at `directory`. No shell is asked.
	 */
	const char *const *argv;
	/* NAME=value, NULL at the end; nothing else is inherited. NULL: PATH only */
	const char *const *environment;
	const char *directory; /* to run in; NULL: the worker's */
	const void *input;     /* `input_size` bytes for standard input, */
	size_t input_size;
	bool input_body;     /* or, instead, the request's body as it comes; else it is empty */
	size_t output_limit; /* bytes of each output to keep, 0: 64 KiB; */
	size_t error_limit;  /* the rest is read and dropped */
	unsigned timeout_ms; /* from its start; then its process group is killed. 0: none */
	ag_run_output *take; /* gets standard output as it comes, in place of `output`; or NULL */
	void *argument;      /* for it */
};

/* How it ended. Both texts live as long as the request, have a NUL behind them, are never NULL. */
struct ag_run_result {
	int status;     /* its exit status; -1: it did not exit by itself */
	int signal;     /* that killed it; 0: none */
	bool timed_out; /* timeout_ms was over: `signal` is SIGKILL */
	const char *output, *error;
	size_t output_size, error_size;
	bool output_cut, error_cut; /* there was more than the limit */
};

/*
 * Runs a program in a process group of its own, with no descriptor of ours but three pipes, to its
 * end. Suspends; several tasks may do so at once. Where daemon.programs run already, it waits its
 * turn first. Returns 0 with `*result`, however the program ended; what it has left behind goes on,
 * unless that holds its standard output. Or nothing has run: AG_NOENT, AG_INVALID (the spec), or
 * AG_NOMEM (no room for a process; the log says why of this and AG_NOENT). Or its group was killed:
 * AG_GONE at once when the client goes away, AG_TIMEOUT by the request's own deadline, AG_CANCELED,
 * AG_NOMEM, what `take` returned, or what ag_read would with `input_body`. `*result` has no output
 * then.
 */
int ag_run(struct ag_request *req, const struct ag_run_spec *spec, struct ag_run_result *result);

/* ---- HTTP client ---- */

/*
 * Takes an answer as it comes; `data` is valid for the call. First with size 0: the head has come,
 * and status, url and headers stand in the result; then the body in pieces. May suspend: the peer
 * has to wait meanwhile. Not 0 ends the fetch.
 */
typedef int ag_fetch_output(struct ag_request *req, void *argument, const char *data, size_t size);

/* What to ask whom; zeroed but for url is good. */
struct ag_fetch_spec {
	/* http:// or https:// in visible ASCII; no name and password, for which there is a header
	 */
	const char *url;
	const char *method; /* a token but CONNECT; NULL: GET, or POST where there is a body */
	/*
	 * "Name: value", NULL at the end; nothing else is sent but Host, unless it is here, and the
	 * body's length. Refused are those that belong to a connection: Connection, Content-Length,
	 * Expect, Keep-Alive, Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade.
	 */
	const char *const *headers;
	const void *body; /* `body_size` bytes, */
	size_t body_size;
	bool body_request;   /* or, instead, what is left of the request's own, as it comes */
	size_t limit;        /* bytes of the answer's body; 0: 1 MiB, with `take`: no limit */
	unsigned redirects;  /* to follow, by http and https only; 0: one is the answer */
	unsigned connect_ms; /* for its name, the connection and TLS; 0: 10 s */
	/* for the whole, or, with `take` or body_request, since the last piece of a body; not while
	 * the request's own is waited for. 0: 60 s, AG_FOREVER: none */
	unsigned timeout_ms;
	const char *socket;    /* path of a Unix socket to connect to, whatever the URL's host */
	const char *ca_file;   /* who signs certificates, in PEM; NULL: the system's */
	ag_fetch_output *take; /* gets the answer as it comes, in place of `body`; or NULL */
	void *argument;        /* for it */
};

/* What came. All of it lives as long as the request; no text is NULL. */
struct ag_fetch_result {
	int status;          /* 100 to 999; 0: no head came */
	const char *url;     /* who has answered, behind redirects */
	const char *headers; /* see ag_fetch_header */
	size_t headers_size;
	const char *body; /* as it was sent, no encoding is undone; a NUL behind it */
	size_t body_size;
	const char *error; /* why there is no answer, one line without its end; "": there is one */
};

/*
 * Asks an HTTP/1.1 server and waits for the answer. Suspends; several tasks may do so at once,
 * daemon.fetches in a worker: others wait their turn first. Connections are kept and used again by
 * all fetches of a worker; names are resolved in threads. Certificates and their names are always
 * verified. http_proxy and its like, .netrc and cookies are not looked at.
 *
 * Of redirects that are followed 303 makes a GET of all but HEAD, 301 and 302 of POST;
 * Authorization and Cookie are not sent to another host; a body of body_request is not to be had
 * twice. What is not idempotent (RFC 9110 9.2.2) is sent once only.
 *
 * Returns 0 with the answer, whatever its status. Or the fetch was ended, its connection closed and
 * all given back: AG_UNREACHABLE, AG_UNTRUSTED, AG_SLOW, AG_TOO_LARGE, AG_BAD_ANSWER; AG_INVALID
 * (the spec, nothing was sent); AG_GONE at once when the client goes away; AG_TIMEOUT by the
 * request's own deadline; AG_CANCELED; AG_NOMEM; what `take` returned; what ag_read would with
 * body_request. `error` says of all but the last three why; what was had of the head stands, no
 * body.
 */
int ag_fetch(
        struct ag_request *req, const struct ag_fetch_spec *spec, struct ag_fetch_result *result);

/* The first header of this name, whatever its case, or NULL. */
const char *ag_fetch_header(const struct ag_fetch_result *result, const char *name);

/* The i-th header in order: true and both strings, or false past the last. */
bool ag_fetch_header_at(
        const struct ag_fetch_result *result, size_t i, const char **name, const char **value);

#ifdef __cplusplus
}
#endif

#endif
