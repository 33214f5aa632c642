/* Channels through the whole daemon. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/wsclient.h"

SUITE(channels);

/* ---- the example ---- */

Test(channels, chat, .timeout = 60)
{
	static const char *const gates[] = { "http", "scgi", "uwsgi" };
	struct client guests[COUNT(gates)], elsewhere;
	struct daemon daemon;
	struct response response;

	daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", DAEMON_APPS "chat.so", NULL);
	wsclient_open(&elsewhere, daemon_address(&daemon), "http", "/socket?room=other");
	wsclient_say(&elsewhere, "Zoe");
	wsclient_hear(&elsewhere, "JZoe");
	for (size_t i = 0; i < COUNT(gates); i++) {
		char joined[16];

		wsclient_open(&guests[i], daemon_address(&daemon), gates[i], "/socket");
		wsclient_say(&guests[i], gates[i]);
		snprintf(joined, sizeof joined, "J%s", gates[i]);
		for (size_t j = 0; j <= i; j++)
			wsclient_hear(&guests[j], joined);
	}
	wsclient_say(&guests[1], "<b>gr\xc3\xbc\xc3\x9f</b>\n2");
	for (size_t i = 0; i < COUNT(gates); i++)
		wsclient_hear(&guests[i], "Mscgi\n<b>gr\xc3\xbc\xc3\x9f</b>\n2");
	wsclient_leave(&guests[1]);
	wsclient_hear(&guests[0], "Lscgi");
	wsclient_leave(&guests[0]);
	client_close(&guests[2]);
	wsclient_leave(&elsewhere);
	http_get(daemon_address(&daemon), "/", &response);
	cr_expect_eq(response.status, 200);
	cr_expect_str_eq(response_field(&response, "Content-Type"), "text/html; charset=utf-8");
	cr_expect_not_null(strstr(response.body.data, "new WebSocket"));
	response_free(&response);
	daemon_stop(&daemon);
}

/* Names that are none end the connection with 1008 and a reason. */
Test(channels, chat_names, .timeout = 60)
{
	static const char *const names[] = { "", "  ", "a\nb", "a\x7f",
		"01234567890123456789012345678901234567890" };
	static const char reason[] = "\x03\xf0"
	                             "a name is one line of 1 to 40 bytes";
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", DAEMON_APPS "chat.so", NULL);
	for (size_t i = 0; i < COUNT(names); i++) {
		struct client client;

		wsclient_open(&client, daemon_address(&daemon), "http", "/socket");
		wsclient_say(&client, names[i]);
		wsclient_expect(&client, WEBSOCKET_CLOSE, reason, sizeof reason - 1);
		client_close(&client);
	}
	daemon_stop(&daemon);
}

/* ---- all workers ---- */

static const char *const gates[] = { "http", "fastcgi", "scgi", "uwsgi" };

#define WORKERS 3

/* Takes what comes up to the end of this text. */
static void expect_text(struct client *client, const char *text)
{
	char *at;

	while (!(at = client->in.length
	                      ? memmem(client->in.data, client->in.length, text, strlen(text))
	                      : NULL))
		cr_assert(client_fill(client), "no \"%s\"", text);
	client_take(client, (size_t)(at - client->in.data) + strlen(text));
}

/* The number behind "worker ", and the line's end where there is one. */
static int take_worker(struct client *client, bool web_socket)
{
	int number;

	expect_text(client, "worker ");
	while (!client->in.length || (!web_socket && client->in.length < 2))
		cr_assert(client_fill(client));
	number = atoi(client->in.data);
	client_take(client, web_socket ? 1 : 2);
	return number;
}

static void open_stream(struct client *client, const char *address, const char *gate,
        const char *target, int *worker)
{
	gate_variables variables = { "REQUEST_METHOD", "GET", "REQUEST_URI", target,
		"SERVER_PROTOCOL", "HTTP/1.1", NULL };
	struct bytes out = { 0 };

	client_open(client, address);
	if (strcmp(gate, "http") == 0)
		http_build(&out, "GET", target, NULL, NULL, 0);
	else if (strcmp(gate, "fastcgi") == 0)
		fastcgi_build(&out, 1, 0, variables, NULL, 0);
	else
		(strcmp(gate, "scgi") == 0 ? scgi_build : uwsgi_build)(&out, variables, NULL, 0);
	client_send(client, out.data, out.length);
	client_flush(client);
	bytes_free(&out);
	*worker = take_worker(client, false);
}

static void publish(const char *address, const char *channel, const char *text)
{
	struct response response;
	char target[128];

	snprintf(target, sizeof target, "/publish/%s?text=%s", channel, text);
	http_request(address, "POST", target, NULL, NULL, 0, &response);
	cr_expect_eq(response.status, 200, "%s: %d", target, response.status);
	response_free(&response);
}

/* A client of every kind; more of them until there is one on each worker. */
#define CLIENTS_MAX 200

struct audience {
	struct client clients[CLIENTS_MAX];
	bool web_socket[CLIENTS_MAX];
	size_t count;
};

