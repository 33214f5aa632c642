/* What happens to the daemon while it is under load: signals to its master, or to random workers.
 */
#ifndef TESTS_SOAK_DISTURB_H
#define TESTS_SOAK_DISTURB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct disturb {
	pid_t master;
	int signal;
	bool workers;     /* a random worker gets it */
	unsigned every;   /* ms */
	unsigned left;    /* still to be sent */
	unsigned done;    /* sent */
	unsigned held;    /* connections that the killed workers held, in all */
	unsigned sockets; /* that an idle worker has */
	uint64_t next;    /* ms */
};

/* "HUP", "USR2", ... for the master; "KILL@workers" for a random one. */
bool disturb_parse(struct disturb *disturb, const char *text);

/* Before the load begins; waits for a worker. */
void disturb_prepare(struct disturb *disturb);

/* Does what is due at `now` ms. */
void disturb_step(struct disturb *disturb, uint64_t now);

#endif
