/* What a load generator must know of a gate: a request as nginx sends it, and answers. */
#ifndef TESTS_BENCH_GATE_H
#define TESTS_BENCH_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that grow. Zeroed means empty. */
struct gate_buffer {
	uint8_t *bytes;
	size_t length, room;
};

struct gate_request {
	bool keep;          /* asks for the connection to stay open */
	const char *target; /* path and query; NULL: one as a shop has it */
	const char *script; /* SCRIPT_FILENAME, for those who want it; NULL: none */
	unsigned variables; /* how many; 0: those of nginx and a browser */
	size_t body;        /* bytes of a body; 0: a GET */
	uint16_t id;        /* of a FastCGI request; 0: 1 */
};

#define GATE_VARIABLES_MIN 10

enum gate_verdict {
	GATE_MORE,  /* the answer is not whole yet */
	GATE_WRONG, /* neither that nor what follows */
	GATE_RIGHT, /* status 200 and the body */
	GATE_LAST,  /* the same, and the connection is not to be used again */
};

struct gate {
	const char *name;
	bool keeps; /* the protocol has keep-alive */

	/* Appends one request. */
	void (*request)(struct gate_buffer *out, const struct gate_request *request);

	/* Judges an answer by the body it shall have; `eof`: nothing follows. */
	enum gate_verdict (*answer)(
	        const uint8_t *data, size_t length, bool eof, const struct gate_buffer *body);
};

/* A head and a body, as a record of STDOUT has them. */
enum gate_verdict gate_judge_cgi(
        const uint8_t *data, size_t length, const struct gate_buffer *body);

void gate_add(struct gate_buffer *out, const void *data, size_t length);

/* The bytes of which bodies of requests are made. */
void gate_add_body(struct gate_buffer *out, size_t length);

/* By its name, or NULL. */
const struct gate *gate_find(const char *name);

#endif
