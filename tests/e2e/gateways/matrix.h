/* The gateway matrix: what is asked of every gate of every gateway, and what is known to fail. */
#ifndef TESTS_E2E_GATEWAYS_MATRIX_H
#define TESTS_E2E_GATEWAYS_MATRIX_H

#include <stddef.h>

/* One way to the application. */
struct way {
	const char *address;  /* the gateway's */
	const char *protocol; /* between it and us */
	const char *backend;  /* ours */
};

#define OUTCOME    64
#define OUTCOME_OK "ok"

/* The applications and where they are mounted: sections of a configuration file. */
extern const char cases_apps[];

extern const size_t cases_count;
const char *cases_name(size_t i);

/* Does the i-th case. `outcome` says OUTCOME_OK, or in short what was not as it should be. */
void cases_run(size_t i, const struct way *way, char outcome[OUTCOME]);

/* A deviation that is the gateway's own. */
struct limit {
	const char *gateway, *gate; /* NULL: all of its gates */
	const char *name;           /* of the case */
	const char *outcome;
	const char *reason; /* and where it is written; one sentence or more, Markdown */
};
extern const struct limit limits[];
extern const size_t limits_count;

#endif
