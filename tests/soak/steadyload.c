/*
 * Constant load on several gates at once that never stops at an error: every answer is checked,
 * and every failure counted by its kind. It may disturb the server meanwhile.
 *
 *	steadyload -g GATE[+keep]=unix:PATH|IPV4:PORT ... [-c CONNECTIONS] [-n REQUESTS | -d
 *SECONDS]
 *		[-r REQUESTS_PER_SECOND] [-b BODY] [-x PERCENT_ABORTED] [-y PERCENT_MALFORMED]
 *		[-D SIGNAL | -D SIGNAL@workers -m MASTER_PID [-e MS] [-k TIMES]]
 *
 * Connections take the gates in turn. With -D the load goes on for a second behind the last signal.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "../bench/address.h"
#include "../bench/gate.h"
#include "../bench/latency.h"
#include "disturb.h"

#define ANSWER_MAX 4096
#define EVENTS     256
#define LANES      16
#define SILENT_MS  30000

enum failure {
	FAIL_REFUSED, /* no connection */
	FAIL_LOST,    /* closed before a byte of the answer came, on a connection that had served */
	FAIL_CLOSED,  /* closed before a byte of the answer came */
	FAIL_RESET,   /* the same, by a reset */
	FAIL_SHORT,   /* closed within the answer */
	FAIL_WRONG,   /* another status, another body; a malformed request answered as a good one */
	FAIL_SILENT,  /* nothing for SILENT_MS */
	FAILURES,
};
static const char *const failure_names[] = { "refused", "lost", "closed", "reset", "short", "wrong",
	"silent" };

enum kind {
	KIND_GOOD,
	KIND_HALF,    /* closed when half is sent */
	KIND_DROPPED, /* closed when all is sent */
	KIND_MALFORMED,
};

struct lane {
	const struct gate *gate;
	struct address address;
	bool keep;
	struct gate_buffer request;
};

struct conn {
	int fd; /* -1: none */
	const struct lane *lane;
	enum kind kind;
	bool busy; /* a request is on the way */
	unsigned served;
	size_t sent, got;
	uint64_t since, due; /* ns */
	uint8_t answer[ANSWER_MAX];
};

struct load {
	struct lane lanes[LANES];
	unsigned lane_count, conn_count, busy, rate, aborts, malformed;
	uint64_t wanted, begun, right, aborted, refusals, seconds;
	uint64_t again; /* sent once more: the kept connection was just being closed */
	uint64_t failures[FAILURES];
	struct gate_buffer body; /* of a right answer */
	struct conn *conns;
	struct disturb disturb;
	struct latency latency;
	uint64_t end; /* ns; 0: not known yet */
	int epoll;
};

static const struct {
	const char *gate;
	const char *bytes;
	size_t length;
} malformed[] = {
	{ "http", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 28 }, { "scgi", "5:abcde,", 8 },
	{ "uwsgi", "\0\2\0\0\5\0", 6 },
	{ "fastcgi", "\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0\2\4\0\1\0\0\0\0", 24 }, /* version 2 */
};

static volatile sig_atomic_t stopped;

static void on_stop(int signal)
{
	stopped = signal;
}

