/*
 * Runs tables of bytes through a protocol's decoder. Every row is delivered whole, byte by byte, in
 * two parts at every place, and cut short at every place; each delivery ends directly in front of a
 * page that must not be touched. All deliveries must give the same events, and every prefix a
 * prefix of them, in the order that protocol.h promises.
 *
 * Events as text, one for each line:
 *
 *	1 begin responder
 *	1 var NAME=value              a variable, whether it came whole or in pieces
 *	1 field name: value
 *	1 head
 *	1 body 5 bytes "hello"        all pieces together, where the exchange ends or the input does
 *	1 end
 *	1 abort
 *	1 refused 431
 *	reply 010a00...               in hexadecimal
 *	more                          the last line: the input is used up ...
 *	bad 400                       ... or the connection is refused
 *
 * Bytes that are not printable ASCII, and backslashes, are written \xHH; names, values and bodies
 * of more than 64 bytes as their first 64 and "...".
 */
#ifndef TESTS_SUPPORT_DECODING_H
#define TESTS_SUPPORT_DECODING_H

#include <stdbool.h>
#include <stddef.h>

#include "../../protocols/protocol.h"

struct decoding_row {
	const char *name;
	const char *bytes;
	size_t length;
	const char *events;
	bool ends; /* the answer's end follows END, ABORT and BAD_EXCHANGE at once; always without
	            * multiplexing
	            */
};

/* The bytes and the length of a literal, which may hold NULs. */
#define BYTES(text) text, sizeof(text) - 1

/* The bytes of a text, without its end. */
static inline struct span span_of(const char *text)
{
	return (struct span){ (const uint8_t *)text, strlen(text) };
}

/* header_size 64K, variables 256, body_size 50M, body_memory 64K. */
extern const struct limits decoding_limits;

/* Checks all rows; `limits` may be NULL for the usual ones. */
void decoding_check(const struct protocol *protocol, const struct limits *limits,
        const struct decoding_row *rows, size_t count);

/* The events of bytes delivered in pieces of at most `step`; to be freed. */
char *decoding_events(const struct protocol *protocol, const struct limits *limits,
        const void *bytes, size_t length, size_t step);

/* Decodes bytes into a state that stays, without ending it: what encoders are tested on. */
void decoding_prepare(
        const struct protocol *protocol, void *state, const void *bytes, size_t length);

/* The parts of an answer, each alone. */
static inline void write_head(const struct protocol *protocol, void *state, uint16_t id,
        const struct reply *reply, struct writer *out)
{
	protocol->write(state, id, &(struct portion){ .reply = reply }, out);
}

static inline void write_piece(const struct protocol *protocol, void *state, uint16_t id,
        struct span piece, struct writer *out)
{
	protocol->write(state, id, &(struct portion){ .body = piece }, out);
}

static inline void write_end(
        const struct protocol *protocol, void *state, uint16_t id, struct writer *out)
{
	protocol->write(state, id, &(struct portion){ .end = true }, out);
}

#endif
