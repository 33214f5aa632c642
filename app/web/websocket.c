/*
 * A WebSocket as its handler sees it: messages. The rules of RFC 6455 5 to 8 are here, but for the
 * form of the frames that come, which is wslay's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../async/async.h"
#include "websocket_private.h"

/* Frames that one message may come in: empty ones would go on for ever. */
#define FRAGMENTS_MAX 16384

/* ms that a client has to answer our Close. */
#define CLOSE_WAIT 2000

/* ---- control frames out ---- */

static int send_close(struct ag_ws *ws, unsigned code, const char *reason)
{
	uint8_t payload[WEBSOCKET_CONTROL_MAX] = { (uint8_t)(code >> 8), (uint8_t)code };
	size_t length = reason ? strlen(reason) : 0;

	if (length)
		memcpy(payload + 2, reason, length);
	ws->close_sent = true;
	return websocket_send(
	        ws, WSLAY_CONNECTION_CLOSE, payload, code == CODE_NONE ? 0 : length + 2);
}

/* What had to wait for another task's message. */
static void send_due(struct ag_ws *ws)
{
	if (ws->pong_due && !ws->close_sent && !ws->sending) {
		struct control pong = ws->pong;

		ws->pong_due = false;
		websocket_send(ws, WSLAY_PONG, pong.data, pong.length);
	}
	if (ws->close_due && !ws->close_sent && !ws->sending)
		send_close(ws, ws->close_due, NULL);
}

static void say_close(struct ag_ws *ws, unsigned code)
{
	ws->close_due = (uint16_t)code;
	send_due(ws);
}

/* The client broke the rules: it is told which, and that is the end (RFC 6455 7.1.7). */
static int fail(struct ag_ws *ws, unsigned code)
{
	ws->code = (uint16_t)code;
	say_close(ws, code);
	ws->error = code == CODE_INTERNAL ? AG_NOMEM : AG_REFUSED;
	return ws->error;
}

/* ---- control frames in ---- */

