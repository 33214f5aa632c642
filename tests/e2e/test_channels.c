/* Channels through the whole daemon. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/audience.h"
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

#define WORKERS 3

static struct audience audience;

Test(channels, all_workers, .timeout = 120)
{
	struct daemon daemon;
	pid_t workers[WORKERS + 1];
	char text[16];

	daemon_start(&daemon, 1, "-w", "3", "-l", "127.0.0.1:0", DAEMON_APPS "channels.so", NULL);
	audience_gather(&audience, daemon_address(&daemon), WORKERS);
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof text, "n%d", i);
		audience_publish(daemon_address(&daemon), "news", text);
		audience_publish(daemon_address(&daemon), "other", "x");
		audience_expect(&audience, text);
	}
	wsclient_say(&audience.clients[4], "said");
	audience_expect(&audience, "said");
	audience_dismiss(&audience);
	/* one is killed: the others go on, and so does who follows it */
	cr_assert_eq(process_children(daemon.process.pid, workers, WORKERS + 1), WORKERS);
	kill(workers[0], SIGKILL);
	daemon_expect(&daemon, "died of signal 9");
	audience_gather(&audience, daemon_address(&daemon), WORKERS);
	audience_publish(daemon_address(&daemon), "news", "again");
	audience_expect(&audience, "again");
	audience_dismiss(&audience);
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
	audience_open_stream(&old, address, "http", "/stream/news", &worker);
	audience_open_stream(&relay, address, "scgi", "/relay/news/echo", &worker);
	kill(daemon.process.pid, signal);
	daemon_expect(&daemon, expected);
	cr_assert_eq(kill(first, 0), 0, "it has not gone on");
	wsclient_open(&young, address, "http", "/socket/echo");
	cr_expect_eq(audience_take_worker(&young, true), 1);
	audience_publish(address, "news", "late");
	audience_expect_text(&old, "0 late\n");
	audience_expect_text(&relay, "0 late\n");
	wsclient_hear(&young, "0 late");
	audience_publish(address, "news", "end");
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
		cr_expect_str_eq(response.body.data, slow_rows[i].body, "%s: %s",
		        slow_rows[i].target, response.body.data);
		response_free(&response);
	}
	daemon_stop(&daemon);
}
