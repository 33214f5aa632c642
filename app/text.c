#include "text.h"

#include <stdbool.h>
#include <string.h>

#include "anygate.h"

/* Gathers short pieces, so that the sink is called seldom. */
struct gather {
	text_sink *sink;
	void *to;
	int error; /* the sink's first answer that was not 0; nothing is written any more */
	size_t used;
	char buffer[512];
};

static void gather_flush(struct gather *gather)
{
	if (gather->used > 0 && !gather->error)
		gather->error = gather->sink(gather->to, gather->buffer, gather->used);
	gather->used = 0;
}

static void gather_add(struct gather *gather, const char *text, size_t size)
{
	if (size > sizeof gather->buffer - gather->used)
		gather_flush(gather);
	if (size <= sizeof gather->buffer) {
		memcpy(gather->buffer + gather->used, text, size);
		gather->used += size;
	} else if (!gather->error) {
		gather->error = gather->sink(gather->to, text, size);
	}
}

/* ---- JSON ---- */

/* The well-formed sequences that are longer than a byte (Unicode, table 3-7). */
static const struct sequence {
	unsigned char first_low, first_high;   /* range of the first byte */
	unsigned char second_low, second_high; /* of the second; any other is 80 to BF */
	unsigned char length;
} sequences[] = {
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, /* none that fits in fewer bytes */
	{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 }, /* no surrogates */
	{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 }, /* none above U+10FFFF */
};

size_t text_utf8_length(const unsigned char *at, size_t left)
{
	for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
		const struct sequence *row = &sequences[i];

		if (*at < row->first_low || *at > row->first_high)
			continue;
		if (left < row->length || at[1] < row->second_low || at[1] > row->second_high)
			return 0;
		for (size_t n = 2; n < row->length; n++)
			if ((at[n] & 0xc0) != 0x80)
				return 0;
		return row->length;
	}
	return 0;
}

/* Bytes that stand for themselves, from the start of `left`. */
static size_t json_plain(const unsigned char *text, size_t left)
{
	size_t at = 0;

	while (at < left) {
		unsigned char c = text[at];
		size_t length = 1;

		if (c >= 0x80)
			length = text_utf8_length(text + at, left - at);
		else if (c < 0x20 || c == '"' || c == '\\' || c == '<')
			length = 0;
		if (length == 0)
			break;
		at += length;
	}
	return at;
}

static void json_escape(struct gather *gather, unsigned char c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	static const char digits[] = "0123456789abcdef";
	const char *named = c ? strchr(from, c) : NULL;

	if (named) {
		gather_add(gather, (char[]){ '\\', to[named - from] }, 2);
	} else {
		char escape[] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };

		gather_add(gather, escape, sizeof escape);
	}
}

int text_json(text_sink *sink, void *to, const char *text, size_t size)
{
	struct gather gather;

	gather.sink = sink;
	gather.to = to;
	gather.error = 0;
	gather.used = 0;
	gather_add(&gather, "\"", 1);
	for (size_t at = 0; at < size && !gather.error; at++) {
		size_t plain = json_plain((const unsigned char *)text + at, size - at);

		gather_add(&gather, text + at, plain);
		at += plain;
		if (at < size)
			json_escape(&gather, (unsigned char)text[at]);
	}
	gather_add(&gather, "\"", 1);
	gather_flush(&gather);
	return gather.error;
}

/* ---- HTML ---- */

static const char *html_entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

int text_html(text_sink *sink, void *to, const char *text, size_t size)
{
	struct gather gather;
	size_t done = 0;

	gather.sink = sink;
	gather.to = to;
	gather.error = 0;
	gather.used = 0;
	for (size_t at = 0; at < size && !gather.error; at++) {
		const char *entity = html_entity(text[at]);

		if (!entity)
			continue;
		gather_add(&gather, text + done, at - done);
		gather_add(&gather, entity, strlen(entity));
		done = at + 1;
	}
	gather_add(&gather, text + done, size - done);
	gather_flush(&gather);
	return gather.error;
}

/* ---- for applications ---- */

static int write_answer(void *req, const void *data, size_t size)
{
	return ag_write(req, data, size);
}

int ag_json(struct ag_request *req, const char *text)
{
	return text_json(write_answer, req, text, strlen(text));
}

int ag_json_bytes(struct ag_request *req, const char *text, size_t size)
{
	return text_json(write_answer, req, text, size);
}

int ag_html(struct ag_request *req, const char *text)
{
	return text_html(write_answer, req, text, strlen(text));
}
