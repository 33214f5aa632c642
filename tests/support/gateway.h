/*
 * Real gateways, each a Debian 12 program in the test's directory: own configuration, log and pid
 * file, and one loopback port for each gate. Every port is bound here first and held until the
 * gateway listens on it as well (SO_REUSEADDR on both), so nobody can take it in between.
 *
 * What the configurations say is the least that makes a gate, and what Debian's own files say of
 * the treatment of requests; all else stays at the program's defaults.
 */
#ifndef TESTS_SUPPORT_GATEWAY_H
#define TESTS_SUPPORT_GATEWAY_H

#include <stdio.h>

#include "nginx.h"
#include "process.h"

#define GATEWAYS      5
#define GATEWAY_GATES NGINX_GATES /* the most that one has */

struct gateway_kind {
	const char *name, *version; /* as in Debian 12 */
	struct {
		const char *name;     /* for tables */
		const char *protocol; /* anygate's; NULL behind the last */
	} gates[GATEWAY_GATES];
};
extern const struct gateway_kind gateway_kinds[GATEWAYS];

struct gateway {
	const struct gateway_kind *kind;
	struct process process;
	struct nginx nginx; /* of that kind */
	char address[GATEWAY_GATES][32];
	size_t count;
};

/* Starts it with every gate in front of `backend`, "127.0.0.1:PORT"; returns when all answer a
 * connect. */
void gateway_start(struct gateway *gateway, const struct gateway_kind *kind, const char *backend);

/* Writes the whole configuration of a gateway that listens on gateway->address. */
typedef void gateway_config(FILE *file, const struct gateway *gateway, const char *backend);

/* The same with another configuration and `count` ports; not for nginx. */
void gateway_start_as(struct gateway *gateway, const struct gateway_kind *kind, size_t count,
        gateway_config *config, const char *backend);

/* The head of an Apache's: its files, these modules, and whom it runs as. */
void gateway_apache_head(FILE *file, const char *const *modules, size_t count);

/* Tells it to end and expects it to do so in order. */
void gateway_stop(struct gateway *gateway);

#endif
