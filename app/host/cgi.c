#include "cgi.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../async/subprocess.h"
#include "../response.h"
#include "cgi_head.h"

/* Bytes of standard error that go to the log for one request. */
#define ERRORS_MAX 65536

/* What answer_output returns where the output is no answer; `problem` says why. */
#define BAD_OUTPUT 1

struct answer {
	struct ag_request *req;
	const struct cgi_program *program;
	const char *problem;
	bool begun;    /* the head was taken over */
	bool redirect; /* ... and sends to another path of this server */
	bool excess;   /* the body is longer than announced */
	uint64_t body; /* bytes so far */
	size_t errors; /* bytes of standard error so far */
	size_t line_length;
	char line[512]; /* of standard error, not logged yet */
	struct cgi_head head;
};

/* ---- standard error ---- */

static void log_error_line(struct answer *answer)
{
	if (answer->line_length)
		ag_log(answer->req, "%s: %.*s", answer->program->path, (int)answer->line_length,
		        answer->line);
	answer->line_length = 0;
}

static int take_error(void *to, const char *data, size_t size)
{
	struct answer *answer = to;

	for (size_t i = 0; i < size && answer->errors < ERRORS_MAX; i++) {
		if (data[i] != '\n' && data[i] != '\r')
			answer->line[answer->line_length++] = data[i] ? data[i] : ' ';
		if (data[i] == '\n' || answer->line_length == sizeof(answer->line))
			log_error_line(answer);
		if (++answer->errors == ERRORS_MAX) {
			log_error_line(answer);
			ag_log(answer->req, "%s: more on standard error is left out",
			        answer->program->path);
		}
	}
	return 0;
}

/* ---- standard output ---- */

static int bad_output(struct answer *answer, const char *problem)
{
	answer->problem = problem;
	return BAD_OUTPUT;
}

/* RFC 3875 6.2.2: a path of this server, and nothing that says otherwise. */
static bool is_local_redirect(const struct cgi_head *head)
{
	return head->location && head->location[0] == '/' && head->location[1] != '/' &&
	       !head->status && !head->type;
}

static bool set_field(struct ag_request *req, const char *name, const char *value)
{
	return !value || ag_add_header(req, name, value) == 0;
}

/* The head becomes the answer's. */
static int begin_answer(struct answer *answer)
{
	struct cgi_head *head = &answer->head;
	const char *problem = cgi_head_parse(head);
	struct ag_request *req = answer->req;
	char length[24];
	bool fine = true;

	if (problem)
		return bad_output(answer, problem);
	answer->begun = true;
	answer->redirect = is_local_redirect(head);
	if (answer->redirect)
		return 0;
	ag_status(req, head->status ? head->status : head->location ? 302 : 200);
	snprintf(length, sizeof(length), "%" PRId64, head->length);
	fine &= set_field(req, "Content-Type", head->type);
	fine &= set_field(req, "Location", head->location);
	fine &= set_field(req, "Content-Length", head->length >= 0 ? length : NULL);
	for (size_t i = 0; i < head->count; i++)
		fine &= set_field(req, head->fields[i].name, head->fields[i].value);
	return fine ? 0 : bad_output(answer, "its header fields are too long, or not allowed");
}

static int take_body(struct answer *answer, const char *data, size_t size)
{
	int64_t length = answer->head.length;

	if (answer->redirect)
		return 0;
	if (length >= 0 && size > (uint64_t)length - answer->body) {
		size = (size_t)((uint64_t)length - answer->body);
		answer->excess = true;
	}
	answer->body += size;
	return ag_write(answer->req, data, size);
}

static int take_output(void *to, const char *data, size_t size)
{
	struct answer *answer = to;

	if (!answer->begun) {
		size_t taken = cgi_head_take(&answer->head, data, size);

		if (!answer->head.complete)
			return taken < size ? bad_output(answer, "its head is too long") : 0;
		int error = begin_answer(answer);

		if (error)
			return error;
		data += taken;
		size -= taken;
	}
	return size ? take_body(answer, data, size) : 0;
}

/* A program that pauses wants the client to see what it has said. */
static int flush_answer(void *to)
{
	const struct answer *answer = to;
	struct ag_request *req = answer->req;

	return answer->begun && !answer->redirect && req->body_ended ? ag_flush(req) : 0;
}

/* ---- the run ---- */

/* Ends with this status; an answer that has begun is cut. */
static int fail(struct ag_request *req, int status)
{
	if (!req->refused)
		req->refused = status;
	return status;
}

static int fail_start(
        struct ag_request *req, const struct cgi_program *program, const char *what, int error)
{
	bool scarce = error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE;

