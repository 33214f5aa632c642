/*
 * anygate: what an application sees. This header is all it includes; C11 and C++11.
 *
 *	#include <anygate.h>
 *
 *	static int hello(struct ag_request *req)
 *	{
 *		ag_printf(req, "Hello, %s\n", ag_arg(req, "name", "world"));
 *		return 200;
 *	}
 *
 *	AG_APP(app)
 *	{
 *		ag_get(app, "/", hello);
 *	}
 *
 *	cc -shared -fPIC hello.c -o hello.so && anygate ./hello.so
 *
 * A handler is written straight down. The calls marked "suspends" wait without blocking: the
 * worker serves other requests meanwhile. A worker is one thread, so a handler needs no lock, but
 * between two suspending calls it must not block (no sleep(3), no slow read(2)).
 *
 * Whatever the gate (FastCGI, SCGI, uwsgi, HTTP/1.1), the request reads the same: CGI/1.1
 * variables, RFC 3875. Strings handed out are NUL-terminated, belong to the request and live until
 * its handler returns. Names are looked up byte by byte unless said otherwise.
 */
#ifndef ANYGATE_H
#define ANYGATE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when an application compiled against an older header would misbehave; checked at load. */
#define AG_ABI 1

/*
 * What calls answer below zero. A call that failed with AG_GONE, AG_TIMEOUT or AG_REFUSED goes on
 * failing; the handler should release what it holds and return, its status no longer matters.
 */
#define AG_GONE     (-1) /* the client went away, or what it sent ended too early */
#define AG_TIMEOUT  (-2) /* the client was too slow: limits.body_timeout, limits.write_timeout */
#define AG_REFUSED  (-3) /* the body breaks the protocol's rules or a limit; answered for you */
#define AG_INVALID  (-4) /* the argument is not allowed here; nothing was changed */
#define AG_NOMEM    (-5) /* the request's memory is used up */
#define AG_BUSY     (-7) /* too much of this is being done already */
#define AG_CANCELED (-6) /* ag_cancel: this task should end */
#define AG_CLOSED   (-8) /* the queue, condition or semaphore is closed */
#define AG_NOENT    (-9) /* ag_run: there is no such program, or it can't be executed */

struct ag_app;     /* one application in one worker */
struct ag_request; /* one request, from its head until its handler has returned */
struct ag_task;    /* a task that ag_spawn has started, until it is joined */
struct ag_queue;
struct ag_cond;
struct ag_semaphore;

/*
 * Answers the request; returns its HTTP status (100 to 599 but 1xx). A status with nothing written,
 * not even a Content-Type, gets the default error page where it is 400 or above. Runs on a stack of
 * its own (daemon.stack_size, 256 KiB): no recursion without bound, no huge arrays.
 */
typedef int ag_handler(struct ag_request *req);

/*
 * The entry point of a shared object: AG_APP(app) { ... } registers the routes. Runs once in each
 * worker, before its first request, on the worker's own stack: nothing in it may suspend.
 */
#define AG_APP(app)                                                                                \
	AG_EXTERN const unsigned ag_app_abi;                                                       \
	AG_EXTERN void ag_app_setup(struct ag_app *app);                                           \
	AG_EXPORT const unsigned ag_app_abi = AG_ABI;                                              \
	AG_EXPORT void ag_app_setup(struct ag_app *app)
#define AG_EXPORT __attribute__((visibility("default")))
#ifdef __cplusplus
#define AG_EXTERN extern "C"
#else
#define AG_EXTERN extern
#endif
#define AG_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* ---- the application: routes and settings (in AG_APP only) ---- */

/*
 * Sends requests for `pattern` with `method` to `handler`. A pattern begins with "/" and is made of
 * segments: literal ("/users"), ":name" (one segment, not empty) and, as the last, "*name" (the
 * rest, may be empty). Literal beats ":name" beats "*name". The path is compared decoded, after the
 * mount. `method` NULL stands for every method. HEAD is served by GET's handler, OPTIONS is
 * answered with Allow, another method with 405 and Allow (RFC 9110 15.5.6). A bad or repeated
 * pattern fails the application's load with a line that names it.
 */