static void gather(struct audience *audience, const char *address, unsigned workers)
{
	unsigned seen = 0;

	while (seen != (1U << workers) - 1 || audience->count % 8) {
		size_t i = audience->count++;
		const char *gate = gates[i % COUNT(gates)];
		struct client *client = &audience->clients[i];
		int worker;

		cr_assert_lt(i, CLIENTS_MAX, "no client for one of the workers");
		audience->web_socket[i] = i % 8 >= 4 && strcmp(gate, "fastcgi") != 0;
		if (audience->web_socket[i]) {
			wsclient_open(client, address, gate, "/socket/news");
			worker = take_worker(client, true);
		} else {
			open_stream(client, address, gate, "/stream/news", &worker);
		}
		cr_assert(worker >= 1 && worker <= (int)workers, "worker %d", worker);
		seen |= 1U << (worker - 1);
	}
}

/* All get this next, once. */
static void expect_all(struct audience *audience, const char *text)
{
	char line[64];

	for (size_t i = 0; i < audience->count; i++) {
		snprintf(line, sizeof line, audience->web_socket[i] ? "0 %s" : "0 %s\n", text);
		if (audience->web_socket[i])
			wsclient_hear(&audience->clients[i], line);
		else
			expect_text(&audience->clients[i], line);
	}
}

static void dismiss(struct audience *audience)
{
	for (size_t i = 0; i < audience->count; i++) {
		cr_expect(!audience->clients[i].in.length || !audience->web_socket[i],
		        "something more has come");
		client_close(&audience->clients[i]);
	}
	audience->count = 0;
}

static struct audience audience;

Test(channels, all_workers, .timeout = 120)
{
	struct daemon daemon;
	pid_t workers[WORKERS + 1];
	char text[16];

	daemon_start(&daemon, 1, "-w", "3", "-l", "127.0.0.1:0", DAEMON_APPS "channels.so", NULL);
	gather(&audience, daemon_address(&daemon), WORKERS);
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof text, "n%d", i);
		publish(daemon_address(&daemon), "news", text);
		publish(daemon_address(&daemon), "other", "x");
		expect_all(&audience, text);
	}
	wsclient_say(&audience.clients[4], "said");
	expect_all(&audience, "said");
	dismiss(&audience);
	/* one is killed: the others go on, and so does who follows it */
	cr_assert_eq(process_children(daemon.process.pid, workers, WORKERS + 1), WORKERS);
	kill(workers[0], SIGKILL);
	daemon_expect(&daemon, "died of signal 9");
	gather(&audience, daemon_address(&daemon), WORKERS);
	publish(daemon_address(&daemon), "news", "again");
	expect_all(&audience, "again");
	dismiss(&audience);
	daemon_stop(&daemon);
}

/* ---- one generation after another ---- */

/* Those who listen in the former generation's worker hear the next one's, and the other way. */
static void check_change(int signal, const char *expected)
{
	struct client old, relay, young;
	struct daemon daemon;
	pid_t first;
	int worker;

	daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "-s", "daemon.reload_watch=0",
	        "-s", "log.level=info", DAEMON_APPS "channels.so", NULL);
	const char *address = daemon_address(&daemon);

	first = daemon_worker(&daemon, 0);
	open_stream(&old, address, "http", "/stream/news", &worker);
	open_stream(&relay, address, "scgi", "/relay/news/echo", &worker);
	kill(daemon.process.pid, signal);
	daemon_expect(&daemon, expected);
	cr_assert_eq(kill(first, 0), 0, "it has not gone on");
	wsclient_open(&young, address, "http", "/socket/echo");
	cr_expect_eq(take_worker(&young, true), 1);
	publish(address, "news", "late");
	expect_text(&old, "0 late\n");
	expect_text(&relay, "0 late\n");
	wsclient_hear(&young, "0 late");
	publish(address, "news", "end");
	wsclient_hear(&young, "0 end");
	client_close(&old);
	client_close(&relay);
	wsclient_leave(&young);
	daemon_stop(&daemon);
}

Test(channels, reload, .timeout = 60)
{
	check_change(SIGHUP, "reloaded: generation 2 serves");
}

Test(channels, upgrade, .timeout = 60)
{
	check_change(SIGUSR2, "generation 2 serves");
}

/* ---- who is too slow ---- */

static const struct {
	const char *target, *body;
} slow_rows[] = {
	{ "/slow?n=1000", "744 lost, then 744" },
	{ "/slow?n=256", "0 lost, then 0" },
	{ "/behind?n=40", "nothing lost, 40 in all" },
	{ "/behind?n=200", "some lost, 200 in all" },
};

Test(channels, too_slow, .timeout = 60)
{
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", DAEMON_APPS "channels.so", NULL);
	for (size_t i = 0; i < COUNT(slow_rows); i++) {
		struct response response;

		http_get(daemon_address(&daemon), slow_rows[i].target, &response);
		cr_expect_eq(response.status, 200, "%s: %d", slow_rows[i].target, response.status);
		cr_expect_str_eq(response.body.data ? response.body.data : "", slow_rows[i].body,
		        "%s: %s", slow_rows[i].target, response.body.data);
		response_free(&response);
	}
	daemon_stop(&daemon);
}
