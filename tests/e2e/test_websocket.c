/* WebSockets through the whole daemon: over each gate, straight and behind nginx. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/idle.h"
#include "tests/support/nginx.h"
#include "tests/support/wsclient.h"

SUITE(e2e_websocket);

static void open_websocket(struct client *client, const char *address, const char *protocol)
{
	wsclient_open(client, address, protocol, "/upgrade/x");
}

static void echo(
        struct client *client, enum wsclient_opcode opcode, const char *data, size_t length)
{
	wsclient_send(client, opcode, data, length);
	wsclient_expect(client, opcode, data, length);
}

static void check_echo(const char *address, const char *protocol)
{
	static const size_t lengths[] = { 0, 1, 125, 126, 65535, 65536, 1 << 20 };
	struct client client;

	open_websocket(&client, address, protocol);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		char *noise = support_noise(lengths[i] + 1);

		echo(&client, WEBSOCKET_BINARY, noise, lengths[i]);
		free(noise);
	}
	echo(&client, WEBSOCKET_TEXT, "gr\xc3\xbc\xc3\x9f", 6);
	wsclient_send(&client, WEBSOCKET_PING, "there?", 6);
	wsclient_expect(&client, WEBSOCKET_PONG, "there?", 6);
	wsclient_leave(&client);
}

/* ---- the gates ---- */

static const char *const protocols[] = { "http", "scgi", "uwsgi" };

Test(e2e_websocket, gates, .timeout = 120)
{
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "echo", NULL);
	for (size_t i = 0; i < COUNT(protocols); i++)
		check_echo(daemon_address(&daemon), protocols[i]);
	daemon_stop(&daemon);
}

/* Frames that come in one piece with the request are the handler's too. */
Test(e2e_websocket, no_pause, .timeout = 60)
{
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "echo", NULL);
	for (size_t i = 0; i < COUNT(protocols); i++) {
		struct bytes out = { 0 };
		struct client client;

		client_open(&client, daemon_address(&daemon));
		wsclient_build_request(&out, protocols[i], "/");
		wsclient_build_frame(&out, WEBSOCKET_TEXT, "early", 5);
		client_send(&client, out.data, out.length);
		client_flush(&client);
		bytes_free(&out);
		wsclient_expect_accepted(&client, protocols[i]);
		wsclient_expect(&client, WEBSOCKET_TEXT, "early", 5);
		wsclient_leave(&client);
	}
	daemon_stop(&daemon);
}

Test(e2e_websocket, nginx, .timeout = 120)
{
	struct daemon daemon;
	struct nginx nginx;

	daemon_start(&daemon, 1, "-w", "2", "-l", "127.0.0.1:0", "echo", NULL);
	nginx_start_all(&nginx, daemon_address(&daemon));
	for (size_t i = 0; i < NGINX_GATES; i++) {
		struct response response;

		if (strcmp(nginx_gates[i].protocol, "fastcgi") != 0) {
			check_echo(nginx.address[i], "http");
			continue;
		}
		http_request(nginx.address[i], "GET", "/upgrade/x", WEBSOCKET_FIELDS, NULL, 0,
		        &response);
		cr_expect_eq(response.status, 501, "%s: %d", nginx_gates[i].name, response.status);
		cr_expect_not_null(strstr(response.body.data, "scgi_pass"));
		response_free(&response);
	}
	nginx_stop(&nginx);
	daemon_stop(&daemon);
}

/* Somebody else's client, straight and through nginx. */
Test(e2e_websocket, other_client, .timeout = 300)
{
	static const char *const names[] = { "http", "scgi", "uwsgi", "http_10", "http_11" };
	char urls[COUNT(names)][64];
	const char *arguments[COUNT(names) + 2] = { SOURCE_DIR
		"/tests/e2e/clients/websocket_echo" };
	struct process client;
	struct daemon daemon;
	struct nginx nginx;

	daemon_start(&daemon, 1, "-w", "2", "-l", "127.0.0.1:0", "echo", NULL);
	nginx_start_all(&nginx, daemon_address(&daemon));
	for (size_t i = 0; i < COUNT(names); i++) { /* two gates of nginx's are FastCGI's */
		snprintf(urls[i], sizeof urls[i], "%s=ws://%s/upgrade/x", names[i],
		        i ? nginx.address[i + 1] : daemon_address(&daemon));
		arguments[i + 1] = urls[i];
	}
	process_succeed(&client, &(struct process_options){ .arguments = arguments });
	process_free(&client);
	nginx_stop(&nginx);
	daemon_stop(&daemon);
}

/* ---- the example ---- */

static const struct {
	const char *sent, *answer;
} numbers[] = {
	{ "7", "7 is prime" },
	{ "1", "1 is not prime" },
	{ "-7", "-7 is not prime" },
	{ "9", "9 is not prime" },
	{ "999999999989", "999999999989 is prime" },
	{ "1000000000001", "Invalid input" },
	{ "99999999999999999999", "Invalid input" },
	{ "", "Invalid input" },
	{ "7.0", "Invalid input" },
	{ " 7", "Invalid input" },
	{ "-", "Invalid input" },
	{ "seven", "Invalid input" },
};

