/* The scoreboard of a running daemon: each refusal and each end of a connection counts once. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/board.h"
#include "tests/support/client.h"

SUITE(counters);

#define HTTP "-l", "http=127.0.0.1:0"
#define FCGI "-l", "fastcgi=127.0.0.1:0"

static bool all_answered(const struct counters *total)
{
	return total->requests > 0 && board_sum(total->by_class, 6) == total->requests;
}

static bool handled(const struct counters *total)
{
	return total->requests > 0;
}

static bool came(const struct counters *total)
{
	return total->bytes_in > 0;
}

/* ---- rows: what is done, and the only error that it may count as ---- */

enum act {
	READS,   /* to the end of the connection */
	TAKES,   /* what comes as an answer, then closes */
	CLOSES,  /* at once */
	RESETS,  /* once the worker has read what was sent */
	STALLS,  /* reads nothing until the worker has closed */
	STOPS,   /* SIGTERM to the master, once the request is answered */
	IMPEDES, /* the same, once the handler runs */
};

struct row {
	const char *name, *arguments[10];
	const char *send;
	void (*build)(struct bytes *out);
	enum act act;
};

static void send_row(struct client *client, const struct row *row, struct bytes *out)
{
	if (row->build)
		row->build(out);
	else
		bytes_text(out, row->send);
	client_send(client, out->data, out->length);
	client_flush(client);
}

static void reset(struct client *client)
{
	const struct linger hard = { 1, 0 };

	setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

static void act(const struct row *row, struct daemon *daemon, struct client *client,
        const struct scoreboard *board, struct counters *total)
{
	switch (row->act) {
	case READS:
		client_read_all(client);
		break;
	case TAKES:
		cr_assert(client_fill(client), "%s: no answer", row->name);
		break;
	case CLOSES:
		break;
	case RESETS:
		board_await(board, came, total);
		reset(client);
		break;
	case STALLS:
		board_await(board, board_settled, total);
		break;
	case STOPS:
	case IMPEDES:
		board_await(board, row->act == STOPS ? all_answered : handled, total);
		kill(daemon->process.pid, SIGTERM);
		client_read_all(client);
	}
	client_close(client);
}

static void run_row(const struct row *row, struct counters *total)
{
	const char *const *with = row->arguments;
	struct bytes out = { 0 };
	struct scoreboard *board;
	struct client client;
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", with[0], with[1], with[2], with[3], with[4], with[5],
	        with[6], with[7], with[8], NULL);
	board = board_open(&daemon);
	client_open(&client, daemon_address(&daemon));
	send_row(&client, row, &out);
	act(row, &daemon, &client, board, total);
	board_await(board, board_settled, total);
	if (row->act == STOPS || row->act == IMPEDES)
		daemon_end(&daemon, 0, false);
	else
		daemon_stop(&daemon);
	scoreboard_total(board, total);
	scoreboard_free(board);
	bytes_free(&out);
}

/* The errors counted: `refused` and `closed` once each, where they are not 0; nothing else. */
static void check_errors(const char *name, const struct counters *total, size_t refused,
        size_t closed, bool is_refused)
{
	for (size_t i = 0; i < REFUSAL_COUNT; i++)
		cr_expect_eq(total->refused[i], is_refused && i == refused, "%s: %llu refused: %s",
		        name, (unsigned long long)total->refused[i], refusals[i].symbol);
	for (size_t i = 0; i < CLOSE_REASON_COUNT; i++)
		cr_expect(!close_reasons[i].is_error ||
		                  total->closed[i] == (!is_refused && i == closed),
		        "%s: %llu closed: %s", name, (unsigned long long)total->closed[i],
		        close_reasons[i].symbol);
	cr_expect(is_refused || total->closed[closed] == 1, "%s: %llu closed: %s", name,
	        (unsigned long long)total->closed[closed], close_reasons[closed].symbol);
}

/* ---- refusals ---- */

static void long_text(struct bytes *out, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes_text(out, "a");
}

static void long_line(struct bytes *out)
{
	bytes_text(out, "GET /");
	long_text(out, 5000);
	bytes_text(out, " HTTP/1.1\r\nHost: a\r\n\r\n");
}

