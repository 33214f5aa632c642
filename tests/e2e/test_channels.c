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
