/* What one peer may use: section [limits] of the configuration. Read-only once a worker runs. */
#ifndef APP_LIMITS_H
#define APP_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct limits {
	size_t header_size;      /* bytes of one request's variables or header section */
	unsigned variables;      /* variables or header fields of one request */
	uint64_t body_size;      /* bytes of one request body */
	size_t body_memory;      /* bytes of a body held before the handler reads them */
	unsigned header_timeout; /* ms from a request's first byte to the end of its head */
	unsigned body_timeout;   /* ms in which a body goes on while its handler waits for it */
	unsigned write_timeout;  /* ms in which a client takes more of the answer */
	unsigned body_rate;      /* least bytes a second of the one, 0: any progress will do */
	unsigned write_rate;     /* and of the other */
	bool underscores;        /* header names may have them; from [listen], not [limits] */
};

#endif
