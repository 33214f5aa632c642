#include "socket.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../protocols/scan.h"

#define FIRST_SYSTEMD_FD 3

void socket_name(const struct sockaddr *address, socklen_t length, char *name, size_t size)
{
	char host[INET6_ADDRSTRLEN];

	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(name, size, "%s:%u", host, ntohs(v4->sin_port));
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(name, size, "[%s]:%u", host, ntohs(v6->sin6_port));
	} else {
		const struct sockaddr_un *un = (const struct sockaddr_un *)address;
		bool named = length > offsetof(struct sockaddr_un, sun_path) && un->sun_path[0];

		snprintf(name, size, "unix:%s", named ? un->sun_path : "");
	}
}

/* As inet_ntop(3) does it, for each request of a client's own. */
static void put_v4(const struct in_addr *address, char *host)
{
	const uint8_t *bytes = (const uint8_t *)&address->s_addr;
	uint8_t *at = (uint8_t *)host;

	for (int i = 0; i < 4; i++) {
		at = put_decimal(at, bytes[i]);
		*at++ = i < 3 ? '.' : '\0';
	}
}

unsigned socket_host(const struct sockaddr *address, char *host, size_t size)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;

		assert(size >= INET_ADDRSTRLEN);
		put_v4(&v4->sin_addr, host);
		return ntohs(v4->sin_port);
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

		inet_ntop(AF_INET6, &v6->sin6_addr, host, (socklen_t)size);
		return ntohs(v6->sin6_port);
	}
	memcpy(host, "unix:", sizeof("unix:"));
	return 0;
}

bool socket_listens(int fd)
{
	int listens = 0, type = 0;
	socklen_t length = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

int socket_from_systemd(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	char own[16];

	snprintf(own, sizeof(own), "%ld", (long)getpid());
	if (!pid || !count || strcmp(pid, own) != 0)
		return 0;
	int n = 0;

	for (; *count >= '0' && *count <= '9' && n < 1000; count++)
		n = n * 10 + (*count - '0');
	for (int fd = FIRST_SYSTEMD_FD; fd < FIRST_SYSTEMD_FD + n; fd++)
		if (!socket_listens(fd))
			return fd - FIRST_SYSTEMD_FD;
	return n;
}

static bool fail(char *error, size_t size, const struct listen_config *config, const char *what)
{
	snprintf(error, size, "%s: %s %s: %s", config->origin, what, config->address,
	        strerror(errno));
	return false;
}

/* The address in force, with the port the system chose. */
static void read_name(struct bound *bound)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);

	if (getsockname(bound->fd, (struct sockaddr *)&address, &length) == 0)
		socket_name((struct sockaddr *)&address, length, bound->name, sizeof(bound->name));
}

static bool set_flags(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
	       fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0;
}

static bool adopt(struct bound *bound, const struct listen_config *config, char *error, size_t size)
{
	bound->fd = config->where.fd;
	if (!socket_listens(bound->fd)) {
		snprintf(error, size, "%s: descriptor %d is not a listening stream socket",
		        config->origin, bound->fd);
		return false;
	}
	return set_flags(bound->fd) || fail(error, size, config, "can't use");
}

static socklen_t tcp_address(const struct listen_address *where, struct sockaddr_storage *address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, where->host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)where->port);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6; /* "": every interface, v4 too */
	v6->sin6_port = htons((uint16_t)where->port);
	inet_pton(AF_INET6, *where->host ? where->host : "::", &v6->sin6_addr);
	return sizeof(*v6);
}

