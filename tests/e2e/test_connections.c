/* The limits of connections, from both sides: how long an idle one stays, and how many there may
 * be.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"

SUITE(connections);

#define ONE "-w", "1", "-l", "127.0.0.1:0"

static void keep_alive(struct client *client, const char *address)
{
	struct response response;

	client_open(client, address);
	http_ask(client, "/");
	client_response(client, "GET", &response);
	cr_assert_eq(response.status, 200);
	response_free(&response);
}

/* Closed when the time is up, and not before: the second request comes long before the hour. */
Test(connections, keepalive_timeout, .timeout = 60)
{
	struct response response;
	struct client client;
	struct daemon daemon;

	daemon_start(&daemon, 1, ONE, "-s", "listen.keepalive_timeout=200ms", "hello", NULL);
	keep_alive(&client, daemon_address(&daemon));
	client_read_all(&client);
	cr_expect(!client.reset && client.in.length == 0);
	client_close(&client);
	daemon_stop(&daemon);

	daemon_start(&daemon, 1, ONE, "-s", "listen.keepalive_timeout=1h", "hello", NULL);
	keep_alive(&client, daemon_address(&daemon));
	http_ask(&client, "/");
	client_response(&client, "GET", &response);
	cr_expect_eq(response.status, 200);
	response_free(&response);
	client_close(&client);
	daemon_stop(&daemon);
}

#define FULL "2 connections, as many as listen.max_connections allows"

/* The third waits in the backlog, and is served when one of the others is closed; said once. */
Test(connections, max_connections, .timeout = 60)
{
	struct client open[2], third[2];
	struct response response;
	struct daemon daemon;

	daemon_start(&daemon, 1, ONE, "-s", "listen.max_connections=2", "hello", NULL);
	for (size_t i = 0; i < COUNT(open); i++)
		keep_alive(&open[i], daemon_address(&daemon));
	cr_expect(!strstr(daemon_text(&daemon), FULL), "two are allowed");
	for (size_t i = 0; i < COUNT(third); i++) {
		client_open(&third[i], daemon_address(&daemon));
		http_ask(&third[i], "/");
	}
	daemon_expect(&daemon, FULL);
	for (size_t i = 0; i < COUNT(third); i++) {
		cr_expect_eq(third[i].in.length, 0, "more than two are served");
		client_close(&open[i]);
		client_response(&third[i], "GET", &response);
		cr_expect_eq(response.status, 200);
		response_free(&response);
	}
	const char *said = strstr(daemon_text(&daemon), FULL);

	cr_expect(said && !strstr(said + 1, FULL), "said more than once");
	for (size_t i = 0; i < COUNT(third); i++)
		client_close(&third[i]);
	keep_alive(&open[0], daemon_address(&daemon));
	client_close(&open[0]);
	daemon_stop(&daemon);
}
