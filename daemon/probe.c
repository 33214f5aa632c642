#include "probe.h"

#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "log.h"
#include "tally.h"

/* What is asked of one application, and what it answers. */
struct probe {
	struct worker *worker;
	const struct app_config *app;
	char path[512];
	struct event timer;
	int status; /* 0: nothing was answered */
	bool finished, late;
};

/* ---- the gate ---- */

static int gate_send(
        struct ag_request *req, const struct head *head, const void *body, size_t size, bool end)
{
	struct probe *probe = req->carrier;

	(void)body;
	(void)size;
	(void)end;
	if (head)
		probe->status = head->status;
	return 0;
}

static void gate_waits(struct ag_request *req)
{
	(void)req;
}

static void gate_finished(struct ag_request *req)
{
	struct probe *probe = req->carrier;

	probe->finished = true;
	request_free(req);
}

static void gate_log(struct ag_request *req, const char *line)
{
	const struct probe *probe = req->carrier;

	log_request_line(LOG_LEVEL_INFO, ag_request_id(req), "probe %s of [app %s]: %s",
	        probe->path, probe->app->name, line);
}

static const struct gate gate = { "probe", gate_send, gate_waits, gate_finished, gate_log, NULL };

/* ---- the request ---- */

static bool add(struct ag_request *req, const char *name, const char *value)
{
	return env_add(&req->env, name, strlen(name), value, strlen(value));
}

static bool fill(struct ag_request *req, const struct probe *probe)
{
	const char *host = probe->app->host;

	return add(req, "REQUEST_METHOD", "GET") && add(req, "REQUEST_URI", probe->path) &&
	       add(req, "SERVER_PROTOCOL", "HTTP/1.1") && add(req, "REMOTE_ADDR", "127.0.0.1") &&
	       add(req, "HTTP_HOST", host ? host : "localhost") &&
	       add(req, "HTTP_USER_AGENT", "anygate-probe");
}

/* The path as a client has it: behind the mount, without a slash too many. */
static bool write_path(struct probe *probe)
{
	const char *mount = probe->app->mount;
	size_t length = strlen(mount);

	while (length && mount[length - 1] == '/')
		length--;
	return (size_t)snprintf(probe->path, sizeof(probe->path), "%.*s%s", (int)length, mount,
	               probe->app->probe) < sizeof(probe->path);
}

static void on_late(evutil_socket_t fd, short what, void *argument)
{
	struct probe *probe = argument;

	(void)fd;
	(void)what;
	probe->late = true;
}

/* Earlier than the master, which says less about it. */
static bool start_timer(struct probe *probe)
{
	const struct worker *worker = probe->worker;
	uint64_t all = worker->config->daemon.start_timeout, gone;

	gone = request_clock() / 1000 - worker->slot->started;
	uint64_t limit = all - all / 10, left = limit > gone ? limit - gone : 1;
	const struct timeval after = { (time_t)(left / 1000), (suseconds_t)(left % 1000) * 1000 };

	evtimer_assign(&probe->timer, worker->base, on_late, probe);
	return evtimer_add(&probe->timer, &after) == 0;
}

/* Turns the loop until the handler has answered; one that takes too long is ended. */
static void await_answer(struct probe *probe, struct ag_request *req)
{
	struct worker *worker = probe->worker;
	bool ended = false;

	while (!probe->finished) {
		tally_wait(worker);
		if (event_base_loop(worker->base, EVLOOP_ONCE) != 0 ||
		        event_base_got_break(worker->base))
			probe->late = true;
		if (probe->late && !ended && !probe->finished)
			request_late(req);
		ended = probe->late;
	}
}

/* What is wrong with the answer goes to `error`. */
static bool judge(const struct probe *probe, char *error, size_t size)
{
	const char *path = probe->path, *name = probe->app->name;

	if (probe->late)
		snprintf(error, size, "probe %s of [app %s]: no answer within daemon.start_timeout",
		        path, name);
	else if (!probe->status || probe->status >= 400)
		snprintf(error, size, "probe %s of [app %s]: status %d", path, name, probe->status);
	else
		return true;
	return false;
}

static bool ask(struct probe *probe, struct ag_request *req, char *error, size_t size)
{
	int status = fill(req, probe) ? 0 : 431;

	env_arrived(&req->env);
	if (!status)
		status = request_head(req);
	if (status || !req->app || strcmp(req->app->name, probe->app->name) != 0) {
		snprintf(error, size, "probe %s of [app %s]: %s", probe->path, probe->app->name,
		        status ? "not a path" : "another application answers there");
		request_free(req);
		return false;
	}
	request_body_end(req);
	request_start(req);
	await_answer(probe, req);
	return judge(probe, error, size);
}

static bool probe_one(struct worker *worker, const struct app_config *app, char *error, size_t size)
{
	struct probe probe = { .worker = worker, .app = app };
	struct ag_request *req = request_new(&worker->runtime, &gate, &probe, 1);
	bool fine;

	if (!req || !write_path(&probe) || !start_timer(&probe)) {
		snprintf(error, size, "probe of [app %s]: no room for the request", app->name);
		if (req)
			request_free(req);
		return false;
	}
	fine = ask(&probe, req, error, size);
	evtimer_del(&probe.timer);
	return fine;
}

bool probe_run(struct worker *worker, char *error, size_t size)
{
	const struct config *config = worker->config;

	for (size_t i = 0; i < config->app_count; i++)
		if (config->app[i].probe && !probe_one(worker, &config->app[i], error, size))
			return false;
	return true;
}
