/* More than can be answered in time: what has waited too long is answered 503 at once. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/board.h"
#include "tests/support/client.h"

SUITE(overload);

#define HOLD DAEMON_APPS "hold.so"
#define FOUR                                                                                       \
	"-w", "1", "-l", "fastcgi=127.0.0.1:0", "-l", "scgi=127.0.0.1:0", "-l",                    \
	        "uwsgi=127.0.0.1:0", "-l", "http=127.0.0.1:0"
#define GATES 4
#define HTTP  3

static gate_variables get = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/", NULL };
static gate_variables post = { "REQUEST_METHOD", "POST", "REQUEST_URI", "/", NULL };

static void expect_served(struct response *response, const char *what)
{
	cr_expect_eq(response->status, 200, "%s: %d", what, response->status);
	response_free(response);
}

static void expect_shed(struct response *response, const char *what)
{
	cr_expect_eq(response->status, 503, "%s: %d", what, response->status);
	cr_expect_str_eq(response_field(response, "Retry-After"), "1", "%s", what);
	cr_expect(response->whole, "%s", what);
	cr_expect(strstr(response->body.data, "try again"), "%s", what);
	response_free(response);
}

static void check_get(const struct listening *at)
{
	struct response response;

	gate_request(at->protocol, at->address, get, NULL, 0, &response);
	expect_served(&response, at->protocol);
}

/* ---- the worker is held up: what comes then waits in the queue ---- */

/* Longer than shed_after, which is a second here; it begins when all have connected. */
#define HELD_MS "1500"
#define SHED    "-s", "listen.shed_after=1s"

static bool handled(const struct counters *total)
{
	return total->requests > 0;
}

static bool all_answered(const struct counters *total)
{
	return board_sum(total->by_class, 6) ==
	       total->requests + board_sum(total->refused, REFUSAL_COUNT);
}

static void hold(struct client *client, const char *address, const struct scoreboard *board)
{
	static struct counters total;
	char target[300];

	snprintf(target, sizeof target, "/hold?file=%s&ms=" HELD_MS, support_path("go"));
	client_open(client, address);
	http_ask(client, target);
	board_await(board, handled, &total);
}

