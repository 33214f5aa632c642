/* What the parts of an ag_fetch share; for app/async/fetch*.c only. */
#ifndef APP_ASYNC_FETCH_PRIVATE_H
#define APP_ASYNC_FETCH_PRIVATE_H

#include <curl/curl.h>

#include "async_private.h"

/* Bytes of an answer's head, and of a piece of the request's body. */
#define FETCH_HEAD_MAX   65536
#define FETCH_INPUT_SIZE 16384

/* Text or bytes of malloc(3). */
struct fetch_text {
	char *data;
	size_t size, room;
};

/* One ag_fetch, on its task's stack until it returns. */
struct fetch {
	struct fetcher *fetcher;
	struct ag_request *req;
	const struct ag_fetch_spec *spec;
	struct ag_fetch_result *result;
	CURL *easy;
	struct curl_slist *lines; /* headers as libcurl wants them */
	struct ag_task *task;     /* that waits for this, or NULL */
	bool over;                /* nothing more comes; why, in `code` */
	CURLcode code;
	int failed; /* AG_...: one of us has ended it; 0: not so */
	char error[CURL_ERROR_SIZE];

	/* what is sent */
	bool idempotent;
	unsigned rewinds; /* the body was begun again so many times, */
	unsigned moved;   /* and so many redirects came */
	const char *at;   /* what goes next */
	size_t left;
	bool ended;  /* nothing comes behind it */
	bool hungry; /* it waits for more of the body */
	char *input; /* FETCH_INPUT_SIZE with body_request */

	/* what comes */
	struct fetch_text head; /* NAME, NUL, value, NUL, ... */
	bool head_ended;        /* this one; a redirect's is not the last */
	bool head_came;         /* the last, which is the result's from here on */
	bool head_told;         /* `take` knows */
	struct fetch_text body; /* with `take` the piece that it gets next */
	uint64_t came;          /* bytes of the body in all */
	uint64_t limit;
	bool held; /* `take` is slower than the peer */
};

/* ---- fetch_spec.c ---- */

/* What is not allowed, as a text; NULL: nothing. */
const char *fetch_fault(const struct ag_request *req, const struct ag_fetch_spec *spec);

/* Tells libcurl all of the spec; false: no memory. */
bool fetch_prepare(struct fetch *fetch);

/* ---- fetch_answer.c: what libcurl calls, for `fetch` as the last argument ---- */

size_t fetch_on_head(char *line, size_t one, size_t size, void *fetch);
size_t fetch_on_body(char *data, size_t one, size_t size, void *fetch);
size_t fetch_on_input(char *to, size_t one, size_t room, void *fetch);
int fetch_on_seek(void *fetch, curl_off_t offset, int origin);

/* ---- fetch_multi.c ---- */

/* The worker's, made where there is none; NULL: no memory. */
struct fetcher *fetcher_get(struct runtime *runtime);

/* Begins, or ends, what fetch->easy says. False: no memory. */
bool fetcher_add(struct fetch *fetch);
void fetcher_remove(struct fetch *fetch);

/* No descriptors were left for this one, which the log says once until another is answered; or it
 * is answered. */
#define FETCH_LACKS "no descriptors are left; raise daemon.open_files"
void fetcher_lacks(struct fetch *fetch, bool lacks);

/* Lets go on what is neither hungry nor held any more. May call what fetch_answer.c has. */
void fetcher_go_on(struct fetch *fetch);

/* The task that waits for it, if one does, goes on in the next turn. */
void fetch_wake(struct fetch *fetch);

#endif
