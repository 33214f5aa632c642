/*
 * One worker for each connection. All that share a listening socket and sleep are woken when
 * somebody connects, and all but one in vain, unless they watch it with EPOLLEXCLUSIVE. libevent
 * 2.1 can't say so to epoll; here its entry is replaced by one that does, which it does not notice.
 */
#ifndef DAEMON_EXCLUSIVE_H
#define DAEMON_EXCLUSIVE_H

#include <stdbool.h>

/* The epoll in which libevent watches `fd`, as it does not tell; -1: none is found. */
int exclusive_find(int fd);

/*
 * Watches `fd` exclusively from now on, as the last of those who do: the first that sleeps is
 * woken. False with errno: nobody watches it now.
 */
bool exclusive_watch(int epoll, int fd);

#endif
