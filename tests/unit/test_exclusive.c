#include <event2/event.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/exclusive.h"
#include "tests/support/support.h"

SUITE(exclusive);

static void count(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	++*(int *)argument;
}

static void check_turn(struct event_base *base, int *seen, int expected, const char *when)
{
	*seen = 0;
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	cr_expect_eq(*seen, expected, "%s: %d", when, *seen);
}

/* Its event comes, goes and comes again as if nobody had been at its epoll. */
Test(exclusive, libevent_does_not_notice, .timeout = 60)
{
	struct event_base *base = event_base_new();
	int fd = eventfd(1, EFD_CLOEXEC), seen;
	struct event *event = event_new(base, fd, EV_READ | EV_PERSIST, count, &seen);

	cr_expect_eq(exclusive_find(fd), -1, "nobody watches it yet");
	event_add(event, NULL);

	int epoll = exclusive_find(fd);

	cr_assert_geq(epoll, 0);
	check_turn(base, &seen, 1, "found");
	for (int i = 0; i < 2; i++) {
		cr_assert(exclusive_watch(epoll, fd), "%d", i);
		check_turn(base, &seen, 1, "exclusive");
		check_turn(base, &seen, 1, "still");
	}
	event_del(event);
	check_turn(base, &seen, 0, "not watched");
	cr_expect(!exclusive_watch(epoll, fd), "what libevent does not watch");
	event_add(event, NULL);
	check_turn(base, &seen, 1, "watched again");
	event_free(event);
	event_base_free(base);
	close(fd);
}

/* An epoll of somebody else's is passed over, and stays as it is. */
Test(exclusive, another_epoll, .timeout = 60)
{
	int other = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(1, EFD_CLOEXEC), seen;
	int fd_of_other = eventfd(1, EFD_CLOEXEC);
	struct epoll_event entry = { .events = EPOLLIN, .data.u64 = UINT64_MAX };
	struct event_base *base = event_base_new();
	struct event *event = event_new(base, fd, EV_READ | EV_PERSIST, count, &seen);

	cr_assert_eq(epoll_ctl(other, EPOLL_CTL_ADD, fd_of_other, &entry), 0);
	event_add(event, NULL);
	cr_expect_neq(exclusive_find(fd), other);
	cr_expect(exclusive_watch(exclusive_find(fd), fd));
	check_turn(base, &seen, 1, "exclusive");
	entry.data.u64 = 0;
	cr_expect_eq(epoll_wait(other, &entry, 1, 0), 1);
	cr_expect_eq(entry.data.u64, UINT64_MAX);
	event_free(event);
	event_base_free(base);
	close(other);
	close(fd_of_other);
	close(fd);
}
