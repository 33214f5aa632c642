/*
 * FastCGI records of several requests at a time. The input is a program: an instruction and its
 * arguments become a record that is well formed but for what the instruction changes, so that the
 * fuzzer gets behind the framing at once.
 */
#include <fastcgi.h>
#include <stdlib.h>

#include "oracle.h"

#define WIRE_MAX 8192

struct program {
	struct span code;
	uint8_t wire[WIRE_MAX];
	size_t length;
};

static uint8_t next(struct program *program)
{
	return program->code.length ? *span_take(&program->code, 1) : 0;
}

static void put(struct program *program, const void *bytes, size_t length)
{
	if (length > WIRE_MAX - program->length)
		return;
	if (length)
		memcpy(program->wire + program->length, bytes, length);
	program->length += length;
}

/* 3.3 */
static void put_header(
        struct program *program, uint8_t type, uint16_t id, size_t content, uint8_t padding)
{
	uint8_t header[FCGI_HEADER_LEN] = { FCGI_VERSION_1, type, (uint8_t)(id >> 8), (uint8_t)id,
		(uint8_t)(content >> 8), (uint8_t)content, padding, 0 };

	put(program, header, sizeof header);
}

/* A record with padding; some lie about their length. */
static void put_record(
        struct program *program, uint8_t type, uint16_t id, const void *content, size_t length)
{
	static const uint8_t zeros[8];
	uint8_t how = next(program);
	uint8_t padding = how & 8 ? how & 7 : 0;
	size_t said = length;

	if (how >= 0xf8)
		said += next(program) - 128u;
	put_header(program, type, id, said, padding);
	put(program, content, length);
	put(program, zeros, padding);
}

/* The length of a text (3.4), in four bytes where asked for. */
static size_t put_length(uint8_t *at, size_t length, bool wide)
{
	if (!wide && length < 128) {
		*at = (uint8_t)length;
		return 1;
	}
	at[0] = (uint8_t)(0x80 | length >> 24);
	at[1] = (uint8_t)(length >> 16);
	at[2] = (uint8_t)(length >> 8);
	at[3] = (uint8_t)length;
	return 4;
}

/* Pairs of small texts, the last of which may say more than there is. Returns their bytes. */
static size_t make_pairs(struct program *program, uint8_t *pairs, size_t room)
{
	unsigned count = next(program) & 31;
	size_t at = 0;

	while (count-- > 0) {
		uint8_t shape = next(program);
		size_t name = shape & 7, value = shape >> 3 & 15;
		size_t said = shape == 0xff ? (size_t)next(program) << 16 | next(program) : value;

		if (room - at < 8 + name + value)
			break;
		at += put_length(pairs + at, name, shape & 0x80);
		at += put_length(pairs + at, said, shape & 0x40);
		for (size_t i = 0; i < name + value; i++)
			pairs[at++] = next(program);
	}
	return at;
}

/* Parameters, cut into two records where the program says. */
static void put_params(struct program *program, uint16_t id)
{
	uint8_t pairs[1024];
	size_t length = make_pairs(program, pairs, sizeof pairs);
	size_t cut = next(program);

	cut = cut < length ? cut : length;
	if (cut)
		put_record(program, FCGI_PARAMS, id, pairs, cut);
	if (length > cut)
		put_record(program, FCGI_PARAMS, id, pairs + cut, length - cut);
}

static void put_values(struct program *program, uint16_t id)
{
	static const char asked[] = "\016\0FCGI_MAX_CONNS\015\0FCGI_MAX_REQS\017\0FCGI_MPXS_CONNS";
	size_t length = next(program);

	put_record(program, FCGI_GET_VALUES, id, asked,
	        length < sizeof asked - 1 ? length : sizeof asked - 1);
}

static void put_stdin(struct program *program, uint16_t id, uint8_t type)
{
	uint8_t body[256];
	size_t length = next(program);

	for (size_t i = 0; i < length; i++)
		body[i] = (uint8_t)(i + id);
	put_record(program, type, id, body, length);
}

static void put_begin(struct program *program, uint16_t id, uint8_t role)
{
	uint8_t body[8] = { 0, role, next(program) };

	put_record(program, FCGI_BEGIN_REQUEST, id, body, sizeof body);
}

/* The high bits of an instruction say what, the low ones for which of eight ids, 0 among them. */
static void step(struct program *program)
{
	uint8_t code = next(program);
	uint16_t id = code & 7;

	switch (code >> 3) {
	case 0 ... 3:
		put_begin(program, id, FCGI_RESPONDER);
		break;
	case 4:
		put_begin(program, id, next(program));
		break;
	case 5 ... 9:
		put_params(program, id);
		break;
	case 10 ... 13:
		put_record(program, FCGI_PARAMS, id, NULL, 0);
		break;
	case 14 ... 17:
		put_stdin(program, id, FCGI_STDIN);
		break;
	case 18 ... 21:
		put_record(program, FCGI_STDIN, id, NULL, 0);
		break;
	case 22 ... 23:
		put_record(program, FCGI_ABORT_REQUEST, id, NULL, 0);
		break;
	case 24:
		put_values(program, id & 1);
		break;
	case 25:
		put_stdin(program, id, FCGI_DATA);
		break;
	case 26:
		put_stdin(program, id, next(program));
		break;
	case 27:
		put_begin(program, (uint16_t)(next(program) << 8 | id), FCGI_AUTHORIZER);
		break;
	case 28:
		for (uint16_t more = 8; more < 28; more++)
			put_begin(program, more, FCGI_RESPONDER);
		break;
	default: /* as it is */
		put(program, &code, 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct program program;

	if (size < ORACLE_CONTROL)
		return 0;
	struct oracle oracle = oracle_of(data);

	program.code = (struct span){ data + ORACLE_CONTROL, size - ORACLE_CONTROL };
	program.length = 0;
	while (program.code.length)
		step(&program);
	oracle_check(&protocol_fastcgi, &oracle, program.wire, program.length);
	return 0;
}
