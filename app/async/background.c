/*
 * Tasks that no client has asked for: timers and the worker's begin and end. What they are given is
 * a request all the same, of which nothing was asked and which nothing answers, so that every call
 * that waits takes it.
 */
#include <string.h>

#include "async_private.h"

struct background {
	TAILQ_ENTRY(background) link;
	struct async *async;
	struct ag_request *req;
	void (*over)(void *to, int result);
	void *to;
};

static int gate_send(
        struct ag_request *req, const struct head *head, const void *body, size_t size, bool end)
{
	(void)req;
	(void)head;
	(void)body;
	(void)size;
	(void)end;
	return AG_GONE;
}

static void gate_waits(struct ag_request *req)
{
	(void)req;
}

static void gate_finished(struct ag_request *req)
{
	struct background background = *(struct background *)req->carrier;
	int result = req->handler.result;

	TAILQ_REMOVE(&background.async->background, (struct background *)req->carrier, link);
	request_free(req);
	background.over(background.to, result);
}

static void gate_log(struct ag_request *req, const char *line)
{
	if (req->runtime->log)
		req->runtime->log(req, line);
}

static const struct gate gate = { "none", gate_send, gate_waits, gate_finished, gate_log, NULL };

/* As the logs name it. */
static bool name_it(struct ag_request *req, const char *name)
{
	static const char method[] = "TASK";

	req->method = method;
	req->path = arena_copy(&req->arena, name, strlen(name));
	req->mount = req->query = "";
	req->length = 0;
	return req->path && env_set(&req->env, VAR_REQUEST_METHOD, method, strlen(method)) &&
	       env_set(&req->env, VAR_REQUEST_URI, name, strlen(name));
}

bool background_start(struct async *async, const char *name, ag_function *function, void *argument,
        void (*over)(void *to, int result), void *to)
{
	struct ag_request *req = request_new(async->runtime, &gate, NULL, 0);
	struct background *background = req ? arena_alloc(&req->arena, sizeof(*background)) : NULL;

	if (!background || !name_it(req, name)) {
		if (req)
			request_free(req);
		return false;
	}
	*background = (struct background){ .async = async, .req = req, .over = over, .to = to };
	req->carrier = background;
	req->since = request_clock();
	req->body_ended = req->ended = req->started = true;
	req->handler.function = function;
	req->handler.argument = argument;
	TAILQ_INSERT_TAIL(&async->background, background, link);
	if (waiting_begin(&req->handler))
		return true;
	TAILQ_REMOVE(&async->background, background, link);
	request_free(req);
	return false;
}

/* One that has not been told. */
static struct background *find_untold(const struct async *async)
{
	struct background *each = TAILQ_FIRST(&async->background);

	while (each && each->req->gone)
		each = TAILQ_NEXT(each, link);
	return each;
}

void background_end(struct async *async)
{
	struct background *each;

	while ((each = find_untold(async)))
		request_gone(each->req, true);
	async_drain(async);
}
