#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRICKLE_MS 10

struct peer_conn {
	struct peer_conn *next, **link;
	int fd;
	struct bytes in;
	const struct peer_answer *answer; /* NULL: a request is to come */
	const char *out;                  /* what is left of its bytes */
	bool held;                        /* by PEER_GATHER */
	bool used;                        /* by PEER_ONCE */
	int64_t since;
};

static void count(struct peer *peer, unsigned *counter, int change)
{
	pthread_mutex_lock(&peer->lock);
	*counter += (unsigned)change;
	if (peer->held > peer->most_held)
		peer->most_held = peer->held;
	pthread_mutex_unlock(&peer->lock);
}

static void drop(struct peer *peer, struct peer_conn *conn)
{
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
	close(conn->fd);
	if (conn->held)
		count(peer, &peer->held, -1);
	count(peer, &peer->open, -1);
	bytes_free(&conn->in);
	free(conn);
}

/* ---- requests ---- */

static const struct peer_answer *find(const struct peer *peer, const char *request)
{
	static const struct peer_answer none = { "",
		"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", PEER_KEEP, NULL };
	const char *path = strchr(request, ' ') + 1;
	size_t length = strcspn(path, " ?");

	for (const struct peer_answer *each = peer->answers; each->path; each++)
		if (strlen(each->path) == length && memcmp(each->path, path, length) == 0)
			return each;
	return &none;
}

/* The size of the request that `in` begins with, 0: it is not whole. */
static size_t request_size(const struct bytes *in)
{
	const char *end = in->data ? strstr(in->data, "\r\n\r\n") : NULL, *length;
	size_t size;

	if (!end)
		return 0;
	length = strcasestr(in->data, "\r\nContent-Length:");
	size = (size_t)(end - in->data) + 4;
	if (length && length < end)
		size += strtoul(length + 17, NULL, 10);
	return size <= in->length ? size : 0;
}

/* False: the connection is to be closed. */
static bool take_request(struct peer *peer, struct peer_conn *conn)
{
	size_t size = request_size(&conn->in);

	if (!size || conn->answer)
		return true;
	pthread_mutex_lock(&peer->lock);
	peer->requests++;
	bytes_free(&peer->last);
	bytes_add(&peer->last, conn->in.data, size);
	pthread_mutex_unlock(&peer->lock);
	if (conn->used)
		return false;
	conn->answer = find(peer, conn->in.data);
	conn->out = conn->answer->bytes;
	conn->used = conn->answer->then == PEER_ONCE;
	conn->since = deadline_in((int)peer->ms);
	if (conn->answer->then == PEER_GATHER) {
		conn->held = true;
		count(peer, &peer->held, 1);
	}
	memmove(conn->in.data, conn->in.data + size, conn->in.length - size + 1);
	conn->in.length -= size;
	return true;
}

/* False: the other side has closed, or is to be. */
static bool receive(struct peer *peer, struct peer_conn *conn)
{
	char piece[16384];
	ssize_t n;

	while ((n = recv(conn->fd, piece, sizeof piece, MSG_DONTWAIT)) > 0)
		bytes_add(&conn->in, piece, (size_t)n);
	return (n < 0 && errno == EAGAIN) && take_request(peer, conn);
}

/* ---- answers ---- */

/* Sends what there is until it is all, or nobody takes it; false: it is to be closed. */
static bool answer(struct peer *peer, struct peer_conn *conn)
{
	while (conn->answer && !conn->held) {
		enum peer_then then = conn->answer->then;

		if (*conn->out) {
			ssize_t n = send(conn->fd, conn->out, strlen(conn->out),
			        MSG_DONTWAIT | MSG_NOSIGNAL);

			if (n < 0)
				return errno == EAGAIN;
			conn->out += n;
			pthread_mutex_lock(&peer->lock);
			peer->sent += (unsigned long long)n;
			pthread_mutex_unlock(&peer->lock);
		} else if (then == PEER_REPEAT) {
			conn->out = conn->answer->more;
		} else if (then == PEER_CLOSE) {
			return false;
		} else if (then == PEER_STALL || then == PEER_TRICKLE) {
			return true;
		} else {
			conn->answer = NULL;
			if (!take_request(peer, conn))
				return false;
		}
	}
	return true;
}

static void serve(struct peer *peer, struct peer_conn *conn, uint32_t events)
{
	if ((events & EPOLLIN && !receive(peer, conn)) || !answer(peer, conn))
		drop(peer, conn);
}

