/*
 * Lists of peers, as allowed_clients and trusted_proxies hold them: networks, and Unix peers, any
 * or by whom they run as.
 */
#ifndef DAEMON_PEERS_H
#define DAEMON_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A network; v4 is kept as v4-mapped v6. */
struct cidr {
	uint8_t address[16];
	unsigned bits; /* 0 to 128 */
};

/* Longest name of a user or group; longer ones are unknown. */
#define PEER_NAME_MAX 63

/* Unix peers that run as this user, or are in this group. */
struct peer_id {
	bool is_group;
	uint32_t id;                  /* looked up when the configuration was read */
	char name[PEER_NAME_MAX + 1]; /* as written: a name or a number */
};

struct peers {
	struct cidr *list;
	size_t count;
	struct peer_id *ids;
	size_t id_count;
	bool local; /* any Unix peer: the word "unix" */
};

static inline bool peers_empty(const struct peers *peers)
{
	return !peers->count && !peers->id_count && !peers->local;
}

/*
 * Adds one network, "unix", "user:NAME", "user:UID", "group:NAME" or "group:GID". False with a
 * message: it is none of these, or a name that the system does not know.
 */
bool peers_add(struct peers *peers, const char *text, char *error, size_t size);

/* Writes "name = value" lines, several where one would be too long for the file's reader. */
void peers_print(const struct peers *peers, const char *name, FILE *out);

/* Copies into an empty list; false: no memory, `to` can still be cleared. */
bool peers_copy(struct peers *to, const struct peers *from);
void peers_clear(struct peers *peers);

/*
 * Whether the peer of a connected Unix socket is in the list. The system is asked for its
 * credentials (SO_PEERCRED, SO_PEERGROUPS) only where the list has users or groups.
 */
bool peers_have_unix(const struct peers *peers, int fd);

#endif
