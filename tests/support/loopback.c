#include "loopback.h"

#include <event2/event.h>
#include <string.h>
#include <strings.h>

#include "../../app/async/async.h"
#include "../../protocols/cgi.h"

/* ---- the gate ---- */

static int gate_send(
        struct ag_request *req, const struct head *head, const void *body, size_t size, bool end)
{
	struct loopback *loop = req->carrier;

	if (loop->broken)
		return AG_GONE;
	cr_assert_eq(head != NULL, loop->status == 0, "the head comes with the first piece only");
	cr_assert(!loop->ended, "a piece behind the last");
	if (head) {
		loop->status = head->status;
		loop->length = head->length;
		loop->bodiless = head->bodiless;
		bytes_add(&loop->fields, head->fields, head->fields_length);
	}
	bytes_add(&loop->body, body, size);
	loop->pieces++;
	loop->ended = end;
	return loop->slow;
}

static void gate_waits(struct ag_request *req)
{
	struct loopback *loop = req->carrier;

	loop->waits++;
}

static void gate_finished(struct ag_request *req)
{
	struct loopback *loop = req->carrier;

	cr_assert(!loop->finished);
	loop->finished = true;
	loop->cut_short = req->cut_short;
	loop->req = NULL;
	request_free(req);
}

static void gate_log(struct ag_request *req, const char *line)
{
	struct loopback *loop = req->carrier;

	bytes_printf(&loop->log, "%s\n", line);
}

static bool gate_upgrade(struct ag_request *req)
{
	struct loopback *loop = req->carrier;

	return !loop->old_gateway;
}

static const struct gate gate = { "loopback", gate_send, gate_waits, gate_finished, gate_log,
	gate_upgrade };

/* ---- the worker ---- */

void loopback_open(struct loopback *loop)
{
	*loop = (struct loopback){ .limits = { .header_size = 65536,
		                           .variables = 256,
		                           .body_size = 1 << 20,
		                           .body_memory = 65536 } };
	loop->runtime = (struct runtime){
		.base = event_base_new(), .limits = &loop->limits, .host = &loop->host, .worker = 1
	};
	cr_assert(loop->runtime.base && async_start(&loop->runtime));
	task_pool_init(&loop->runtime.tasks, 256 * 1024);
	loop->host.apps = loop->apps;
	loop->app = loopback_app(loop, "/", NULL);
}

void loopback_serve(struct loopback *loop, ag_handler *handler)
{
	loopback_open(loop);
	ag_route(loop->app, NULL, "/", handler);
	cr_assert_null(loop->app->error, "%s", loop->app->error);
}

struct ag_app *loopback_app(struct loopback *loop, const char *mount, const char *host)
{
	struct ag_app *app = app_new("main", mount, host);

	cr_assert(app);
	cr_assert_lt(loop->host.count, LOOPBACK_APPS);
	loop->apps[loop->host.count++] = app;
	return app;
}

void loopback_mount(struct loopback *loop, const char *mount)
{
	cr_assert_eq(loop->host.count, 1);
	loop->host.count = 0;
	app_free(loop->app);
	loop->app = loopback_app(loop, mount, NULL);
}

static void forget_answer(struct loopback *loop)
{
	bytes_free(&loop->fields);
	bytes_free(&loop->body);
	bytes_free(&loop->log);
	loop->refused = loop->status = 0;
	loop->found = NULL;
	loop->length = -1;
	loop->bodiless = loop->ended = loop->finished = loop->cut_short = false;
	loop->pieces = loop->waits = 0;
}

void loopback_close(struct loopback *loop)
{
	cr_assert(!loop->req || !loop->req->started, "a handler still waits");
	loopback_drop(loop);
	forget_answer(loop);
	for (size_t i = 0; i < loop->host.count; i++)
		app_free(loop->apps[i]);
	async_stop(&loop->runtime, 0);
	task_pool_free(&loop->runtime.tasks);
	cr_assert_eq(loop->runtime.tasks.mapped, 0, "a stack is left");
	block_pool_free(&loop->runtime.blocks);
	block_pool_free(&loop->runtime.buffers);
	event_base_free(loop->runtime.base);
}

/* ---- the request ---- */

const struct pair_text *pairs_of(const char *text)
{
	static struct pair_text pairs[32];
	static char copy[8192];
	size_t count = 0;

	cr_assert_lt(strlen(text), sizeof copy);
	strcpy(copy, text);
	for (char *at = copy, *name; (name = strsep(&at, "|")) && *name; count++) {
		char *equals = strchr(name, '=');

		cr_assert(equals && count + 1 < COUNT(pairs), "%s", text);
		*equals = '\0';
		pairs[count] = (struct pair_text){ name, equals + 1 };
	}
	pairs[count] = (struct pair_text){ NULL, NULL };
	return pairs;
}

