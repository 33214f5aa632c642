/*
 * WebSocket: one handler for each, written straight down.
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
};

/* What ag_ws_accept is to know; all zero is the usual. */
struct ag_ws_options {
	const char *const *subprotocols; /* those spoken, best first, NULL at the end; or NULL */
	const char *const *origins;      /* "https://example.com" ..., NULL at the end; "*": any */
	                                 /* NULL: pages of the host that was asked only */
	size_t message_max;              /* bytes of one message; 0: 1 MiB */
	unsigned ping_interval;          /* ms of silence before a ping; 0: 30 s; AG_FOREVER */
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
 */
int ag_ws_recv(struct ag_ws *ws, struct ag_ws_message *message);

/*
 * Sends one message. Suspends while the client is slow; `data` may be reused at once. Returns 0,
 * AG_GONE, AG_TIMEOUT, or AG_INVALID: text that is not UTF-8, or another task is sending.
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

#ifdef __cplusplus
}
#endif

#endif