static void long_field(struct bytes *out)
{
	bytes_text(out, "GET / HTTP/1.1\r\nHost: a\r\nX-Long: ");
	long_text(out, 5000);
	bytes_text(out, "\r\n\r\n");
}

static void many_fields(struct bytes *out)
{
	bytes_text(out, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < 40; i++)
		bytes_printf(out, "X-%d: a\r\n", i);
	bytes_text(out, "\r\n");
}

static void many_parameters(struct bytes *out)
{
	static gate_variables variables = { "REQUEST_METHOD", "GET", "A", "", "B", "", "C", "", "D",
		"", "E", "", "F", "", "G", "", "H", "", "I", "", "J", "", "K", "", "L", "", "M", "",
		"N", "", "O", "", "P", "", "Q", "", "R", "", NULL };

	fastcgi_build(out, 1, 0, variables, NULL, 0);
}

static void large_block(struct bytes *out)
{
	bytes_add(out, "\0\xff\xff\0", 4);
}

static void chunks_too_many(struct bytes *out)
{
	bytes_text(out, "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 20; i++)
		bytes_text(out, "a\r\n0123456789\r\n");
	bytes_text(out, "0\r\n\r\n");
}

static void filter_role(struct bytes *out)
{
	fastcgi_record(out, FASTCGI_BEGIN, 1, "\0\3\1\0\0\0\0\0", 8);
}

/* One more than a connection may have open. */
static void eleven_open(struct bytes *out)
{
	for (unsigned id = 1; id <= 11; id++)
		fastcgi_record(out, FASTCGI_BEGIN, id, "\0\1\1\0\0\0\0\0", 8);
}

#define NAPPER DAEMON_APPS "napper.so"
#define SIZE   "-s", "limits.header_size=4K"
#define COUNTS "-s", "limits.variables=16"
#define BODY   "-s", "limits.body_size=100"

static const struct {
	struct row row;
	enum refusal refusal;
} refusal_rows[] = {
	{ { "no Host", { HTTP, "hello" }, "GET / HTTP/1.1\r\n\r\n", NULL, READS },
	        REFUSAL_PROTOCOL },
	{ { "CONNECT", { HTTP, "hello" }, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", NULL,
	          READS },
	        REFUSAL_PROTOCOL },
	{ { "HTTP/2.0", { HTTP, "hello" }, "GET / HTTP/2.0\r\nHost: a\r\n\r\n", NULL, READS },
	        REFUSAL_PROTOCOL },
	{ { "bad chunk", { HTTP, NAPPER },
	          "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", NULL,
	          READS },
	        REFUSAL_PROTOCOL },
	{ { "long line", { HTTP, SIZE, "hello" }, NULL, long_line, READS }, REFUSAL_HEADER_SIZE },
	{ { "long field", { HTTP, SIZE, "hello" }, NULL, long_field, READS }, REFUSAL_HEADER_SIZE },
	{ { "large block", { "-l", "uwsgi=127.0.0.1:0", SIZE, "hello" }, NULL, large_block, READS },
	        REFUSAL_HEADER_SIZE },
	{ { "many fields", { HTTP, COUNTS, "hello" }, NULL, many_fields, READS },
	        REFUSAL_VARIABLES },
	{ { "many parameters", { FCGI, COUNTS, "hello" }, NULL, many_parameters, READS },
	        REFUSAL_VARIABLES },
	{ { "Content-Length", { HTTP, BODY, "hello" },
	          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", NULL, READS },
	        REFUSAL_BODY_SIZE },
	{ { "chunks", { HTTP, BODY, NAPPER }, NULL, chunks_too_many, READS }, REFUSAL_BODY_SIZE },
	{ { "half a head", { HTTP, "-s", "limits.header_timeout=100ms", "hello" },
	          "GET / HTTP/1.1\r\nHost", NULL, READS },
	        REFUSAL_HEADER_TIMEOUT },
	{ { "half a body", { HTTP, "-s", "limits.body_timeout=100ms", NAPPER },
	          "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", NULL, READS },
	        REFUSAL_BODY_TIMEOUT },
	{ { "open requests", { FCGI, "hello" }, NULL, eleven_open, TAKES }, REFUSAL_OPEN_REQUESTS },
	{ { "role", { FCGI, "hello" }, NULL, filter_role, TAKES }, REFUSAL_ROLE },
	{ { "client", { HTTP, "-s", "listen.allowed_clients=10.0.0.1", "hello" }, "", NULL, READS },
	        REFUSAL_CLIENT },
};

Test(counters, refused, .timeout = 120)
{
	static struct counters total;

	for (size_t i = 0; i < COUNT(refusal_rows); i++) {
		const struct row *row = &refusal_rows[i].row;

		run_row(row, &total);
		check_errors(row->name, &total, refusal_rows[i].refusal, 0, true);
	}
}

/* RLIMIT_FSIZE takes the scoreboard, but not the body. */
static void large_body(struct bytes *out)
{
	char *noise = support_noise(17 << 20);

	http_build(out, "POST", "/", NULL, noise, 17 << 20);
	free(noise);
}

Test(counters, disk_full, .timeout = 120)
{
	static const struct row row = { "disk full", { HTTP, "echo" }, NULL, large_body, READS };
	const struct rlimit small = { 16 << 20, 16 << 20 };
	static struct counters total;

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	run_row(&row, &total);
	check_errors(row.name, &total, REFUSAL_DISK_FULL, 0, true);
	cr_expect_eq(total.by_class[5], 1);
}

/* ---- ends of connections ---- */

static void answer_record(struct bytes *out)
{
	fastcgi_record(out, 6, 1, "", 0);
}

#define GET_ONCE "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#define GET_KEEP "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define PROXIED  "-s", "listen.proxy_protocol=on", "-s"

static const struct {
	struct row row;
	enum close_reason reason;
} close_rows[] = {
	{ { "answered", { HTTP, "hello" }, GET_ONCE, NULL, READS }, CLOSE_ANSWERED },
	{ { "peer", { HTTP, "hello" }, "", NULL, CLOSES }, CLOSE_PEER },
	{ { "reset", { HTTP, "hello" }, "GET / HT", NULL, RESETS }, CLOSE_RESET },
	{ { "bad", { FCGI, "hello" }, NULL, answer_record, READS }, CLOSE_BAD },
	{ { "foreign", { "-l", "127.0.0.1:0", "hello" }, "\x16\x03\x01", NULL, READS },
	        CLOSE_FOREIGN },
	{ { "untrusted", { HTTP, PROXIED, "listen.trusted_proxies=10.0.0.1", "hello" }, "", NULL,
	          READS },
	        CLOSE_UNTRUSTED },
	{ { "proxy", { HTTP, PROXIED, "listen.trusted_proxies=127.0.0.1", "hello" }, GET_ONCE, NULL,
	          READS },
	        CLOSE_PROXY },
	{ { "silent", { HTTP, "-s", "limits.header_timeout=100ms", "hello" }, "", NULL, READS },
	        CLOSE_HEADER_TIMEOUT },
	{ { "body behind its answer", { HTTP, "-s", "limits.body_timeout=100ms", "hello" },
	          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", NULL, READS },
	        CLOSE_BODY_TIMEOUT },
	{ { "stalled", { HTTP, "-s", "limits.write_timeout=100ms", DAEMON_APPS "download.so" },
	          "GET /64 HTTP/1.1\r\nHost: a\r\n\r\n", NULL, STALLS },
	        CLOSE_WRITE_TIMEOUT },
	{ { "idle", { HTTP, "-s", "listen.keepalive_timeout=100ms", "hello" }, GET_KEEP, NULL,
	          READS },
	        CLOSE_IDLE },
	{ { "drained", { HTTP, "hello" }, GET_KEEP, NULL, STOPS }, CLOSE_DRAINED },
	{ { "cut", { HTTP, "-s", "daemon.graceful_timeout=100ms", NAPPER },
	          "GET /?ms=3600000 HTTP/1.1\r\nHost: a\r\n\r\n", NULL, IMPEDES },
	        CLOSE_CUT },
};

Test(counters, closed, .timeout = 120)
{
	static struct counters total;

	for (size_t i = 0; i < COUNT(close_rows); i++) {
		const struct row *row = &close_rows[i].row;

		run_row(row, &total);
		check_errors(row->name, &total, 0, close_rows[i].reason, false);
	}
}
