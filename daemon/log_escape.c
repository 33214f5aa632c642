#include "log_escape.h"

#include "../app/text.h"

static const char digits[] = "0123456789abcdef";

static void write_hex(struct writer *out, unsigned char c)
{
	const char escape[] = { '\\', 'x', digits[c >> 4], digits[c & 15] };

	write_bytes(out, escape, sizeof(escape));
}

/* As much of it as there is room for. */
static void write_run(struct writer *out, const char *text, size_t length)
{
	size_t room = (size_t)(out->end - out->at);

	write_bytes(out, text, length < room ? length : room);
	out->overflow |= length > room;
}

static bool is_plain(unsigned char c, unsigned char least)
{
	return c >= least && c < 0x7f && c != '"' && c != '\\';
}

/* Most text is plain: writes what of it is, from `at`; returns where that ends. */
static size_t write_plain(
        struct writer *out, const char *text, size_t at, size_t length, unsigned char least)
{
	size_t from = at;

	while (at < length && is_plain((unsigned char)text[at], least))
		at++;
	write_run(out, text + from, at - from);
	return at;
}

static void escape_ascii(struct writer *out, const char *text, size_t length, unsigned char least)
{
	for (size_t at = 0; at < length && !out->overflow; at++) {
		at = write_plain(out, text, at, length, least);
		if (at < length && !out->overflow)
			write_hex(out, (unsigned char)text[at]);
	}
}

void log_escape_field(struct writer *out, const char *text, size_t length)
{
	escape_ascii(out, text, length, ' ');
}

void log_escape_word(struct writer *out, const char *text, size_t length)
{
	escape_ascii(out, text, length, ' ' + 1);
}

/* The bytes at the start of `left` that stand for themselves as one character; 0: none do. */
static size_t character(const unsigned char *at, size_t left)
{
	if (*at < 0x80)
		return *at >= 0x20 && *at != 0x7f;
	size_t length = text_utf8_length(at, left);

	return length == 2 && *at == 0xc2 && at[1] < 0xa0 ? 0 : length; /* C1 controls */
}

void log_escape_line(struct writer *out, const char *text, size_t length)
{
	for (size_t at = 0; at < length && !out->overflow;) {
		size_t plain = character((const unsigned char *)text + at, length - at);

		if (plain)
			write_bytes(out, text + at, plain);
		else
			write_hex(out, (unsigned char)text[at]);
		at += plain ? plain : 1;
	}
}

static void write_json_escape(struct writer *out, unsigned char c)
{
	const char escape[] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };

	write_bytes(out, escape, sizeof(escape));
}

/* U+0080 to U+009F are one escape; what is no character is one for each byte. */
static size_t write_json_character(struct writer *out, const unsigned char *at, size_t left)
{
	size_t plain = character(at, left);

	if (*at == '"' || *at == '\\') {
		write_bytes(out, (const char[]){ '\\', (char)*at }, 2);
		return 1;
	}
	if (plain) {
		write_bytes(out, at, plain);
		return plain;
	}
	plain = *at >= 0x80 ? text_utf8_length(at, left) : 0;
	write_json_escape(out, plain ? at[1] : *at);
	return plain ? plain : 1;
}

void log_escape_json(struct writer *out, const char *text, size_t length)
{
	for (size_t at = 0; at < length && !out->overflow;) {
		at = write_plain(out, text, at, length, ' ');
		if (at < length && !out->overflow)
			at += write_json_character(
			        out, (const unsigned char *)text + at, length - at);
	}
}
