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
 * Or it is a program of its own: see ag_main.
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

/* What ag_fetch answers when its peer is to blame. */
#define AG_UNREACHABLE (-10) /* no such name, nobody listens, no TLS, or no descriptors */
#define AG_UNTRUSTED   (-11) /* the certificate is not good, or not for this name */
#define AG_SLOW        (-12) /* connect_ms or timeout_ms is over */
#define AG_TOO_LARGE   (-13) /* an answer above `limit`, or a head above 64 KiB */
#define AG_BAD_ANSWER  (-14) /* not HTTP, cut off, or redirected too often or out of HTTP */

struct ag_app;     /* one application in one worker */
struct ag_request; /* one request, from its head until its handler has returned */
struct ag_task;    /* a task that ag_spawn has started, until it is joined */
struct ag_queue;
struct ag_cond;
struct ag_semaphore;
struct ag_subscription;

/*
 * Answers the request; returns its HTTP status (100 to 599 but 1xx). A status with nothing written,
 * not even a Content-Type, gets the default error page where it is 400 or above. Less than 0 cuts
 * an answer short of which some was sent, as far as the protocol can say so. Runs on a stack of its
 * own (daemon.stack_size, 256 KiB): no recursion without bound, no huge arrays.
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

/* What AG_APP makes is one of these, named ag_app_setup. */
typedef void ag_setup(struct ag_app *app);

/*
 * The whole of anygate in a program that is an application: AG_APP and
 *
 *	int main(int argc, char **argv)
 *	{
 *		return ag_main(argc, argv, ag_app_setup);
 *	}
 *
 *	cc hello.c -o hello $(pkg-config --cflags --libs anygate)
 *
 * It takes anygate's command line but for APP: options, -c FILE, the commands, and the signals,
 * USR2 for the same program in another version included. In a configuration `load = self` stands
 * for the application; it is what [app X] without `load` means, and without any [app X] it is
 * [app main]. The same source still makes a shared object, in which main has no meaning. `setup`
 * runs in each worker. NULL: no application of its own, as in anygate itself. Returns what main
 * returns; not to be called twice, nor with threads about, as it forks.
 */
int ag_main(int argc, char **argv, ag_setup *setup);

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

/*
 * Whether the request's Connection names this header, in any case, "_" as good as "-". It is for
 * this connection alone then, and a proxy must not pass it on (RFC 9110 7.6.1). Connection itself
 * is not among the headers.
 */
bool ag_is_connection_header(const struct ag_request *req, const char *name);

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
 * unless set; set to "", the answer has none.
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

/* ---- memory, log ---- */

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

#include "anygate/async.h"
#include "anygate/web.h"

#endif
