/*
 * Streams through every gate, straight and behind nginx: what is made arrives before the next is
 * made, and what is sent is read before the rest is sent.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/idle.h"
#include "tests/support/nginx.h"

SUITE(streams);

#define PIECES 4

static const char *const gates[] = { "http", "fastcgi", "scgi", "uwsgi" };

/* The daemon, straight by each gate and behind nginx by each of its own. */
#define WAYS (COUNT(gates) + NGINX_GATES)

struct site {
	struct daemon daemon;
	struct nginx nginx;
};

static void site_start(struct site *site, const char *app)
{
	daemon_start(&site->daemon, 1, "-w", "1", "-l", "127.0.0.1:0", app, NULL);
	nginx_start_all(&site->nginx, daemon_address(&site->daemon));
}

static void site_stop(struct site *site)
{
	nginx_stop(&site->nginx);
	daemon_stop(&site->daemon);
}

static const char *way_name(size_t way)
{
	return way < COUNT(gates) ? gates[way] : nginx_gates[way - COUNT(gates)].name;
}

/* A GET; `last` is its Last-Event-ID, or NULL. */
static void ask(const struct site *site, size_t way, const char *target, const char *last,
        struct client *client)
{
	const char *const variables[] = { "REQUEST_METHOD", "GET", "REQUEST_URI", target,
		"SERVER_PROTOCOL", "HTTP/1.1", last ? "HTTP_LAST_EVENT_ID" : NULL, last, NULL };
	bool straight = way < COUNT(gates);

	gate_ask(straight ? gates[way] : "http",
	        straight ? daemon_address(&site->daemon) : site->nginx.address[way - COUNT(gates)],
	        variables, NULL, 0, client);
}

static bool holds(const struct client *client, const char *text)
{
	return client->in.length && memmem(client->in.data, client->in.length, text, strlen(text));
}

static void await_text(struct client *client, const char *text, const char *way)
{
	while (!holds(client, text))
		cr_assert(client_fill(client), "%s: no \"%s\"", way, text);
}

static void tell(const struct site *site, const char *method, const char *target)
{
	struct response response;

	http_request(daemon_address(&site->daemon), method, target, NULL, NULL, 0, &response);
	cr_assert_eq(response.status, 200, "%s: %d", target, response.status);
	response_free(&response);
}

/* Each of `first` and later pieces is made only once the one before was seen. */
static void check_pieces(
        const struct site *site, size_t way, const char *target, const char *last, int first)
{
	struct client client;
	char piece[24];

	ask(site, way, target, last, &client);
	for (int i = first; i <= PIECES; i++) {
		snprintf(piece, sizeof piece, "piece %d\n", i);
		await_text(&client, piece, way_name(way));
		tell(site, "POST", "/seen");
	}
	client_read_all(&client);
	cr_expect_eq(holds(&client, "piece 1\n"), first == 1, "%s", way_name(way));
	client_close(&client);
}

Test(streams, pieces, .timeout = 120)
{
	struct site site;

	site_start(&site, DAEMON_APPS "streams.so");
	for (size_t way = 0; way < WAYS; way++) {
		check_pieces(&site, way, "/pieces", NULL, 1);
		check_pieces(&site, way, "/events", NULL, 1);
		check_pieces(&site, way, "/events", "2", 3);
	}
	site_stop(&site);
}

/* Comments come by themselves, and the handler learns that its client has gone. */
Test(streams, silence, .timeout = 120)
{
	struct site site;

	site_start(&site, DAEMON_APPS "streams.so");
	for (size_t way = 0; way < WAYS; way++) {
		struct response response;
		struct client client;

		ask(&site, way, "/silent", NULL, &client);
		for (int i = 0; i < 3; i++) {
			await_text(&client, ":\n", way_name(way));
			bytes_free(&client.in);
		}
		client_close(&client);
		http_get(daemon_address(&site.daemon), "/ended", &response);
		cr_expect_str_eq(response.body.data, "-1", "%s", way_name(way));
		response_free(&response);
	}
	site_stop(&site);
}

/* A stream without an end is none that a worker would wait for: it ends well, and at once. */
Test(streams, worker_ends, .timeout = 60)
{
	struct client clients[COUNT(gates)];
	struct site site;

	daemon_start(&site.daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "-s",
	        "daemon.graceful_timeout=1h", DAEMON_APPS "streams.so", NULL);
	for (size_t way = 0; way < COUNT(gates); way++) {
		ask(&site, way, "/events", NULL, &clients[way]);
		await_text(&clients[way], "piece 1\n", way_name(way));
	}
	kill(site.daemon.process.pid, SIGTERM);
	for (size_t way = 0; way < COUNT(gates); way++) {
		client_read_all(&clients[way]);
		if (way == 0)
			cr_expect(holds(&clients[way], "\r\n0\r\n\r\n"), "it is cut off");
		client_close(&clients[way]);
	}
	daemon_end(&site.daemon, 0, false);
}

