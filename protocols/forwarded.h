/*
 * Where a request really came from, as the proxies before us tell: X-Forwarded-For, X-Real-IP,
 * Forwarded (RFC 7239), X-Forwarded-Proto, X-Scheme, X-Forwarded-Host, X-Forwarded-Port. Anybody
 * can write these fields, so they count only where a trusted peer handed us the request; from
 * anyone else nothing changes. The fields themselves stay visible.
 */
#ifndef PROTOCOLS_FORWARDED_H
#define PROTOCOLS_FORWARDED_H

#include "../app/env.h"
#include "scan.h"

/* Who may be believed. `address` is v6, or v4 as v4-mapped v6; NULL stands for a Unix socket. */
struct trust {
	bool (*has)(const void *list, const uint8_t *address);
	const void *list;
};

/* Whether forwarded_apply believes what the fields say; before it, as it changes REMOTE_ADDR. */
bool forwarded_is_trusted(const struct env *env, struct trust trust);

/*
 * Between cgi_check and request_head, once REMOTE_ADDR is there: the address of our peer where it
 * speaks for itself, else the one that the gateway saw. If that is trusted:
 *
 * REMOTE_ADDR becomes the client's: the hops of X-Forwarded-For from right to left, past trusted
 * ones, up to the first that is not; a malformed one ends the walk before it. Without that field
 * X-Real-IP counts, and without both Forwarded. REMOTE_PORT is then not known.
 *
 * REQUEST_SCHEME and HTTPS follow the protocol told, SERVER_NAME and SERVER_PORT the host,
 * REQUEST_ID is what X-Request-ID says.
 *
 * False without memory.
 */
bool forwarded_apply(struct env *env, struct trust trust);

#endif