void loopback_drop(struct loopback *loop)
{
	if (loop->req)
		request_free(loop->req);
	loop->req = NULL;
}

/* Through cgi_take, as what a decoder found. */
static struct verdict take_pair(struct env *env, const struct pair_text *pair)
{
	struct wire_event event = { .kind = EVENT_VARIABLES, .count = 1 };

	event.pairs[0] = pair_of((const uint8_t *)pair->name, strlen(pair->name),
	        (const uint8_t *)pair->value, strlen(pair->value));
	return cgi_take(env, &event);
}

int loopback_head(struct loopback *loop, const struct pair_text *pairs)
{
	struct verdict verdict = { 0, NULL };

	cr_assert(!loop->req, "the last request is not over");
	forget_answer(loop);
	loop->req = request_new(&loop->runtime, &gate, loop, 1);
	cr_assert(loop->req);
	while (pairs->name && !verdict.status)
		verdict = take_pair(&loop->req->env, pairs++);
	if (!verdict.status)
		verdict = cgi_check(&loop->req->env, &loop->limits);
	loop->refused = verdict.status ? verdict.status : request_head(loop->req);
	loop->found = loop->req->app;
	return loop->refused;
}

void loopback_start(struct loopback *loop)
{
	if (loop->refused)
		request_refuse(loop->req, loop->refused);
	else
		request_start(loop->req);
}

void loopback_request(struct loopback *loop, const struct pair_text *pairs, const char *body)
{
	loopback_head(loop, pairs);
	if (body)
		loopback_body(loop, body, strlen(body));
	if (!loop->finished)
		loopback_end(loop);
	if (!loop->finished)
		loopback_start(loop);
}

void loopback_ask(struct loopback *loop, const char *method, const char *target)
{
	loopback_request(
	        loop, PAIRS({ "REQUEST_METHOD", method }, { "REQUEST_URI", target }), NULL);
}

void loopback_get(struct loopback *loop, const char *target)
{
	loopback_ask(loop, "GET", target);
}

/* ---- what happens while it runs ---- */

/* Called with or without a handler that has begun, as a connection's reading may be. */
void loopback_fail(struct loopback *loop, int error, int status)
{
	if (!loop->req->started) {
		request_refuse(loop->req, status);
		return;
	}
	request_body_fail(loop->req, error, status);
	request_body_wake(loop->req);
}

static void body_took(struct loopback *loop, int status)
{
	if (status)
		loopback_fail(loop, AG_REFUSED, status);
	else
		request_body_wake(loop->req);
}

void loopback_body(struct loopback *loop, const void *data, size_t size)
{
	body_took(loop, request_body(loop->req, data, size));
}

void loopback_end(struct loopback *loop)
{
	body_took(loop, request_body_end(loop->req));
}

void loopback_room(struct loopback *loop)
{
	request_room(loop->req);
}

void loopback_gone(struct loopback *loop, bool broken)
{
	loop->broken |= broken;
	request_gone(loop->req, broken);
}

void loopback_run(struct loopback *loop)
{
	cr_assert_geq(event_base_dispatch(loop->runtime.base), 0);
}

const char *loopback_field(const struct loopback *loop, const char *name)
{
	static char found[65536];
	size_t length = strlen(name), used = 0;
	bool any = false;
	const char *at = loop->fields.data, *end = at ? at + loop->fields.length : NULL;

	found[0] = '\0';
	for (const char *next; at < end; at = next) {
		next = memmem(at, (size_t)(end - at), "\r\n", 2);
		cr_assert(next, "a field without an end");
		if (strncasecmp(at, name, length) == 0 && strncmp(at + length, ": ", 2) == 0) {
			used += (size_t)snprintf(found + used, sizeof found - used, "%s%.*s",
			        any ? "|" : "", (int)(next - at - (ptrdiff_t)length - 2),
			        at + length + 2);
			any = true;
		}
		next += 2;
	}
	return any ? found : NULL;
}

void loopback_expect_field(
        const struct loopback *loop, const char *row, const char *name, const char *wanted)
{
	const char *value = loopback_field(loop, name);

	cr_expect_eq(value == NULL, wanted == NULL, "%s: %s: %s", row, name, value);
	if (value && wanted)
		cr_expect_str_eq(value, wanted, "%s: %s: %s", row, name, value);
}

void loopback_expect_body(const struct loopback *loop, const char *row, const char *wanted)
{
	const char *body = loop->body.data ? loop->body.data : "";

	cr_expect_str_eq(body, wanted, "%s: the body is \"%.100s\"", row, body);
}
