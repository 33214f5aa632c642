/* The scoreboard of a running daemon: requests, bytes, and a worker's slot. */
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "tests/support/board.h"
#include "tests/support/client.h"

SUITE(slots);

#define HTTP     "-l", "http=127.0.0.1:0"
#define FCGI     "-l", "fastcgi=127.0.0.1:0"
#define NAPPER   DAEMON_APPS "napper.so"
#define GET_ONCE "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static bool handled(const struct counters *total)
{
	return total->requests > 0;
}

/* ---- requests ---- */

#define EACH 3

Test(slots, requests, .timeout = 60)
{
	static const char *const gates[] = { "fastcgi", "scgi", "uwsgi", "http" };
	static gate_variables variables = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/",
		"SERVER_PROTOCOL", "HTTP/1.1", "HTTP_HOST", "gate.test", NULL };
	static struct counters total;
	struct scoreboard *board;
	struct response response;
	struct daemon daemon;

	daemon_start(&daemon, 4, "-w", "2", HTTP, FCGI, "-l", "scgi=127.0.0.1:0", "-l",
	        "uwsgi=127.0.0.1:0", "hello", NULL);
	board = board_open(&daemon);
	for (size_t i = 0; i < COUNT(gates) * EACH; i++)
		for (size_t n = 0; n < daemon.count; n++)
			if (strcmp(daemon.listening[n].protocol, gates[i / EACH]) == 0) {
				gate_request(gates[i / EACH], daemon.listening[n].address,
				        variables, NULL, 0, &response);
				cr_expect_eq(response.status, 200);
				response_free(&response);
			}
	board_await(board, board_settled, &total);
	daemon_stop(&daemon);
	scoreboard_total(board, &total);
	cr_expect_eq(total.accepted, COUNT(gates) * EACH);
	cr_expect_eq(total.requests, COUNT(gates) * EACH);
	for (size_t i = 0; i < COUNT(gates); i++)
		cr_expect_eq(total.by_gate[i], EACH, "%s", gates[i]);
	cr_expect_eq(total.by_class[2], COUNT(gates) * EACH);
	cr_expect_eq(board_sum(total.by_class, 6), COUNT(gates) * EACH);
	cr_expect_eq(total.latency.count, COUNT(gates) * EACH);
	cr_expect_eq(total.queued.count, COUNT(gates) * EACH);
	scoreboard_free(board);
}

Test(slots, bytes, .timeout = 60)
{
	static struct counters total;
	struct scoreboard *board;
	struct client client;
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", HTTP, "hello", NULL);
	board = board_open(&daemon);
	client_open(&client, daemon_address(&daemon));
	client_send(&client, GET_ONCE, strlen(GET_ONCE));
	client_read_all(&client);
	board_await(board, board_settled, &total);
	cr_expect_eq(total.bytes_in, strlen(GET_ONCE));
	cr_expect_eq(total.bytes_out, client.in.length);
	client_close(&client);
	daemon_stop(&daemon);
	scoreboard_free(board);
}

/* ---- a worker's slot ---- */

/* The only slot in use. */
static const struct slot *only_slot(const struct scoreboard *board)
{
	const struct slot *found = NULL;

	for (size_t i = 0; i < scoreboard_count(board); i++)
		if (board->slots[i].state != WORKER_NONE) {
			cr_assert(!found, "two workers");
			found = &board->slots[i];
		}
	cr_assert(found, "no worker");
	return found;
}

static void ask(struct client *client, const struct daemon *daemon, const char *request)
{
	client_open(client, daemon_address(daemon));
	client_send(client, request, strlen(request));
	client_flush(client);
}

Test(slots, while_a_handler_waits, .timeout = 60)
{
	static struct counters total;
	struct scoreboard *board;
	struct client client;
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", HTTP, NAPPER, NULL);
	board = board_open(&daemon);
	const struct slot *slot = only_slot(board);
	uint64_t rss, cpu;

	cr_expect_eq(slot->state, WORKER_SERVING);
	cr_expect_eq(slot->pid, daemon_worker(&daemon, 0));
	cr_expect_eq(slot->number, 1);
	cr_expect_eq(slot->generation, 1);
	cr_expect_geq(slot->started, board->started);
	scoreboard_measure(slot, &rss, &cpu);
	cr_expect_geq(rss, 100 * 1024);
	ask(&client, &daemon, "GET /?ms=3600000 HTTP/1.1\r\nHost: a\r\n\r\n");
	board_await(board, handled, &total);
	for (int64_t deadline = deadline_in(PATIENCE);
	        __atomic_load_n(&slot->entered, __ATOMIC_RELAXED) || !slot->running.since;) {
		cr_assert(deadline_left(deadline) > 0, "the handler never waits");
		poll(NULL, 0, 1);
	}
	cr_expect_eq(slot->connections, 1);
	cr_expect_eq(slot->in_flight, 1);
	cr_expect_str_eq(slot->running.method, "GET");
	cr_expect_str_eq(slot->running.uri, "/?ms=3600000");
	cr_expect_geq(slot->beat, slot->started);
	client_close(&client);
	board_await(board, board_settled, &total);
	cr_expect_eq(slot->connections, 0);
	cr_expect_eq(slot->in_flight, 0);
	cr_expect_eq(total.by_class[0] + total.by_class[5], 1, "told that its client has gone");
	daemon_stop(&daemon);
	scoreboard_free(board);
}

static bool two_requests(const struct counters *total)
{
	return total->requests == 2;
}

/* A worker that is killed leaves its figures, and its successor goes on from there. */
Test(slots, outlive_a_worker, .timeout = 60)
{
	static struct counters total;
	struct scoreboard *board;
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", HTTP, "hello", NULL);
	board = board_open(&daemon);
	for (int i = 0; i < 2; i++) {
		pid_t worker = daemon_worker(&daemon, 0);

		http_check(daemon_address(&daemon), "/", 200, NULL);
		board_await(board, board_settled, &total);
		if (i)
			break;
		kill(worker, SIGKILL);
		daemon_worker(&daemon, worker);
	}
	board_await(board, two_requests, &total);
	cr_expect_eq(total.accepted, 2);
	cr_expect_eq(board->deaths, 1);
	daemon_stop(&daemon);
	scoreboard_free(board);
}
