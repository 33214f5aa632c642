/*
 * Clients that are slow on purpose: N connections, each of which sends one byte at a time into a
 * request's head or body, or takes a big answer as slowly.
 *
 *	slowload -a unix:PATH|IPV4:PORT [-V http|scgi|uwsgi|fastcgi|body|reader] [-n CONNECTIONS]
 *		[-i MS_BETWEEN_BYTES] [-p BYTES_AT_ONCE] [-o CONNECTIONS_OPENED_PER_SECOND]
 *		[-T MS_OF_THE_SERVERS_DEADLINE] [-t SECONDS]
 *
 * Prints "open" when all are connected, and at the end, when all are closed, -t has passed or TERM
 * came, how they ended; late_*: how long after the deadline.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../bench/address.h"

#define EVENTS  512
#define HEAD    4096 /* bytes that a slow client has to send, at most */
#define TICK_MS 1

struct slow {
	int fd; /* -1 when closed */
	unsigned sent, got;
	uint64_t opened, next; /* ms */
	char answer[16];
};

/* What they send: `at_once` bytes first; a head that never ends. */
struct variant {
	const char *name;
	const char *text;
	size_t text_length, at_once;
	bool reads; /* a byte is taken, not sent */
};

#define BYTES(text) text, sizeof(text) - 1
static const struct variant variants[] = {
	{ "http", BYTES("GET /slow HTTP/1.1\r\nHost: slow.example\r\nX-Slow: "), 0, false },
	{ "scgi", BYTES("60000:CONTENT_LENGTH\0000\0SCGI\0001\0REQUEST_METHOD\0GET\0X_SLOW\0"), 0,
	        false },
	{ "uwsgi", BYTES("\0\0\200\0\016\0REQUEST_METHOD\003\0GET\006\0X_SLOW\0\140"), 0, false },
	{ "fastcgi",
	        BYTES("\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0\1\4\0\1\200\0\0\0"
	              "\016\003REQUEST_METHODGET\006\200\0\140\0X_SLOW"),
	        0, false },
	{ "body",
	        BYTES("POST /slow HTTP/1.1\r\nHost: slow.example\r\nContent-Length: 60000\r\n\r\n"),
	        ~(size_t)0, false },
	{ "reader", BYTES("GET /64 HTTP/1.1\r\nHost: slow.example\r\n\r\n"), ~(size_t)0, true },
};

struct load {
	struct address address;
	const struct variant *variant;
	char head[HEAD];
	unsigned count, opened, open, per_second, interval, deadline, seconds;
	size_t at_once;
	unsigned answered, silent, otherwise, refused;
	uint64_t sent, late_least, late_most;
	uint64_t start;
	int epoll;
	struct slow *slow;
};

static volatile sig_atomic_t stopped;

static void on_stop(int signal)
{
	stopped = signal;
}