void ag_route(struct ag_app *app, const char *method, const char *pattern, ag_handler *handler);
void ag_get(struct ag_app *app, const char *pattern, ag_handler *handler);
void ag_post(struct ag_app *app, const char *pattern, ag_handler *handler);

/* The key of this application's configuration section [app NAME], or `fallback`. */
const char *ag_config(struct ag_app *app, const char *key, const char *fallback);

/* What runs in a task of its own: gets the request and its argument. */
typedef int ag_function(struct ag_request *req, void *argument);

/*
 * Calls `function` in every worker, in a task for which nobody has asked: each `ms` milliseconds,
 * or as a worker begins, before its first request, or as it ends, after its last, for
 * daemon.graceful_timeout at most. It may wait. Where the last call has not returned, the next time
 * is passed over; a result other than 0 makes it the last. A worker whose start hook returns
 * something else than 0 does not serve, nor does the daemon then. Start hooks run one after
 * another in the order in which they are registered, stop hooks the other way round.
 *
 * `req` is a request of which nothing was asked and that gets no answer: ag_method is "TASK",
 * ag_path "/every", "/start" or "/stop"; ag_read returns 0, ag_write AG_GONE. Calls that wait,
 * ag_spawn, ag_alloc and ag_log are as for any other. When the worker ends, waits end with AG_GONE.
 */
void ag_every(struct ag_app *app, unsigned ms, ag_function *function, void *argument);
void ag_on_start(struct ag_app *app, ag_function *function, void *argument);
void ag_on_stop(struct ag_app *app, ag_function *function, void *argument);

/* Fails the load: anygate prints the line and does not start. Only the first call counts. */
void ag_fail(struct ag_app *app, const char *format, ...) AG_PRINTF(2, 3);

/* ---- what was asked ---- */

const char *ag_method(const struct ag_request *req); /* REQUEST_METHOD, a token, as it came */
const char *ag_path(const struct ag_request *req);   /* after the mount; decoded, no dot segments */
const char *ag_mount(const struct ag_request *req);  /* "" or "/prefix" */
const char *ag_query(const struct ag_request *req);  /* QUERY_STRING, raw; "" where there is none */
const char *ag_protocol(const struct ag_request *req); /* "fastcgi", "scgi", "uwsgi" or "http" */
int ag_worker(const struct ag_request *req);           /* the worker's number, from 1 */

/*
 * What names this request in the logs, 1 to 64 bytes: the variable REQUEST_ID that a gateway set,
 * X-Request-ID of a trusted proxy, or else one of our own, which no other request has.
 */
const char *ag_request_id(struct ag_request *req);

/* What ":name" or "*name" of the route matched, or NULL. */
const char *ag_param(const struct ag_request *req, const char *name);

/* The first value of a query argument, decoded ("+" is a blank), or `fallback`. */
const char *ag_arg(struct ag_request *req, const char *name, const char *fallback);

/* The i-th query argument in order: true and both strings, or false past the last. */
bool ag_arg_at(struct ag_request *req, size_t i, const char **name, const char **value);

/* A CGI variable, or NULL: ag_env(req, "REMOTE_ADDR"). */
const char *ag_env(const struct ag_request *req, const char *name);

/* The i-th CGI variable in order: true and both strings, or false past the last. */
bool ag_env_at(const struct ag_request *req, size_t i, const char **name, const char **value);

/* A request header by its HTTP name, whatever its case: ag_header(req, "accept"). Or NULL. */
const char *ag_header(const struct ag_request *req, const char *name);

/* A cookie's value as it was sent, or NULL. Both "; " and ", " separate cookies. */
const char *ag_cookie(struct ag_request *req, const char *name);

/* The body's length in bytes: 0 without a body, -1 where it is not known before its end. */
int64_t ag_length(const struct ag_request *req);

/*
 * True where the gateway asks whether it may go on with a request (FastCGI 1.0, 6.3: lighttpd's
 * mode "authorizer", Apache's mod_authnz_fcgi): 200 lets it pass, any other status is the client's
 * answer. The variables are the request's, its body does not come.
 */
