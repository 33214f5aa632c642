/* Frames: in by wslay, out by hand; and the check of text. */
#include <stdlib.h>

#include "websocket_private.h"

/* ---- text ---- */

/* The first byte of a sequence (RFC 3629 4). */
static bool utf8_begin(struct utf8 *utf8, uint8_t byte)
{
	if (byte < 0xc2 || byte > 0xf4)
		return false;
	utf8->left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
	utf8->low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
	utf8->high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
	return true;
}

bool utf8_feed(struct utf8 *utf8, const void *data, size_t length)
{
	const uint8_t *at = data, *end = at + length;

	for (; at < end; at++) {
		if (!utf8->left) {
			if (*at >= 0x80 && !utf8_begin(utf8, *at))
				return false;
			continue;
		}
		if (*at < utf8->low || *at > utf8->high)
			return false;
		utf8->left--;
		utf8->low = 0x80;
		utf8->high = 0xbf;
	}
	return true;
}

bool utf8_is(const void *data, size_t length)
{
	struct utf8 utf8 = { 0 };

	return !length || (utf8_feed(&utf8, data, length) && !utf8.left);
}

/* ---- wslay's part ---- */

static ssize_t on_recv(uint8_t *buffer, size_t size, int flags, void *argument)
{
	struct ag_ws *ws = argument;
	ssize_t n = request_body_unread(ws->req) ? ag_read(ws->req, buffer, size) : -1;

	(void)flags;
	if (n > 0)
		ws->held += (size_t)n;
	return n > 0 ? n : -1;
}

static bool frames_get(struct ag_ws *ws)
{
	static const struct wslay_frame_callbacks callbacks = { NULL, on_recv, NULL };

	return ws->frames || wslay_frame_context_init(&ws->frames, &callbacks, ws) == 0;
}

void websocket_rest(struct ag_ws *ws)
{
	if (ws->frames && !ws->held && !ws->in_frame) {
		wslay_frame_context_free(ws->frames);
		ws->frames = NULL;
	}
	if (!ws->opcode) {
		free(ws->data);
		ws->data = NULL;
		ws->size = 0;
	}
}

/* ---- in ---- */

static size_t header_length(const struct wslay_frame_iocb *frame)
{
	size_t extended = frame->payload_length < 126 ? 0 : frame->payload_length < 65536 ? 2 : 8;

	return 2 + extended + (frame->mask ? 4 : 0);
}

enum piece_result websocket_next(struct ag_ws *ws, struct piece *piece)
{
	struct wslay_frame_iocb frame;

	if (!frames_get(ws))
		return PIECE_NOMEM;
	ssize_t n = wslay_frame_recv(ws->frames, &frame);

	if (n < 0)
		return n == WSLAY_ERR_WANT_READ ? PIECE_MORE : PIECE_BAD;
	*piece = (struct piece){ .opcode = frame.opcode,
		.rsv = frame.rsv,
		.first = !ws->in_frame,
		.final = frame.fin,
		.masked = frame.mask,
		.frame = frame.payload_length,
		.data = frame.data,
		.length = frame.data_length };
	if (piece->first) {
		ws->held -= header_length(&frame);
		ws->left = frame.payload_length;
	}
	ws->held -= frame.data_length;
	ws->left -= frame.data_length;
	ws->in_frame = ws->left > 0;
	piece->last = !ws->in_frame;
	return PIECE_GOT;
}

/* ---- out ---- */

/*
 * The header of a server's frame (RFC 6455 5.2): whole and not masked. Written here, since
 * wslay_frame_send takes a page of the stack, which every idle WebSocket would keep.
 */
static size_t write_header(uint8_t header[10], uint8_t opcode, uint64_t length)
{
	size_t extended = length < 126 ? 0 : length < 65536 ? 2 : 8;

	header[0] = 0x80 | opcode;
	header[1] = (uint8_t)(extended == 0 ? length : extended == 2 ? 126 : 127);
	for (size_t i = 0; i < extended; i++)
		header[2 + i] = (uint8_t)(length >> 8 * (extended - 1 - i));
	return 2 + extended;
}

int websocket_send(struct ag_ws *ws, uint8_t opcode, const void *data, size_t length)
{
	uint8_t header[10];

	if (ws->torn)
		return ws->error;
	ws->sending = true;
	int error = ag_write(ws->req, header, write_header(header, opcode, length));

	if (!error && length)
		error = ag_write(ws->req, data, length);
	if (!error)
		error = ag_flush(ws->req);
	ws->torn = error;
	if (error && !ws->error)
		ws->error = error;
	ws->sending = false;
	return error;
}
