/* What a load generator must know of a gate: a request as nginx sends it, and answers. */
#ifndef TESTS_BENCH_GATE_H
#define TESTS_BENCH_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATE_REQUEST_MAX 8192

struct gate_buffer {
	uint8_t bytes[GATE_REQUEST_MAX];
	size_t length;
};

enum gate_verdict {
	GATE_MORE,  /* the answer is not whole yet */
	GATE_WRONG, /* neither that nor what follows */
	GATE_RIGHT, /* status 200 and the body */
	GATE_LAST,  /* the same, and the connection is not to be used again */
};

struct gate {
	const char *name;
	bool keeps; /* the protocol has keep-alive */

	/* Writes one GET; `keep` asks for the connection to stay open. */
	void (*request)(struct gate_buffer *out, bool keep);

	/* Judges an answer; `eof`: nothing follows. */
	enum gate_verdict (*answer)(const uint8_t *data, size_t length, bool eof, const char *body);
};

/* By its name, or NULL. */
const struct gate *gate_find(const char *name);

#endif
