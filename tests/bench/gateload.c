/*
 * A load generator for the four gates: what nginx sends, over N connections at a time, each with
 * one request in flight; every answer is checked. Prints one line.
 *
 *	gateload -P fastcgi|scgi|uwsgi|http -a unix:PATH|IPV4:PORT [-c CONNECTIONS]
 *		[-n REQUESTS | -d SECONDS] [-k [-m STREAMS]] [-S PID]
 *		[-u TARGET] [-s FILE] [-v VARIABLES] [-p BYTES] [-b BODY | -e]
 *
 * -k keeps connections open (fastcgi, http); without it every request has its own, and is over when
 * the server has closed it. Latency runs from connect, or with -k from the request, to that end.
 * -m: so many FastCGI requests at a time on each connection.
 * -S: connections are opened all at once while this process, the worker, is stopped, and again when
 * all are over: how many it finds at a time is the same in every run.
 * -u: path and query asked for. -s: adds SCRIPT_FILENAME. -v: how many CGI variables, or about as
 * many fields of HTTP. -p: a POST with a body of this size.
 * -b: the body of a right answer; -e: it is the request's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define HEADS_MAX 4096 /* of an answer, without its body and what frames that */
#define EVENTS    256

struct conn {
	int fd;
	unsigned served; /* answers on this connection */
	size_t sent, got;
	uint64_t since; /* ns */
	uint8_t *answer;
};

