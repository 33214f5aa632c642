#include "request.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "async/async.h"
#include "response.h"
#include "router.h"

/* Blocks of request memory beyond what came: derived variables, answer fields, ag_alloc. */
#define MEMORY_SPARE (256 * 1024)

_Static_assert(offsetof(struct ag_request, arena) == 0, "arena_new puts the arena there");

struct ag_request *request_new(
        struct runtime *runtime, const struct gate *gate, void *carrier, uint16_t id)
{
	const struct limits *limits = runtime->limits;
	size_t table = 3 * sizeof(struct var) * limits->variables;
	size_t cap = 4 * limits->header_size + table + MEMORY_SPARE;
	struct ag_request *req = arena_new(&runtime->blocks, cap, sizeof(*req));

	if (!req)
		return NULL;
	req->gate = gate;
	req->carrier = carrier;
	req->runtime = runtime;
	req->number = ++runtime->requests;
	req->id = id;
	req->length = req->announced = -1;
	req->spool.fd = -1;
	req->handler.req = req;
	TAILQ_INIT(&req->handler.ended);
	TAILQ_INIT(&req->tasks);
	env_init(&req->env, &req->arena, limits->variables, limits->header_size);
	return req;
}

/* Inlined where nearly all requests end. */
inline void request_free(struct ag_request *req)
{
	assert(req->handler.waiting == WAITING_NOT && TAILQ_EMPTY(&req->tasks));
	async_forget(req);
	if (req->body_received) {
		free(req->body);
		spool_free(&req->spool);
	}
	response_release(req);
	arena_free(&req->arena);
}

/* ---- the time ---- */