bool ag_is_authorizer(const struct ag_request *req);

/*
 * Reads up to `size` bytes of the body as they come. Suspends until there is at least one.
 * Returns the count, 0 at the end of the body, or AG_GONE, AG_TIMEOUT, AG_REFUSED.
 */
ssize_t ag_read(struct ag_request *req, void *buffer, size_t size);

/* True once the client is known to have gone away, or the gateway has given the request up. Costs
 * nothing; never suspends. */
bool ag_aborted(const struct ag_request *req);

/* ---- the answer ---- */

/*
 * Sets a response header, replacing one of the same name; ag_header_add keeps those before it.
 * Refused with AG_INVALID: a name that is not a token, a value with CR, LF, NUL or another control
 * byte (RFC 9110 5.5), fields anygate answers for (Connection, Keep-Alive, Transfer-Encoding,
 * Trailer, Upgrade, Status, Date), a Content-Length that is not a number, and any header once the
 * head has been sent. AG_NOMEM above 32 KiB of headers. Content-Type is text/plain; charset=utf-8
 * unless set.
 */
int ag_set_header(struct ag_request *req, const char *name, const char *value);
int ag_add_header(struct ag_request *req, const char *name, const char *value);

/*
 * Gives the request that was asked about a variable for whoever serves it, where the answer is 200
 * (the field "Variable-NAME: value"). AG_INVALID: ag_is_authorizer is false, the name is not a
 * token, the value has a control byte, or the head has been sent. AG_NOMEM like ag_set_header.
 */
int ag_set_variable(struct ag_request *req, const char *name, const char *value);

/*
 * Adds a Set-Cookie header (RFC 6265): `attributes` as they stand in the header, for example
 * "Path=/; HttpOnly; SameSite=Lax", or NULL. AG_INVALID for a name or value outside its grammar.
 */
int ag_set_cookie(
        struct ag_request *req, const char *name, const char *value, const char *attributes);

/* Sets Location and returns `status`, for `return ag_redirect(req, 303, "/done");`. */
int ag_redirect(struct ag_request *req, int status, const char *location);

/*
 * Writes to the body. Short answers leave in one piece with an exact Content-Length when the
 * handler returns; longer ones are streamed with the status set by ag_status (200 unless set).
 * Suspends while the client is slower than the handler, and before the first piece of a streamed
 * answer until the request's body has come: nginx stops sending it once an answer begins. `data`
 * may be reused at once. Returns 0, AG_GONE, AG_TIMEOUT, or AG_INVALID past an announced
 * Content-Length.
 */
int ag_write(struct ag_request *req, const void *data, size_t size);
int ag_puts(struct ag_request *req, const char *text);
int ag_printf(struct ag_request *req, const char *format, ...) AG_PRINTF(2, 3);
int ag_vprintf(struct ag_request *req, const char *format, va_list arguments) AG_PRINTF(2, 0);

/* Writes text as a JSON string with its quotes; bytes that are not UTF-8 become \u00XX each. */
int ag_json(struct ag_request *req, const char *text);
int ag_json_bytes(struct ag_request *req, const char *text, size_t size);

/* Writes text with & < > " ' replaced, for HTML text and quoted attributes. */
int ag_html(struct ag_request *req, const char *text);

/* Sends what was written so far, and the head before it. May suspend like ag_write. */
int ag_flush(struct ag_request *req);

/* The status for an answer that is streamed before the handler returns. AG_INVALID once sent. */
int ag_status(struct ag_request *req, int status);

/* ---- WebSocket (RFC 6455) ---- */

struct ag_ws; /* one WebSocket, from ag_ws_accept until its handler has returned */

enum ag_ws_kind { AG_WS_TEXT = 1, AG_WS_BINARY = 2 };

struct ag_ws_message {
	enum ag_ws_kind kind;
	const char *data; /* text is UTF-8; a NUL follows; valid until the next ag_ws_recv */
	size_t length;
};

