/*
 * permessage-deflate (RFC 7692), with no context taken over either way: each message is packed by
 * itself, so that nothing is kept between two.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "websocket_private.h"

/* Shorter messages hardly get shorter. */
#define WORTH_IT 128

/* Bytes that the sender takes off a message's end (7.2.1). */
static const uint8_t tail[] = { 0, 0, 0xff, 0xff };

/* ---- in ---- */

struct inflation {
	z_stream stream;
	size_t max; /* bytes that may come out */
	char *out;
	size_t size; /* of `out`, at most max + 1 */
	bool ended;  /* behind a block that says it is the last */
};

/* Room for more; 0, or the code to close with. */
static unsigned grow(struct inflation *inflation)
{
	size_t made = inflation->stream.total_out, size = inflation->size;

	if (made > inflation->max)
		return CODE_SIZE;
	size = size > inflation->max / 2 ? inflation->max + 1 : 2 * size;
	char *out = realloc(inflation->out, size);

	if (!out)
		return CODE_INTERNAL;
	inflation->out = out;
	inflation->size = size;
	inflation->stream.next_out = (uint8_t *)out + made;
	inflation->stream.avail_out = (unsigned)(size - made);
	return 0;
}

/*
 * A block that says it is the last needs not be (7.2.3.4): what follows goes on with the same
 * window.
 */
static int pass_last_block(struct inflation *inflation)
{
	z_stream *stream = &inflation->stream;
	size_t made = stream->total_out;
	unsigned window = made < 32768 ? (unsigned)made : 32768;
	int answer = inflateReset(stream);

	stream->total_out = made;
	return answer == Z_OK && window
	               ? inflateSetDictionary(stream, stream->next_out - window, window)
	               : answer;
}

static unsigned feed(struct inflation *inflation, const void *data, size_t length)
{
	z_stream *stream = &inflation->stream;
	unsigned code = 0;

	stream->next_in = (uint8_t *)data; /* it is only read */
	stream->avail_in = (unsigned)length;
	while (!code && stream->avail_in) {
		int answer = inflate(stream, Z_SYNC_FLUSH);

		inflation->ended = answer == Z_STREAM_END;
		if (inflation->ended && stream->avail_in)
			answer = pass_last_block(inflation);
		if (answer == Z_MEM_ERROR)
			return CODE_INTERNAL;
		if (answer == Z_DATA_ERROR || answer == Z_NEED_DICT)
			return CODE_TEXT;
		if (!stream->avail_out)
			code = grow(inflation);
	}
	return code;
}

/* Whether the input has ended where a block does. */
static bool is_whole(const struct inflation *inflation)
{
	return inflation->ended || inflation->stream.data_type & 128;
}

static unsigned inflate_all(struct inflation *inflation, const struct ag_ws *ws)
{
	unsigned code = feed(inflation, ws->data, ws->length);

	if (!code)
		code = feed(inflation, tail, sizeof(tail));
	if (!code && inflation->stream.total_out > inflation->max)
		return CODE_SIZE;
	return code || is_whole(inflation) ? code : CODE_TEXT;
}

unsigned websocket_inflate(struct ag_ws *ws)
{
	struct inflation inflation = { .max = ws->message_max };
	size_t guess = ws->length < SIZE_MAX / 8 ? 4 * ws->length + 64 : ws->length;

	inflation.size = guess < ws->message_max / 2 ? guess : ws->message_max / 2 + 1;
	if (inflateInit2(&inflation.stream, -15) != Z_OK)
		return CODE_INTERNAL;
	unsigned code = grow(&inflation);

	if (!code)
		code = inflate_all(&inflation, ws);
	size_t made = inflation.stream.total_out;

	inflateEnd(&inflation.stream);
	if (code) {
		free(inflation.out);
		return code;
	}
	free(ws->data);
	ws->data = inflation.out;
	ws->size = inflation.size;
	ws->length = made;
	ws->data[made] = '\0';
	return 0;
}

/* ---- out ---- */

/* Memory goes by what there is to pack: 256 KiB for messages above 16 KiB, 5 KiB for short ones. */
static bool deflate_begin(z_stream *stream, const struct ag_ws *ws, size_t length)
{
	int window = 9;

	while (window < ws->window && length > (size_t)1 << window)
		window++;
	return deflateInit2(stream, Z_BEST_SPEED, Z_DEFLATED, -window, window < 14 ? window - 6 : 8,
	               Z_DEFAULT_STRATEGY) == Z_OK;
}

void *websocket_deflate(const struct ag_ws *ws, const void *data, size_t length, size_t *packed)
{
	size_t size = length + sizeof(tail) - 1; /* or it is not worth it */
	z_stream stream = { 0 };

	if (!ws->window || length < WORTH_IT || size > UINT32_MAX)
		return NULL;
	uint8_t *out = malloc(size);

	if (!out || !deflate_begin(&stream, ws, length)) {
		free(out);
		return NULL;
	}
	stream.next_in = (uint8_t *)data; /* it is only read */
	stream.avail_in = (unsigned)length;
	stream.next_out = out;
	stream.avail_out = (unsigned)size;
	deflate(&stream, Z_SYNC_FLUSH);
	bool whole = stream.avail_out > 0;

	*packed = stream.total_out - sizeof(tail);
	deflateEnd(&stream);
	if (whole)
		return out;
	free(out);
	return NULL;
}