/* Those that wait for time, or for others. False: there are none. */
static bool serve_waiting(struct peer *peer)
{
	bool waiting = false;
	bool gathered = peer->most_held >= peer->gather;

	for (struct peer_conn *conn = peer->conns, *next; conn; conn = next) {
		next = conn->next;
		if (conn->held && gathered && !deadline_left(conn->since)) {
			conn->held = false;
			count(peer, &peer->held, -1);
			serve(peer, conn, 0);
		} else if (conn->held) {
			waiting = true;
		} else if (conn->answer && conn->answer->then == PEER_TRICKLE && !*conn->out) {
			conn->out = "x";
			waiting = true;
			serve(peer, conn, 0);
		}
	}
	return waiting;
}

static void take_connections(struct peer *peer)
{
	int fd;

	while ((fd = accept4(peer->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct peer_conn *conn = calloc(1, sizeof *conn);
		struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };

		event.data.ptr = conn;
		conn->fd = fd;
		conn->link = &peer->conns;
		conn->next = peer->conns;
		if (conn->next)
			conn->next->link = &conn->next;
		peer->conns = conn;
		count(peer, &peer->accepted, 1);
		count(peer, &peer->open, 1);
		epoll_ctl(peer->epoll, EPOLL_CTL_ADD, fd, &event);
	}
}

static void *run(void *argument)
{
	struct peer *peer = argument;
	struct epoll_event events[256];
	bool waiting = false;

	for (;;) {
		int n = epoll_wait(peer->epoll, events, COUNT(events), waiting ? TRICKLE_MS : -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &peer->stop)
				return NULL;
			if (events[i].data.ptr == peer)
				take_connections(peer);
			else
				serve(peer, events[i].data.ptr, events[i].events);
		}
		waiting = serve_waiting(peer);
	}
}

/* ---- for the test ---- */

static void watch(struct peer *peer, int fd, void *what)
{
	struct epoll_event event = { .events = EPOLLIN };

	event.data.ptr = what;
	cr_assert_eq(epoll_ctl(peer->epoll, EPOLL_CTL_ADD, fd, &event), 0);
}

void peer_start(struct peer *peer)
{
	struct sockaddr_in where = { .sin_family = AF_INET };
	socklen_t length = sizeof where;

	where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer->listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	peer->epoll = epoll_create1(EPOLL_CLOEXEC);
	peer->stop = eventfd(0, EFD_CLOEXEC);
	cr_assert(peer->listening >= 0 && peer->epoll >= 0 && peer->stop >= 0);
	cr_assert_eq(bind(peer->listening, (struct sockaddr *)&where, length), 0);
	cr_assert_eq(listen(peer->listening, 4096), 0);
	getsockname(peer->listening, (struct sockaddr *)&where, &length);
	snprintf(peer->address, sizeof peer->address, "127.0.0.1:%u", ntohs(where.sin_port));
	watch(peer, peer->listening, peer);
	watch(peer, peer->stop, &peer->stop);
	pthread_mutex_init(&peer->lock, NULL);
	cr_assert_eq(pthread_create(&peer->thread, NULL, run, peer), 0);
}

void peer_stop(struct peer *peer)
{
	eventfd_write(peer->stop, 1);
	pthread_join(peer->thread, NULL);
	while (peer->conns)
		drop(peer, peer->conns);
	close(peer->listening);
	close(peer->epoll);
	close(peer->stop);
	bytes_free(&peer->last);
	pthread_mutex_destroy(&peer->lock);
}

static unsigned look(struct peer *peer, const unsigned *counter)
{
	pthread_mutex_lock(&peer->lock);
	unsigned value = *counter;

	pthread_mutex_unlock(&peer->lock);
	return value;
}

unsigned peer_accepted(struct peer *peer)
{
	return look(peer, &peer->accepted);
}

unsigned peer_requests(struct peer *peer)
{
	return look(peer, &peer->requests);
}

unsigned peer_most_held(struct peer *peer)
{
	return look(peer, &peer->most_held);
}

unsigned long long peer_sent(struct peer *peer)
{
	pthread_mutex_lock(&peer->lock);
	unsigned long long sent = peer->sent;

	pthread_mutex_unlock(&peer->lock);
	return sent;
}

void peer_await_open(struct peer *peer, unsigned open)
{
	for (int64_t deadline = deadline_in(PATIENCE); look(peer, &peer->open) != open;) {
		cr_assert(deadline_left(deadline), "%u connections are open, not %u",
		        look(peer, &peer->open), open);
		poll(NULL, 0, 1);
	}
}

char *peer_last(struct peer *peer)
{
	pthread_mutex_lock(&peer->lock);
	char *last = strdup(peer->last.data ? peer->last.data : "");

	pthread_mutex_unlock(&peer->lock);
	return last;
}
