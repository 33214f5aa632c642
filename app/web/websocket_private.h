/* What the parts of a WebSocket share; for app/web/websocket*.c only. */
#ifndef APP_WEB_WEBSOCKET_PRIVATE_H
#define APP_WEB_WEBSOCKET_PRIVATE_H

#include <wslay/wslay.h>

#include "../request.h"
#include "websocket.h"

/* Close codes that we send by ourselves (RFC 6455 7.4.1). */
enum {
	CODE_NORMAL = 1000,
	CODE_LEAVING = 1001,
	CODE_PROTOCOL = 1002,
	CODE_NONE = 1005,
	CODE_TEXT = 1007,
	CODE_SIZE = 1009,
	CODE_INTERNAL = 1011,
};

#define WEBSOCKET_RSV1 0x40 /* in a frame's first byte */

#define WEBSOCKET_CONTROL_MAX 125 /* bytes of a control frame's payload (RFC 6455 5.5) */

/* A check of text that comes in pieces: how many bytes are to follow, and what the next may be. */
struct utf8 {
	uint8_t left, low, high;
};

struct control {
	uint8_t data[WEBSOCKET_CONTROL_MAX];
	uint8_t length;
};

struct ag_ws {
	struct ag_request *req;
	const char *subprotocol;
	size_t message_max;
	unsigned ping_interval; /* ms */
	int window;             /* bits, with permessage-deflate; 0: without */

	/* wslay's part; NULL while nothing is half done, so that an idle one costs little */
	wslay_frame_context_ptr frames;
	size_t held;   /* bytes that it was given and that no piece has accounted for */
	uint64_t left; /* bytes of the current frame to come */
	bool in_frame;

	/* the message that comes, or came last */
	char *data;
	size_t length, size;
	unsigned fragments;
	uint8_t opcode; /* 0: none has begun */
	bool packed;    /* until it is whole: what came is to be inflated */
	struct utf8 text;
	struct control control; /* the control frame that comes */

	struct control pong; /* to be sent when the sender is done */
	bool pong_due;
	uint16_t close_due; /* the same, or 0 */

	/* what it has subscribed to: websocket_channels.c */
	struct ag_task *listener;     /* waits in ag_ws_recv */
	struct ag_subscription *told; /* whose message was given last, or NULL */
	bool clients_turn;            /* ... so that the client's is looked for first */
	uint64_t heard;               /* us: when the client last was */

	uint16_t code; /* that ended it */
	bool torn;     /* a frame was not sent whole: nothing can follow */
	int error;     /* what calls say from now on, or 0 */
	bool receiving, sending, pinged, close_sent, close_received;
};

/* A frame or a part of one. */
struct piece {
	uint8_t opcode, rsv;
	bool first, last; /* of the frame */
	bool final;       /* the frame is the message's last */
	bool masked;
	uint64_t frame; /* bytes of the whole frame */
	const uint8_t *data;
	size_t length;
};

enum piece_result {
	PIECE_MORE, /* nothing complete is here */
	PIECE_GOT,
	PIECE_BAD, /* no frame at all: 1002 */
	PIECE_NOMEM,
};

/* ---- websocket_frames.c ---- */

/* The next piece of what has come; never suspends. `data` is valid until the next call. */
enum piece_result websocket_next(struct ag_ws *ws, struct piece *piece);

/* Sends one frame; may suspend. Nobody else may be sending. The opcode may have WEBSOCKET_RSV1. */
int websocket_send(struct ag_ws *ws, uint8_t opcode, const void *data, size_t length);

/* Gives back what an idle WebSocket does not need. */
void websocket_rest(struct ag_ws *ws);

/* ---- websocket_deflate.c ---- */

/*
 * The message has come whole: puts what it stands for in its place, at most message_max bytes. 0,
 * or the code to close with.
 */
unsigned websocket_inflate(struct ag_ws *ws);

/* The payload that stands for a message, to be freed; NULL: it is to be sent as it is. */
void *websocket_deflate(const struct ag_ws *ws, const void *data, size_t length, size_t *packed);

/* ---- websocket_extension.c ---- */

/* The window for what we send, in bits, 9 to 15, where an offer of the client's can be taken; or 0.
 */
int websocket_negotiate(const char *list);

/* ---- text ---- */

/* Looks at more text; false: it is not UTF-8 (RFC 3629), whatever follows. */
bool utf8_feed(struct utf8 *utf8, const void *data, size_t length);

/* Whether all of it is UTF-8. */
bool utf8_is(const void *data, size_t length);

/* ---- websocket_channels.c ---- */

/* Gives the oldest message of a channel; false: there is none. */
bool websocket_take_published(struct ag_ws *ws, struct ag_ws_message *message);

#endif
