/*
 * A load generator for the four gates: what nginx sends, over N connections at a time, each with
 *one request in flight; every answer is checked. Prints one line.
 *
 *	gateload -P fastcgi|scgi|uwsgi|http -a unix:PATH|IPV4:PORT [-c CONNECTIONS]
 *		[-n REQUESTS | -d SECONDS] [-b BODY] [-k]
 *
 * -k keeps connections open (fastcgi, http); without it every request has its own, and is over when
 * the server has closed it. Latency runs from connect, or with -k from the request, to that end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "gate.h"
#include "latency.h"

#define ANSWER_MAX 4096
#define EVENTS     256

struct conn {
	int fd;
	unsigned served; /* answers on this connection */
	size_t sent, got;
	uint64_t since; /* ns */
	uint8_t answer[ANSWER_MAX];
};

struct load {
	const struct gate *gate;
	struct address address;
	const char *body;
	bool keep;
	unsigned conn_count, open;
	uint64_t wanted, begun, done, errors; /* requests */
	uint64_t deadline;                    /* ns; 0: `wanted` decides */
	int epoll;
	struct gate_buffer request;
	struct conn *conns;
	size_t right_length; /* the last answer found right: its like need no second look */
	uint8_t right[ANSWER_MAX];
	struct latency latency;
};

static void die(const char *what)
{
	fprintf(stderr, "gateload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- connections ---- */

static bool may_begin(const struct load *load, uint64_t now)
{
	return load->deadline ? now < load->deadline : load->begun < load->wanted;
}

/* What the socket does not take now goes out with the next event. */
static bool send_request(const struct load *load, struct conn *conn)
{
	ssize_t n = send(conn->fd, load->request.bytes + conn->sent,
	        load->request.length - conn->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == ENOTCONN || errno == EINPROGRESS;
	conn->sent += (size_t)n;
	return true;
}

static void begin(struct load *load, struct conn *conn, uint64_t now)
{
	conn->sent = conn->got = 0;
	conn->since = now;
	load->begun++;
}

/*
 * A Unix connect is done at once or, with the queue full, waits for the server: its socket blocks,
 * and only sends and receives do not.
 */
static void open_conn(struct load *load, struct conn *conn, uint64_t now)
{
	const struct sockaddr *to = (const struct sockaddr *)&load->address.socket;
	int flags = to->sa_family == AF_UNIX ? 0 : SOCK_NONBLOCK;
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = conn };

	begin(load, conn, now);
	conn->served = 0;
	conn->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (conn->fd < 0 ||
	        (connect(conn->fd, to, load->address.length) < 0 && errno != EINPROGRESS))
		die("connect");
	send_request(load, conn); /* a failure comes back as an event */
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, conn->fd, &event) < 0)
		die("epoll_ctl");
	load->open++;
}

static void close_conn(struct load *load, struct conn *conn)
{
	close(conn->fd);
	conn->fd = -1;
	load->open--;
}

/* A request is over: the next one, on this connection where it may be. */
static void finish(struct load *load, struct conn *conn, bool right, bool stays)
{
	uint64_t now = now_ns();

	load->done++;
	load->errors += !right;
	if (right)
		latency_add(&load->latency, now - conn->since);
	conn->served++;
	if (!stays || !right || !may_begin(load, now)) {
		close_conn(load, conn);
		if (may_begin(load, now))
			open_conn(load, conn, now);
		return;
	}
	begin(load, conn, now);
	send_request(load, conn);
}

static enum gate_verdict judge(struct load *load, const struct conn *conn, bool eof)
{
	enum gate_verdict verdict;

	if (conn->got == load->right_length && memcmp(conn->answer, load->right, conn->got) == 0)
		return GATE_RIGHT;
	verdict = load->gate->answer(conn->answer, conn->got, eof, load->body);
	if (verdict == GATE_RIGHT) {
		load->right_length = conn->got;
		memcpy(load->right, conn->answer, conn->got);
	}
	return verdict;
}

