/* Waiting for a program: its input, its outputs, its end, all at once. */
#include <errno.h>
#include <unistd.h>

#include <event2/event.h>

#include "subprocess_private.h"

/* Reads of one output before others get a turn. */
#define TURN_READS 4

/* ms for what may come right behind: the end of a program that has closed its output, or the rest
 * of an output that others hold open behind its end. */
#define GRACE_MS 200

/* ms without output after which what there is should not wait for more. */
#define IDLE_MS 50

/* ms that a program may go on for a client which has closed its sending side. */
#define GONE_MS 1000

/* ---- what can be done at once ---- */

/* The next bytes to go in; false: none now, or none any more. */
static int refill(struct subprocess *process, const struct subprocess_io *io)
{
	struct ag_request *req = process->req;

	if (!io->body || (req->body_ended && !req->body_error && !request_body_unread(req))) {
		subprocess_close(&process->in);
		return 0;
	}
	if (!req->body_error && !request_body_unread(req)) {
		process->starved = true;
		return 0;
	}
	ssize_t size = ag_read(req, process->input, sizeof(process->input));

	if (size < 0)
		return (int)size;
	process->at = process->input;
	process->left = (size_t)size;
	return 0;
}

static int feed(struct subprocess *process, const struct subprocess_io *io)
{
	process->full = process->starved = false;
	while (process->in >= 0 && !process->full && !process->starved) {
		if (!process->left) {
			int error = refill(process, io);

			if (error)
				return error;
			continue;
		}
		ssize_t size = write(process->in, process->at, process->left);

		if (size >= 0) {
			process->moved = true;
			process->at += size;
			process->left -= (size_t)size;
		} else if (errno == EAGAIN) {
			process->full = true;
		} else if (errno != EINTR) {
			subprocess_close(&process->in); /* EPIPE: it wants no more */
		}
	}
	return 0;
}

static int drain(struct subprocess *process, int *fd, void *to,
        int (*take)(void *to, const char *data, size_t size))
{
	for (int i = 0; *fd >= 0; i++) {
		if (i == TURN_READS) {
			process->busy = true;
			return 0;
		}
		ssize_t size = read(*fd, process->output, sizeof(process->output));

		if (size < 0 && errno == EAGAIN)
			return 0;
		if (size <= 0 && !(size < 0 && errno == EINTR))
			subprocess_close(fd);
		if (size <= 0)
			continue;
		process->moved = true;
		process->quiet = subprocess_now() + IDLE_MS;
		int answer = take ? take(to, process->output, (size_t)size) : 0;

		if (answer)
			return answer;
	}
	return 0;
}

/* A turn. That the program has ended was seen before: all it wrote is in the pipes by now. */
static int pump(struct subprocess *process, const struct subprocess_io *io)
{
	process->moved = process->busy = false;
	int answer = process->exited ? 0 : feed(process, io);

	if (!answer)
		answer = drain(process, &process->err, io->to, io->error);
	if (!answer)
		answer = drain(process, &process->out, io->to, io->output);
	if (process->moved && io->answers && process->timeout)
		process->deadline = subprocess_now() + process->timeout;
	return answer;
}

/* ---- waiting ---- */

static void on_ready(evutil_socket_t fd, short what, void *argument)
{
	struct subprocess *process = argument;

	(void)fd;
	(void)what;
	request_wake(process->task, 0);
}

static bool watch(struct subprocess *process, struct event *event, int fd, short what)
{
	event_assign(event, process->runtime->base, fd, what, on_ready, process);
	return fd < 0 || event_add(event, NULL) == 0;
}

static uint64_t sooner(uint64_t one, uint64_t other)
{
	return !one || (other && other < one) ? other : one;
}

static bool watch_time(struct subprocess *process, uint64_t due)
{
	uint64_t now = subprocess_now(), left = due > now ? due - now : 0;
	struct timeval after = { (time_t)(left / 1000), (suseconds_t)(left % 1000 * 1000) };

	evtimer_assign(&process->on_timer, process->runtime->base, on_ready, process);
	return !due || evtimer_add(&process->on_timer, &after) == 0;
}

/* Whether the program's time is running: not while a client keeps it waiting. */
static bool is_timed(const struct subprocess *process, const struct subprocess_io *io)
{
	return process->deadline && !(io->answers && process->starved);
}

/* Suspends until anything happens: 0, AG_GONE, AG_NOMEM. */
static int suspend(struct subprocess *process, const struct subprocess_io *io)
{
	uint64_t due = sooner(process->grace, process->gone);
	int answer = AG_NOMEM;

	if (is_timed(process, io))
		due = sooner(due, process->deadline);
	if (io->idle)
		due = sooner(due, process->quiet);
	process->task = waiting_task(process->req);
	if (watch(process, &process->on_exit, process->exited ? -1 : process->pidfd, EV_READ) &&
	        watch(process, &process->on_in, process->full ? process->in : -1, EV_WRITE) &&
	        watch(process, &process->on_out, process->out, EV_READ) &&
	        watch(process, &process->on_err, process->err, EV_READ) && watch_time(process, due))
		answer = request_wait(
		        process->req, process->starved ? WAITING_FEED : WAITING_PROCESS);
	event_del(&process->on_exit);
	event_del(&process->on_in);
	event_del(&process->on_out);
	event_del(&process->on_err);
	evtimer_del(&process->on_timer);
	return answer;
}

/* A client that has gone away, or only ended its sending, having sent all it had to. */
static int check_client(struct subprocess *process, const struct subprocess_io *io)
{
	const struct ag_request *req = process->req;

	if (!req->gone)
		return 0;
	if (!io->answers || req->broken || req->body_error)
		return AG_GONE;
	if (!process->gone)
		process->gone = subprocess_now() + GONE_MS;
	return subprocess_now() >= process->gone ? AG_GONE : 0;
}

static int wait_turn(struct subprocess *process, const struct subprocess_io *io)
{
	int error = check_client(process, io);

	if (!error && is_timed(process, io) && subprocess_now() >= process->deadline)
		error = AG_TIMEOUT;
	if (!error)
		error = suspend(process, io);
	if (error == AG_GONE)
		error = check_client(process, io);
	if (error)
		return error;
	subprocess_look(process);
	return 0;
}

/* Whether there is nothing more to wait for. */
static bool is_over(struct subprocess *process, const struct subprocess_io *io)
{
	bool answered = io->answers && process->out < 0;

	if (process->busy || (!process->exited && !answered))
		return false;
	if (process->exited && process->out < 0)
		return true;
	if (!process->grace)
		process->grace = subprocess_now() + GRACE_MS;
	return subprocess_now() >= process->grace;
}

static int idle(struct subprocess *process, const struct subprocess_io *io)
{
	if (!io->idle || !process->quiet || subprocess_now() < process->quiet)
		return 0;
	process->quiet = 0;
	return io->idle(io->to);
}

int subprocess_run(struct subprocess *process, const struct subprocess_io *io)
{
	int answer = 0;

	process->deadline = process->timeout ? subprocess_now() + process->timeout : 0;
	process->at = io->input;
	process->left = io->body ? 0 : io->input_size;
	for (;;) {
		answer = pump(process, io);
		if (answer || is_over(process, io))
			return answer;
		answer = idle(process, io);
		if (!answer)
			answer = wait_turn(process, io);
		if (answer)
			return answer;
	}
}
