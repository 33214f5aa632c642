/* Listening sockets: opened by the master before it forks, named for the log. */
#ifndef DAEMON_SOCKET_H
#define DAEMON_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "config.h"

#define SOCKET_NAME_MAX  160
#define SOCKET_LABEL_MAX 40

/* A listening socket. */
struct bound {
	int fd;
	size_t listener;              /* its place in config->listen */
	bool owned;                   /* a Unix socket that goes with us */
	char name[SOCKET_NAME_MAX];   /* "127.0.0.1:8888", "unix:/run/a.sock" */
	struct listen_address where;  /* what it was opened for */
	char label[SOCKET_LABEL_MAX]; /* ... and the listener's name then */
};

/* Binds and listens, non-blocking and close-on-exec. On failure false and one line in `error`. */
bool socket_open(struct bound *bound, const struct listen_config *config, char *error, size_t size);

/* The same socket for a new configuration: backlog, owner and mode. False like socket_open. */
bool socket_renew(
        struct bound *bound, const struct listen_config *config, char *error, size_t size);

/* Closes, and removes a Unix socket of ours. */
void socket_close(struct bound *bound);

/*
 * Connects to where somebody listens, other than a descriptor; nothing on that socket takes longer
 * than `patience`. -1 with errno.
 */
int socket_connect(const struct listen_address *where, const struct timeval *patience);

/* Whether the descriptor is a listening stream socket. */
bool socket_listens(int fd);

/* The descriptors that systemd passed, from 3 on: how many (sd_listen_fds(3)). */
int socket_from_systemd(void);

/* An address as text: "1.2.3.4:80", "[::1]:80", "unix:/path", "unix:". */
void socket_name(const struct sockaddr *address, socklen_t length, char *name, size_t size);

/* The host alone, as REMOTE_ADDR has it, and the port; "unix:" and 0 for a Unix socket. */
unsigned socket_host(const struct sockaddr *address, char *host, size_t size);

#endif
