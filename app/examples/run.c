/*
 * Four programs at once, while the worker serves others: one that takes too long, one that does
 * not, one that is missing, and one that fails. The answer is there when the slowest has ended,
 * after three seconds, not after the sum.
 *
 *	cc -shared -fPIC run.c -o run.so
 *	anygate -l http=127.0.0.1:8080 ./run.so
 *	curl http://127.0.0.1:8080/
 */
#include <anygate.h>

struct job {
	const char *argv[3];
	unsigned timeout_ms;
	int answer; /* ag_run's */
	struct ag_run_result result;
};

static int run_job(struct ag_request *req, void *argument)
{
	struct job *job = argument;
	struct ag_run_spec spec = { .argv = job->argv, .timeout_ms = job->timeout_ms };

	job->answer = ag_run(req, &spec, &job->result);
	return 0;
}

static void tell_job(struct ag_request *req, const struct job *job)
{
	const struct ag_run_result *result = &job->result;

	ag_printf(req, "%s %s: ", job->argv[0], job->argv[1] ? job->argv[1] : "");
	if (job->answer == AG_NOENT)
		ag_puts(req, "no such program\n");
	else if (job->answer < 0)
		ag_printf(req, "not run (%d)\n", job->answer);
	else if (result->timed_out)
		ag_printf(req, "killed after %u ms\n", job->timeout_ms);
	else if (result->signal)
		ag_printf(req, "died of signal %d\n", result->signal);
	else
		ag_printf(
		        req, "exited with %d\n%s%s", result->status, result->output, result->error);
}

static int run(struct ag_request *req)
{
	struct job jobs[] = {
		{ .argv = { "sleep", "5" }, .timeout_ms = 3000 },
		{ .argv = { "sleep", "1" }, .timeout_ms = 3000 },
		{ .argv = { "no-such-program" } },
		{ .argv = { "cat", "/no/such/file" } },
	};
	const unsigned count = sizeof jobs / sizeof *jobs;

	for (unsigned i = 0; i < count; i++)
		if (!ag_spawn(req, run_job, &jobs[i]))
			return 503;
	if (ag_join_all(req) < 0)
		return 500; /* the client went away: the programs are killed */
	for (unsigned i = 0; i < count; i++)
		tell_job(req, &jobs[i]);
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/", run);
}