static void die(const char *what)
{
	fprintf(stderr, "steadyload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- one request ---- */

static void drop_conn(struct conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
	conn->served = 0;
}

static void rest(struct load *load, struct conn *conn)
{
	conn->busy = false;
	load->busy--;
}

static void fail(struct load *load, struct conn *conn, enum failure failure)
{
	load->failures[failure]++;
	drop_conn(conn);
	rest(load, conn);
}

/* HTTP says that it closes; FastCGI closes where it may, and a gateway tries again. */
static bool closes(const struct conn *conn)
{
	static const char field[] = "\r\nConnection: close\r\n";

	return memmem(conn->answer, conn->got, field, sizeof(field) - 1);
}

static void succeed(struct load *load, struct conn *conn, bool stays)
{
	load->right++;
	latency_add(&load->latency, now_ns() - conn->since);
	conn->served++;
	if (!stays)
		drop_conn(conn);
	rest(load, conn);
}

static const uint8_t *request_of(const struct conn *conn, size_t *length)
{
	*length = conn->lane->request.length;
	if (conn->kind == KIND_HALF)
		*length /= 2;
	for (size_t i = 0; conn->kind == KIND_MALFORMED; i++)
		if (strcmp(malformed[i].gate, conn->lane->gate->name) == 0) {
			*length = malformed[i].length;
			return (const uint8_t *)malformed[i].bytes;
		}
	return conn->lane->request.bytes;
}

static void start(struct load *load, struct conn *conn);

/* The server has closed, or the connection is broken: `error` of errno, or 0. */
static void take_end(struct load *load, struct conn *conn, int error)
{
	const struct gate *gate = conn->lane->gate;

	if (conn->kind == KIND_MALFORMED) {
		load->refusals++;
		drop_conn(conn);
		rest(load, conn);
	} else if (error == ECONNREFUSED) {
		fail(load, conn, FAIL_REFUSED);
	} else if (!conn->got && conn->served && strcmp(gate->name, "fastcgi") == 0) {
		load->again++;
		drop_conn(conn);
		start(load, conn);
	} else if (!conn->got && conn->served) {
		fail(load, conn, FAIL_LOST);
	} else if (!conn->got) {
		fail(load, conn, error ? FAIL_RESET : FAIL_CLOSED);
	} else if (gate->answer(conn->answer, conn->got, true, &load->body) >= GATE_RIGHT) {
		succeed(load, conn, false);
	} else {
		fail(load, conn, FAIL_SHORT);
	}
}

/* False: the connection is over. */
static bool give(struct load *load, struct conn *conn)
{
	size_t length;
	const uint8_t *request = request_of(conn, &length);
	ssize_t n = 0;

	if (conn->sent < length)
		n = send(conn->fd, request + conn->sent, length - conn->sent,
		        MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == ENOTCONN || errno == EINPROGRESS))
		return true;
	if (n < 0) {
		take_end(load, conn, errno);
		return false;
	}
	conn->sent += (size_t)n;
	if (conn->sent < length || (conn->kind != KIND_HALF && conn->kind != KIND_DROPPED))
		return true;
	load->aborted++;
	drop_conn(conn);
	rest(load, conn);
	return false;
}

static void take_answer(struct load *load, struct conn *conn)
{
	enum gate_verdict verdict = conn->lane->gate->answer(
	        conn->answer, conn->got, false, &load->body);

	if (conn->kind == KIND_MALFORMED && verdict < GATE_RIGHT)
		return; /* its end is to come */
	if (conn->kind == KIND_MALFORMED || verdict == GATE_WRONG)
		fail(load, conn, FAIL_WRONG);
	else if (verdict >= GATE_RIGHT && conn->lane->keep)
		succeed(load, conn, verdict == GATE_RIGHT && !closes(conn));
}

static void on_event(struct load *load, struct conn *conn)
{
	if (!conn->busy) { /* an idle connection was closed, as it may be */
		drop_conn(conn);
		return;
	}
	if (!give(load, conn))
		return;
	while (conn->busy) {
		size_t room = sizeof(conn->answer) - conn->got;
		ssize_t n = recv(conn->fd, conn->answer + conn->got, room, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
			return;
		if (n <= 0) {
			take_end(load, conn, n < 0 ? errno : 0);
			return;
		}
		conn->got += (size_t)n;
		if (conn->got == sizeof(conn->answer))
			fail(load, conn, FAIL_WRONG);
		else
			take_answer(load, conn);
	}
}

/* Unix sockets block while the server's queue is full; of others an event tells. */
static bool open_conn(struct load *load, struct conn *conn)
{
	const struct sockaddr *to = (const struct sockaddr *)&conn->lane->address.socket;
	int flags = to->sa_family == AF_UNIX ? 0 : SOCK_NONBLOCK;
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = conn };

	conn->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (conn->fd < 0)
		die("socket");
	if (connect(conn->fd, to, conn->lane->address.length) < 0 && errno != EINPROGRESS)
		return false;
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, conn->fd, &event) < 0)
		die("epoll_ctl");
	return true;
}

/* Sends the request, on a new connection where there is none. */
static void start(struct load *load, struct conn *conn)
{
	conn->sent = conn->got = 0;
	if (conn->fd < 0 && !open_conn(load, conn))
		fail(load, conn, FAIL_REFUSED);
	else
		give(load, conn);
}

static enum kind next_kind(const struct load *load)
{
	unsigned dice = (unsigned)rand() % 100;

	if (dice < load->aborts)
		return dice % 2 ? KIND_HALF : KIND_DROPPED;
	return dice < load->aborts + load->malformed ? KIND_MALFORMED : KIND_GOOD;
}

