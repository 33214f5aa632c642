/*
 * The framing of a chunked body (RFC 9112 7.1), byte by byte, by a table: the state and the class
 * of a byte give the next state. Extensions must be well-formed, and their size is bounded: nobody
 * needs them but who wants to be read differently by two servers, or to keep this one busy.
 */
#include "http.h"

#define EXTENSION_MAX 256   /* bytes behind one chunk's size */
#define OVERHEAD_MAX  16384 /* bytes of framing, beside a quarter of the body */
#define DIGITS_MAX    16

enum byte_class {
	OTHER, /* neither of the others: controls */
	DIGIT, /* hexadecimal */
	TCHAR, /* the rest of a token */
	SEMIC,
	EQUAL,
	QUOTE,
	BACKS,
	BLANK, /* SP, HTAB */
	CR,
	LF,
	TEXT, /* only within quotes */
	CLASSES
};

static enum byte_class class_of(uint8_t byte)
{
	switch (byte) {
	case ';':
		return SEMIC;
	case '=':
		return EQUAL;
	case '"':
		return QUOTE;
	case '\\':
		return BACKS;
	case ' ':
	case '\t':
		return BLANK;
	case '\r':
		return CR;
	case '\n':
		return LF;
	case '0' ... '9':
	case 'A' ... 'F':
	case 'a' ... 'f':
		return DIGIT;
	default:
		if (grammar_tchar[byte])
			return TCHAR;
		return byte > 0x20 && byte != 0x7f ? TEXT : OTHER;
	}
}

#define ANY_TOKEN(state) [DIGIT] = state, [TCHAR] = state
#define ANY_TEXT(state)                                                                            \
	ANY_TOKEN(state), [SEMIC] = state, [EQUAL] = state, [BLANK] = state, [TEXT] = state

/* What stands in no row is CHUNK_BAD. Blanks are BWS (RFC 9112 7.1.1): never before the CR. */
static const uint8_t next[][CLASSES] = {
	[CHUNK_START] = { [DIGIT] = CHUNK_SIZE },
	[CHUNK_SIZE] = { [DIGIT] = CHUNK_SIZE,
	        [SEMIC] = CHUNK_NAME,
	        [BLANK] = CHUNK_BLANK,
	        [CR] = CHUNK_LF },
	[CHUNK_BLANK] = { [BLANK] = CHUNK_BLANK, [SEMIC] = CHUNK_NAME },
	[CHUNK_NAME] = { [BLANK] = CHUNK_NAME, ANY_TOKEN(CHUNK_NAMED) },
	[CHUNK_NAMED] = { ANY_TOKEN(CHUNK_NAMED), [BLANK] = CHUNK_MIDDLE, [EQUAL] = CHUNK_VALUE,
	        [SEMIC] = CHUNK_NAME, [CR] = CHUNK_LF },
	[CHUNK_MIDDLE] = { [BLANK] = CHUNK_MIDDLE, [EQUAL] = CHUNK_VALUE, [SEMIC] = CHUNK_NAME },
	[CHUNK_VALUE] = { [BLANK] = CHUNK_VALUE, ANY_TOKEN(CHUNK_VALUED), [QUOTE] = CHUNK_QUOTED },
	[CHUNK_VALUED] = { ANY_TOKEN(CHUNK_VALUED), [BLANK] = CHUNK_BLANK, [SEMIC] = CHUNK_NAME,
	        [CR] = CHUNK_LF },
	[CHUNK_QUOTED] = { ANY_TEXT(CHUNK_QUOTED), [BACKS] = CHUNK_ESCAPE, [QUOTE] = CHUNK_QUOTE },
	[CHUNK_ESCAPE] = { ANY_TEXT(CHUNK_QUOTED), [BACKS] = CHUNK_QUOTED, [QUOTE] = CHUNK_QUOTED },
	[CHUNK_QUOTE] = { [BLANK] = CHUNK_BLANK, [SEMIC] = CHUNK_NAME, [CR] = CHUNK_LF },
	[CHUNK_LF] = { [LF] = CHUNK_DATA },
	[CHUNK_CRLF] = { [CR] = CHUNK_CRLF_2 },
	[CHUNK_CRLF_2] = { [LF] = CHUNK_AGAIN },
};

static unsigned hex_value(uint8_t digit)
{
	return digit <= '9' ? digit - (unsigned)'0' : (digit | 0x20u) - 'a' + 10;
}

/* Counts what a byte adds to the chunk. */
static bool count_byte(struct http *http, uint8_t byte)
{
	switch (http->chunk) {
	case CHUNK_SIZE:
		if (++http->digits > DIGITS_MAX)
			return http_refuse(http, 400, "chunk size is too long");
		http->left = http->left << 4 | hex_value(byte);
		break;
	case CHUNK_BLANK ... CHUNK_QUOTE:
		if (++http->extension > EXTENSION_MAX)
			return http_refuse(http, 400, "chunk extension is too long");
		break;
	default:
		break;
	}
	if (++http->overhead > OVERHEAD_MAX + http->body / 4)
		return http_refuse(http, 400, "more chunk framing than data");
	return true;
}

/* The line is complete: data follows, or the trailers. */
static void begin_data(struct http *http, const struct limits *limits)
{
	if (http->left > limits->body_size || http->left > INT64_MAX) {
		http_refuse(http, 413, "chunk is larger than a body may be");
		return;
	}
	http->phase = http->left > 0 ? HTTP_DATA : HTTP_TRAILERS;
	http->body += http->left;
	http->chunk = CHUNK_CRLF;
	http->taken = 0;
	http->fields = 0;
}

static void begin_chunk(struct http *http)
{
	http->chunk = CHUNK_START;
	http->left = 0;
	http->digits = 0;
	http->extension = 0;
}

void http_chunk(struct http *http, const struct limits *limits, struct span *in)
{
	while (in->length > 0 && http->phase == HTTP_CHUNK) {
		uint8_t byte = *span_take(in, 1);

		http->chunk = next[http->chunk][class_of(byte)];
		if (http->chunk == CHUNK_BAD)
			http_refuse(http, 400, "bad chunk");
		else if (!count_byte(http, byte))
			return;
		else if (http->chunk == CHUNK_DATA)
			begin_data(http, limits);
		else if (http->chunk == CHUNK_AGAIN)
			begin_chunk(http);
	}
}