static void open_silent(struct client *client, const char *address)
{
	client_open(client, address);
	http_ask(client, "/events");
	await_text(client, "piece 1\n", address);
}

Test(streams, idle_memory, .timeout = 120)
{
	idle_check("event streams", DAEMON_APPS "streams.so", open_silent);
}

/* ---- bodies ---- */

#define BODY (200 * 1024)

/* As it is, or as a chunk with, behind the last one, the end. */
static void add_half(struct bytes *out, const char *half, bool chunked, bool last)
{
	if (chunked)
		bytes_printf(out, "%x\r\n", BODY / 2);
	bytes_add(out, half, BODY / 2);
	if (chunked)
		bytes_text(out, last ? "\r\n0\r\n\r\n" : "\r\n");
}

/* The second half is sent once the handler has read the first. */
static void check_body(const struct site *site, const char *address, const char *way, bool chunked)
{
	char *noise = support_noise(BODY), received[32];
	struct bytes first = { 0 }, second = { 0 };
	struct response response;
	struct client client;

	bytes_text(&first, "POST /stream/body HTTP/1.1\r\nHost: gate.test\r\n");
	if (chunked)
		bytes_text(&first, "Transfer-Encoding: chunked\r\n\r\n");
	else
		bytes_printf(&first, "Content-Length: %d\r\n\r\n", BODY);
	add_half(&first, noise, chunked, false);
	add_half(&second, noise + BODY / 2, chunked, true);
	snprintf(received, sizeof received, "/received/%d", BODY / 2);
	client_open(&client, address);
	client_send(&client, first.data, first.length);
	client_flush(&client);
	tell(site, "GET", received);
	client_send(&client, second.data, second.length);
	client_flush(&client);
	client_response(&client, "POST", &response);
	cr_expect_eq(response.status, 200, "%s: %d", way, response.status);
	cr_expect_eq(strtol(response.body.data, NULL, 10), BODY, "%s", way);
	response_free(&response);
	client_close(&client);
	bytes_free(&first);
	bytes_free(&second);
	free(noise);
}

/* nginx passes a body of unknown length on as it comes to these only. */
static bool takes_chunks(size_t gate)
{
	return strcmp(nginx_gates[gate].protocol, "fastcgi") == 0 || gate == NGINX_GATES - 1;
}

Test(streams, bodies, .timeout = 120)
{
	struct site site;

	site_start(&site, DAEMON_APPS "streams.so");
	for (int chunked = 0; chunked < 2; chunked++) {
		check_body(&site, daemon_address(&site.daemon), "http", chunked);
		for (size_t i = 0; i < NGINX_GATES; i++)
			if (chunked ? takes_chunks(i) : !nginx_gates[i].announces_wrongly)
				check_body(
				        &site, site.nginx.address[i], nginx_gates[i].name, chunked);
	}
	site_stop(&site);
}

/* ---- the examples ---- */

/* One waits by each way; what is posted reaches all, whether it came before they waited or not. */
Test(streams, longpoll_example, .timeout = 120)
{
	struct client clients[WAYS];
	struct response response;
	struct site site;

	site_start(&site, DAEMON_APPS "longpoll.so");
	for (size_t way = 0; way < WAYS; way++)
		ask(&site, way, "/?since=0", NULL, &clients[way]);
	http_request(daemon_address(&site.daemon), "POST", "/", NULL, "news", 4, &response);
	cr_expect_eq(response.status, 200);
	response_free(&response);
	for (size_t way = 0; way < WAYS; way++) {
		await_text(&clients[way], "news", way_name(way));
		client_close(&clients[way]);
	}
	site_stop(&site);
}

Test(streams, clock_example, .timeout = 120)
{
	struct client clients[WAYS];
	struct response response;
	struct site site;

	site_start(&site, DAEMON_APPS "clock.so");
	http_get(daemon_address(&site.daemon), "/", &response);
	cr_expect_not_null(strstr(response.body.data, "new EventSource('time')"));
	response_free(&response);
	for (size_t way = 0; way < WAYS; way++)
		ask(&site, way, "/time", NULL, &clients[way]);
	for (size_t way = 0; way < WAYS; way++) {
		await_text(&clients[way], "event: tick\ndata: ", way_name(way));
		bytes_free(&clients[way].in);
		await_text(&clients[way], "event: tick\ndata: ", way_name(way));
		client_close(&clients[way]);
	}
	site_stop(&site);
}
