#include "peers.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config_keys.h"

/* Groups of one peer that are looked at; the system allows more, but nobody has them. */
#define GROUPS_MAX 1024

/* ---- users and groups ---- */

/* A number as uid or gid; -1 stands for none in many calls. */
static bool parse_id(const char *text, uint32_t *id)
{
	uint64_t sum = 0;

	if (*text == '\0' || strlen(text) > 10 || text[strspn(text, "0123456789")] != '\0')
		return false;
	for (; *text; text++)
		sum = sum * 10 + (uint64_t)(*text - '0');
	*id = (uint32_t)sum;
	return sum < UINT32_MAX;
}

static bool look_up(const char *name, bool is_group, uint32_t *id)
{
	const struct group *group = is_group ? getgrnam(name) : NULL;
	const struct passwd *user = is_group ? NULL : getpwnam(name);

	if (group)
		*id = group->gr_gid;
	if (user)
		*id = user->pw_uid;
	return group || user;
}

static bool add_id(struct peers *peers, const char *name, bool is_group, char *error, size_t size)
{
	const char *what = is_group ? "group" : "user";
	struct peer_id one = { .is_group = is_group }, *grown;

	if (*name == '\0') {
		snprintf(error, size, "no name after \"%s:\"", what);
		return false;
	}
	if (strlen(name) > PEER_NAME_MAX ||
	        (!parse_id(name, &one.id) && !look_up(name, is_group, &one.id))) {
		snprintf(error, size, "there is no %s \"%s\" on this system", what, name);
		return false;
	}
	memcpy(one.name, name, strlen(name));
	grown = reallocarray(peers->ids, peers->id_count + 1, sizeof(one));
	if (grown == NULL) {
		snprintf(error, size, "out of memory");
		return false;
	}
	grown[peers->id_count++] = one;
	peers->ids = grown;
	return true;
}

static bool add_cidr(struct peers *peers, const char *text, char *error, size_t size)
{
	struct cidr cidr, *grown;

	if (!cidr_parse(&cidr, text, error, size))
		return false;
	grown = reallocarray(peers->list, peers->count + 1, sizeof(cidr));
	if (grown == NULL) {
		snprintf(error, size, "out of memory");
		return false;
	}
	grown[peers->count++] = cidr;
	peers->list = grown;
	return true;
}

bool peers_add(struct peers *peers, const char *text, char *error, size_t size)
{
	if (strncmp(text, "user:", 5) == 0)
		return add_id(peers, text + 5, false, error, size);
	if (strncmp(text, "group:", 6) == 0)
		return add_id(peers, text + 6, true, error, size);
	if (strcmp(text, "unix") != 0)
		return add_cidr(peers, text, error, size);
	peers->local = true;
	return true;
}

/* ---- as a value ---- */

void peers_print(const struct peers *peers, const char *name, FILE *out)
{
	char text[CIDR_TEXT_MAX];

	if (peers_empty(peers))
		fprintf(out, "%s =\n", name);
	if (peers->local)
		fprintf(out, "%s = unix\n", name);
	for (size_t i = 0; i < peers->id_count; i++)
		fprintf(out, "%s = %s:%s\n", name, peers->ids[i].is_group ? "group" : "user",
		        peers->ids[i].name);
	for (size_t i = 0; i < peers->count; i++) {
		cidr_text(&peers->list[i], text);
		if (i % 3 == 0)
			fprintf(out, "%s%s = %s", i ? "\n" : "", name, text);
		else
			fprintf(out, ", %s", text);
	}
	if (peers->count)
		fputc('\n', out);
}

bool peers_copy(struct peers *to, const struct peers *from)
{
	to->local = from->local;
	if (from->count) {
		to->list = calloc(from->count, sizeof(*to->list));
		if (to->list == NULL)
			return false;
		to->count = from->count;
		memcpy(to->list, from->list, to->count * sizeof(*to->list));
	}
	if (from->id_count) {
		to->ids = calloc(from->id_count, sizeof(*to->ids));
		if (to->ids == NULL)
			return false;
		to->id_count = from->id_count;
		memcpy(to->ids, from->ids, to->id_count * sizeof(*to->ids));
	}
	return true;
}

void peers_clear(struct peers *peers)
{
	free(peers->list);
	free(peers->ids);
	*peers = (struct peers){ 0 };
}

/* ---- who a Unix peer is ---- */

/* The other groups of the peer, beside the one of its credentials. */
static size_t read_groups(int fd, gid_t groups[GROUPS_MAX])
{
	socklen_t length = GROUPS_MAX * sizeof(*groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0)
		return 0;
	return length / sizeof(*groups);
}

static bool has_group(const gid_t *groups, size_t count, gid_t wanted)
{
	for (size_t i = 0; i < count; i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

static bool has_groups(const struct peers *peers)
{
	for (size_t i = 0; i < peers->id_count; i++)
		if (peers->ids[i].is_group)
			return true;
	return false;
}

static bool match_ids(const struct peers *peers, int fd)
{
	gid_t groups[GROUPS_MAX];
	struct ucred peer;
	socklen_t length = sizeof(peer);
	size_t count = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return false;
	if (has_groups(peers))
		count = read_groups(fd, groups);
	for (size_t i = 0; i < peers->id_count; i++) {
		const struct peer_id *one = &peers->ids[i];

		if (!one->is_group ? one->id == peer.uid
		                   : one->id == peer.gid || has_group(groups, count, one->id))
			return true;
	}
	return false;
}

bool peers_have_unix(const struct peers *peers, int fd)
{
	return peers->local || (peers->id_count && match_ids(peers, fd));
}
