/*
 * Functions that keep a processor busy, on threads of their own. The loop's thread and these share
 * what stands under the lock and nothing else; a job belongs to one side at a time, and lies on the
 * stack of the task that waits for it.
 */
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "async_private.h"

/* Jobs that no thread has begun. */
#define QUEUE_MAX 1024

/* The loop's thread, which is short, goes first where they share a processor. */
#define THREAD_NICE 5

struct job {
	TAILQ_ENTRY(job) link;
	void (*function)(void *);
	void *argument;
	struct ag_task *task;
	bool queued; /* under the lock: no thread has begun it */
};

TAILQ_HEAD(job_list, job);

struct offload {
	struct event event; /* on `done_fd`, while jobs are on the way */
	pthread_t *threads; /* `count` of them */
	unsigned count;
	unsigned jobs; /* on the way */
	int done_fd;   /* an eventfd: something is in `done` */

	pthread_mutex_t lock;
	pthread_cond_t work;
	struct job_list queue, done;
	unsigned queued; /* in `queue` */
	unsigned idle;   /* threads that wait for work */
	bool stop;
};

/* ---- the threads ---- */

/* With the lock; NULL: the end. */
static struct job *next_job(struct offload *offload)
{
	struct job *job;

	while (!(job = TAILQ_FIRST(&offload->queue))) {
		if (offload->stop)
			return NULL;
		offload->idle++;
		pthread_cond_wait(&offload->work, &offload->lock);
		offload->idle--;
	}
	TAILQ_REMOVE(&offload->queue, job, link);
	offload->queued--;
	job->queued = false;
	return job;
}

static void *run(void *argument)
{
	struct offload *offload = argument;
	struct job *job;

	pthread_setname_np(pthread_self(), "offload");
	setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + THREAD_NICE);
	pthread_mutex_lock(&offload->lock);
	while ((job = next_job(offload))) {
		pthread_mutex_unlock(&offload->lock);
		job->function(job->argument);
		pthread_mutex_lock(&offload->lock);
		TAILQ_INSERT_TAIL(&offload->done, job, link);
		eventfd_write(offload->done_fd, 1);
	}
	pthread_mutex_unlock(&offload->lock);
	return NULL;
}

/* Signals are for the loop's thread, but for those that tell of a fault in this one. */
static void mask_signals(sigset_t *mask)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };

	sigfillset(mask);
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigdelset(mask, faults[i]);
}

static bool start_thread(struct offload *offload)
{
	pthread_t *thread = &offload->threads[offload->count];
	sigset_t mask, before;

	mask_signals(&mask);
	pthread_sigmask(SIG_SETMASK, &mask, &before);
	bool started = pthread_create(thread, NULL, run, offload) == 0;

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!started)
		return false;
	offload->count++;
	return true;
}

/* ---- the loop ---- */

/* One job less is on the way. */
static void forget_job(struct offload *offload)
{
	if (--offload->jobs == 0)
		event_del(&offload->event);
}

static void take_done(struct offload *offload)
{
	struct job_list done = TAILQ_HEAD_INITIALIZER(done);
	struct job *job;
	eventfd_t count;

	eventfd_read(offload->done_fd, &count);
	pthread_mutex_lock(&offload->lock);
	TAILQ_CONCAT(&done, &offload->done, link);
	pthread_mutex_unlock(&offload->lock);
	while ((job = TAILQ_FIRST(&done))) {
		TAILQ_REMOVE(&done, job, link);
		forget_job(offload);
		request_wake(job->task, 0);
	}
}

static void on_done(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	take_done(argument);
}

static struct offload *offload_new(struct runtime *runtime)
{
	struct offload *offload = calloc(1, sizeof(*offload));

