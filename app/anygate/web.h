/*
 * WebSocket and server-sent events: one handler for each client, written straight down.
 * Part of anygate.h, which includes it; an application includes that one only.
 */
#ifndef ANYGATE_WEB_H
#define ANYGATE_WEB_H

#include "../anygate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- WebSocket (RFC 6455) ---- */

struct ag_ws; /* one WebSocket, from ag_ws_accept until its handler has returned */

enum ag_ws_kind { AG_WS_TEXT = 1, AG_WS_BINARY = 2 };

struct ag_ws_message {
	enum ag_ws_kind kind;
	const char *data; /* text is UTF-8; a NUL follows; valid until the next ag_ws_recv */
	size_t length;
	const char *channel; /* that it was published in; NULL: the client has sent it */
	size_t lost;         /* messages of the channel that were lost before it, see ag_publish */
};

/* What ag_ws_accept is to know; all zero is the usual. */
struct ag_ws_options {
	const char *const *subprotocols; /* those spoken, best first, NULL at the end; or NULL */
	const char *const *origins;      /* "https://example.com" ..., NULL at the end; "*": any */
	                                 /* NULL: pages of the host that was asked only */
	size_t message_max;              /* bytes of one message; 0: 1 MiB */
	unsigned ping_interval;          /* ms of silence before a ping; 0: 30 s; AG_FOREVER */
	bool plain;                      /* no permessage-deflate, see ag_ws_send */
};

/* Whether the client asks for a WebSocket: a path may be both page and WebSocket. */
bool ag_ws_wanted(const struct ag_request *req);

/*
 * Answers the handshake with 101, and the client's connection is the handler's until it returns:
 *
 *	struct ag_ws *ws = ag_ws_accept(req, NULL);
 *	struct ag_ws_message message;
 *
 *	while (ag_ws_recv(ws, &message) == 0)
 *		ag_ws_send(ws, message.kind, message.data, message.length);
 *	return ag_ws_status(req);
 *
 * NULL: refused, and the answer written: 400 for a broken handshake, 403 for a foreign Origin, 426
 * where no WebSocket of version 13 was asked for, 501 behind a gateway's fastcgi_pass, which can't
 * pass a WebSocket on (proxy_pass, scgi_pass and uwsgi_pass can). The other calls take NULL then,
 * and say AG_GONE. Call it before anything is written; headers set before go with the 101. Limits
 * and time-outs of bodies and of requests end there; limits.write_timeout stays.
 */
struct ag_ws *ag_ws_accept(struct ag_request *req, const struct ag_ws_options *options);

/* What the handler returns: the refusal's status, or 101. */
int ag_ws_status(const struct ag_request *req);

/* The subprotocol that both speak, or NULL. */
const char *ag_ws_subprotocol(const struct ag_ws *ws);

/*
 * Suspends until a message has come whole. Pings are answered, and sent to a silent client,
 * meanwhile. Returns 0, or below zero when there will be no more: AG_GONE, the client has closed or
 * gone away, or the worker ends (close code 1001); AG_TIMEOUT, nothing came since a ping;
 * AG_REFUSED, the client broke the rules and was told so: close code 1002, 1007 for text that is
 * not UTF-8, 1009 for a message above message_max. AG_INVALID: another task waits in here.
 * AG_CANCELED, and AG_TIMEOUT by a deadline of the request, end this wait alone: a later call goes
 * on where it was.
 */
int ag_ws_recv(struct ag_ws *ws, struct ag_ws_message *message);

/*
 * From now on ag_ws_recv gives what is published in the channel, too: `message.channel` is its name
 * then, and the kind AG_WS_TEXT where it is UTF-8, so that all of a chat is
 *
 *	ag_ws_subscribe(ws, "room");
 *	while (ag_ws_recv(ws, &message) == 0)
 *		if (message.channel)
 *			ag_ws_send(ws, message.kind, message.data, message.length);
 *		else
 *			ag_publish(req, "room", message.data, message.length);
 *
 * Its own client's messages and those of channels come by turns. Never suspends. Returns 0, as well
 * where it had subscribed; AG_INVALID: no name; AG_NOMEM; or what ag_ws_recv would.
 *ag_ws_unsubscribe returns AG_INVALID where it had not.
 */
int ag_ws_subscribe(struct ag_ws *ws, const char *channel);
int ag_ws_unsubscribe(struct ag_ws *ws, const char *channel);

