/* What all fetches of a worker share: libcurl's multi handle, driven by the worker's loop. */
#include <stdlib.h>

#include <event2/event.h>

#include "fetch_private.h"

/* Connections that are kept for the next fetch. */
#define KEPT_MOST 64L

struct fetcher {
	struct event_base *base;
	struct event timer;
	CURLM *multi;
	bool lacks; /* the log says that there are no descriptors */
};

/* A socket that libcurl wants to be told of. */
struct watch {
	struct event event;
};

void fetch_wake(struct fetch *fetch)
{
	struct ag_task *task = fetch->task;

	fetch->task = NULL;
	if (task)
		waiting_wake_later(task, 0);
}

/* ---- what the loop tells libcurl ---- */

static void take_ends(const struct fetcher *fetcher)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(fetcher->multi, &left))) {
		struct fetch *fetch;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&fetch);
		fetch->over = true;
		fetch->code = message->data.result;
		fetch_wake(fetch);
	}
}

static void on_socket_ready(evutil_socket_t fd, short what, void *argument)
{
	struct fetcher *fetcher = argument;
	int running, ready = (what & EV_READ ? CURL_CSELECT_IN : 0) |
	                     (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

	curl_multi_socket_action(fetcher->multi, fd, ready, &running);
	take_ends(fetcher);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct fetcher *fetcher = argument;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_ends(fetcher);
}

/* ---- what libcurl tells the loop ---- */

static void unwatch(struct fetcher *fetcher, curl_socket_t fd, struct watch *watch)
{
	if (!watch)
		return;
	event_del(&watch->event);
	free(watch);
	curl_multi_assign(fetcher->multi, fd, NULL);
}

/* Without memory the fetch stands still until its time is over: what else there is to answer here
 * ends all of them, and the handle. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *argument, void *known)
{
	struct fetcher *fetcher = argument;
	struct watch *watch = known;
	short wanted = (short)((what & CURL_POLL_IN ? EV_READ : 0) |
	                       (what & CURL_POLL_OUT ? EV_WRITE : 0));

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		unwatch(fetcher, fd, watch);
		return 0;
	}
	if (watch) {
		event_del(&watch->event);
	} else {
		watch = malloc(sizeof(*watch));
		if (!watch)
			return 0;
		curl_multi_assign(fetcher->multi, fd, watch);
	}
	event_assign(&watch->event, fetcher->base, fd, (short)(wanted | EV_PERSIST),
	        on_socket_ready, fetcher);
	event_add(&watch->event, NULL);
	return 0;
}

static int on_timeout(CURLM *multi, long ms, void *argument)
{
	struct fetcher *fetcher = argument;
	struct timeval after = { ms / 1000, ms % 1000 * 1000 };

	(void)multi;
	if (ms < 0)
		evtimer_del(&fetcher->timer);
	else
		evtimer_add(&fetcher->timer, &after);
	return 0;
}

/* ---- the worker's ---- */

static struct fetcher *fetcher_new(struct event_base *base)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));

	if (!fetcher || curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) {
		free(fetcher);
		return NULL;
	}
	fetcher->multi = curl_multi_init();
	if (!fetcher->multi) {
		curl_global_cleanup();
		free(fetcher);
		return NULL;
	}
	fetcher->base = base;
	evtimer_assign(&fetcher->timer, base, on_timer, fetcher);
	curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
	curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
	curl_multi_setopt(fetcher->multi, CURLMOPT_MAXCONNECTS, KEPT_MOST);
	return fetcher;
}

struct fetcher *fetcher_get(struct runtime *runtime)
{
	struct async *async = runtime->async;

	if (!async->fetcher)
		async->fetcher = fetcher_new(runtime->base);
	return async->fetcher;
}

void fetcher_stop(struct async *async)
{
	struct fetcher *fetcher = async->fetcher;

	if (!fetcher)
		return;
	curl_multi_cleanup(fetcher->multi);
	evtimer_del(&fetcher->timer);
	curl_global_cleanup();
	free(fetcher);
	async->fetcher = NULL;
}

/* ---- one fetch ---- */

bool fetcher_add(struct fetch *fetch)
{
	return curl_multi_add_handle(fetch->fetcher->multi, fetch->easy) == CURLM_OK;
}

void fetcher_remove(struct fetch *fetch)
{
	curl_multi_remove_handle(fetch->fetcher->multi, fetch->easy);
}

void fetcher_lacks(struct fetch *fetch, bool lacks)
{
	if (lacks && !fetch->fetcher->lacks)
		ag_log(fetch->req, "ag_fetch: " FETCH_LACKS);
	fetch->fetcher->lacks = lacks;
}

void fetcher_go_on(struct fetch *fetch)
{
	int stopped = (fetch->hungry ? CURLPAUSE_SEND : 0) | (fetch->held ? CURLPAUSE_RECV : 0);
	CURLcode code = curl_easy_pause(fetch->easy, stopped);

	if (code != CURLE_OK && !fetch->over) {
		fetch->over = true;
		fetch->code = code;
	}
}
