#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

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

static bool unknown(const char *kind, const char *name, char *error, size_t size)
{
	snprintf(error, size, "daemon.%s: there is no %s %s", kind, kind, name);
	return false;
}

bool privileges_drop(const struct daemon_config *config, char *error, size_t size)
{
	const struct passwd *user = config->user ? getpwnam(config->user) : NULL;
	const struct group *group = config->group ? getgrnam(config->group) : NULL;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (config->user && !user)
		return unknown("user", config->user, error, size);
	if (config->group && !group)
		return unknown("group", config->group, error, size);
	if (!user && !group)
		return true;
	gid_t gid = group ? group->gr_gid : user ? user->pw_gid : getgid();

	/* the order matters: without the user there is no right to set the groups */
	if ((user && initgroups(user->pw_name, gid) < 0) || setresgid(gid, gid, gid) < 0 ||
	        (user && setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)) {
		snprintf(error, size, "can't become daemon.user and daemon.group: %s",
		        strerror(errno));
		return false;
	}
	if (user && user->pw_uid != 0 && setuid(0) == 0) {
		snprintf(error, size, "daemon.user was dropped but could be regained");
		return false;
	}
	return true;
}