/*
 * Sends one message. Suspends while the client is slow; `data` may be reused at once. Returns 0,
 * AG_GONE, AG_TIMEOUT, AG_CANCELED, AG_NOMEM; or AG_INVALID, with nothing sent: text that is not
 * UTF-8, or another task is sending. Any other failure has perhaps left half a frame with the
 * client, behind which nothing can follow: all later calls of this WebSocket say the same, and the
 * connection ends with the handler. So ag_cancel or a deadline on a task that sends costs the
 * WebSocket.
 *
 * Where the client offers permessage-deflate (RFC 7692), as browsers do, messages of 128 bytes and
 * more are packed if that makes them shorter, each by itself, so that nothing is kept between two.
 * The worker does nothing else meanwhile: 10 ms for 1 MiB, 4 us for 512 bytes; unpacking takes
 * half. `plain` declines the offer; so it should where one message holds a secret and what a
 * stranger has chosen, since its length tells how alike they are.
 */
int ag_ws_send(struct ag_ws *ws, enum ag_ws_kind kind, const void *data, size_t length);
int ag_ws_printf(struct ag_ws *ws, const char *format, ...) AG_PRINTF(2, 3);

/*
 * Says goodbye with a code (1000 to 1014 as registered, or 3000 to 4999) and a reason of at most
 * 123 bytes, or NULL; then suspends, a few seconds at most, until the client has said the same. A
 * handler that returns without it says 1000. Returns 0 or AG_INVALID or what ag_ws_send does.
 */
int ag_ws_close(struct ag_ws *ws, unsigned code, const char *reason);

/* The code that ended it: the client's, or else ours. 1005: it gave none. 0: not yet, or by no
 * close at all. */
unsigned ag_ws_code(const struct ag_ws *ws);

/* ---- server-sent events (WHATWG HTML 9.2), what a page's EventSource reads ---- */

/* What ag_sse_begin is to know; all zero is the usual. */
struct ag_sse_options {
	unsigned retry;      /* ms until a client that was cut off asks again; 0: as it likes */
	unsigned keep_alive; /* ms of silence before a comment; 0: 15 s; AG_FOREVER: none */
};

/*
 * Begins a stream of events and sends its head, which gateways told by X-Accel-Buffering don't
 * hold back:
 *
 *	if (ag_sse_begin(req, NULL) == 0)
 *		while (ag_cond_wait(req, news, AG_FOREVER) == 0 &&
 *			ag_sse_send(req, NULL, number, text) == 0)
 *			;
 *	return 200;
 *
 * Whatever the handler waits for, and in whichever task: where nothing was sent for a while a
 * comment goes out by itself, so that nobody on the way gives the connection up, and a client that
 * has gone is noticed and ends the wait with AG_GONE. That costs no task, and no memory but a
 * timer's. From here on only these calls write. The stream ends when the handler returns; the
 * client asks again then, unless it is answered 204. When the worker ends, waits and sends end with
 * AG_GONE, as if the client had gone: it will find another. Returns 0; AG_GONE for HEAD and a
 *status without a body, whose answer is complete with what was set; AG_INVALID where the answer has
 *begun already; or what ag_flush does.
 */
int ag_sse_begin(struct ag_request *req, const struct ag_sse_options *options);

/*
 * Sends one event and suspends while the client is slow. `event`: its type, NULL: "message". `id`:
 * what the client sends as Last-Event-ID when it asks again, NULL: as before, "": none. `data`:
 * UTF-8, LF, CR or CRLF between its lines, which the page gets as LF; NULL: the page learns
 * nothing, but the id counts. Returns 0; AG_INVALID: CR or LF in an id or a type, which NUL ends
 * (so neither can hold one), no ag_sse_begin, or another task is sending; nothing was sent then.
 * AG_GONE, AG_TIMEOUT, AG_CANCELED, AG_NOMEM: perhaps part of it was sent, so that all later calls
 * say the same. The client drops such a part, and has the last id sent whole.
 */
int ag_sse_send(struct ag_request *req, const char *event, const char *id, const char *data);
int ag_sse_printf(struct ag_request *req, const char *event, const char *id, const char *format,
        ...) AG_PRINTF(4, 5);

/* The same for text that no page sees. */
int ag_sse_comment(struct ag_request *req, const char *text);

/* The id of the last event that the client has, where it asks again and events had ids; or NULL. */
const char *ag_sse_last_id(const struct ag_request *req);

#ifdef __cplusplus
}
#endif

#endif