/* RFC 6455 7.4, and what IANA has registered since. */
static bool is_code(unsigned code)
{
	if (code >= 3000)
		return code < 5000;
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

static unsigned take_close(struct ag_ws *ws)
{
	const struct control *close = &ws->control;
	unsigned code = CODE_NONE;

	if (close->length) {
		code = (unsigned)close->data[0] << 8 | close->data[1];
		if (close->length < 2 || !is_code(code))
			return CODE_PROTOCOL;
		if (!utf8_is(close->data + 2, close->length - 2U))
			return CODE_TEXT;
	}
	ws->close_received = true;
	ws->code = (uint16_t)code;
	say_close(ws, code);
	if (!ws->error)
		ws->error = AG_GONE;
	return 0;
}

static unsigned take_control(struct ag_ws *ws, uint8_t opcode)
{
	if (opcode == WSLAY_CONNECTION_CLOSE)
		return take_close(ws);
	if (opcode == WSLAY_PING) {
		ws->pong = ws->control; /* the latest will do (RFC 6455 5.5.3) */
		ws->pong_due = true;
		send_due(ws);
	}
	return 0;
}

/* ---- messages in ---- */

/* A packed message may be a little longer than what it stands for. */
static size_t length_max(const struct ag_ws *ws)
{
	size_t more = ws->packed ? ws->message_max / 64 + 64 : 0;

	return ws->message_max < SIZE_MAX - more ? ws->message_max + more : SIZE_MAX;
}

static unsigned check_data_frame(struct ag_ws *ws, const struct piece *piece)
{
	if ((piece->opcode == WSLAY_CONTINUATION_FRAME) != (ws->opcode != 0))
		return CODE_PROTOCOL;
	if (!ws->opcode) {
		ws->opcode = piece->opcode;
		ws->packed = piece->rsv;
		ws->length = 0;
		ws->fragments = 0;
		ws->text = (struct utf8){ 0 };
	}
	if (++ws->fragments > FRAGMENTS_MAX || piece->frame > length_max(ws) - ws->length)
		return CODE_SIZE;
	return 0;
}

/* RFC 7692 6: on the first frame of a message. */
static bool may_be_packed(const struct ag_ws *ws, const struct piece *piece)
{
	return ws->window && piece->rsv == WSLAY_RSV1_BIT &&
	       (piece->opcode == WSLAY_TEXT_FRAME || piece->opcode == WSLAY_BINARY_FRAME);
}

/* 0, or the code to close with. */
static unsigned check_frame(struct ag_ws *ws, const struct piece *piece)
{
	if (!piece->masked || (piece->rsv && !may_be_packed(ws, piece)))
		return CODE_PROTOCOL;
	if (piece->opcode <= WSLAY_BINARY_FRAME)
		return check_data_frame(ws, piece);
	ws->control.length = 0;
	return piece->opcode < WSLAY_CONNECTION_CLOSE || piece->opcode > WSLAY_PONG ? CODE_PROTOCOL
	                                                                            : 0;
}

/* Keeps room for a NUL behind the text. */
static unsigned append(struct ag_ws *ws, const struct piece *piece)
{
	size_t needed = ws->length + piece->length + 1;

	if (needed > ws->size) {
		size_t size = needed < 2 * ws->size ? 2 * ws->size : needed;
		char *data = realloc(ws->data, size);

		if (!data)
			return CODE_INTERNAL;
		ws->data = data;
		ws->size = size;
	}
	if (piece->length)
		memcpy(ws->data + ws->length, piece->data, piece->length);
	ws->length += piece->length;
	ws->data[ws->length] = '\0';
	if (ws->opcode != WSLAY_TEXT_FRAME || ws->packed)
		return 0;
	bool ends = piece->last && piece->final;

	if (!utf8_feed(&ws->text, piece->data, piece->length) || (ends && ws->text.left))
		return CODE_TEXT;
	return 0;
}

static unsigned take_piece(struct ag_ws *ws, const struct piece *piece)
{
	unsigned code = piece->first ? check_frame(ws, piece) : 0;

	if (code)
		return code;
	if (!wslay_is_ctrl_frame(piece->opcode))
		return append(ws, piece);
	memcpy(ws->control.data + ws->control.length, piece->data, piece->length);
	ws->control.length = (uint8_t)(ws->control.length + piece->length);
	return piece->last ? take_control(ws, piece->opcode) : 0;
}

/* The client has been silent: it is asked whether it is there, once. */
static int ask(struct ag_ws *ws)
{
	if (ws->pinged)
		return ws->error = AG_TIMEOUT;
	ws->pinged = true;
	ws->heard = request_clock();
	return ws->sending || ws->close_sent ? 0 : websocket_send(ws, WSLAY_PING, NULL, 0);
}

/* Waits for more bytes; 0, or what the caller is told. */
static int await(struct ag_ws *ws, unsigned ms)
{
	struct ag_request *req = ws->req;

	if (req->body_error)
		return ws->error = req->body_error;
	if (req->leaving && !ws->close_sent) {
		ws->code = CODE_LEAVING;
		say_close(ws, CODE_LEAVING);
		return ws->error = AG_GONE;
	}
	websocket_rest(ws);
	int answer = async_wait(req, WAITING_BODY, ms, AG_TIMEOUT);

	if (answer == 0 && request_body_unread(req)) {
		ws->pinged = false;
		ws->heard = request_clock();
	}
	if (answer == AG_GONE)
		ws->error = AG_GONE;
	return answer;
}

/* ms until the client has been silent for too long, whatever others say meanwhile. */
static unsigned patience(const struct ag_ws *ws)
{
	if (ws->ping_interval == AG_FOREVER || LIST_EMPTY(&ws->req->subscriptions))
		return ws->ping_interval;
	uint64_t silent = (request_clock() - ws->heard) / 1000;

	return silent < ws->ping_interval ? ws->ping_interval - (unsigned)silent : 0;
}

/* Nothing of the client's is here: 1 when a channel has something instead, else waits. */
static int rest(struct ag_ws *ws, struct ag_ws_message *message)
{
	unsigned ms = patience(ws);

	if (ms && websocket_take_published(ws, message))
		return 1;
	ws->listener = waiting_task(ws->req);
	int answer = await(ws, ms);
	bool expired = ws->req->late || ws->req->expired;

	ws->listener = NULL;
	return answer == AG_TIMEOUT && !expired ? ask(ws) : answer;
}

static int take_message(struct ag_ws *ws, struct ag_ws_message *message)
{
	*message = (struct ag_ws_message){
		.kind = ws->opcode == WSLAY_TEXT_FRAME ? AG_WS_TEXT : AG_WS_BINARY,
		.data = ws->data,
		.length = ws->length,
	};
	ws->opcode = 0;
	ws->clients_turn = false;
	return 1;
}

static unsigned unpack(struct ag_ws *ws)
{
	unsigned code = websocket_inflate(ws);

	ws->packed = false;
	if (!code && ws->opcode == WSLAY_TEXT_FRAME && !utf8_is(ws->data, ws->length))
		code = CODE_TEXT;
	return code;
}

static bool ends_message(const struct piece *piece)
{
	return piece->last && piece->final && !wslay_is_ctrl_frame(piece->opcode);
}

/* One piece further: 1 when a message has come whole, 0 when not yet. */
static int step(struct ag_ws *ws, struct ag_ws_message *message)
{
	struct piece piece;

	if (!ws->clients_turn && websocket_take_published(ws, message)) {
		ws->clients_turn = true;
		return 1;
	}
	switch (websocket_next(ws, &piece)) {
	case PIECE_BAD:
		return fail(ws, CODE_PROTOCOL);
	case PIECE_NOMEM:
		return fail(ws, CODE_INTERNAL);
	case PIECE_GOT:
		break;
	case PIECE_MORE:
		return rest(ws, message);
	}
	unsigned code = take_piece(ws, &piece);

	if (!code && ws->packed && ends_message(&piece))
		code = unpack(ws);
	if (code)
		return fail(ws, code);
	if (ws->error)
		return ws->error;
	return ends_message(&piece) ? take_message(ws, message) : 0;
}

int ag_ws_recv(struct ag_ws *ws, struct ag_ws_message *message)
{
	int answer = 0;

	if (!ws || ws->error)
		return ws ? ws->error : AG_GONE;
	if (ws->receiving)
		return AG_INVALID;
	if (ws->told)
		channel_let_go(ws->told);
	ws->told = NULL;
	ws->receiving = true;
	while (answer == 0)
		answer = step(ws, message);
	ws->receiving = false;
	return answer < 0 ? answer : 0;
}

/* ---- messages out ---- */

static int send_data(struct ag_ws *ws, uint8_t opcode, const void *data, size_t length)
{
	size_t packed_length;
	void *packed = websocket_deflate(ws, data, length, &packed_length);

	if (!packed)
		return websocket_send(ws, opcode, data, length);
	int error = websocket_send(ws, opcode | WEBSOCKET_RSV1, packed, packed_length);

	free(packed);
	return error;
}

int ag_ws_send(struct ag_ws *ws, enum ag_ws_kind kind, const void *data, size_t length)
{
	bool text = kind == AG_WS_TEXT;

	if (!ws || ws->error || ws->close_sent)
		return ws && ws->error ? ws->error : AG_GONE;
	if (ws->sending || (!text && kind != AG_WS_BINARY) || (text && !utf8_is(data, length)))
		return AG_INVALID;
	int error = send_data(ws, text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, data, length);

	send_due(ws);
	return error;
}

int ag_ws_printf(struct ag_ws *ws, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	int length = vasprintf(&text, format, arguments);

	va_end(arguments);
	if (length < 0)
		return AG_NOMEM;
	int error = ag_ws_send(ws, AG_WS_TEXT, text, (size_t)length);

	free(text);
	return error;
}

/* ---- the end ---- */

/* One piece further towards the client's Close; false: it won't come. */
static bool pass_over(struct ag_ws *ws, uint64_t end)
{
	uint64_t now = request_clock();
	struct piece piece;

	switch (websocket_next(ws, &piece)) {
	case PIECE_MORE:
		return now < end && await(ws, (unsigned)((end - now) / 1000) + 1) == 0;
	case PIECE_GOT:
		break;
	default:
		return false;
	}
	if (take_piece(ws, &piece) != 0)
		return false;
	if (ends_message(&piece))
		ws->opcode = 0; /* a message that nobody gets */
	return true;
}

static void await_close(struct ag_ws *ws)
{
	uint64_t end = request_clock() + CLOSE_WAIT * 1000;

	ws->receiving = true;
	while (!ws->error && !ws->close_received)
		if (!pass_over(ws, end))
			break;
	ws->receiving = false;
}

int ag_ws_close(struct ag_ws *ws, unsigned code, const char *reason)
{
	size_t length = reason ? strlen(reason) : 0;

	if (!ws || ws->error || ws->close_sent)
		return ws && ws->error ? ws->error : AG_GONE;
	if (ws->sending || !is_code(code) || length > WEBSOCKET_CONTROL_MAX - 2 ||
	        !utf8_is(reason, length))
		return AG_INVALID;
	ws->code = (uint16_t)code;
	int error = send_close(ws, code, reason);

	if (!error && !ws->receiving) {
		await_close(ws);
		ws->error = AG_GONE;
	}
	return error;
}

unsigned ag_ws_code(const struct ag_ws *ws)
{
	return ws ? ws->code : 0;
}

const char *ag_ws_subprotocol(const struct ag_ws *ws)
{
	return ws ? ws->subprotocol : NULL;
}

void websocket_end(struct ag_ws *ws)
{
	if (!ws->close_sent && (!ws->error || ws->close_due))
		say_close(ws, ws->close_due ? ws->close_due : CODE_NORMAL);
	wslay_frame_context_free(ws->frames);
	free(ws->data);
	ws->frames = NULL;
	ws->data = NULL;
	ws->error = AG_GONE;
	ws->req->websocket = NULL;
}
