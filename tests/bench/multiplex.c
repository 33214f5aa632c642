/* FastCGI with several requests at a time on each connection, told apart by their ids. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

#define INPUT_MAX (8 + 65535 + 255) /* a record */
#define EVENTS    64

struct stream {
	uint64_t since;          /* ns; 0: no request is on its way */
	struct gate_buffer text; /* what came as STDOUT */
};

struct line {
	int fd;
	unsigned busy; /* streams */
	size_t kept;   /* bytes of a record that is not whole yet */
	size_t sent;   /* of `out` */
	struct gate_buffer out;
	struct stream *streams;
	uint8_t input[INPUT_MAX];
};

struct multiplex {
	struct load *load;
	struct gate_buffer *requests; /* by stream: each has an id of its own */
	struct line *lines;
};

static void give(struct line *line)
{
	while (line->sent < line->out.length) {
		ssize_t n = send(line->fd, line->out.bytes + line->sent,
		        line->out.length - line->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return; /* an event tells when there is room, or that there is no peer */
		line->sent += (size_t)n;
	}
	line->sent = line->out.length = 0;
}

static void begin(struct multiplex *multiplex, struct line *line, unsigned id, uint64_t now)
{
	const struct gate_buffer *request = &multiplex->requests[id - 1];

	line->streams[id - 1].since = now;
	line->streams[id - 1].text.length = 0;
	line->busy++;
	multiplex->load->begun++;
	gate_add(&line->out, request->bytes, request->length);
}

static void close_line(struct multiplex *multiplex, struct line *line)
{
	struct load *load = multiplex->load;

	load->done += line->busy;
	load->errors += line->busy; /* no answer comes any more */
	line->busy = 0;
	close(line->fd);
	load->open--;
}

/* An END_REQUEST: the answer is whole. */
static void finish(struct multiplex *multiplex, struct line *line, unsigned id, bool right)
{
	struct load *load = multiplex->load;
	struct stream *stream = &line->streams[id - 1];
	uint64_t now = load_now();

	right = right &&
	        gate_judge_cgi(stream->text.bytes, stream->text.length, &load->body) == GATE_RIGHT;
	load->done++;
	load->errors += !right;
	if (right)
		latency_add(&load->latency, now - stream->since);
	stream->since = 0;
	line->busy--;
	if (load_may_begin(load, now))
		begin(multiplex, line, id, now);
}

/* False: no record of FastCGI, or for nobody. */
static bool take_record(struct multiplex *multiplex, struct line *line, const uint8_t *record)
{
	enum { END_REQUEST = 3, STDOUT = 6 };
	unsigned id = (unsigned)record[2] << 8 | record[3];
	size_t content = (size_t)record[4] << 8 | record[5];

	if (record[0] != 1 || id < 1 || id > multiplex->load->streams ||
	        !line->streams[id - 1].since)
		return false;
	if (record[1] == STDOUT)
		gate_add(&line->streams[id - 1].text, record + 8, content);
	else if (record[1] == END_REQUEST)
		finish(multiplex, line, id, content == 8 && record[12] == 0);
	return true;
}

/* False: the connection is over. */
static bool take(struct multiplex *multiplex, struct line *line)
{
	ssize_t n;

	while ((n = recv(line->fd, line->input + line->kept, INPUT_MAX - line->kept,
	                MSG_DONTWAIT)) > 0) {
		size_t length = line->kept + (size_t)n, at = 0;

		while (length - at >= 8) {
			const uint8_t *record = line->input + at;
			size_t whole = 8 + ((size_t)record[4] << 8 | record[5]) + record[6];

			if (length - at < whole)
				break;
			if (!take_record(multiplex, line, record))
				return false;
			at += whole;
		}
		line->kept = length - at;
		memmove(line->input, line->input + at, line->kept);
	}
	return n < 0 && errno == EAGAIN && line->busy;
}

static void open_line(struct multiplex *multiplex, struct line *line)
{
	struct load *load = multiplex->load;
	const struct sockaddr *to = (const struct sockaddr *)&load->address.socket;
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = line };

	line->streams = calloc(load->streams, sizeof(*line->streams));
	line->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!line->streams || line->fd < 0 || connect(line->fd, to, load->address.length) < 0 ||
	        epoll_ctl(load->epoll, EPOLL_CTL_ADD, line->fd, &event) < 0)
		load_die("connect");
	load->open++;
	for (unsigned id = 1; id <= load->streams && load_may_begin(load, load_now()); id++)
		begin(multiplex, line, id, load_now());
	give(line);
}

static void prepare(struct multiplex *multiplex)
{
	struct load *load = multiplex->load;

	multiplex->lines = calloc(load->conn_count, sizeof(*multiplex->lines));
	multiplex->requests = calloc(load->streams, sizeof(*multiplex->requests));
	if (!multiplex->lines || !multiplex->requests)
		load_die("start");
	for (unsigned i = 0; i < load->streams; i++) {
		struct gate_request asked = load->asked;

		asked.id = (uint16_t)(i + 1);
		load->gate->request(&multiplex->requests[i], &asked);
	}
	for (unsigned i = 0; i < load->conn_count; i++)
		open_line(multiplex, &multiplex->lines[i]);
}

static void release(struct multiplex *multiplex)
{
	struct load *load = multiplex->load;

	for (unsigned i = 0; i < load->conn_count; i++) {
		for (unsigned s = 0; s < load->streams; s++)
			free(multiplex->lines[i].streams[s].text.bytes);
		free(multiplex->lines[i].streams);
		free(multiplex->lines[i].out.bytes);
	}
	for (unsigned i = 0; i < load->streams; i++)
		free(multiplex->requests[i].bytes);
	free(multiplex->lines);
	free(multiplex->requests);
}

void multiplex_run(struct load *load)
{
	struct multiplex multiplex = { .load = load };
	struct epoll_event events[EVENTS];

	prepare(&multiplex);
	while (load->open) {
		int count = epoll_wait(load->epoll, events, EVENTS, 10000);

		if (count == 0) {
			fprintf(stderr, "gateload: no answer in 10 s\n");
			load->errors++;
			break;
		}
		for (int i = 0; i < count; i++) {
			struct line *line = events[i].data.ptr;

			if (take(&multiplex, line))
				give(line);
			else
				close_line(&multiplex, line);
		}
	}
	release(&multiplex);
}
