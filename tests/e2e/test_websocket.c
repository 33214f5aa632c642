/* WebSockets through the whole daemon: over each gate, straight and behind nginx. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/nginx.h"

SUITE(e2e_websocket);

#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define FIELDS                                                                                     \
	"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"               \
	"Sec-WebSocket-Key: " KEY "\r\n"

static gate_variables variables = {
	"REQUEST_METHOD",
	"GET",
	"REQUEST_URI",
	"/any",
	"SERVER_PROTOCOL",
	"HTTP/1.1",
	"HTTP_HOST",
	"gate.test",
	"HTTP_UPGRADE",
	"websocket",
	"HTTP_CONNECTION",
	"Upgrade",
	"HTTP_SEC_WEBSOCKET_VERSION",
	"13",
	"HTTP_SEC_WEBSOCKET_KEY",
	KEY,
	NULL,
};

/* ---- a client ---- */

enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

static void build_request(struct bytes *out, const char *protocol)
{
	if (strcmp(protocol, "scgi") == 0)
		scgi_build(out, variables, NULL, 0);
	else if (strcmp(protocol, "uwsgi") == 0)
		uwsgi_build(out, variables, NULL, 0);
	else
		http_build(out, "GET", "/upgrade/x", FIELDS, NULL, 0);
}

/* A masked frame (RFC 6455 5.2). */
static void build_frame(struct bytes *out, unsigned opcode, const char *data, size_t length)
{
	static const unsigned char mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
	unsigned extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
	unsigned char head[14] = { (unsigned char)(0x80 | opcode) };

	head[1] = (unsigned char)(0x80 | (extended == 0 ? length : extended == 2 ? 126 : 127));
	for (unsigned i = 0; i < extended; i++)
		head[2 + i] = (unsigned char)(length >> 8 * (extended - 1 - i));
	memcpy(head + 2 + extended, mask, 4);
	bytes_add(out, head, 6 + extended);
	for (size_t i = 0; i < length; i++) {
		char masked = (char)(data[i] ^ mask[i % 4]);

		bytes_add(out, &masked, 1);
	}
}

static void send_bytes(struct client *client, struct bytes *out)
{
	client_send(client, out->data, out->length);
	client_flush(client);
	bytes_free(out);
}

static void await_bytes(struct client *client, size_t length)
{
	while (client->in.length < length)
		cr_assert(client_fill(client), "the connection ends");
}

/* Takes the head of the answer; its first line has to be `line`. */
static void expect_accepted(struct client *client, const char *line)
{
	char *end;

	while (!(end = client->in.data ? strstr(client->in.data, "\r\n\r\n") : NULL))
		cr_assert(client_fill(client), "no answer");
	cr_expect_eq(strncmp(client->in.data, line, strlen(line)), 0, "%s", client->in.data);
	end[2] = '\0';
	cr_expect_not_null(strstr(client->in.data, "Sec-WebSocket-Accept: " ACCEPT "\r\n"));
	cr_expect_not_null(strcasestr(client->in.data, "\r\nUpgrade: websocket\r\n"));
	cr_expect_null(strcasestr(client->in.data, "\r\nContent-"), "%s", client->in.data);
	cr_expect_null(strcasestr(client->in.data, "\r\nConnection: close"), "%s", client->in.data);
	client_take(client, (size_t)(end - client->in.data) + 4);
}

/* Takes one frame of the server, not masked. */
static void expect_frame(struct client *client, unsigned opcode, const char *data, size_t length)
{
	unsigned extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
	size_t announced = 0;

	await_bytes(client, 2 + extended + length);
	const unsigned char *at = (const unsigned char *)client->in.data;

	cr_assert_eq(at[0], 0x80 | opcode, "first byte %02x", at[0]);
	cr_assert_eq(at[1], extended == 0 ? length : extended == 2 ? 126 : 127);
	for (unsigned i = 0; i < extended; i++)
		announced = announced << 8 | at[2 + i];
	cr_assert(!extended || announced == length);
	cr_assert_eq(memcmp(at + 2 + extended, data, length), 0);
	client_take(client, 2 + extended + length);
}

static void open_websocket(struct client *client, const char *address, const char *protocol)
{
	struct bytes out = { 0 };

	client_open(client, address);
	build_request(&out, protocol);
	send_bytes(client, &out);
	expect_accepted(client, strcmp(protocol, "scgi") == 0 ? "Status: 101 " : "HTTP/1.1 101 ");
}