	ag_log(req, "can't run %s: %s: %s", program->path, what, strerror(error));
	return fail(req, scarce ? 503 : 502);
}

/* Whether bytes that were announced are missing. */
static bool is_short(const struct answer *answer)
{
	const struct ag_request *req = answer->req;

	return answer->head.length >= 0 && answer->body < (uint64_t)answer->head.length &&
	       !req->is_head && req->status != 204 && req->status != 304;
}

/* The program has ended, or has closed its output. */
static int check_answer(struct answer *answer, const struct subprocess *process)
{
	const char *path = answer->program->path;
	struct ag_request *req = answer->req;
	int code, status;
	bool killed = subprocess_exited(process, &code, &status) && code != CLD_EXITED && code;

	if (answer->excess)
		ag_log(req, "%s wrote more than its Content-Length; the rest is left out", path);
	if (subprocess_held(process))
		ag_log(req, "%s has ended, but what it started holds its output: killed", path);
	if (killed)
		ag_log(req, "%s died of signal %d (%s)", path, status, strsignal(status));
	else if (!answer->begun && answer->head.used)
		ag_log(req, "%s ended within its header fields", path);
	else if (!answer->begun)
		ag_log(req, "%s wrote nothing and exited with status %d", path, status);
	else if (is_short(answer))
		ag_log(req, "%s wrote %" PRIu64 " bytes of a Content-Length of %" PRId64, path,
		        answer->body, answer->head.length);
	bool whole = answer->begun && !is_short(answer) && (!killed || answer->head.length >= 0);

	return whole ? req->status : fail(req, 502);
}

/* What the wait ended with. */
static int conclude(struct answer *answer, const struct subprocess *process, int ended)
{
	const char *path = answer->program->path;
	struct ag_request *req = answer->req;

	log_error_line(answer);
	if (ended == 0)
		return check_answer(answer, process);
	if (ended == BAD_OUTPUT) {
		ag_log(req, "%s: not a CGI answer: %s", path, answer->problem);
		return fail(req, 502);
	}
	if (req->refused || req->gone)
		return fail(req, 502); /* answered, or for nobody */
	if (ended == AG_TIMEOUT) {
		ag_log(req, "%s: no sign of life for %u ms: killed", path,
		        answer->program->timeout);
		return fail(req, 504);
	}
	return fail(req, 503);
}

static int run(struct answer *answer, const struct subprocess_spec *spec)
{
	struct ag_request *req = answer->req;
	struct subprocess *process;
	const char *what;

	if (!slot_take(&req->runtime->programs)) {
		ag_log(req, "can't run %s: daemon.programs of them run", answer->program->path);
		return fail(req, 503);
	}
	int error = subprocess_start(req, spec, &process, &what);

	if (error)
		return fail_start(req, answer->program, what, error);
	const struct subprocess_io io = {
		.to = answer,
		.output = take_output,
		.error = take_error,
		.idle = flush_answer,
		.body = req->length != 0,
		.answers = true,
	};
	int ended = subprocess_run(process, &io);
	int status = conclude(answer, process, ended);

	subprocess_end(process, ended != 0 || subprocess_held(process));
	return status;
}

/* RFC 3875 7.2: the program's own directory is the one to run in. */
static char *directory_of(struct ag_request *req, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash > path ? (size_t)(slash - path) : 1;

	return arena_copy(&req->arena, path, length);
}

int cgi_run(struct ag_request *req, const struct cgi_program *program)
{
	/* 4.1.2: a program is told the length, so a body without one has to be here first */
	if (req->length < 0) {
		int error = response_await_body(req);

		if (error)
			return fail(req, 400);
		req->length = (int64_t)req->body_received;
	}
	char *argv[] = { (char *)program->path, NULL }; /* 4.4: nothing from the query */
	struct subprocess_spec spec = {
		.path = program->path,
		.argv = argv,
		.environment = cgi_environment(req, program),
		.directory = directory_of(req, program->path),
		.timeout = program->timeout,
	};
	struct answer *answer = malloc(sizeof(*answer));

	if (!answer || !spec.environment || !spec.directory) {
		free(answer);
		return fail_start(req, program, "memory", ENOMEM);
	}
	*answer = (struct answer){ .req = req, .program = program };
	cgi_head_begin(&answer->head);
	int status = run(answer, &spec);
	bool redirect = answer->redirect;
	const char *target = redirect ? arena_copy(&req->arena, answer->head.location,
	                                        strlen(answer->head.location))
	                              : NULL;

	free(answer);
	if (redirect)
		return target && !req->refused ? request_redirect(req, target) : fail(req, 502);
	return status;
}
