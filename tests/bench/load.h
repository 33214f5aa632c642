/* What the ways to load a server have in common. */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "address.h"
#include "gate.h"
#include "latency.h"

struct load {
	const struct gate *gate;
	struct address address;
	struct gate_request asked;
	struct gate_buffer body;   /* of a right answer */
	unsigned streams;          /* FastCGI requests at a time on a connection; 0: one */
	unsigned conn_count, open; /* connections: wanted, there */
	uint64_t wanted, begun, done, errors; /* requests */
	uint64_t deadline;                    /* ns; 0: `wanted` decides */
	pid_t held; /* the server's worker, stopped while connections open */
	int epoll;
	struct gate_buffer request;
	struct conn *conns;
	size_t answer_max;
	size_t right_length; /* the last answer found right: its like need no second look */
	uint8_t *right;
	struct latency latency;
};

uint64_t load_now(void); /* ns */
bool load_may_begin(const struct load *load, uint64_t now);

/* Says what failed, with errno, and exits. */
_Noreturn void load_die(const char *what);

/* Loads by FastCGI connections with several requests each; what is done, wrong and how slow is in
 * `load` afterwards. */
void multiplex_run(struct load *load);

#endif