static void let_go(struct client *client)
{
	struct response response;

	close(open(support_path("go"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	client_response(client, "GET", &response);
	expect_served(&response, "the one that held it up");
}

/* Of each gate's queue, and one of each kind. */
#define EACH 3

static void queue_up(const struct daemon *daemon, struct client clients[GATES][EACH])
{
	char *body = support_noise(20000);

	for (size_t i = 0; i < GATES; i++) {
		const struct listening *at = &daemon->listening[i];

		for (size_t j = 0; j < EACH; j++)
			gate_ask(at->protocol, at->address, j ? get : post, j ? NULL : body,
			        j ? 0 : 20000, &clients[i][j]);
	}
	free(body);
}

static void expect_all_shed(const struct daemon *daemon, struct client clients[GATES][EACH])
{
	struct response response;

	for (size_t i = 0; i < GATES; i++)
		for (size_t j = 0; j < EACH; j++) {
			const char *protocol = daemon->listening[i].protocol;

			gate_answer(protocol, &clients[i][j], &response);
			expect_shed(&response, protocol);
		}
}

static size_t count_text(const char *text, const char *what)
{
	size_t count = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		count++;
	}
	return count;
}

/* When the queues have been empty for a while, each listener says how many it was. */
static void await_calm(struct daemon *daemon, size_t listeners)
{
	size_t from = 0;

	for (size_t i = 0; i < listeners; i++)
		from = process_expect(
		        &daemon->process, "requests were answered 503 since then", from);
}

static void check_sheds(struct daemon *daemon, const struct scoreboard *board, size_t shed)
{
	static struct counters total;

	board_await(board, all_answered, &total);
	cr_expect_eq(total.refused[REFUSAL_SHED], shed, "%llu",
	        (unsigned long long)total.refused[REFUSAL_SHED]);
	cr_expect_eq(board_sum(total.refused, REFUSAL_COUNT), shed);
	cr_expect_eq(total.by_class[2], total.requests, "no handler saw one");
	cr_expect_eq(count_text(daemon_text(daemon), "wait longer than listen.shed_after"),
	        count_text(daemon_text(daemon), "answered 503 since then"));
}

Test(overload, what_waited_is_shed, .timeout = 120)
{
	struct client holder, clients[GATES][EACH];
	struct scoreboard *board;
	struct daemon daemon;

	daemon_start(&daemon, GATES, FOUR, SHED, HOLD, NULL);
	board = board_open(&daemon);
	hold(&holder, daemon.listening[HTTP].address, board);
	queue_up(&daemon, clients);
	let_go(&holder);
	expect_all_shed(&daemon, clients);
	await_calm(&daemon, GATES);
	cr_expect_eq(count_text(daemon_text(&daemon), ": 3 requests were"), GATES);
	for (size_t i = 0; i < GATES; i++)
		check_get(&daemon.listening[i]);
	client_close(&holder);
	check_sheds(&daemon, board, GATES * EACH);
	daemon_stop(&daemon);
	scoreboard_free(board);
}

/* Not in the queue: another request of a connection that is open, and one that is sent later. */
Test(overload, only_what_waited_is_shed, .timeout = 120)
{
	struct client holder, open, idle, shed;
	struct response response;
	struct scoreboard *board;
	struct daemon daemon;

	daemon_start(&daemon, GATES, FOUR, SHED, HOLD, NULL);
	const char *address = daemon.listening[HTTP].address;

	board = board_open(&daemon);
	client_open(&open, address);
	http_ask(&open, "/");
	client_response(&open, "GET", &response);
	expect_served(&response, "the first of a connection");
	hold(&holder, address, board);
	http_ask(&open, "/");
	client_open(&idle, address);
	client_open(&shed, address);
	http_ask(&shed, "/");
	let_go(&holder);
	client_response(&open, "GET", &response);
	expect_served(&response, "the second of a connection");
	client_response(&shed, "GET", &response);
	expect_shed(&response, "one that waited");
	http_ask(&shed, "/");
	client_response(&shed, "GET", &response);
	expect_served(&response, "the next on its connection");
	http_ask(&idle, "/");
	client_response(&idle, "GET", &response);
	expect_served(&response, "one that had sent nothing");
	await_calm(&daemon, 1);
	client_close(&open);
	client_close(&idle);
	client_close(&shed);
	client_close(&holder);
	check_sheds(&daemon, board, 1);
	daemon_stop(&daemon);
	scoreboard_free(board);
}

/* Without the key all are served, however long they waited. */
Test(overload, off, .timeout = 120)
{
	struct client holder, queued;
	struct response response;
	struct scoreboard *board;
	struct daemon daemon;

	daemon_start(&daemon, GATES, FOUR, HOLD, NULL);
	board = board_open(&daemon);
	hold(&holder, daemon.listening[HTTP].address, board);
	gate_ask("scgi", daemon.listening[1].address, get, NULL, 0, &queued);
	let_go(&holder);
	gate_answer("scgi", &queued, &response);
	expect_served(&response, "one that waited");
	client_close(&holder);
	check_sheds(&daemon, board, 0);
	daemon_stop(&daemon);
	scoreboard_free(board);
}

/* Those that wait for max_connections are shed too; once nobody waits, others are served. */
Test(overload, max_connections, .timeout = 120)
{
	struct client holder, queued[3];
	struct response response;
	struct scoreboard *board;
	struct daemon daemon;

	daemon_start(&daemon, GATES, FOUR, SHED, "-s", "listen.max_connections=1", HOLD, NULL);
	const char *address = daemon.listening[HTTP].address;

	board = board_open(&daemon);
	hold(&holder, address, board);
	for (size_t i = 0; i < COUNT(queued); i++)
		gate_ask("http", address, get, NULL, 0, &queued[i]);
	let_go(&holder);
	daemon_expect(&daemon, "1 connections, as many as");
	client_close(&holder);
	for (size_t i = 0; i < COUNT(queued); i++) {
		gate_answer("http", &queued[i], &response);
		expect_shed(&response, "one that waited");
	}
	await_calm(&daemon, 1);
	for (int i = 0; i < 3; i++)
		check_get(&daemon.listening[HTTP]);
	check_sheds(&daemon, board, COUNT(queued));
	daemon_stop(&daemon);
	scoreboard_free(board);
}

/* ---- the gateway says when it got the request ---- */

enum form { SECONDS, FRACTION, T_FRACTION, T_MILLI, MICRO, GARBAGE };

static const char *write_time(enum form form, int age, char *text, size_t size)
{
	static const char *const formats[] = { "%lld", "%lld.250", "t=%lld.123", "t=%lld000",
		"%lld000000", "t=%lldx" };

	snprintf(text, size, formats[form], (long long)time(NULL) - age);
	return text;
}

/* The limit is ten minutes. */
#define LIMIT "-s", "listen.stale_after=10m"
#define OLD   1200

static const struct stale_row {
	const char *name, *variable, *peer;
	enum form form;
	int age; /* seconds */
	bool trusted, stale;
} stale_rows[] = {
	{ "seconds", "HTTP_X_REQUEST_START", "127.0.0.1", SECONDS, OLD, true, true },
	{ "a fraction", "HTTP_X_REQUEST_START", "127.0.0.1", FRACTION, OLD, true, true },
	{ "nginx's", "HTTP_X_REQUEST_START", "127.0.0.1", T_FRACTION, OLD, true, true },
	{ "ms", "HTTP_X_REQUEST_START", "127.0.0.1", T_MILLI, OLD, true, true },
	{ "us", "HTTP_X_REQUEST_START", "127.0.0.1", MICRO, OLD, true, true },
	{ "young", "HTTP_X_REQUEST_START", "127.0.0.1", T_FRACTION, 0, true, false },
	{ "to come", "HTTP_X_REQUEST_START", "127.0.0.1", T_MILLI, -OLD, true, false },
	{ "garbage", "HTTP_X_REQUEST_START", "127.0.0.1", GARBAGE, OLD, true, false },
	{ "nobody is trusted", "HTTP_X_REQUEST_START", "127.0.0.1", T_MILLI, OLD, false, false },
	{ "another field", "HTTP_REQUEST_START", "127.0.0.1", T_MILLI, OLD, true, false },
};

/* By the gates that have parameters. */
static const struct stale_row parameter_rows[] = {
	{ "parameter", "REQUEST_START", "10.9.8.7", T_FRACTION, OLD, false, true },
	{ "young parameter", "REQUEST_START", "10.9.8.7", T_MILLI, 0, false, false },
	{ "parameter to come", "REQUEST_START", "10.9.8.7", T_MILLI, -OLD, false, false },
	{ "garbage parameter", "REQUEST_START", "10.9.8.7", GARBAGE, OLD, true, false },
	{ "a client's field", "HTTP_X_REQUEST_START", "10.9.8.7", T_MILLI, OLD, true, false },
};

static void check_row(const struct listening *at, const struct stale_row *row)
{
	char text[40], name[64];
	const char *const variables[] = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/",
		"REMOTE_ADDR", row->peer, row->variable,
		write_time(row->form, row->age, text, sizeof text), NULL };
	struct response response;

	snprintf(name, sizeof name, "%s: %s", at->protocol, row->name);
	gate_request(at->protocol, at->address, variables, NULL, 0, &response);
	if (row->stale)
		expect_shed(&response, name);
	else
		expect_served(&response, name);
}

/* Which are stale is counted, and how many. */
static size_t check_rows(const struct daemon *daemon, const struct stale_row *rows, size_t count,
        size_t gates, bool trusted)
{
	size_t stale = 0;

	for (size_t gate = 0; gate < gates; gate++)
		for (size_t i = 0; i < count; i++) {
			if (rows[i].trusted != trusted)
				continue;
			check_row(&daemon->listening[gate], &rows[i]);
			stale += rows[i].stale;
		}
	return stale;
}

static void check_trust(bool trusted)
{
	static struct counters total;
	struct daemon daemon;

	daemon_start(&daemon, GATES, FOUR, LIMIT, "-s",
	        trusted ? "listen.trusted_proxies=127.0.0.1" : "listen.backlog=100", HOLD, NULL);
	struct scoreboard *board = board_open(&daemon);
	size_t stale = check_rows(&daemon, stale_rows, COUNT(stale_rows), GATES, trusted) +
	               check_rows(&daemon, parameter_rows, COUNT(parameter_rows), HTTP, trusted);

	board_await(board, all_answered, &total);
	cr_expect(stale > 0);
	cr_expect_eq(total.refused[REFUSAL_STALE], stale);
	cr_expect_eq(board_sum(total.refused, REFUSAL_COUNT), stale);
	cr_expect_eq(total.by_class[2], total.requests, "no handler saw one");
	daemon_stop(&daemon);
	scoreboard_free(board);
}

Test(overload, stale_of_trusted_peers, .timeout = 120)
{
	check_trust(true);
}

Test(overload, stale_of_anyone, .timeout = 120)
{
	check_trust(false);
}
