/*
 * The floor: a server that does no more for a request than the protocol makes it do. It finds where
 * the request and its body end, looks at nothing else in it, and sends the bytes that anygate's
 * hello sends. One process, one epoll; a new connection is read at once and meets epoll only if it
 * stays.
 *
 *	floor -P fastcgi|scgi|uwsgi|http -a unix:PATH|IPV4:PORT [-k | -b]
 *
 * -k: connections stay open after an answer (fastcgi, http). -b: no epoll; accept, read, write and
 * close block, one connection after the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "address.h"

#define READ_MAX     65536
#define ACCEPT_BATCH 64
#define EVENTS       64

struct conn {
	bool watched;
	bool body;     /* `left` is what the request ends with */
	uint64_t left; /* bytes to come at which nobody looks */
	size_t kept;   /* bytes of a head or a record that is not whole yet */
	uint8_t *bytes;
};

enum frame {
	FRAME_MORE, /* what there is does not suffice */
	FRAME_PART, /* goes on after these bytes and those left of the connection */
	FRAME_LAST, /* ends after these and those */
	FRAME_NONE, /* no request */
};

struct server {
	/* looks at a request, or at what follows a part of it; sets how many bytes were used, and
	 * `left` where some follow at which there is no need to look */
	enum frame (*frame)(const uint8_t *data, size_t length, size_t *used, uint64_t *left);
	bool keep, blocking;
	char answer[512];
	size_t answer_length;
	int epoll, listener, conn_max;
	struct conn *conns; /* by descriptor */
	uint8_t scratch[READ_MAX];
};

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- the protocols ---- */

static uint64_t number_at(const uint8_t *at, const uint8_t *end)
{
	uint64_t number = 0;

	while (at < end && *at >= '0' && *at <= '9')
		number = number * 10 + *at++ - '0';
	return number;
}

static enum frame frame_http(const uint8_t *data, size_t length, size_t *used, uint64_t *left)
{
	static const char name[] = "\r\nContent-Length: ";
	const uint8_t *end = memmem(data, length, "\r\n\r\n", 4);

	if (!end)
		return FRAME_MORE;
	*used = (size_t)(end + 4 - data);
	if (*data == 'P') {
		const uint8_t *at = memmem(data, *used, name, sizeof(name) - 1);

		*left = at ? number_at(at + sizeof(name) - 1, end) : 0;
	}
	return FRAME_LAST;
}

static enum frame frame_scgi(const uint8_t *data, size_t length, size_t *used, uint64_t *left)
{
	static const char name[] = "CONTENT_LENGTH"; /* and its NUL: it comes first */
	size_t head = 0, at = 0;

	while (at < length && data[at] >= '0' && data[at] <= '9' && at < 6)
		head = head * 10 + data[at++] - '0';
	if (at == length)
		return FRAME_MORE;
	if (data[at] != ':' || head < sizeof(name))
		return FRAME_NONE;
	if (length < at + head + 2)
		return FRAME_MORE;
	*used = at + head + 2;
	*left = number_at(data + at + 1 + sizeof(name), data + *used);
	return FRAME_LAST;
}

/* What precedes a body's length, which gateload sends first as nginx does for SCGI. */
static enum frame frame_uwsgi(const uint8_t *data, size_t length, size_t *used, uint64_t *left)
{
	enum { LENGTH_AT = 4 + 2 + 14 };
	size_t whole = length < 4 ? 4 : 4 + (data[1] | (size_t)data[2] << 8);

	if (length < whole)
		return FRAME_MORE;
	if (whole < LENGTH_AT + 2)
		return FRAME_NONE;
	*used = whole;
	*left = number_at(data + LENGTH_AT + 2, data + LENGTH_AT + 2 + data[LENGTH_AT]);
	return FRAME_LAST;
}

static enum frame frame_fastcgi(const uint8_t *data, size_t length, size_t *used, uint64_t *left)
{
	enum { STDIN = 5 };
	size_t at = 0;

	while (length - at >= 8) {
		const uint8_t *record = data + at;
		size_t content = (size_t)record[4] << 8 | record[5],
		       whole = 8 + content + record[6];

		if (record[0] != 1)
			return FRAME_NONE;
		if (record[1] == STDIN && !content) {
			*used = at + whole;
			return FRAME_LAST;
		}
		if (length - at < whole) {
			if (record[1] != STDIN)
				break;
			*used = length;
			*left = whole - (length - at);
			return FRAME_PART;
		}
		at += whole;
	}
	*used = at;
	return at ? FRAME_PART : FRAME_MORE;
}

#define BODY "Hello, world\n"
#define CGI  "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\n"

static void add(struct server *server, const void *data, size_t length)
{
	memcpy(server->answer + server->answer_length, data, length);
	server->answer_length += length;
}

static void add_record(struct server *server, uint8_t type, const char *content, uint8_t length)
{
	add(server, (uint8_t[]){ 1, type, 0, 1, 0, length, 0, 0 }, 8);
	add(server, content, length);
}

static void answer_fastcgi(struct server *server)
{
	enum { END_REQUEST = 3, STDOUT = 6 };
	static const char head[] = "Status: 200 OK\r\n" CGI;

	add_record(server, STDOUT, head, sizeof(head) - 1);
	add_record(server, STDOUT, BODY, sizeof(BODY) - 1);
	add_record(server, STDOUT, "", 0);
	add_record(server, END_REQUEST, "\0\0\0\0\0\0\0", 8);
}

static void answer_scgi(struct server *server)
{
	static const char text[] = "Status: 200 OK\r\n" CGI BODY;

	add(server, text, sizeof(text) - 1);
}