/* What ag_ws_accept is to know; all zero is the usual. */
struct ag_ws_options {
	const char *const *subprotocols; /* those spoken, best first, NULL at the end; or NULL */
	const char *const *origins;      /* "https://example.com" ..., NULL at the end; "*": any */
	                                 /* NULL: pages of the host that was asked only */
	size_t message_max;              /* bytes of one message; 0: 1 MiB */
	unsigned ping_interval;          /* ms of silence before a ping; 0: 30 s; AG_FOREVER */
};

/* Whether the client asks for a WebSocket: a path may be both page and WebSocket. */
bool ag_ws_wanted(const struct ag_request *req);

/*
 * Answers the handshake with 101, and the client's connection is the handler's until it returns:
 *
 *	struct ag_ws *ws = ag_ws_accept(req, NULL);
 *	struct ag_ws_message message;
 *
 *	while (ag_ws_recv(ws, &message) == 0)
 *		ag_ws_send(ws, message.kind, message.data, message.length);
 *	return ag_ws_status(req);
 *
 * NULL: refused, and the answer written: 400 for a broken handshake, 403 for a foreign Origin, 426
 * where no WebSocket of version 13 was asked for, 501 behind a gateway's fastcgi_pass, which can't
 * pass a WebSocket on (proxy_pass, scgi_pass and uwsgi_pass can). The other calls take NULL then,
 * and say AG_GONE. Call it before anything is written; headers set before go with the 101. Limits
 * and time-outs of bodies and of requests end there; limits.write_timeout stays.
 */
struct ag_ws *ag_ws_accept(struct ag_request *req, const struct ag_ws_options *options);

/* What the handler returns: the refusal's status, or 101. */
int ag_ws_status(const struct ag_request *req);

/* The subprotocol that both speak, or NULL. */
const char *ag_ws_subprotocol(const struct ag_ws *ws);

/*
 * Suspends until a message has come whole. Pings are answered, and sent to a silent client,
 * meanwhile. Returns 0, or below zero when there will be no more: AG_GONE, the client has closed or
 * gone away, or the worker ends (close code 1001); AG_TIMEOUT, nothing came since a ping;
 * AG_REFUSED, the client broke the rules and was told so: close code 1002, 1007 for text that is
 * not UTF-8, 1009 for a message above message_max. AG_INVALID: another task waits in here.
 */
int ag_ws_recv(struct ag_ws *ws, struct ag_ws_message *message);

/*
 * Sends one message. Suspends while the client is slow; `data` may be reused at once. Returns 0,
 * AG_GONE, AG_TIMEOUT, or AG_INVALID: text that is not UTF-8, or another task is sending.
 */
int ag_ws_send(struct ag_ws *ws, enum ag_ws_kind kind, const void *data, size_t length);
int ag_ws_printf(struct ag_ws *ws, const char *format, ...) AG_PRINTF(2, 3);

/*
 * Says goodbye with a code (1000 to 1014 as registered, or 3000 to 4999) and a reason of at most
 * 123 bytes, or NULL; then suspends, a few seconds at most, until the client has said the same. A
 * handler that returns without it says 1000. Returns 0 or AG_INVALID or what ag_ws_send does.
 */
int ag_ws_close(struct ag_ws *ws, unsigned code, const char *reason);

/* The code that ended it: the client's, or else ours. 1005: it gave none. 0: not yet, or by no
 * close at all. */
unsigned ag_ws_code(const struct ag_ws *ws);

/* ---- waiting, memory, log ---- */

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

/* Takes a piece of a program's output, valid for the call; may suspend. Not 0 ends the program. */
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

/* Memory that lives as long as the request, aligned for any type; NULL when its limit is reached.
 */
void *ag_alloc(struct ag_request *req, size_t size);

/*
 * One line in the error log, with the request's method and URI; control bytes are escaped. With
 * FastCGI the gateway gets it as well, in STDERR, until the answer's end.
 */
void ag_log(struct ag_request *req, const char *format, ...) AG_PRINTF(2, 3);

/* The standard reason phrase of a status, or "Unknown". */
const char *ag_reason(int status);

#ifdef __cplusplus
}
#endif

#endif
