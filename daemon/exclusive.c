#include "exclusive.h"

#include <stddef.h>
#include <sys/epoll.h>

/* Where libevent's epoll is looked for: a worker that begins has few descriptors. */
#define EPOLL_MAX 1024

int exclusive_find(int fd)
{
	struct epoll_event entry = { .events = EPOLLIN, .data.fd = fd };

	/* only an epoll that watches `fd` lets the entry be changed, here to what it is */
	for (int epoll = 0; epoll < EPOLL_MAX; epoll++)
		if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &entry) == 0)
			return epoll;
	return -1;
}

bool exclusive_watch(int epoll, int fd)
{
	/* libevent looks at data.fd alone, and needs the descriptor only to take the entry out */
	struct epoll_event entry = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = fd };

	return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL) == 0 &&
	       epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &entry) == 0;
}