int socket_connect(const struct listen_address *where, const struct timeval *patience)
{
	struct sockaddr_storage address = { .ss_family = AF_UNIX };
	struct sockaddr_un *un = (struct sockaddr_un *)&address;
	socklen_t length = sizeof(*un);

	if (where->kind == ADDRESS_TCP)
		length = tcp_address(where, &address);
	else
		snprintf(un->sun_path, sizeof(un->sun_path), "%s", where->path);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, patience, sizeof(*patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, patience, sizeof(*patience));
	if (connect(fd, (struct sockaddr *)&address, length) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool open_tcp(
        struct bound *bound, const struct listen_config *config, char *error, size_t size)
{
	struct sockaddr_storage address;
	socklen_t length = tcp_address(&config->where, &address);
	int on = 1, v6only = *config->where.host != '\0';

	bound->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bound->fd < 0)
		return fail(error, size, config, "can't open a socket for");
	setsockopt(bound->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(bound->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* for accepted ones */
	if (address.ss_family == AF_INET6)
		setsockopt(bound->fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
	if (bind(bound->fd, (struct sockaddr *)&address, length) < 0)
		return fail(error, size, config, "can't bind");
	return true;
}

/* Removes a socket that nobody listens on any more. False, with errno: it is in use, or no socket.
 */
static bool remove_stale(const struct sockaddr_un *address)
{
	struct stat status;

	if (lstat(address->sun_path, &status) < 0)
		return errno == ENOENT;
	if (!S_ISSOCK(status.st_mode)) {
		errno = EEXIST;
		return false;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool dead = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	            errno == ECONNREFUSED;

	close(fd);
	if (!dead) {
		errno = EADDRINUSE;
		return false;
	}
	return unlink(address->sun_path) == 0;
}

static bool set_owner(const struct listen_config *config, char *error, size_t size)
{
	const struct passwd *user = config->owner ? getpwnam(config->owner) : NULL;
	const struct group *group = config->group ? getgrnam(config->group) : NULL;

	if ((config->owner && !user) || (config->group && !group)) {
		snprintf(error, size, "%s: there is no %s %s", config->origin,
		        config->owner && !user ? "user" : "group",
		        config->owner && !user ? config->owner : config->group);
		return false;
	}
	if ((user || group) && chown(config->where.path, user ? user->pw_uid : (uid_t)-1,
	                               group ? group->gr_gid : (gid_t)-1) < 0)
		return fail(error, size, config, "can't set the owner of");
	return chmod(config->where.path, config->mode) == 0 ||
	       fail(error, size, config, "can't set the mode of");
}

static bool open_unix(
        struct bound *bound, const struct listen_config *config, char *error, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", config->where.path);
	if (!remove_stale(&address))
		return fail(error, size, config, "can't bind");
	bound->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bound->fd < 0)
		return fail(error, size, config, "can't open a socket for");
	mode_t mask = umask(0177); /* nobody may connect before mode and owner are set */
	int bad = bind(bound->fd, (struct sockaddr *)&address, sizeof(address));

	umask(mask);
	if (bad)
		return fail(error, size, config, "can't bind");
	bound->owned = true;
	return set_owner(config, error, size);
}

bool socket_open(struct bound *bound, const struct listen_config *config, char *error, size_t size)
{
	static bool (*const open_kind[])(
	        struct bound *, const struct listen_config *, char *, size_t) = {
		[ADDRESS_TCP] = open_tcp, [ADDRESS_UNIX] = open_unix, [ADDRESS_FD] = adopt
	};
	bool opened;

	bound->fd = -1;
	bound->owned = false;
	opened = open_kind[config->where.kind](bound, config, error, size);
	if (opened && config->where.kind != ADDRESS_FD &&
	        listen(bound->fd, (int)config->backlog) < 0)
		opened = fail(error, size, config, "can't listen on");
	if (!opened) {
		socket_close(bound);
		return false;
	}
	bound->where = config->where;
	snprintf(bound->label, sizeof(bound->label), "%s", config->name);
	read_name(bound);
	return true;
}

bool socket_renew(struct bound *bound, const struct listen_config *config, char *error, size_t size)
{
	if (config->where.kind == ADDRESS_FD)
		return true;
	if (bound->owned && !set_owner(config, error, size))
		return false;
	return listen(bound->fd, (int)config->backlog) == 0 ||
	       fail(error, size, config, "can't listen on");
}

void socket_close(struct bound *bound)
{
	struct sockaddr_un address;
	socklen_t length = sizeof(address);

	if (bound->owned && getsockname(bound->fd, (struct sockaddr *)&address, &length) == 0)
		unlink(address.sun_path);
	if (bound->fd >= 0)
		close(bound->fd);
	bound->fd = -1;
}
