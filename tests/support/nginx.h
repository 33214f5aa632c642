/*
 * A private nginx in the test's directory: Debian's program with stock *_params, one server for
 * each gate, each on a loopback port that the system chose. The test binds the sockets and nginx
 * inherits them, so a connection made at once is answered as soon as nginx is up.
 */
#ifndef TESTS_SUPPORT_NGINX_H
#define TESTS_SUPPORT_NGINX_H

#include <stdio.h>

#include "process.h"

#define NGINX_GATES 6

/* The gates in their order. */
struct nginx_gate {
	const char *name;     /* for messages */
	const char *protocol; /* anygate's */
	/*
	 * What it announces of an unbuffered body is what it has of it at that moment (nginx
	 * before 1.29.6, ngx_http_scgi_create_request).
	 */
	bool announces_wrongly;
};
extern const struct nginx_gate nginx_gates[NGINX_GATES];

struct nginx {
	struct process process;
	char address[NGINX_GATES][32];
	const char *const *backends; /* while it starts */
};

/*
 * Starts it in front of one backend address for each gate, "127.0.0.1:PORT" or "unix:PATH"; a NULL
 * is a server without a backend. Paths under /stream/ pass bodies on unbuffered, both ways;
 * those under /upgrade/ pass WebSockets on, as far as the gate can.
 */
void nginx_start(struct nginx *nginx, const char *const backends[NGINX_GATES]);

/* The same backend for every gate. */
void nginx_start_all(struct nginx *nginx, const char *backend);

/* With servers of the test's own, which listen on its addresses; `write` puts them into the
 * configuration. */
void nginx_start_as(struct nginx *nginx, void (*write)(FILE *file, const struct nginx *nginx));

/* Its error log so far. To be freed. */
char *nginx_log(void);

void nginx_stop(struct nginx *nginx);

#endif