void load_die(const char *what)
{
	fprintf(stderr, "gateload: %s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t load_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool load_may_begin(const struct load *load, uint64_t now)
{
	return load->deadline ? now < load->deadline : load->begun < load->wanted;
}

/* ---- connections ---- */

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
		load_die("connect");
	send_request(load, conn); /* a failure comes back as an event */
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, conn->fd, &event) < 0)
		load_die("epoll_ctl");
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
	uint64_t now = load_now();

	load->done++;
	load->errors += !right;
	if (right)
		latency_add(&load->latency, now - conn->since);
	conn->served++;
	if (!stays || !right || !load_may_begin(load, now)) {
		close_conn(load, conn);
		if (load_may_begin(load, now) && !load->held)
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
	if (!eof && conn->got < load->body.length)
		return GATE_MORE;
	verdict = load->gate->answer(conn->answer, conn->got, eof, &load->body);
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

	if (load->asked.keep && conn->served && !conn->got) {
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
		size_t room = load->answer_max - conn->got;
		ssize_t n = recv(conn->fd, conn->answer + conn->got, room, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			take_eof(load, conn, n < 0);
			return;
		}
		conn->got += (size_t)n;
		if (conn->got == load->answer_max) {
			finish(load, conn, false, false);
			return;
		}
		if (load->asked.keep) {
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

/* Until the worker stands still; what it does afterwards does not depend on who was faster. */
static void hold(pid_t pid)
{
	char path[64], stat[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (kill(pid, SIGSTOP) < 0)
		load_die("stop the worker");
	for (char state = 'R'; state != 'T';) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = read(fd, stat, sizeof(stat) - 1);

		close(fd);
		if (n <= 0)
			load_die(path);
		stat[n] = '\0';
		state = strrchr(stat, ')')[2];
	}
}

static void open_all(struct load *load)
{
	if (load->held)
		hold(load->held);
	for (unsigned i = 0; i < load->conn_count && load_may_begin(load, load_now()); i++)
		open_conn(load, &load->conns[i], load_now());
	if (load->held)
		kill(load->held, SIGCONT);
}

static double run(struct load *load)
{
	struct epoll_event events[EVENTS];
	uint64_t start = load_now();

	if (load->deadline)
		load->deadline += start;
	if (load->streams) {
		multiplex_run(load);
		return (double)(load_now() - start) / 1e9;
	}
	for (open_all(load); load->open;) {
		int count = epoll_wait(load->epoll, events, EVENTS, 10000);

		if (count == 0) {
			fprintf(stderr, "gateload: no answer in 10 s\n");
			load->errors += load->open;
			break;
		}
		for (int i = 0; i < count; i++)
			on_event(load, events[i].data.ptr, events[i].events);
		if (!load->open)
			open_all(load);
	}
	return (double)(load_now() - start) / 1e9;
}

/* ---- the command line ---- */

static int usage(void)
{
	fputs("usage: gateload -P fastcgi|scgi|uwsgi|http -a unix:PATH|IPV4:PORT [-c CONNECTIONS]\n"
	      "                [-n REQUESTS | -d SECONDS] [-S PID] [-k [-m STREAMS]] [-u TARGET] "
	      "[-s FILE]\n"
	      "                [-v VARIABLES] [-p BYTES] [-b BODY | -e]\n",
	        stderr);
	return 2;
}

static bool set_request(struct load *load, int option, char *value)
{
	struct gate_request *asked = &load->asked;

	switch (option) {
	case 'k':
		return asked->keep = true;
	case 'u':
		asked->target = value;
		return *value == '/';
	case 'v':
		asked->variables = (unsigned)atoi(value);
		return asked->variables >= GATE_VARIABLES_MIN;
	case 's':
		asked->script = value;
		return true;
	case 'p':
		asked->body = strtoull(value, NULL, 10);
		return asked->body > 0;
	case 'b':
		load->body = (struct gate_buffer){ .bytes = (uint8_t *)value,
			.length = strlen(value) };
		return true;
	case 'e':
		load->body.length = 0;
		return true;
	default:
		return false;
	}
}

static bool set(struct load *load, int option, char *value)
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
	case 'm':
		load->streams = (unsigned)atoi(value);
		return load->streams > 0 && load->streams <= 65535;
	case 'S':
		load->held = atoi(value);
		return load->held > 0;
	case 'd':
		load->deadline = (uint64_t)(atof(value) * 1e9);
		return load->deadline > 0;
	default:
		return set_request(load, option, value);
	}
}

static void prepare(struct load *load)
{
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	load->gate->request(&load->request, &load->asked);
	if (!load->body.length) {
		load->body = (struct gate_buffer){ .length = 0 };
		gate_add_body(&load->body, load->asked.body);
	}
	/* records of FastCGI may be as small as a page */
	load->answer_max = HEADS_MAX + load->body.length + load->body.length / 64;
	load->right = malloc(load->answer_max);
	load->conns = calloc(load->conn_count, sizeof(*load->conns));
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!load->right || !load->conns || load->epoll < 0)
		load_die("start");
	for (unsigned i = 0; i < load->conn_count; i++)
		if (!(load->conns[i].answer = malloc(load->answer_max)))
			load_die("start");
}

static void release(struct load *load)
{
	for (unsigned i = 0; i < load->conn_count; i++)
		free(load->conns[i].answer);
	free(load->conns);
	free(load->right);
	free(load->request.bytes);
	if (load->body.room)
		free(load->body.bytes);
}

int main(int argc, char **argv)
{
	static struct load load = { .conn_count = 64,
		.wanted = 20000,
		.body = { .bytes = (uint8_t *)"Hello, world\n", .length = 13 } };

	for (int option; (option = getopt(argc, argv, "P:a:c:n:d:m:S:ku:s:v:p:b:e")) != -1;)
		if (!set(&load, option, optarg))
			return usage();
	if (!load.gate || !load.address.length || (load.asked.keep && !load.gate->keeps) ||
	        (load.streams && (!load.asked.keep || strcmp(load.gate->name, "fastcgi") != 0)))
		return usage();
	prepare(&load);

	double seconds = run(&load);

	printf("requests=%llu rps=%.0f p50_us=%.1f p99_us=%.1f p999_us=%.1f errors=%llu\n",
	        (unsigned long long)load.done, (double)load.done / seconds,
	        latency_us(&load.latency, 0.5), latency_us(&load.latency, 0.99),
	        latency_us(&load.latency, 0.999), (unsigned long long)load.errors);
	release(&load);
	return load.errors > 0;
}