	if (!offload)
		return NULL;
	offload->threads = calloc(runtime->threads, sizeof(*offload->threads));
	offload->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!offload->threads || offload->done_fd < 0) {
		if (offload->done_fd >= 0)
			close(offload->done_fd);
		free(offload->threads);
		free(offload);
		return NULL;
	}
	TAILQ_INIT(&offload->queue);
	TAILQ_INIT(&offload->done);
	pthread_mutex_init(&offload->lock, NULL);
	pthread_cond_init(&offload->work, NULL);
	event_assign(&offload->event, runtime->base, offload->done_fd, EV_READ | EV_PERSIST,
	        on_done, offload);
	return offload;
}

void offload_wait(struct async *async)
{
	struct offload *offload = async->offload;

	if (!offload || !offload->jobs)
		return;
	struct pollfd done = { .fd = offload->done_fd, .events = POLLIN };

	if (poll(&done, 1, -1) > 0)
		take_done(offload);
}

bool offload_is_busy(const struct async *async)
{
	return async->offload && async->offload->jobs;
}

void offload_stop(struct async *async)
{
	struct offload *offload = async->offload;

	if (!offload)
		return;
	assert(!offload->jobs);
	pthread_mutex_lock(&offload->lock);
	offload->stop = true;
	pthread_cond_broadcast(&offload->work);
	pthread_mutex_unlock(&offload->lock);
	for (unsigned i = 0; i < offload->count; i++)
		pthread_join(offload->threads[i], NULL);
	pthread_cond_destroy(&offload->work);
	pthread_mutex_destroy(&offload->lock);
	close(offload->done_fd);
	free(offload->threads);
	free(offload);
	async->offload = NULL;
}

/* ---- jobs ---- */

/* Takes it out of the queue; false: a thread has begun it. */
static bool withdraw(struct offload *offload, struct job *job)
{
	pthread_mutex_lock(&offload->lock);
	bool queued = job->queued;

	if (queued) {
		TAILQ_REMOVE(&offload->queue, job, link);
		offload->queued--;
		job->queued = false;
	}
	pthread_mutex_unlock(&offload->lock);
	return queued;
}

bool async_withdraw(struct ag_task *task)
{
	struct offload *offload = task->req->runtime->async->offload;

	if (!withdraw(offload, task->job))
		return false;
	forget_job(offload);
	return true;
}

/* False: the queue is full. `*lacking`: threads are busy, and jobs wait for more of them. */
static bool enqueue(struct offload *offload, struct job *job, bool *lacking)
{
	pthread_mutex_lock(&offload->lock);
	bool room = offload->queued < QUEUE_MAX;

	if (room) {
		job->queued = true;
		TAILQ_INSERT_TAIL(&offload->queue, job, link);
		offload->queued++;
		pthread_cond_signal(&offload->work);
	}
	*lacking = offload->queued > offload->idle;
	pthread_mutex_unlock(&offload->lock);
	return room;
}

/* Hands the job over; 0, or why there is nobody to run it. */
static int submit(struct runtime *runtime, struct offload *offload, struct job *job)
{
	bool lacking;

	if (offload->jobs == 0 && event_add(&offload->event, NULL) < 0)
		return AG_NOMEM;
	offload->jobs++;
	int error = enqueue(offload, job, &lacking) ? 0 : AG_BUSY;

	if (!error && lacking && offload->count < runtime->threads && !start_thread(offload) &&
	        !offload->count) {
		withdraw(offload, job);
		error = AG_NOMEM;
	}
	if (error)
		forget_job(offload);
	return error;
}

int ag_offload(struct ag_request *req, void (*function)(void *argument), void *argument)
{
	struct job job = { .function = function, .argument = argument };
	int answer = request_check(req);

	if (answer)
		return answer;
	struct async *async = req->runtime->async;

	if (!req->runtime->threads)
		return AG_INVALID;
	if (!async->offload)
		async->offload = offload_new(req->runtime);
	if (!async->offload)
		return AG_NOMEM;
	job.task = waiting_task(req);
	job.task->job = &job;
	answer = submit(req->runtime, async->offload, &job);
	if (!answer)
		answer = request_wait(req, WAITING_OFFLOAD);
	return answer ? answer : request_check(req);
}