static void die(const char *what)
{
	fprintf(stderr, "slowload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- one connection ---- */

static void count_end(struct load *load, const struct slow *slow)
{
	uint64_t late = now_ms() - slow->opened;

	late = late > load->deadline ? late - load->deadline : 0;
	load->late_most = late > load->late_most ? late : load->late_most;
	load->late_least = late < load->late_least ? late : load->late_least;
	if (!slow->got)
		load->silent++;
	else if (slow->got >= 12 && memcmp(slow->answer, "HTTP/1.1 408", 12) == 0)
		load->answered++;
	else
		load->otherwise++;
}

static void end(struct load *load, struct slow *slow)
{
	count_end(load, slow);
	close(slow->fd);
	slow->fd = -1;
	load->open--;
}

/* Reads what there is; the variant that reads slowly takes a byte instead, when it is due. */
static void take(struct load *load, struct slow *slow, size_t most)
{
	char piece[512];
	ssize_t n;

	while ((n = recv(slow->fd, piece, most ? most : sizeof(piece), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < n && slow->got < sizeof(slow->answer); i++)
			slow->answer[slow->got++] = piece[i];
		if (most)
			return;
	}
	if (n == 0 || errno != EAGAIN)
		end(load, slow);
}

static void give(struct load *load, struct slow *slow, size_t most)
{
	size_t left = slow->sent < HEAD ? HEAD - slow->sent : 0;
	ssize_t n = send(slow->fd, load->head + slow->sent, most < left ? most : left,
	        MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0) {
		slow->sent += (unsigned)n;
		load->sent += (uint64_t)n;
	}
}

/* Blocks until the server's queue has room. */
static void open_slow(struct load *load, struct slow *slow)
{
	const struct sockaddr *to = (const struct sockaddr *)&load->address.socket;
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = slow };
	int small = 4096;

	slow->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (slow->fd < 0)
		die("socket");
	if (load->variant->reads) {
		setsockopt(slow->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		event.events = EPOLLRDHUP;
	}
	load->opened++;
	if (connect(slow->fd, to, load->address.length) < 0) {
		load->refused++;
		close(slow->fd);
		slow->fd = -1;
		return;
	}
	slow->opened = now_ms();
	slow->next = slow->opened + load->interval;
	load->open++;
	give(load, slow, load->at_once ? load->at_once : 1);
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, slow->fd, &event) < 0)
		die("epoll_ctl");
}

/* ---- all of them ---- */

/* Those that were promised until now. */
static void open_more(struct load *load, uint64_t now)
{
	uint64_t due = (now - load->start + TICK_MS) * load->per_second / 1000;

	if (load->opened == load->count)
		return;
	while (load->opened < load->count && load->opened < due)
		open_slow(load, &load->slow[load->opened]);
	if (load->opened == load->count) {
		printf("open\n");
		fflush(stdout);
	}
}

static void crawl(struct load *load, uint64_t now)
{
	for (unsigned i = 0; i < load->opened; i++) {
		struct slow *slow = &load->slow[i];

		if (slow->fd < 0 || slow->next > now)
			continue;
		slow->next += load->interval;
		if (load->variant->reads)
			take(load, slow, 1);
		else
			give(load, slow, 1);
	}
}

static void run(struct load *load)
{
	struct epoll_event events[EVENTS];
	uint64_t crawled = 0, now = load->start = now_ms();

	while (!stopped && now - load->start < (uint64_t)load->seconds * 1000 &&
	        (load->open || load->opened < load->count)) {
		int count = epoll_wait(load->epoll, events, EVENTS, TICK_MS);

		for (int i = 0; i < count; i++) {
			bool hung_up = events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);

			if (!load->variant->reads)
				take(load, events[i].data.ptr, 0);
			else if (hung_up)
				end(load, events[i].data.ptr);
		}
		now = now_ms();
		if (now - crawled < TICK_MS)
			continue;
		crawled = now;
		open_more(load, now);
		crawl(load, now);
	}
}

/* ---- the command line ---- */

static const struct variant *find_variant(const char *name)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++)
		if (strcmp(variants[i].name, name) == 0)
			return &variants[i];
	return NULL;
}

static bool set(struct load *load, int option, const char *value)
{
	unsigned number = value ? (unsigned)atoi(value) : 0;

	switch (option) {
	case 'a':
		return address_parse(value, &load->address);
	case 'V':
		load->variant = find_variant(value);
		return load->variant != NULL;
	case 'n':
		load->count = number;
		return number > 0;
	case 'i':
		load->interval = number;
		return number > 0;
	case 'p':
		load->at_once = number;
		return number <= HEAD;
	case 'o':
		load->per_second = number;
		return number > 0;
	case 'T':
		load->deadline = number;
		return true;
	case 't':
		load->seconds = number;
		return number > 0;
	default:
		return false;
	}
}

static void prepare(struct load *load)
{
	const struct variant *variant = load->variant;
	struct rlimit limit;

	memset(load->head, 'a', HEAD);
	memcpy(load->head, variant->text, variant->text_length);
	if (variant->at_once)
		load->at_once = variant->text_length;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	load->slow = calloc(load->count, sizeof(*load->slow));
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!load->slow || load->epoll < 0)
		die("start");
	signal(SIGTERM, on_stop);
}

int main(int argc, char **argv)
{
	static struct load load = { .variant = variants,
		.count = 10000,
		.per_second = 5000,
		.interval = 1000,
		.seconds = 60,
		.late_least = ~0ULL };

	for (int option; (option = getopt(argc, argv, "a:V:n:i:p:o:T:t:")) != -1;)
		if (!set(&load, option, optarg))
			return 2;
	if (!load.address.length)
		return 2;
	prepare(&load);
	run(&load);
	printf("variant=%s slow=%u closed_408=%u closed_silently=%u closed_otherwise=%u refused=%u "
	       "still_open=%u sent=%llu late_least_ms=%llu late_most_ms=%llu\n",
	        load.variant->name, load.count, load.answered, load.silent, load.otherwise,
	        load.refused, load.open, (unsigned long long)load.sent,
	        load.late_most || load.late_least != ~0ULL ? (unsigned long long)load.late_least
	                                                   : 0,
	        (unsigned long long)load.late_most);
	free(load.slow);
	return 0;
}