Test(e2e_websocket, prime, .timeout = 60)
{
	struct daemon daemon;
	struct client asks, listens;
	struct response response;

	daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", DAEMON_APPS "prime.so", NULL);
	wsclient_open(&asks, daemon_address(&daemon), "http", "/");
	wsclient_open(&listens, daemon_address(&daemon), "http", "/");
	for (size_t i = 0; i < COUNT(numbers); i++) {
		wsclient_say(&asks, numbers[i].sent);
		wsclient_hear(&asks, numbers[i].answer);
	}
	/* the first thing the other one hears is its own goodbye */
	wsclient_leave(&listens);
	wsclient_leave(&asks);
	http_get(daemon_address(&daemon), "/", &response);
	cr_expect_eq(response.status, 200);
	cr_expect_not_null(strstr(response.body.data, "new WebSocket"));
	response_free(&response);
	daemon_stop(&daemon);
}

/* ---- limits and ends ---- */

/* What limits requests and bodies is none of a WebSocket's business; it outlasts all of them. */
Test(e2e_websocket, outlasts, .timeout = 60)
{
	static const char half[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
	struct daemon daemon;
	struct client clients[COUNT(protocols)];

	daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "-s", "limits.body_timeout=200ms",
	        "-s", "limits.header_timeout=200ms", "-s", "daemon.request_timeout=200ms", "-s",
	        "limits.body_size=10", "echo", NULL);
	for (size_t i = 0; i < COUNT(protocols); i++)
		open_websocket(&clients[i], daemon_address(&daemon), protocols[i]);
	/* what those time-outs do end shows that they have passed */
	for (unsigned turn = 0; turn < 3; turn++) {
		struct client slow;

		client_open(&slow, daemon_address(&daemon));
		client_send(&slow, half, strlen(half));
		client_flush(&slow);
		client_read_all(&slow);
		client_close(&slow);
	}
	for (size_t i = 0; i < COUNT(protocols); i++) {
		echo(&clients[i], WEBSOCKET_TEXT, "still here", 10);
		wsclient_leave(&clients[i]);
	}
	daemon_stop(&daemon);
}

Test(e2e_websocket, worker_ends, .timeout = 60)
{
	struct daemon daemon;
	struct client clients[COUNT(protocols)];

	daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "echo", NULL);
	for (size_t i = 0; i < COUNT(protocols); i++)
		open_websocket(&clients[i], daemon_address(&daemon), protocols[i]);
	kill(daemon.process.pid, SIGTERM);
	for (size_t i = 0; i < COUNT(protocols); i++) {
		wsclient_expect(&clients[i], WEBSOCKET_CLOSE, "\x03\xe9", 2);
		client_read_all(&clients[i]);
		client_close(&clients[i]);
	}
	daemon_end(&daemon, 0, false);
}

/* Gone without a word, before or within a frame: the handler learns it and nothing is left. */
Test(e2e_websocket, client_goes, .timeout = 60)
{
	struct daemon daemon;

	daemon_start(&daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "echo", NULL);
	for (size_t i = 0; i < 2 * COUNT(protocols); i++) {
		struct client client;

		open_websocket(&client, daemon_address(&daemon), protocols[i / 2]);
		if (i % 2) {
			client_send(&client, "\x81\xfe\x01\x00\0\0\0\0half", 12);
			client_flush(&client);
		}
		client_close(&client);
	}
	daemon_stop(&daemon);
}

/* ---- memory ---- */

/* Over http, with permessage-deflate. */
static void open_packed(struct client *client, const char *address)
{
	struct bytes out = { 0 };

	http_build(&out, "GET", "/",
	        WEBSOCKET_FIELDS "Sec-WebSocket-Extensions: permessage-deflate\r\n", NULL, 0);
	client_open(client, address);
	client_send(client, out.data, out.length);
	client_flush(client);
	wsclient_expect_accepted(client, "http");
	bytes_free(&out);
}

static void await_bytes(struct client *client, size_t length)
{
	while (client->in.length < length)
		cr_assert(client_fill(client), "the connection ends");
}

/* Takes a message in and one out, both packed, so that all that may cost something has been used.
 */
static void warm_up(struct client *client)
{
	static const char hello[] = "\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\0";
	char text[500];

	memset(text, 'x', sizeof text);
	client_send(client, hello, sizeof hello - 1);
	client_flush(client);
	wsclient_hear(client, "Hello");
	wsclient_send(client, WEBSOCKET_TEXT, text, sizeof text);
	await_bytes(client, 2);
	cr_assert_eq((unsigned char)client->in.data[0], 0xc1, "it is not packed");
	size_t length = 2 + (size_t)client->in.data[1];

	await_bytes(client, length);
	client_take(client, length);
}

static void open_warm(struct client *client, const char *address)
{
	open_packed(client, address);
	warm_up(client);
}

Test(e2e_websocket, idle_memory, .timeout = 120)
{
	idle_check("WebSockets", "echo", open_warm);
}
