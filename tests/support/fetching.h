/* tests/e2e/apps/fetches.c in a daemon, and a peer with all kinds of answers. */
#ifndef TESTS_SUPPORT_FETCHING_H
#define TESTS_SUPPORT_FETCHING_H

#include "client.h"
#include "daemon.h"
#include "peer.h"

#define AG_GONE        "-1"
#define AG_TIMEOUT     "-2"
#define AG_INVALID     "-4"
#define AG_CANCELED    "-6"
#define AG_UNREACHABLE "-10"
#define AG_SLOW        "-12"
#define AG_TOO_LARGE   "-13"
#define AG_BAD_ANSWER  "-14"

/* The gates in turn. */
#define FETCHING_GATE(i) (fetching_gates[(i) % 4])
extern const char *const fetching_gates[4];

struct fetching {
	struct daemon daemon;
	struct peer peer;
	const char *address; /* the daemon's */
};

/* The test's: each runs in a process of its own. */
extern struct fetching fetching;

/* Starts both, with a setting of the daemon; peer.gather and peer.ms may be set before. */
void fetching_begin(const char *setting);
void fetching_end(void);

/* Asks for a fetch by a query of fetches.c. */
void fetching_ask(const char *gate, const char *query, const char *body, struct client *client);

/* The same, and what has to come of it. */
void fetching_check(const char *gate, const char *query, const char *body, const char *wanted);

/* So many at once by HTTP, and what has to come of each. */
void fetching_check_many(const char *query, unsigned times, const char *wanted);

/* The query for a path of the peer, `more` behind it; valid until the next call. */
const char *fetching_query(const char *path, const char *more);

#endif
