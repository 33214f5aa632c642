/*
 * Requests without socket and protocol: a gate that a test plays. It puts variables in, gives the
 * body when it likes, takes the answer as slowly as it likes, and keeps all that came out.
 *
 *	struct loopback loop;
 *
 *	loopback_open(&loop);
 *	ag_get(loop.app, "/", handler);
 *	loopback_get(&loop, "/");
 *	cr_assert_eq(loop.status, 200);
 *	loopback_close(&loop);
 *
 * A request is over once `finished` is set; until then `req` stands, and the test wakes it by hand:
 * loopback_body, loopback_end, loopback_fail, loopback_room, loopback_gone, loopback_run.
 */
#ifndef TESTS_SUPPORT_LOOPBACK_H
#define TESTS_SUPPORT_LOOPBACK_H

#include "../../app/request.h"
#include "../../app/router.h"
#include "support.h"

/* A variable; a list of them ends with a name of NULL. */
struct pair_text {
	const char *name, *value;
};

#define PAIRS(...) ((const struct pair_text[]){ __VA_ARGS__, { NULL, NULL } })

/* "NAME=value|NAME=value" as such a list; "" is an empty one. Valid until the next call. */
const struct pair_text *pairs_of(const char *text);

#define LOOPBACK_APPS 8

struct loopback {
	/* may be changed before a request is made */
	struct limits limits; /* header_size 64K, variables 256, body_size 1M, body_memory 64K */
	bool slow;            /* takes pieces, and says each time that it is slow */
	bool broken;          /* takes nothing */
	bool old_gateway;     /* passes on no other protocol */

	struct runtime runtime;
	struct host host;
	struct ag_app *apps[LOOPBACK_APPS];
	struct ag_app *app; /* the first, mounted at "/" */

	struct ag_request *req; /* until it has finished */
	struct ag_app *found;   /* what the request's head led to */
	int refused;            /* what cgi_check or request_head said, 0: nothing wrong */

	/* the answer */
	int status;          /* 0: no head came */
	struct bytes fields; /* "Name: value\r\n" ... */
	struct bytes body;   /* of all pieces */
	struct bytes log;    /* a line for each ag_log */
	int64_t length;      /* what the head announced, -1: not known */
	bool bodiless;
	bool ended;     /* the last piece came */
	bool finished;  /* the gate's finished() was called, the request freed */
	bool cut_short; /* of the request, when it finished */
	unsigned pieces, waits;
};

/* Sets up a worker with one application, "main" at "/". */
void loopback_open(struct loopback *loop);

/* The same, with a handler for all methods at "/". */
void loopback_serve(struct loopback *loop, ag_handler *handler);

/* Frees everything; fails the test where a handler still waits. */
void loopback_close(struct loopback *loop);

/* Mounts the first application elsewhere, or adds another; host may be NULL. */
void loopback_mount(struct loopback *loop, const char *mount);
struct ag_app *loopback_app(struct loopback *loop, const char *mount, const char *host);

/*
 * A new request of these variables, checked and understood; the last answer is forgotten. Returns
 * loop->refused. The handler has not begun.
 */
int loopback_head(struct loopback *loop, const struct pair_text *pairs);

/* Frees a request whose handler has not begun. */
void loopback_drop(struct loopback *loop);

/* Begins the handler, or refuses the request if its head was. */
void loopback_start(struct loopback *loop);

/* loopback_head, no body but `body` (NULL: none), loopback_start. */
void loopback_request(struct loopback *loop, const struct pair_text *pairs, const char *body);

/* The same with a method and a REQUEST_URI alone. */
void loopback_ask(struct loopback *loop, const char *method, const char *target);
void loopback_get(struct loopback *loop, const char *target);

/* As a connection does it: what is wrong becomes the answer, and a handler that waits goes on. */
void loopback_body(struct loopback *loop, const void *data, size_t size);
void loopback_end(struct loopback *loop);
void loopback_fail(struct loopback *loop, int error, int status);
void loopback_room(struct loopback *loop);
void loopback_gone(struct loopback *loop, bool broken);

/* Runs the event loop until nothing waits for a time any more. */
void loopback_run(struct loopback *loop);

/* The value of a field of the answer, or NULL; of several, all, joined by "|". Valid until the
 * next call. */
const char *loopback_field(const struct loopback *loop, const char *name);

/* Fails the test where that is something else; NULL: none. `row` says which. */
void loopback_expect_field(
        const struct loopback *loop, const char *row, const char *name, const char *wanted);

/* The same of the body. */
void loopback_expect_body(const struct loopback *loop, const char *row, const char *wanted);

#endif
