/* Time: how long a wait lasts, and a request. */
#include <event2/event.h>

#include "async_private.h"

static struct timeval after_ms(unsigned ms)
{
	return (struct timeval){ ms / 1000, (long)(ms % 1000) * 1000 };
}

struct wait {
	struct event timer;
	struct ag_task *task;
	int over;
};

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct wait *wait = argument;

	(void)fd;
	(void)what;
	request_wake(wait->task, wait->over);
}

int async_wait(struct ag_request *req, enum waiting what, unsigned ms, int over)
{
	struct timeval after = after_ms(ms);
	struct wait wait = { .task = waiting_task(req), .over = over };

	if (ms == AG_FOREVER)
		return request_wait(req, what);
	evtimer_assign(&wait.timer, req->runtime->base, on_timer, &wait);
	if (evtimer_add(&wait.timer, &after) < 0)
		return AG_NOMEM;
	int answer = request_wait(req, what);

	evtimer_del(&wait.timer);
	return answer;
}

int ag_sleep(struct ag_request *req, unsigned ms)
{
	int answer = request_check(req);

	return answer ? answer : async_wait(req, WAITING_TIMER, ms, 0);
}

/* ---- a request's deadline ---- */

struct expiry {
	struct event timer;
};

static void on_expiry(evutil_socket_t fd, short what, void *argument)
{
	struct ag_request *req = argument;

	(void)fd;
	(void)what;
	req->expired = true;
	waiting_end(req, AG_TIMEOUT);
}

int ag_deadline(struct ag_request *req, unsigned ms)
{
	struct timeval after = after_ms(ms);

	if (req->done || !waiting_task(req))
		return AG_INVALID;
	if (!req->expiry) {
		req->expiry = arena_alloc(&req->arena, sizeof(*req->expiry));
		if (!req->expiry)
			return AG_NOMEM;
		evtimer_assign(&req->expiry->timer, req->runtime->base, on_expiry, req);
	}
	req->expired = req->timed = false;
	evtimer_del(&req->expiry->timer);
	if (ms && evtimer_add(&req->expiry->timer, &after) < 0)
		return AG_NOMEM;
	req->timed = ms;
	return 0;
}

/* ---- again and again ---- */

struct tick {
	struct event timer; /* persistent */
	void (*function)(struct ag_request *req);
};

static void on_tick(evutil_socket_t fd, short what, void *argument)
{
	struct ag_request *req = argument;

	(void)fd;
	(void)what;
	req->tick->function(req);
}

int async_tick(struct ag_request *req, unsigned ms, void (*function)(struct ag_request *req))
{
	struct timeval every = after_ms(ms);

	if (!req->tick) {
		req->tick = arena_alloc(&req->arena, sizeof(*req->tick));
		if (!req->tick)
			return AG_NOMEM;
		event_assign(&req->tick->timer, req->runtime->base, -1, EV_PERSIST, on_tick, req);
	}
	req->tick->function = function;
	return event_add(&req->tick->timer, &every) < 0 ? AG_NOMEM : 0;
}

void async_forget(struct ag_request *req)
{
	if (req->expiry)
		evtimer_del(&req->expiry->timer);
	if (req->tick)
		event_del(&req->tick->timer);
	channels_forget(req);
}
