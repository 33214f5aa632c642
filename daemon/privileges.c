#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "affinity.h"

void privileges_open_files(unsigned wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_max < wanted && geteuid() == 0)
		limit.rlim_max = wanted;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* ---- what the process has ---- */

/* Both limits: an application cannot raise its own. */
static bool set_limit(int resource, size_t bytes)
{
	const struct rlimit limit = { bytes, bytes };

	return setrlimit((__rlimit_resource_t)resource, &limit) == 0;
}

static bool cannot(char *error, size_t size, const char *key, const char *what)
{
	snprintf(error, size, "daemon.%s: can't %s: %s", key, what, strerror(errno));
	return false;
}

static bool set_up(const struct daemon_config *config, unsigned worker, char *error, size_t size)
{
	char what[256];

	umask(config->umask);
	if (!environment_apply(&config->environment))
		return cannot(error, size, "environment", "set it");
	if (config->nice && setpriority(PRIO_PROCESS, 0, config->nice) < 0) {
		snprintf(what, sizeof(what), "set it to %d", config->nice);
		return cannot(error, size, "nice", what);
	}
	if (worker && config->cpu_affinity && !affinity_bind(config->cpu_affinity, worker)) {
		snprintf(what, sizeof(what), "bind worker %u by \"%s\"", worker,
		        config->cpu_affinity);
		return cannot(error, size, "cpu_affinity", what);
	}
	if (config->core_size != CORE_UNCHANGED && !set_limit(RLIMIT_CORE, config->core_size))
		return cannot(error, size, "core_size", "set the limit");
	return true;
}

bool privileges_enter_root(const struct daemon_config *config, char *error, size_t size)
{
	char what[256];

	if (!config->chroot)
		return true;
	tzset(); /* the zone's file may not be found inside */
	if (chroot(config->chroot) == 0 && chdir("/") == 0)
		return true;
	snprintf(what, sizeof(what), "enter %s", config->chroot);
	return cannot(error, size, "chroot", what);
}

/* ---- who it is ---- */

struct identity {
	const char *user; /* NULL: unchanged */
	uid_t uid;
	gid_t gid;
	bool changes;
};

static bool unknown(const char *kind, const char *name, char *error, size_t size)
{
	snprintf(error, size, "daemon.%s: there is no %s %s", kind, kind, name);
	return false;
}

static bool find_identity(
        struct identity *identity, const struct daemon_config *config, char *error, size_t size)
{
	const struct passwd *user = config->user ? getpwnam(config->user) : NULL;
	const struct group *group = config->group ? getgrnam(config->group) : NULL;

	if (config->user && !user)
		return unknown("user", config->user, error, size);
	if (config->group && !group)
		return unknown("group", config->group, error, size);
	identity->user = config->user;
	identity->uid = user ? user->pw_uid : geteuid();
	identity->gid = group ? group->gr_gid : user ? user->pw_gid : getegid();
	identity->changes = user || group;
	return true;
}

/* All three of each, so that none is left to go back to. */
static bool is_already(const struct identity *identity)
{
	uid_t uid[3];
	gid_t gid[3];

	if (getresuid(&uid[0], &uid[1], &uid[2]) < 0 || getresgid(&gid[0], &gid[1], &gid[2]) < 0)
		return false;
	for (int i = 0; i < 3; i++)
		if (uid[i] != identity->uid || gid[i] != identity->gid)
			return false;
	return true;
}

/* Names are looked up outside of the new root, so this comes before it. */
static bool set_groups(const struct identity *identity)
{
	return identity->user ? initgroups(identity->user, identity->gid) == 0
	                      : setgroups(1, &identity->gid) == 0;
}

/* The order matters: without the user there is no right to set the group. */
static bool become(const struct identity *identity, char *error, size_t size)
{
	uid_t uid = identity->uid;
	gid_t gid = identity->gid;

	if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
		snprintf(error, size, "can't become daemon.user and daemon.group: %s",
		        strerror(errno));
		return false;
	}
	if (is_already(identity) && (uid == 0 || (setuid(0) < 0 && (gid == 0 || setgid(0) < 0))))
		return true;
	snprintf(error, size, "daemon.user was dropped but could be regained");
	return false;
}

bool privileges_drop(const struct daemon_config *config, char *error, size_t size)
{
	struct identity identity;

	if (config->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return cannot(error, size, "no_new_privileges", "set it");
	if (!find_identity(&identity, config, error, size))
		return false;
	bool changes = identity.changes && (geteuid() == 0 || !is_already(&identity));

	if (changes && !set_groups(&identity)) {
		snprintf(error, size, "can't set the groups of daemon.user and daemon.group: %s",
		        strerror(errno));
		return false;
	}
	return privileges_enter_root(config, error, size) &&
	       (!changes || become(&identity, error, size));
}

bool privileges_apply(const struct daemon_config *config, unsigned worker, char *error, size_t size)
{
	if (!set_up(config, worker, error, size) || !privileges_drop(config, error, size))
		return false;
	/* a process that has changed its user leaves no core otherwise */
	if (config->core_size != CORE_UNCHANGED && config->core_size)
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	/* the last of all, as looking up names takes memory */
	if (worker && config->memory_limit && !set_limit(RLIMIT_AS, config->memory_limit))
		return cannot(error, size, "memory_limit", "set the limit");
	return true;
}
