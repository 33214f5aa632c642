/* What ends a wait of a WebSocket's handler, and what can be done with it then. */
#include <string.h>

#include "tests/support/loopback.h"

SUITE(websocket_waits);

static struct loopback loop;
static int answer; /* of the wait that was ended */

static struct ag_ws *accept_quietly(struct ag_request *req)
{
	return ag_ws_accept(req, &(struct ag_ws_options){ .ping_interval = AG_FOREVER });
}

static void begin(ag_handler *handler)
{
	loopback_open(&loop);
	ag_get(loop.app, "/", handler);
	loopback_request(&loop,
	        PAIRS({ "REQUEST_METHOD", "GET" }, { "REQUEST_URI", "/" },
	                { "HTTP_UPGRADE", "websocket" }, { "HTTP_CONNECTION", "upgrade" },
	                { "HTTP_SEC_WEBSOCKET_VERSION", "13" },
	                { "HTTP_SEC_WEBSOCKET_KEY", "dGhlIHNhbXBsZSBub25jZQ==" }),
	        NULL);
	cr_assert_eq(loop.status, 101);
	loopback_run(&loop);
}

static void check(int wanted, const char *sent, size_t length)
{
	cr_assert(loop.finished);
	cr_expect_eq(answer, wanted, "%d", answer);
	cr_assert_eq(loop.body.length, length, "%zu bytes", loop.body.length);
	cr_expect_eq(memcmp(loop.body.data, sent, length), 0);
	loopback_close(&loop);
}

static int tell(struct ag_request *req, void *ws)
{
	(void)req;
	return ag_ws_send(ws, AG_WS_TEXT, "news", 4);
}

/* A task that sends is ended in the middle: nothing can follow. */
static int torn(struct ag_request *req)
{
	struct ag_ws *ws = accept_quietly(req);
	struct ag_task *task = ag_spawn(req, tell, ws);
	struct ag_ws_message message;

	loop.slow = true;
	ag_sleep(req, 1);
	ag_cancel(req, task);
	ag_join(req, task, &answer);
	loop.slow = false;
	cr_expect_eq(ag_ws_send(ws, AG_WS_TEXT, "x", 1), AG_CANCELED);
	cr_expect_eq(ag_ws_recv(ws, &message), AG_CANCELED);
	cr_expect_eq(ag_ws_close(ws, 1000, NULL), AG_CANCELED);
	return ag_ws_status(req);
}

Test(websocket_waits, sending_canceled)
{
	begin(torn);
	check(AG_CANCELED, "\x81\x04news", 6);
}

static int await_message(struct ag_request *req, void *ws)
{
	struct ag_ws_message message;

	(void)req;
	return ag_ws_recv(ws, &message);
}

/* One that receives: the next goes on where it was. */
static int handed_on(struct ag_request *req)
{
	struct ag_ws *ws = accept_quietly(req);
	struct ag_task *task = ag_spawn(req, await_message, ws);
	struct ag_ws_message message;

	ag_sleep(req, 1);
	cr_expect_eq(ag_ws_recv(ws, &message), AG_INVALID);
	ag_cancel(req, task);
	ag_join(req, task, &answer);
	cr_expect_eq(ag_ws_recv(ws, &message), 0);
	ag_ws_send(ws, message.kind, message.data, message.length);
	return ag_ws_status(req);
}

/* A deadline ends the wait and nothing else. */
static int hasty(struct ag_request *req)
{
	struct ag_ws *ws = accept_quietly(req);
	struct ag_ws_message message;

	ag_deadline(req, 1);
	answer = ag_ws_recv(ws, &message);
	ag_deadline(req, 0);
	cr_expect_eq(ag_ws_recv(ws, &message), 0);
	ag_ws_send(ws, message.kind, message.data, message.length);
	return ag_ws_status(req);
}

static const struct {
	ag_handler *handler;
	int answer;
} receivers[] = { { handed_on, AG_CANCELED }, { hasty, AG_TIMEOUT } };

Test(websocket_waits, receiving_ended)
{
	for (size_t i = 0; i < COUNT(receivers); i++) {
		begin(receivers[i].handler);
		cr_assert_not(loop.finished);
		loopback_body(&loop, "\x81\x81\0\0\0\0a", 7);
		check(receivers[i].answer,
		        "\x81\x01"
		        "a\x88\x02\x03\xe8",
		        7);
	}
}
