/*
 * Long polling: a GET waits until somebody POSTs, and as many may wait as like. With one worker, as
 * each has a message of its own.
 *
 *	cc -shared -fPIC longpoll.c -o longpoll.so
 *	anygate -w 1 -l http=127.0.0.1:8080 ./longpoll.so
 *	curl 'http://127.0.0.1:8080/?since=0' & curl -d 'news' http://127.0.0.1:8080/
 *
 * Answers the message and, in Message-Number, what the next GET gives as ?since=; or 204 where
 * there was none for a while.
 */
#include <anygate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHILE_MS 25000 /* gateways give up after a minute or so */
#define LONGEST  4096  /* bytes of a message */

/* One worker's; handlers of others do not see it. */
static struct {
	struct ag_cond *changed;
	unsigned long number; /* of the last message, from 1 */
	char text[LONGEST];
	size_t length;
} board;

static int answer(struct ag_request *req)
{
	char number[24];

	snprintf(number, sizeof number, "%lu", board.number);
	ag_set_header(req, "Message-Number", number);
	ag_set_header(req, "Cache-Control", "no-store");
	ag_write(req, board.text, board.length);
	return 200;
}

static int poll(struct ag_request *req)
{
	unsigned long since = strtoul(ag_arg(req, "since", "0"), NULL, 10);

	while (board.number <= since) {
		int error = ag_cond_wait(req, board.changed, WHILE_MS);

		if (error == AG_TIMEOUT)
			return 204;
		if (error)
			return 503; /* the client has gone, or the worker ends */
	}
	return answer(req);
}

static int post(struct ag_request *req)
{
	char text[LONGEST];
	size_t length = 0;
	ssize_t n;

	while ((n = ag_read(req, text + length, sizeof text - length)) > 0)
		length += (size_t)n;
	if (n < 0 || length == sizeof text)
		return n < 0 ? 400 : 413;
	memcpy(board.text, text, length);
	board.length = length;
	board.number++;
	ag_printf(req, "told %zu\n", ag_cond_notify_all(board.changed));
	return 200;
}

static int end(struct ag_request *req, void *argument)
{
	(void)req;
	(void)argument;
	ag_cond_free(board.changed);
	return 0;
}

AG_APP(app)
{
	board.changed = ag_cond_new();
	if (!board.changed)
		ag_fail(app, "out of memory");
	ag_on_stop(app, end, NULL);
	ag_get(app, "/", poll);
	ag_post(app, "/", post);
}
