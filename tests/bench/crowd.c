/*
 * Many clients that wait for the same word: what each costs its worker, and when the word reaches
 * them. Every client has to get every message once, in order, and nothing else.
 *
 *	crowd -m ws|poll -a unix:PATH|IPV4:PORT [-n CLIENTS] [-r ROUNDS] [-p WORKER_PID]
 *
 * ws: WebSockets of GET /; poll: GET /?since=N of app/examples/longpoll.c. A round is a POST of its
 * number to /, which the server hands to everybody. Ends with 1 where a count is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "latency.h"

#define EVENTS     512
#define SILENT_MS  60000
#define ANSWER_MAX 1024
#define WS_PING    9

struct client {
	int fd;
	bool open;      /* the WebSocket's handshake is over */
	unsigned heard; /* the number of the last message */
	size_t length;
	char bytes[ANSWER_MAX]; /* received and not understood yet */
};

struct crowd;

struct mode {
	const char *name;
	/* Asks for the message behind `heard`. */
	void (*ask)(struct crowd *crowd, struct client *client, bool last);
	/* The number of the message at the front, 0: not whole yet; `used`: what it takes. */
	unsigned (*read)(struct client *client, size_t *used);
	bool again; /* every message has to be asked for */
};

struct crowd {
	const struct mode *mode;
	struct address address;
	unsigned count, rounds, worker;
	unsigned round, heard; /* clients that have heard it */
	struct client *clients;
	struct latency latency;
	uint64_t told, slowest; /* ns */
	int epoll;
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "crowd: %s\n", what);
	exit(1);
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- connections ---- */

static int dial(const struct crowd *crowd)
{
	int fd = socket(crowd->address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&crowd->address.socket,
	                      crowd->address.length) < 0)
		die("can't connect");
	return fd;
}

/* Requests are small: the socket takes them whole. */
static void send_text(int fd, const char *text, size_t length)
{
	if (write(fd, text, length) != (ssize_t)length)
		die("can't send");
}

/* One request on a connection of its own, answered to its end. */
static int begin_request(
        const struct crowd *crowd, const char *method, const char *path, const char *body)
{
	char request[256];
	int fd = dial(crowd);
	int length = snprintf(request, sizeof(request),
	        "%s %s HTTP/1.1\r\nHost: crowd\r\nConnection: close\r\n"
	        "Content-Length: %zu\r\n\r\n%s",
	        method, path, strlen(body), body);

	send_text(fd, request, (size_t)length);
	return fd;
}

static void end_request(int fd, const char *expected)
{
	char answer[ANSWER_MAX + 1];
	size_t length = 0;
	ssize_t n;

	while ((n = read(fd, answer + length, ANSWER_MAX - length)) > 0)
		length += (size_t)n;
	answer[length] = '\0';
	close(fd);
	if (strncmp(answer, expected, strlen(expected)) != 0)
		fail(*answer ? answer : "no answer");
}

/* ---- WebSockets ---- */

static void ws_ask(struct crowd *crowd, struct client *client, bool last)
{
	static const char handshake[] =
	        "GET / HTTP/1.1\r\nHost: crowd\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	static const char goodbye[] = { (char)0x88, (char)0x82, 0, 0, 0, 0, 0x03, (char)0xe8 };

	(void)crowd;
	if (last)
		send_text(client->fd, goodbye, sizeof(goodbye));
	else
		send_text(client->fd, handshake, sizeof(handshake) - 1);
}

/* Answers a ping by the same bytes, masked with zeros. */
static void ws_pong(struct client *client, size_t length)
{
	char frame[6 + 125] = { (char)0x8a, (char)(0x80 | length) };

	memcpy(frame + 6, client->bytes + 2, length);
	send_text(client->fd, frame, 6 + length);
}

