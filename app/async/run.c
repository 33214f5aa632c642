/* Running a program for a handler, and keeping what it says. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "subprocess.h"

/* Bytes of an output that are kept where no limit is given. */
#define KEPT_USUALLY 65536

/* One output, as far as it is kept. */
struct capture {
	char *data;
	size_t size, room, limit;
	bool cut;
};

struct run {
	struct ag_request *req;
	const struct ag_run_spec *spec;
	struct capture output, error;
	int taken; /* what spec->take has ended it with */
};

/* ---- the outputs ---- */

static int capture(struct capture *capture, const char *data, size_t size)
{
	size_t left = capture->limit - capture->size, room = capture->room ? capture->room : 1024;

	if (size > left) {
		size = left;
		capture->cut = true;
	}
	while (room <= capture->size + size) /* a NUL goes behind it */
		room *= 2;
	if (room > capture->room) {
		char *more = realloc(capture->data, room);

		if (!more)
			return AG_NOMEM;
		capture->data = more;
		capture->room = room;
	}
	memcpy(capture->data + capture->size, data, size);
	capture->size += size;
	return 0;
}

static int take_output(void *to, const char *data, size_t size)
{
	struct run *run = to;
	const struct ag_run_spec *spec = run->spec;

	if (!spec->take)
		return capture(&run->output, data, size);
	run->taken = spec->take(run->req, spec->argument, data, size);
	return run->taken;
}

static int take_error(void *to, const char *data, size_t size)
{
	struct run *run = to;

	return capture(&run->error, data, size);
}

/* The request takes over what was kept. */
static bool hand_over(struct ag_request *req, struct capture *from, const char **text, size_t *size)
{
	if (!from->data)
		return true; /* "" is there already */
	if (!arena_keep(&req->arena, from->data))
		return false;
	from->data[from->size] = '\0';
	*text = from->data;
	*size = from->size;
	from->data = NULL;
	return true;
}

/* ---- the program ---- */

static bool is_program(const char *path)
{
	struct stat file;

	if (stat(path, &file) < 0)
		return false;
	if (!S_ISREG(file.st_mode)) {
		errno = EACCES;
		return false;
	}
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* Puts the path of the program into `found`, which has room for each; 0, or an errno. */
static int look_up(const char *name, const char *directories, char *found)
{
	int error = ENOENT;

	for (const char *at = directories; *at;) {
		size_t length = strcspn(at, ":");

		if (*at == '/') {
			memcpy(found, at, length);
			found[length] = '/';
			memcpy(found + length + 1, name, strlen(name) + 1);
			if (is_program(found))
				return 0;
			error = errno == EACCES ? EACCES : error;
		}
		at += length + (at[length] == ':');
	}
	return error;
}

static const char *directories_of(const struct ag_run_spec *spec)
{
	for (size_t i = 0; spec->environment && spec->environment[i]; i++)
		if (strncmp(spec->environment[i], "PATH=", 5) == 0)
			return spec->environment[i] + 5;
	return SUBPROCESS_PATH;
}

/* The program's path, of malloc(3); NULL and errno. */
static char *find_program(const struct ag_run_spec *spec)
{
	const char *name = spec->argv[0];

	if (strchr(name, '/'))
		return strdup(name);
	const char *directories = directories_of(spec);
	char *found = malloc(strlen(directories) + strlen(name) + 2);
	int error = found ? look_up(name, directories, found) : ENOMEM;

	if (!error)
		return found;
	free(found);
	errno = error;
	return NULL;
}

static int fail_start(const struct run *run, const char *what, int error)
{
	bool scarce = error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE;

	ag_log(run->req, "can't run %s: %s: %s", run->spec->argv[0], what, strerror(error));
	return scarce ? AG_NOMEM : AG_NOENT;
}

/* 0 or AG_...; nothing is left of a failure. */
static int start(const struct run *run, struct subprocess **process)
{
	static char path[] = "PATH=" SUBPROCESS_PATH;
	static char *const usual[] = { path, NULL };
	const struct ag_run_spec *spec = run->spec;
	char *program = find_program(spec);

	if (!program)
		return fail_start(run, spec->argv[0], errno);
	const struct subprocess_spec how = {
		.path = program,
		.argv = (char *const *)spec->argv,
		.environment = spec->environment ? (char *const *)spec->environment : usual,
		.directory = spec->directory,
		.timeout = spec->timeout_ms,
	};
	const char *what;
	int answer = slot_await(run->req, &run->req->runtime->programs);

	if (!answer) {
		int error = subprocess_start(run->req, &how, process, &what);

		answer = error ? fail_start(run, what, error) : 0;
	}
	free(program);
	return answer;
}

/* ---- the end ---- */

static void tell_end(const struct subprocess *process, struct ag_run_result *result)
{
	int code, status;

	if (!subprocess_exited(process, &code, &status))
		return;
	if (code == CLD_EXITED)
		result->status = status;
	else
		result->signal = status;
}

/* AG_TIMEOUT may be the program's, or be the request's or its body's. */
static int whose_timeout(const struct run *run)
{
	int answer = request_check(run->req);

	if (!answer && run->spec->input_body)
		answer = run->req->body_error;
	return answer;
}

static int feed_and_wait(struct run *run, struct subprocess *process, struct ag_run_result *result)
{
	const struct ag_run_spec *spec = run->spec;
	const struct subprocess_io io = {
		.to = run,
		.output = take_output,
		.error = take_error,
		.input = spec->input,
		.input_size = spec->input_size,
		.body = spec->input_body,
	};
	int answer = subprocess_run(process, &io);

	if (answer == AG_TIMEOUT && !run->taken) {
		answer = whose_timeout(run);
		result->timed_out = !answer;
	}
	if (result->timed_out)
		result->signal = SIGKILL;
	else if (!answer)
		tell_end(process, result);
	return answer;
}

static bool is_allowed(const struct ag_request *req, const struct ag_run_spec *spec)
{
	if (!spec->argv || !spec->argv[0] || !*spec->argv[0])
		return false;
	return !spec->input_body || (!spec->input_size && !req->reader);
}

static size_t limit_of(size_t limit)
{
	return limit ? limit : KEPT_USUALLY;
}

int ag_run(struct ag_request *req, const struct ag_run_spec *spec, struct ag_run_result *result)
{
	static const struct ag_run_result none = { .status = -1, .output = "", .error = "" };
	struct run run = { .req = req,
		.spec = spec,
		.output.limit = limit_of(spec->output_limit),
		.error.limit = limit_of(spec->error_limit) };
	struct subprocess *process;
	int answer = request_check(req);

	*result = none;
	if (!answer && !is_allowed(req, spec))
		answer = AG_INVALID;
	if (!answer)
		answer = start(&run, &process);
	if (answer)
		return answer;
	answer = feed_and_wait(&run, process, result);
	subprocess_end(process, answer || result->timed_out || subprocess_held(process));
	result->output_cut = run.output.cut;
	result->error_cut = run.error.cut;
	if (!answer && (!hand_over(req, &run.output, &result->output, &result->output_size) ||
	                       !hand_over(req, &run.error, &result->error, &result->error_size)))
		answer = AG_NOMEM;
	if (answer)
		*result = none;
	free(run.output.data);
	free(run.error.data);
	return answer;
}
