/* Who may connect, and whom a connection believes about where it came from: PROXY headers and
 * forwarding fields. */
#include "conn_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../protocols/forwarded.h"
#include "../protocols/proxy.h"
#include "log.h"

/* Networks bind TCP peers, users and groups Unix peers; where only networks are listed, the mode of
 * a Unix socket says who may connect. */
static bool is_listed(const struct peers *allowed, int fd, const struct sockaddr *peer)
{
	if (peer->sa_family == AF_UNIX)
		return !allowed->id_count || peers_have_unix(allowed, fd);
	return cidr_match(allowed->list, allowed->count, peer);
}

static void peer_name(int fd, const struct sockaddr *peer, char *name, size_t size)
{
	struct ucred who;
	socklen_t length = sizeof(who);

	if (peer->sa_family != AF_UNIX)
		socket_name(peer, sizeof(struct sockaddr_storage), name, size);
	else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0)
		snprintf(name, size, "uid %u, gid %u", who.uid, who.gid);
	else
		snprintf(name, size, "a Unix peer");
}

bool conn_is_allowed(const struct listener *listener, int fd, const struct sockaddr *peer)
{
	const struct peers *allowed = &listener->config->allowed_clients;
	char name[SOCKET_NAME_MAX];

	if (peers_empty(allowed) || is_listed(allowed, fd, peer))
		return true;
	if (log_wants(LOG_LEVEL_INFO)) {
		peer_name(fd, peer, name, sizeof(name));
		log_line(LOG_LEVEL_INFO, "%s from %s: refused: not one of allowed_clients",
		        listener->bound->name, name);
	}
	return false;
}

bool conn_trusts_peer(const struct conn *conn)
{
	const struct peers *trusted = &conn->listener->config->trusted_proxies;
	struct sockaddr_storage peer = conn_peer(conn);

	if (conn->family == AF_UNIX)
		return conn->vouched;
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
	/* a Unix client of the proxy: who it runs as was not told */
	conn->vouched = conn->listener->config->trusted_proxies.local;
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

/* Of a Unix peer that a gateway names only "unix" can stand for it: its own is not it. */
static bool trusts(const void *list, const uint8_t *address)
{
	const struct conn *conn = list;
	const struct peers *trusted = &conn->listener->config->trusted_proxies;

	if (address)
		return cidr_has(trusted->list, trusted->count, address);
	return conn->protocol->direct ? conn->vouched : trusted->local;
}

/* A field may be the client's own unless a trusted proxy speaks; a gateway's parameter never is. */
static const struct var *find_start(const struct conn *conn, const struct env *env)
{
	const struct var *var = conn->protocol->direct ? NULL : env_find(env, "REQUEST_START", 13);

	if (var || !forwarded_is_trusted(env, (struct trust){ trusts, conn }))
		return var;
	return env_find(env, "HTTP_X_REQUEST_START", 20);
}

bool conn_is_stale(const struct conn *conn, const struct env *env)
{
	unsigned limit = conn->listener->config->stale_after;
	const struct var *var = limit ? find_start(conn, env) : NULL;
	struct timespec now;
	uint64_t start;

	if (!var)
		return false;
	struct span text = { (const uint8_t *)env_value(var), var->value_length };

	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;

	if (!scan_time(text, &start)) {
		log_line(LOG_LEVEL_DEBUG, "%s: %s is no time: ignored", conn->listener->bound->name,
		        env_name(var));
		return false;
	}
	return start < us && us - start > limit * UINT64_C(1000);
}

bool conn_forwarded(const struct conn *conn, struct env *env)
{
	return peers_empty(&conn->listener->config->trusted_proxies) ||
	       forwarded_apply(env, (struct trust){ trusts, conn });
}