static unsigned ws_read(struct client *client, size_t *used)
{
	const unsigned char *bytes = (const unsigned char *)client->bytes;
	const char *end;

	if (!client->open) {
		end = memmem(client->bytes, client->length, "\r\n\r\n", 4);
		client->open = end;
		*used = end ? (size_t)(end + 4 - client->bytes) : 0;
		if (end && strncmp(client->bytes, "HTTP/1.1 101 ", 13) != 0)
			fail("no WebSocket");
		return 0;
	}
	if (client->length < 2 || client->length < 2 + (size_t)bytes[1])
		return 0;
	*used = 2 + (size_t)bytes[1];
	if ((bytes[0] & 15) == WS_PING) {
		ws_pong(client, bytes[1]);
		return 0;
	}
	return (bytes[0] & 15) == 1 ? (unsigned)strtoul(client->bytes + 2, NULL, 10) : 0;
}

/* ---- long polls ---- */

static void poll_ask(struct crowd *crowd, struct client *client, bool last)
{
	char request[128];
	int length;

	(void)crowd;
	if (last) { /* no message may come without being asked for */
		shutdown(client->fd, SHUT_WR);
		return;
	}
	length = snprintf(request, sizeof(request),
	        "GET /?since=%u HTTP/1.1\r\nHost: crowd\r\n\r\n", client->heard);
	send_text(client->fd, request, (size_t)length);
}

static unsigned poll_read(struct client *client, size_t *used)
{
	char *end = memmem(client->bytes, client->length, "\r\n\r\n", 4);

	if (!end)
		return 0;
	*end = '\0';
	const char *field = strstr(client->bytes, "\r\nContent-Length: ");
	size_t body = field ? strtoul(field + 18, NULL, 10) : 0;
	size_t head = (size_t)(end + 4 - client->bytes);

	if (strncmp(client->bytes, "HTTP/1.1 200 ", 13) != 0 || !body)
		fail("a poll has another answer");
	*end = '\r';
	if (client->length < head + body)
		return 0;
	*used = head + body;
	return (unsigned)strtoul(end + 4, NULL, 10);
}

static const struct mode modes[] = {
	{ "ws", ws_ask, ws_read, false },
	{ "poll", poll_ask, poll_read, true },
};

/* ---- all of them ---- */

static void hear(struct crowd *crowd, struct client *client, unsigned number)
{
	uint64_t took = now_ns() - crowd->told;

	if (number != crowd->round || number != client->heard + 1)
		fail("a message came twice, late, or out of turn");
	client->heard = number;
	crowd->heard++;
	latency_add(&crowd->latency, took);
	if (took > crowd->slowest)
		crowd->slowest = took;
}

/* False at the end of the connection. */
static bool fill(struct crowd *crowd, struct client *client)
{
	ssize_t n = read(client->fd, client->bytes + client->length, ANSWER_MAX - client->length);

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	client->length += (size_t)n;
	for (;;) {
		size_t used = 0;
		unsigned number = crowd->mode->read(client, &used);

		if (number)
			hear(crowd, client, number);
		if (!used)
			return true;
		client->length -= used;
		memmove(client->bytes, client->bytes + used, client->length);
	}
}

/* Reads what comes until all have what `done` asks for. */
static void await(struct crowd *crowd, bool (*done)(const struct crowd *crowd))
{
	struct epoll_event events[EVENTS];

	while (!done(crowd)) {
		int count = epoll_wait(crowd->epoll, events, EVENTS, SILENT_MS);

		if (count <= 0)
			fail("nothing comes any more");
		for (int i = 0; i < count; i++)
			if (!fill(crowd, events[i].data.ptr))
				fail("a connection has ended");
	}
}

static bool all_open(const struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->count; i++)
		if (!crowd->clients[i].open)
			return false;
	return true;
}

static bool all_heard(const struct crowd *crowd)
{
	return crowd->heard == crowd->count;
}

static void gather(struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->count; i++) {
		struct client *client = &crowd->clients[i];
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };

		client->fd = dial(crowd);
		crowd->mode->ask(crowd, client, false);
		fcntl(client->fd, F_SETFL, O_NONBLOCK);
		if (epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, client->fd, &event) < 0)
			die("epoll");
	}
	if (!crowd->mode->again)
		await(crowd, all_open);
	/* these come behind all of them */
	for (int i = 0; i < 3; i++)
		end_request(begin_request(crowd, "GET", "/none", ""), "HTTP/1.1 404 ");
}

