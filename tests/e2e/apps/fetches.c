/*
 * Fetches what it is told and tells what came. Arguments of the query: url, method, header (each),
 * body, stream (the request's body), limit, redirects, connect, ms, socket, ca, take (stop with
 * this once the body comes), pause (ms that it sleeps for each piece), sleep (before), times (at
 * once), cancel (once the head has come), show (a header, "url" or "error"). The answer has a line
 * for each: what ag_fetch returned, status, size, and what is to be shown; then the body.
 */
#include <anygate.h>
#include <stdlib.h>
#include <string.h>

#define MOST 100

struct plan {
	struct ag_fetch_spec spec;
	const char *headers[MOST + 1];
	struct ag_fetch_result result[MOST];
	int answer[MOST];
	int stop;
	unsigned next, pause, sleep;
	unsigned long long taken;
	bool came;
};

static int take(struct ag_request *req, void *argument, const char *data, size_t size)
{
	struct plan *plan = argument;

	plan->came = true;
	plan->taken += size;
	if (!size)
		return ag_printf(req, "<%d %s>", plan->result[0].status,
		        ag_fetch_header(&plan->result[0], "Content-Type"));
	if (plan->stop)
		return plan->stop;
	int answer = plan->pause ? ag_sleep(req, plan->pause) : 0;

	return answer || plan->taken > MOST ? answer : ag_printf(req, "[%.*s]", (int)size, data);
}

static unsigned number(struct ag_request *req, const char *name)
{
	return (unsigned)strtoul(ag_arg(req, name, "0"), NULL, 10);
}

static void read_plan(struct ag_request *req, struct plan *plan)
{
	struct ag_fetch_spec *spec = &plan->spec;
	const char *name, *value;
	unsigned headers = 0;

	memset(plan, 0, sizeof *plan);
	spec->headers = plan->headers;
	spec->argument = plan;
	for (size_t i = 0; ag_arg_at(req, i, &name, &value); i++)
		if (strcmp(name, "header") == 0 && headers < MOST)
			plan->headers[headers++] = value;
	spec->url = ag_arg(req, "url", NULL);
	spec->method = ag_arg(req, "method", NULL);
	spec->body = ag_arg(req, "body", NULL);
	spec->body_size = spec->body ? strlen(spec->body) : 0;
	spec->body_request = ag_arg(req, "stream", NULL) != NULL;
	spec->limit = number(req, "limit");
	spec->redirects = number(req, "redirects");
	spec->connect_ms = number(req, "connect");
	spec->timeout_ms = number(req, "ms");
	spec->socket = ag_arg(req, "socket", NULL);
	spec->ca_file = ag_arg(req, "ca", NULL);
	plan->stop = atoi(ag_arg(req, "take", "0"));
	plan->pause = number(req, "pause");
	plan->sleep = number(req, "sleep");
	if (ag_arg(req, "take", NULL) || ag_arg(req, "cancel", NULL))
		spec->take = take;
}

static int fetch_one(struct ag_request *req, void *argument)
{
	struct plan *plan = argument;
	unsigned i = plan->next++;

	ag_log(req, "fetch begins");
	if (plan->sleep)
		ag_sleep(req, plan->sleep);
	plan->answer[i] = ag_fetch(req, &plan->spec, &plan->result[i]);
	ag_log(req, "fetch ended with %d: %s", plan->answer[i], plan->result[i].error);
	return 0;
}

static void tell(struct ag_request *req, const struct plan *plan, unsigned i)
{
	const struct ag_fetch_result *result = &plan->result[i];
	const char *show = ag_arg(req, "show", ""), *shown = ag_fetch_header(result, show);

	if (strcmp(show, "error") == 0)
		shown = result->error;
	if (strcmp(show, "url") == 0)
		shown = result->url;
	ag_printf(req, "%d %d %zu%s%s\n", plan->answer[i], result->status, result->body_size,
	        *show ? " " : "", shown ? shown : "");
	ag_write(req, result->body, result->body_size);
}

static int fetch(struct ag_request *req)
{
	struct plan *plan = ag_alloc(req, sizeof *plan);
	unsigned times = number(req, "times");

	if (!plan || times > MOST)
		return 500;
	read_plan(req, plan);
	if (!times)
		fetch_one(req, plan);
	for (unsigned i = 0; i < times; i++)
		ag_spawn(req, fetch_one, plan);
	if (ag_arg(req, "cancel", NULL)) {
		while (!plan->came && ag_sleep(req, 5) == 0)
			;
		ag_cancel(req, NULL);
	}
	if (ag_join_all(req) < 0)
		return 500;
	for (unsigned i = 0; i < plan->next; i++)
		tell(req, plan, i);
	return 200;
}

AG_APP(app)
{
	ag_route(app, NULL, "/", fetch);
}