/* Not inlined: few callers need it, and all would make room for it on the stack. */
__attribute__((noinline)) uint64_t request_clock(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

uint64_t request_now(const struct runtime *runtime)
{
	return runtime->now ? runtime->now : request_clock();
}

/* ---- the body ---- */

static bool body_reserve(struct ag_request *req, size_t size)
{
	size_t kept = req->body_end - req->body_at;

	if (kept + size <= req->body_size && req->body_at) {
		memmove(req->body, req->body + req->body_at, kept);
		req->body_at = 0;
		req->body_end = kept;
	}
	if (req->body_end + size <= req->body_size)
		return true;
	size_t whole = req->body_size ? req->body_size : 1024;

	while (whole < req->body_end + size)
		whole *= 2;
	char *body = realloc(req->body, whole);

	if (!body)
		return false;
	req->body = body;
	req->body_size = whole;
	return true;
}

/* What the handler has not read stays in memory up to limits.body_memory, then goes to disk. */
static int keep_body(struct ag_request *req, const void *data, size_t size)
{
	size_t kept = req->body_end - req->body_at;

	if (!req->upgraded && (req->spool.first < req->spool.last ||
	                              kept + size > req->runtime->limits->body_memory)) {
		if (spool_write(&req->spool, data, size) == 0)
			return 0;
		int reason = errno;

		ag_log(req, "can't keep the body on disk: %s", strerror(reason));
		return reason == ENOSPC || reason == EDQUOT || reason == EFBIG ? 507 : 500;
	}
	if (!body_reserve(req, size))
		return 500;
	memcpy(req->body + req->body_end, data, size);
	req->body_end += size;
	return 0;
}

int request_body(struct ag_request *req, const void *data, size_t size)
{
	/* RFC 3875 4.2: what is longer than announced is not part of the body */
	if (req->length >= 0 && size > (uint64_t)req->length - req->body_received)
		size = (size_t)((uint64_t)req->length - req->body_received);
	req->body_received += size;
	if (!req->upgraded && req->body_received > req->runtime->limits->body_size)
		return 413;
	return !size || req->refused || req->body_error ? 0 : keep_body(req, data, size);
}

int request_body_end(struct ag_request *req)
{
	req->body_ended = true;
	req->fed = request_now(req->runtime);
	if (req->length < 0 && !req->started)
		req->length = (int64_t)req->body_received;
	return req->length >= 0 && req->body_received < (uint64_t)req->length ? 400 : 0;
}

bool request_body_unread(const struct ag_request *req)
{
	return req->body_end > req->body_at || req->spool.last > req->spool.first;
}

static bool awaits_end(const struct ag_request *req)
{
	return req->writer && req->writer->waiting == WAITING_END;
}

bool request_body_wanted(const struct ag_request *req)
{
	return req->reader || awaits_end(req);
}

/* Whether the task that reads has something to learn. */
static bool reader_ready(const struct ag_request *req)
{
	return req->reader && (req->body_ended || req->body_error || request_body_unread(req));
}

static bool writer_ready(const struct ag_request *req)
{
	return awaits_end(req) && (req->body_ended || req->body_error);
}

bool request_body_ready(const struct ag_request *req)
{
	return reader_ready(req) || writer_ready(req);
}

void request_body_fail(struct ag_request *req, int error, int status)
{
	if (!req->refused)
		req->refused = status;
	if (!req->body_error)
		req->body_error = error;
}

/* Bytes that are here: from memory, then from disk; 0 when there are none. */
static ssize_t read_kept(struct ag_request *req, void *buffer, size_t size)
{
	size_t have = req->body_end - req->body_at;

	if (have) {
		size = size < have ? size : have;
		memcpy(buffer, req->body + req->body_at, size);
		req->body_at += size;
		return (ssize_t)size;
	}
	free(req->body);
	req->body = NULL;
	req->body_at = req->body_end = req->body_size = 0;
	ssize_t n = spool_read(&req->spool, buffer, size);

	if (n < 0)
		request_body_fail(req, AG_REFUSED, 500);
	return n < 0 ? AG_REFUSED : n;
}

ssize_t ag_read(struct ag_request *req, void *buffer, size_t size)
{
	if (req->reader)
		return AG_INVALID;
	for (;;) {
		if (req->body_error)
			return req->body_error;
		ssize_t n = read_kept(req, buffer, size);

		if (n != 0 || req->body_ended || !size)
			return n;
		int answer = request_wait(req, WAITING_BODY);

		if (answer < 0)
			return answer;
	}
}

/* ---- the handler ---- */

static int no_route(struct ag_request *req, const struct match *match)
{
	bool options = strcmp(req->method, "OPTIONS") == 0;

	if (match->allow)
		ag_set_header(req, "Allow", match->allow);
	if (options && (match->allow || strcmp(req->path, "*") == 0))
		return 204;
	return match->allow ? 405 : 404;
}

/* Inlined in the task's function, as response_finish is. */
inline int request_dispatch(struct ag_request *req)
{
	if (!req->app)
		return 404;
	struct match match;

	route_find(req->app, req->method, req->path, &req->arena, &match);
	if (!match.handler)
		return no_route(req, &match);
	req->params = &match.params;
	int status = match.handler(req);

	req->params = NULL;
	return status;
}

void request_start(struct ag_request *req)
{
	req->started = true;
	if (!waiting_begin(&req->handler))
		request_refuse(req, 503);
}

void request_refuse(struct ag_request *req, int status)
{
	const struct var *method = env_known(&req->env, VAR_REQUEST_METHOD);

	req->started = true;
	req->is_head = method && strcmp(env_value(method), "HEAD") == 0;
	req->refused = status;
	response_finish(req, status);
	req->done = true;
	req->gate->finished(req);
}

void request_body_wake(struct ag_request *req)
{
	if (reader_ready(req))
		request_wake(req->reader, 0);
	else if (writer_ready(req))
		request_wake(req->writer, 0);
}

bool request_room_wanted(const struct ag_request *req)
{
	return req->writer && req->writer->waiting == WAITING_ROOM;
}

void request_room(struct ag_request *req)
{
	if (request_room_wanted(req))
		request_wake(req->writer, 0);
}

bool request_is_late(const struct ag_request *req, uint64_t limit)
{
	bool own = req->handler.waiting != WAITING_NOT && !req->reader && !req->writer;

	return own && !req->late && !req->timed && !req->head_sent && req->fed && req->fed <= limit;
}

void request_late(struct ag_request *req)
{
	req->late = true;
	request_body_fail(req, AG_TIMEOUT, 504);
	waiting_end(req, AG_TIMEOUT);
}

void request_leave(struct ag_request *req)
{
	req->leaving = true;
	if (req->sse)
		request_gone(
		        req, false); /* as if: its client asks again, and finds another worker */
	else if (req->reader)
		request_wake(req->reader, 0);
}

void request_gone(struct ag_request *req, bool broken)
{
	req->gone = true;
	req->broken |= broken;
	if (!req->body_ended)
		request_body_fail(req, AG_GONE, 400);
	waiting_end(req, AG_GONE);
}