static void tell(struct crowd *crowd)
{
	char number[16];
	int fd;

	snprintf(number, sizeof(number), "%u", ++crowd->round);
	crowd->heard = 0;
	crowd->told = now_ns();
	fd = begin_request(crowd, "POST", "/", number);
	await(crowd, all_heard);
	end_request(fd, "HTTP/1.1 200 ");
	if (!crowd->mode->again || crowd->round == crowd->rounds)
		return;
	for (unsigned i = 0; i < crowd->count; i++)
		crowd->mode->ask(crowd, &crowd->clients[i], false);
	for (int i = 0; i < 3; i++)
		end_request(begin_request(crowd, "GET", "/none", ""), "HTTP/1.1 404 ");
}

/* Until the end of each connection no message may come. */
static void leave(struct crowd *crowd)
{
	for (unsigned i = 0; i < crowd->count; i++) {
		struct client *client = &crowd->clients[i];

		crowd->mode->ask(crowd, client, true);
		fcntl(client->fd, F_SETFL, 0);
		crowd->round = 0;
		while (fill(crowd, client))
			;
		close(client->fd);
	}
}

/* KiB that only the worker has. */
static unsigned long private_dirty(unsigned pid)
{
	char path[64], line[128];
	unsigned long kib = 0;

	snprintf(path, sizeof(path), "/proc/%u/smaps_rollup", pid);
	FILE *file = fopen(path, "r");

	if (!file)
		die(path);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "Private_Dirty: %lu kB", &kib);
	fclose(file);
	return kib;
}

static double bytes_each(const struct crowd *crowd, unsigned long before, unsigned long after)
{
	return ((double)after - (double)before) * 1024 / crowd->count;
}

static void run(struct crowd *crowd)
{
	unsigned long before = crowd->worker ? private_dirty(crowd->worker) : 0, idle = 0, used = 0;

	gather(crowd);
	if (crowd->worker)
		idle = private_dirty(crowd->worker);
	for (unsigned i = 0; i < crowd->rounds; i++)
		tell(crowd);
	if (crowd->worker)
		used = private_dirty(crowd->worker);
	leave(crowd);
	printf("%s: %u clients heard %u messages each, once and in order; p50 %.1f ms, p99 %.1f "
	       "ms, "
	       "max %.1f ms",
	        crowd->mode->name, crowd->count, crowd->rounds,
	        latency_us(&crowd->latency, 0.5) / 1e3, latency_us(&crowd->latency, 0.99) / 1e3,
	        (double)crowd->slowest / 1e6);
	if (crowd->worker)
		printf("; %.0f bytes of the worker each while idle, %.0f after the messages",
		        bytes_each(crowd, before, idle), bytes_each(crowd, before, used));
	printf("\n");
}

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	return NULL;
}

static void raise_descriptors(unsigned count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= count)
		return;
	limit.rlim_cur = count;
	if (limit.rlim_max < count)
		limit.rlim_max = count;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("can't have that many descriptors");
}

int main(int argc, char **argv)
{
	struct crowd crowd = { .count = 10000, .rounds = 5 };
	int option;

	while ((option = getopt(argc, argv, "m:a:n:r:p:")) != -1) {
		if (option == 'm')
			crowd.mode = find_mode(optarg);
		else if (option == 'a' && !address_parse(optarg, &crowd.address))
			fail("-a: expected unix:PATH or IPV4:PORT");
		else if (option == 'n')
			crowd.count = (unsigned)atoi(optarg);
		else if (option == 'r')
			crowd.rounds = (unsigned)atoi(optarg);
		else if (option == 'p')
			crowd.worker = (unsigned)atoi(optarg);
	}
	if (!crowd.mode || !crowd.address.length || !crowd.count || !crowd.rounds)
		fail("usage: crowd -m ws|poll -a ADDRESS [-n CLIENTS] [-r ROUNDS] [-p PID]");
	raise_descriptors(crowd.count + 64);
	crowd.epoll = epoll_create1(EPOLL_CLOEXEC);
	crowd.clients = calloc(crowd.count, sizeof(*crowd.clients));
	if (crowd.epoll < 0 || !crowd.clients)
		die("no memory");
	run(&crowd);
	return 0;
}