static void answer_uwsgi(struct server *server)
{
	static const char text[] = "HTTP/1.1 200 OK\r\n" CGI BODY;

	add(server, text, sizeof(text) - 1);
}

static void answer_http(struct server *server)
{
	time_t now = time(NULL);
	char date[64], text[256];

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
	int length = snprintf(text, sizeof(text),
	        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: %s\r\n"
	        "Content-Length: 13\r\n%s\r\n" BODY,
	        date, server->keep ? "" : "Connection: close\r\n");

	add(server, text, (size_t)length);
}

static const struct {
	const char *name;
	enum frame (*frame)(const uint8_t *data, size_t length, size_t *used, uint64_t *left);
	void (*answer)(struct server *server);
} gates[] = {
	{ "fastcgi", frame_fastcgi, answer_fastcgi },
	{ "scgi", frame_scgi, answer_scgi },
	{ "uwsgi", frame_uwsgi, answer_uwsgi },
	{ "http", frame_http, answer_http },
};

/* ---- the server ---- */

static void drop(struct conn *conn, int fd)
{
	free(conn->bytes);
	*conn = (struct conn){ 0 };
	close(fd);
}

static void keep(struct conn *conn, const uint8_t *data, size_t length)
{
	if (!conn->bytes)
		conn->bytes = malloc(READ_MAX);
	if (!conn->bytes)
		die("malloc");
	if (length)
		memmove(conn->bytes, data, length);
	conn->kept = length;
}

/* Nobody looks at these bytes; returns how many there were. */
static size_t skip(struct conn *conn, size_t length)
{
	size_t some = conn->left < length ? (size_t)conn->left : length;

	conn->left -= some;
	return some;
}

/* Sends the answer; false when the connection has to go. */
static bool answer(struct server *server, int fd)
{
	return write(fd, server->answer, server->answer_length) == (ssize_t)server->answer_length &&
	       server->keep;
}

/* Answers every whole request; false when the connection has to go. */
static bool answer_all(struct server *server, int fd, const uint8_t *data, size_t length)
{
	struct conn *conn = &server->conns[fd];
	enum frame frame = FRAME_PART;

	while (length && frame != FRAME_MORE) {
		size_t used = skip(conn, length);

		if (!used) {
			frame = server->frame(data, length, &used, &conn->left);
			if (frame == FRAME_NONE)
				return false;
			conn->body = frame == FRAME_LAST;
		}
		data += used;
		length -= used;
		if (conn->body && !conn->left) {
			conn->body = false;
			if (!answer(server, fd))
				return false;
		}
	}
	if (length == READ_MAX)
		return false;
	if (length || conn->kept)
		keep(conn, data, length);
	return true;
}

static void serve(struct server *server, int fd)
{
	struct conn *conn = &server->conns[fd];
	uint8_t *into = conn->kept ? conn->bytes : server->scratch;
	ssize_t n = read(fd, into + conn->kept, READ_MAX - conn->kept);

	if (n == 0 || (n < 0 && errno != EAGAIN) ||
	        (n > 0 && !answer_all(server, fd, into, conn->kept + (size_t)n))) {
		drop(conn, fd);
		return;
	}
	if (conn->watched)
		return;
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
	conn->watched = true;
}

static void accept_some(struct server *server)
{
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		if (fd >= server->conn_max)
			close(fd);
		else
			serve(server, fd);
	}
}

static void server_open(struct server *server, const struct address *address)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max < 65536 ? files.rlim_max : 65536;
	setrlimit(RLIMIT_NOFILE, &files);
	server->conn_max = (int)files.rlim_cur;
	server->conns = calloc((size_t)server->conn_max, sizeof(*server->conns));
	server->listener = address_listen(address);
	if (!server->conns || server->listener < 0)
		die("listen");
	if (server->blocking)
		return;
	fcntl(server->listener, F_SETFL, O_NONBLOCK);
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	event.data.fd = server->listener;
	if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &event) < 0)
		die("epoll_ctl");
}

static void server_run(struct server *server)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int count = epoll_wait(server->epoll, events, EVENTS, -1);

		for (int i = 0; i < count; i++)
			if (events[i].data.fd == server->listener)
				accept_some(server);
			else
				serve(server, events[i].data.fd);
	}
}

/* Connections one by one; a request that is not there yet is waited for. */
static void server_run_blocking(struct server *server)
{
	for (;;) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			die("accept4");
		for (bool open = fd < server->conn_max; open;) {
			struct conn *conn = &server->conns[fd];
			uint8_t *into = conn->kept ? conn->bytes : server->scratch;
			ssize_t n = read(fd, into + conn->kept, READ_MAX - conn->kept);

			open = n > 0 && answer_all(server, fd, into, conn->kept + (size_t)n);
		}
		drop(&server->conns[fd], fd);
	}
}

static int usage(void)
{
	fputs("usage: floor -P fastcgi|scgi|uwsgi|http -a unix:PATH|IPV4:PORT [-k | -b]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static struct server server;
	struct address address = { 0 };
	const char *name = "";

	for (int option; (option = getopt(argc, argv, "P:a:kb")) != -1;) {
		if (option == 'P')
			name = optarg;
		else if (option == 'k')
			server.keep = true;
		else if (option == 'b')
			server.blocking = true;
		else if (option != 'a' || !address_parse(optarg, &address))
			return usage();
	}
	for (size_t i = 0; i < sizeof(gates) / sizeof(*gates); i++)
		if (strcmp(gates[i].name, name) == 0) {
			server.frame = gates[i].frame;
			gates[i].answer(&server);
		}
	if (!server.frame || !address.length || (server.keep && server.blocking))
		return usage();
	server_open(&server, &address);
	if (server.blocking)
		server_run_blocking(&server);
	server_run(&server);
}