static void begin(struct load *load, struct conn *conn, uint64_t now)
{
	conn->kind = next_kind(load);
	if (conn->kind == KIND_MALFORMED)
		drop_conn(conn); /* what it makes of a protocol's first bytes */
	conn->busy = true;
	conn->since = now;
	if (load->rate)
		conn->due += (uint64_t)load->conn_count * 1000000000 / load->rate;
	load->busy++;
	load->begun++;
	if (conn->fd >= 0 && recv(conn->fd, conn->answer, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		drop_conn(conn); /* closed while it was idle, as it may be */
	start(load, conn);
}

/* ---- all of them ---- */

static bool may_begin(struct load *load, uint64_t now)
{
	bool disturbs = load->disturb.signal;

	if (stopped)
		return false;
	if (disturbs && !load->disturb.left && !load->end)
		load->end = now + 1000000000;
	return load->end ? now < load->end : disturbs || load->begun < load->wanted;
}

static void begin_due(struct load *load, uint64_t now)
{
	for (unsigned i = 0; i < load->conn_count; i++) {
		struct conn *conn = &load->conns[i];

		if (!conn->busy && conn->due <= now && may_begin(load, now))
			begin(load, conn, now);
		if (conn->busy && now > conn->since + SILENT_MS * 1000000ULL)
			fail(load, conn, FAIL_SILENT);
	}
}

static double run(struct load *load)
{
	struct epoll_event events[EVENTS];
	uint64_t start = now_ns(), now = start;

	load->end = load->seconds ? start + load->seconds * 1000000000 : 0;
	for (unsigned i = 0; i < load->conn_count; i++) {
		load->conns[i].fd = -1;
		load->conns[i].lane = &load->lanes[i % load->lane_count];
		load->conns[i].due = start;
		if (load->rate)
			load->conns[i].due += (uint64_t)i * 1000000000 / load->rate;
	}
	while (may_begin(load, now) || load->busy) {
		begin_due(load, now);
		disturb_step(&load->disturb, now / 1000000);
		int count = epoll_wait(load->epoll, events, EVENTS, load->rate ? 1 : 10);

		for (int i = 0; i < count; i++)
			on_event(load, events[i].data.ptr);
		now = now_ns();
	}
	return (double)(now_ns() - start) / 1e9;
}

/* ---- the command line ---- */

/* "http+keep=127.0.0.1:8080" */
static bool add_lane(struct load *load, const char *text)
{
	struct lane *lane = &load->lanes[load->lane_count];
	const char *equals = strchr(text, '=');
	char name[32];

	if (!equals || load->lane_count == LANES || (size_t)(equals - text) >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
	char *plus = strchr(name, '+');

	lane->keep = plus && strcmp(plus, "+keep") == 0;
	if (plus)
		*plus = '\0';
	lane->gate = gate_find(name);
	if (!lane->gate || (plus && !lane->keep) || (lane->keep && !lane->gate->keeps))
		return false;
	lane->gate->request(&lane->request, &(struct gate_request){ .keep = lane->keep });
	load->lane_count++;
	return address_parse(equals + 1, &lane->address);
}

static bool set(struct load *load, int option, char *value)
{
	uint64_t number = strtoull(value, NULL, 10);

	switch (option) {
	case 'g':
		return add_lane(load, value);
	case 'c':
		load->conn_count = (unsigned)number;
		return number > 0;
	case 'n':
		load->wanted = number;
		return true;
	case 'd':
		load->seconds = number;
		return true;
	case 'r':
		load->rate = (unsigned)number;
		return true;
	case 'b':
		load->body.bytes = (uint8_t *)value;
		load->body.length = strlen(value);
		return true;
	case 'x':
		load->aborts = (unsigned)number;
		return number <= 100;
	case 'y':
		load->malformed = (unsigned)number;
		return number <= 100;
	case 'D':
		return disturb_parse(&load->disturb, value);
	case 'm':
		load->disturb.master = (pid_t)number;
		return number > 1;
	case 'e':
		load->disturb.every = (unsigned)number;
		return number > 0;
	case 'k':
		load->disturb.left = (unsigned)number;
		return true;
	default:
		return false;
	}
}

static bool report(const struct load *load, double seconds)
{
	uint64_t failed = 0;

	printf("requests=%llu rps=%.0f right=%llu aborted=%llu refusals=%llu again=%llu",
	        (unsigned long long)load->begun, (double)load->begun / seconds,
	        (unsigned long long)load->right, (unsigned long long)load->aborted,
	        (unsigned long long)load->refusals, (unsigned long long)load->again);
	for (int i = 0; i < FAILURES; i++) {
		failed += load->failures[i];
		printf(" %s=%llu", failure_names[i], (unsigned long long)load->failures[i]);
	}
	printf(" failed=%llu signals=%u held=%u p50_us=%.0f p99_us=%.0f\n",
	        (unsigned long long)failed, load->disturb.done, load->disturb.held,
	        latency_us(&load->latency, 0.5), latency_us(&load->latency, 0.99));
	return failed == 0;
}

int main(int argc, char **argv)
{
	static struct load load = { .conn_count = 64,
		.wanted = 20000,
		.body = { .bytes = (uint8_t *)"Hello, world\n", .length = 13 },
		.disturb = { .every = 250, .left = 1 } };

	for (int option; (option = getopt(argc, argv, "g:c:n:d:r:b:x:y:D:m:e:k:")) != -1;)
		if (option == '?' || !set(&load, option, optarg))
			return 2;
	if (!load.lane_count || (load.disturb.signal && !load.disturb.master))
		return 2;
	if (!load.disturb.signal)
		load.disturb.left = 0;
	load.conns = calloc(load.conn_count, sizeof(*load.conns));
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!load.conns || load.epoll < 0)
		die("start");
	signal(SIGTERM, on_stop);
	disturb_prepare(&load.disturb);

	double seconds = run(&load);
	bool all_right = report(&load, seconds);

	free(load.conns);
	return all_right ? 0 : 3;
}