/* The server closed. Between two answers it may; the request is then asked again. */
static void take_eof(struct load *load, struct conn *conn, bool broken)
{
	uint64_t since = conn->since;

	if (load->keep && conn->served && !conn->got) {
		close_conn(load, conn);
		load->begun--;
		open_conn(load, conn, since);
		return;
	}
	finish(load, conn, !broken && judge(load, conn, true) >= GATE_RIGHT, false);
}

static void on_event(struct load *load, struct conn *conn, uint32_t events)
{
	bool broken = conn->sent < load->request.length && !send_request(load, conn);

	while (!broken && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) {
		size_t room = sizeof(conn->answer) - conn->got;
		ssize_t n = recv(conn->fd, conn->answer + conn->got, room, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			take_eof(load, conn, n < 0);
			return;
		}
		conn->got += (size_t)n;
		if (conn->got == sizeof(conn->answer)) {
			finish(load, conn, false, false);
			return;
		}
		if (load->keep) {
			enum gate_verdict verdict = judge(load, conn, false);

			if (verdict != GATE_MORE) {
				finish(load, conn, verdict >= GATE_RIGHT, verdict == GATE_RIGHT);
				return;
			}
		}
		if (!(events & EPOLLRDHUP) && (size_t)n < room)
			return; /* what comes now is another event */
	}
	if (broken)
		take_eof(load, conn, true);
}

static double run(struct load *load)
{
	struct epoll_event events[EVENTS];
	uint64_t start = now_ns();

	if (load->deadline)
		load->deadline += start;
	for (unsigned i = 0; i < load->conn_count && may_begin(load, start); i++)
		open_conn(load, &load->conns[i], now_ns());
	while (load->open) {
		int count = epoll_wait(load->epoll, events, EVENTS, 10000);

		if (count == 0) {
			fprintf(stderr, "gateload: no answer in 10 s\n");
			load->errors += load->open;
			break;
		}
		for (int i = 0; i < count; i++)
			on_event(load, events[i].data.ptr, events[i].events);
	}
	return (double)(now_ns() - start) / 1e9;
}

/* ---- the command line ---- */

static int usage(void)
{
	fputs("usage: gateload -P fastcgi|scgi|uwsgi|http -a unix:PATH|IPV4:PORT [-c CONNECTIONS]\n"
	      "                [-n REQUESTS | -d SECONDS] [-b BODY] [-k]\n",
	        stderr);
	return 2;
}

static bool set(struct load *load, int option, const char *value)
{
	switch (option) {
	case 'P':
		load->gate = gate_find(value);
		return load->gate != NULL;
	case 'a':
		return address_parse(value, &load->address);
	case 'c':
		load->conn_count = (unsigned)atoi(value);
		return load->conn_count > 0;
	case 'n':
		load->wanted = strtoull(value, NULL, 10);
		return load->wanted > 0;
	case 'd':
		load->deadline = (uint64_t)(atof(value) * 1e9);
		return load->deadline > 0;
	case 'b':
		load->body = value;
		return true;
	case 'k':
		load->keep = true;
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	static struct load load = { .conn_count = 64, .wanted = 20000, .body = "Hello, world\n" };

	for (int option; (option = getopt(argc, argv, "P:a:c:n:d:b:k")) != -1;)
		if (!set(&load, option, optarg))
			return usage();
	if (!load.gate || !load.address.length || (load.keep && !load.gate->keeps))
		return usage();
	load.conns = calloc(load.conn_count, sizeof(*load.conns));
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!load.conns || load.epoll < 0)
		die("start");
	load.gate->request(&load.request, load.keep);

	double seconds = run(&load);

	printf("requests=%llu rps=%.0f p50_us=%.1f p99_us=%.1f p999_us=%.1f errors=%llu\n",
	        (unsigned long long)load.done, (double)load.done / seconds,
	        latency_us(&load.latency, 0.5), latency_us(&load.latency, 0.99),
	        latency_us(&load.latency, 0.999), (unsigned long long)load.errors);
	free(load.conns);
	return load.errors > 0;
}
