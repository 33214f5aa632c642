/* Whom a connection believes about where it came from: PROXY headers and forwarding fields. */
#include "conn_private.h"

#include <string.h>

#include "../protocols/forwarded.h"
#include "../protocols/proxy.h"

bool conn_trusts_peer(const struct conn *conn)
{
	const struct cidrs *trusted = &conn->listener->config->trusted_proxies;
	struct sockaddr_storage peer = conn_peer(conn);

	if (conn->family == AF_UNIX)
		return trusted->local;
	return cidr_match(trusted->list, trusted->count, (struct sockaddr *)&peer);
}

/* The peer is whom the header names; LOCAL and UNKNOWN leave it (2.1, 2.2). */
static void take_source(struct conn *conn, const struct proxy_header *header)
{
	static const uint8_t families[] = {
		[PROXY_V4] = AF_INET,
		[PROXY_V6] = AF_INET6,
		[PROXY_UNIX] = AF_UNIX,
	};

	if (header->family == PROXY_UNKNOWN)
		return;
	conn->family = families[header->family];
	memcpy(conn->address, header->source.address, sizeof(conn->address));
	conn->port = header->source.port;
}

bool conn_take_proxy(struct conn *conn, struct span *in)
{
	struct proxy_header header;

	switch (proxy_decode(*in, &header)) {
	case PROXY_MORE:
		return false;
	case PROXY_BAD:
		conn_log(conn, CLOSE_PROXY, header.reason);
		conn->failed = CLOSE_PROXY;
		span_take(in, in->length);
		return false;
	default:
		span_take(in, header.length);
		take_source(conn, &header);
		conn->unproxied = false;
		return true;
	}
}

static bool trusts(const void *list, const uint8_t *address)
{
	const struct cidrs *trusted = list;

	return address ? cidr_has(trusted->list, trusted->count, address) : trusted->local;
}

bool conn_forwarded(const struct conn *conn, struct env *env)
{
	const struct cidrs *trusted = &conn->listener->config->trusted_proxies;

	return (!trusted->count && !trusted->local) ||
	       forwarded_apply(env, (struct trust){ trusts, trusted });
}
