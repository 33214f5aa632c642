/*
 * Runs what it is told and tells how it ended. Arguments of the query: arg (each), env (each), dir,
 * in, body, out, err, ms, take (stop with this once output comes), nap (ms, in the first take),
 * times (at once), cancel (once output has come). The answer has a line for each: what ag_run
 * returned, status, signal, timed_out, sizes and cuts of both outputs; then both outputs.
 */
#include <anygate.h>
#include <stdlib.h>
#include <string.h>

#define MOST 100

struct plan {
	struct ag_run_spec spec;
	const char *argv[MOST + 1], *environment[MOST + 1];
	struct ag_run_result result[MOST];
	int answer[MOST];
	int stop;
	unsigned nap;
	unsigned next;
	bool came;
};

static int take(struct ag_request *req, void *argument, const char *data, size_t size)
{
	struct plan *plan = argument;

	plan->came = true;
	if (plan->stop)
		return plan->stop;
	ag_sleep(req, plan->nap);
	plan->nap = 0;
	return ag_printf(req, "[%.*s]", (int)size, data);
}

static void read_plan(struct ag_request *req, struct plan *plan)
{
	struct ag_run_spec *spec = &plan->spec;
	const char *name, *value;
	unsigned arguments = 0, variables = 0;

	memset(plan, 0, sizeof *plan);
	spec->argv = plan->argv;
	spec->argument = plan;
	for (size_t i = 0; ag_arg_at(req, i, &name, &value); i++) {
		if (strcmp(name, "arg") == 0 && arguments < MOST)
			plan->argv[arguments++] = value;
		if (strcmp(name, "env") == 0 && variables < MOST)
			plan->environment[variables++] = value;
	}
	spec->environment = variables ? plan->environment : NULL;
	spec->directory = ag_arg(req, "dir", NULL);
	spec->input = ag_arg(req, "in", NULL);
	spec->input_size = spec->input ? strlen(spec->input) : 0;
	spec->input_body = ag_arg(req, "body", NULL) != NULL;
	spec->output_limit = strtoul(ag_arg(req, "out", "0"), NULL, 10);
	spec->error_limit = strtoul(ag_arg(req, "err", "0"), NULL, 10);
	spec->timeout_ms = (unsigned)atoi(ag_arg(req, "ms", "0"));
	plan->stop = atoi(ag_arg(req, "take", "0"));
	plan->nap = (unsigned)atoi(ag_arg(req, "nap", "0"));
	if (ag_arg(req, "take", NULL) || ag_arg(req, "cancel", NULL))
		spec->take = take;
}

static int run_one(struct ag_request *req, void *argument)
{
	struct plan *plan = argument;
	unsigned i = plan->next++;

	ag_log(req, "run begins");
	plan->answer[i] = ag_run(req, &plan->spec, &plan->result[i]);
	ag_log(req, "run ended with %d", plan->answer[i]);
	return 0;
}

static void tell(struct ag_request *req, const struct plan *plan, unsigned i)
{
	const struct ag_run_result *result = &plan->result[i];

	ag_printf(req, "%d %d %d %d %zu%s %zu%s\n", plan->answer[i], result->status, result->signal,
	        result->timed_out, result->output_size, result->output_cut ? "+" : "",
	        result->error_size, result->error_cut ? "+" : "");
	ag_write(req, result->output, result->output_size);
	ag_write(req, result->error, result->error_size);
}

static int run(struct ag_request *req)
{
	struct plan *plan = ag_alloc(req, sizeof *plan);
	unsigned times = (unsigned)atoi(ag_arg(req, "times", "0"));

	if (!plan || times > MOST)
		return 500;
	read_plan(req, plan);
	if (!times)
		run_one(req, plan);
	for (unsigned i = 0; i < times; i++)
		ag_spawn(req, run_one, plan);
	if (ag_arg(req, "cancel", NULL)) {
		plan->stop = 0;
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
	ag_route(app, NULL, "/", run);
}