/* Over http, at this path. */
static void open_at(struct client *client, const char *address, const char *path)
{
	struct bytes out = { 0 };

	client_open(client, address);
	http_build(&out, "GET", path, FIELDS, NULL, 0);
	send_bytes(client, &out);
	expect_accepted(client, "HTTP/1.1 101 ");
}

static void echo(struct client *client, unsigned opcode, const char *data, size_t length)
{
	struct bytes out = { 0 };

	build_frame(&out, opcode, data, length);
	send_bytes(client, &out);
	expect_frame(client, opcode, data, length);
}

static void say_goodbye(struct client *client)
{
	struct bytes out = { 0 };

	build_frame(&out, CLOSE, "\x03\xe8", 2);
	send_bytes(client, &out);
	expect_frame(client, CLOSE, "\x03\xe8", 2);
	client_read_all(client);
	cr_expect_eq(client->in.length, 0);
	client_close(client);
}

static void check_echo(const char *address, const char *protocol)
{
	static const size_t lengths[] = { 0, 1, 125, 126, 65535, 65536, 1 << 20 };
	struct bytes out = { 0 };
	struct client client;

	open_websocket(&client, address, protocol);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		char *noise = support_noise(lengths[i] + 1);

		echo(&client, BINARY, noise, lengths[i]);
		free(noise);
	}
	echo(&client, TEXT, "gr\xc3\xbc\xc3\x9f", 6);
	build_frame(&out, PING, "there?", 6);
	send_bytes(&client, &out);
	expect_frame(&client, PONG, "there?", 6);
	say_goodbye(&client);
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
		build_request(&out, protocols[i]);
		build_frame(&out, TEXT, "early", 5);
		send_bytes(&client, &out);
		expect_accepted(&client, i == 1 ? "Status: 101 " : "HTTP/1.1 101 ");
		expect_frame(&client, TEXT, "early", 5);
		say_goodbye(&client);
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
		http_request(nginx.address[i], "GET", "/upgrade/x", FIELDS, NULL, 0, &response);
		cr_expect_eq(response.status, 501, "%s: %d", nginx_gates[i].name, response.status);
		cr_expect_not_null(strstr(response.body.data, "scgi_pass"));
		response_free(&response);
	}
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
	open_at(&asks, daemon_address(&daemon), "/");
	open_at(&listens, daemon_address(&daemon), "/");
	for (size_t i = 0; i < COUNT(numbers); i++) {
		struct bytes out = { 0 };

		build_frame(&out, TEXT, numbers[i].sent, strlen(numbers[i].sent));
		send_bytes(&asks, &out);
		expect_frame(&asks, TEXT, numbers[i].answer, strlen(numbers[i].answer));
	}
	/* the first thing the other one hears is its own goodbye */
	say_goodbye(&listens);
	say_goodbye(&asks);
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
		echo(&clients[i], TEXT, "still here", 10);
		say_goodbye(&clients[i]);
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
		expect_frame(&clients[i], CLOSE, "\x03\xe9", 2);
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

#define IDLE 2000

static void open_many(struct client *clients, size_t count, const char *address)
{
	for (size_t i = 0; i < count; i++) {
		open_websocket(&clients[i], address, "http");
		echo(&clients[i], TEXT, "hello", 5);
	}
}

/* Says what an idle one costs; with a sanitizer's memory the figure is no one's. */
Test(e2e_websocket, idle_memory, .timeout = 120)
{
	const struct rlimit limit = { 8192, 8192 };
	struct client *clients = calloc(IDLE + 10, sizeof *clients);
	struct daemon daemon;
	char address[256];

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	snprintf(address, sizeof address, "unix:%s", support_path("sock"));
	daemon_start_with(&daemon, 1,
	        &(struct process_options){
	                .arguments = (const char *const[]){ BUILD_DIR "/../anygate", "-w", "1",
	                        "-l", address, "echo", NULL } });
	open_many(clients, 10, address);
	pid_t worker = daemon_worker(&daemon, 0);
	long before = process_memory(worker);

	open_many(clients + 10, IDLE, address);
	long kib = process_memory(worker) - before;

	printf("idle WebSockets: %d take %ld KiB, %.1f KiB each\n", IDLE, kib, (double)kib / IDLE);
	cr_expect_leq(kib, 12L * IDLE);
	for (size_t i = 0; i < IDLE + 10; i++)
		client_close(&clients[i]);
	free(clients);
	daemon_stop(&daemon);
}
