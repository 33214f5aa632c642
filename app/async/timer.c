#include <event2/event.h>
#include <event2/event_struct.h>

#include "../request.h"

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	request_wake(argument, 0);
}

int ag_sleep(struct ag_request *req, unsigned ms)
{
	struct timeval after = { ms / 1000, (long)(ms % 1000) * 1000 };
	struct event timer;

	int answer = request_check(req);

	if (answer)
		return answer;
	evtimer_assign(&timer, req->runtime->base, on_timer, waiting_task(req));
	if (evtimer_add(&timer, &after) < 0)
		return AG_NOMEM;
	answer = request_wait(req, WAITING_TIMER);
	evtimer_del(&timer);
	return answer;
}
