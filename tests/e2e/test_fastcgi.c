/* FastCGI with several requests at a time: overload, abort, and the gateway's log. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/gateway.h"

SUITE(fastcgi_e2e);

#define APP      DAEMON_APPS "gateway_log.so"
#define OPEN_MAX 10 /* exchanges on a connection */

static void start(struct daemon *daemon)
{
	daemon_start(daemon, 1, "-w", "1", "-P", "fastcgi", "-l", "127.0.0.1:0", APP, NULL);
}

/* BEGIN_REQUEST and PARAMS. */
static void open_request(struct bytes *out, unsigned id, unsigned flags, const char *uri)
{
	gate_variables variables = { "REQUEST_METHOD", "GET", "REQUEST_URI", uri, NULL };

	fastcgi_open(out, id, 1, flags, variables);
}

static void end_body(struct bytes *out, unsigned id)
{
	fastcgi_record(out, FASTCGI_STDIN, id, NULL, 0);
}

static void send_all(struct client *client, struct bytes *out)
{
	client_send(client, out->data, out->length);
	client_flush(client);
	bytes_free(out);
	*out = (struct bytes){ 0 };
}

static void expect_text(const struct bytes *bytes, const char *wanted)
{
	const char *text = bytes->data ? bytes->data : "";

	cr_expect(bytes->length == strlen(wanted) && memcmp(text, wanted, bytes->length) == 0,
	        "\"%.*s\" is not \"%s\"", (int)bytes->length, text, wanted);
}

static void expect_logged(struct client *client, unsigned id, const char *lines, const char *body)
{
	struct response response;

	fastcgi_response(client, id, &response);
	cr_expect_eq(response.status, 200);
	cr_expect(response.whole);
	expect_text(&response.stderr, lines);
	expect_text(&response.body, body);
	response_free(&response);
}

/* ---- more requests than may be open ---- */

static void expect_overloaded(struct client *client, unsigned id)
{
	struct response response;

	fastcgi_response(client, id, &response);
	cr_expect_eq(response.status, 503, "%u: %d", id, response.status);
	cr_expect_str_eq(response_field(&response, "Retry-After"), "1");
	cr_expect_eq(response.body.length, 0);
	cr_expect_eq(response.protocol_status, 2, "%u: %d", id, response.protocol_status);
	response_free(&response);
}

Test(fastcgi_e2e, overload, .timeout = 60)
{
	struct bytes out = { 0 };
	struct daemon daemon;
	struct client client;

	start(&daemon);
	client_open(&client, daemon_address(&daemon));
	for (unsigned id = 1; id <= OPEN_MAX; id++)
		open_request(&out, id, FASTCGI_KEEP, "/line?line=served");
	for (unsigned id = 99; id < 101; id++) {
		open_request(&out, id, FASTCGI_KEEP, "/line?line=refused");
		fastcgi_record(&out, FASTCGI_STDIN, id, "a body", 6);
		end_body(&out, id);
		fastcgi_record(&out, FASTCGI_ABORT, id, NULL, 0);
	}
	send_all(&client, &out);
	expect_overloaded(&client, 99);
	expect_overloaded(&client, 100);
	/* one is answered, and the id that was refused is as good as another */
	end_body(&out, 5);
	send_all(&client, &out);
	expect_logged(&client, 5, "served\n", "logged\n");
	open_request(&out, 99, FASTCGI_KEEP, "/line?line=again");
	open_request(&out, 5, FASTCGI_KEEP, "/line?line=refused");
	end_body(&out, 99);
	send_all(&client, &out);
	expect_overloaded(&client, 5);
	expect_logged(&client, 99, "again\n", "logged\n");
	for (unsigned id = 1; id <= OPEN_MAX; id++) {
		if (id == 5)
			continue;
		end_body(&out, id);
		send_all(&client, &out);
		expect_logged(&client, id, "served\n", "logged\n");
	}
	client_close(&client);
	cr_expect_null(strstr(daemon_text(&daemon), "refused"), "%s", daemon_text(&daemon));
	daemon_stop(&daemon);
}

/* 5.1: without KEEP_CONN the connection ends behind the refusal of a role. */
Test(fastcgi_e2e, refused_role, .timeout = 60)
{
	static const struct {
		unsigned role, flags;
	} rows[] = { { 3, 0 }, { 99, 0 }, { 3, FASTCGI_KEEP } };
	gate_variables variables = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/", NULL };
	struct daemon daemon;

	start(&daemon);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct response response;
		struct bytes out = { 0 };
		struct client client;

		client_open(&client, daemon_address(&daemon));
		fastcgi_open(&out, 1, rows[i].role, rows[i].flags, variables);
		end_body(&out, 1);
		send_all(&client, &out);
		fastcgi_response(&client, 1, &response);
		cr_expect_eq(response.protocol_status, 3, "%d", response.protocol_status);
		response_free(&response);
		if (rows[i].flags) {
			open_request(&out, 1, 0, "/line?line=kept");
			end_body(&out, 1);
			send_all(&client, &out);
			expect_logged(&client, 1, "kept\n", "logged\n");
		}
		client_read_all(&client);
		cr_expect(!client.reset && client.in.length == 0);
		client_close(&client);
	}
	daemon_stop(&daemon);
}

/* Sends as much as the socket takes, reading nothing; false once it is broken. */
static bool push(struct client *client, const struct bytes *out)
{
	struct pollfd room = { .fd = client->fd, .events = POLLOUT };

	while (poll(&room, 1, PATIENCE) == 1 && !(room.revents & (POLLERR | POLLHUP)))
		if (send(client->fd, out->data, out->length, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			return false;
	return false;
}

/* A peer that asks for values without end and reads no answer is not answered without end. */
Test(fastcgi_e2e, replies_nobody_reads, .timeout = 120)
{
	struct bytes out = { 0 };
	struct daemon daemon;
	struct client client;
	long before;
	pid_t worker;

	start(&daemon);
	worker = daemon_worker(&daemon, 0);
	before = process_memory(worker);
	for (int i = 0; i < 4096; i++)
		fastcgi_record(&out, FASTCGI_VALUES, 0, "\17\0FCGI_MPXS_CONNS", 17);
	client_open(&client, daemon_address(&daemon));
	cr_expect_not(push(&client, &out));
	client_close(&client);
	cr_expect_lt(process_memory(worker) - before, 32 * 1024, "KiB: %ld, then %ld", before,
	        process_memory(worker));
	bytes_free(&out);
	daemon_stop(&daemon);
}

/* ---- abort (5.4) ---- */

static const struct {
	const char *uri, *waits, *ended;
	bool body; /* its end has come */
} aborts[] = {
	{ "/sleep", "sleeps", "sleep: -1, aborted 1, then -1", true },
	{ "/sleep", "sleeps", "sleep: -1, aborted 1, then -1", false },
	{ "/read", "reads", "read: -1, aborted 1, then -1", false },
	{ "/write", "writes", "write: -1, aborted 1, then -1", true },  /* for room */
	{ "/write", "writes", "write: -1, aborted 1, then -1", false }, /* for the body's end */
};

/* Answers to an aborted request: whatever STDOUT, then END_REQUEST; the connection goes on. */
static void check_abort(size_t i, struct daemon *daemon, struct client *client)
{
	size_t before = strlen(daemon_text(daemon));
	struct bytes out = { 0 };
	struct response response;

	open_request(&out, 3, FASTCGI_KEEP, aborts[i].uri);
	if (aborts[i].body)
		end_body(&out, 3);
	send_all(client, &out);
	before = process_expect(&daemon->process, aborts[i].waits, before);
	fastcgi_record(&out, FASTCGI_ABORT, 3, NULL, 0);
	send_all(client, &out);
	process_expect(&daemon->process, aborts[i].ended, before);
	fastcgi_records(client, 3, &response);
	cr_expect_eq(
	        response.protocol_status, 0, "%s: %d", aborts[i].uri, response.protocol_status);
	cr_expect_null(memmem(response.stderr.data ? response.stderr.data : "",
	                       response.stderr.length, "aborted", 7),
	        "nobody reads it any more");
	response_free(&response);
}

Test(fastcgi_e2e, aborts, .timeout = 60)
{
	struct bytes out = { 0 };
	struct daemon daemon;
	struct client client;

	start(&daemon);
	client_open(&client, daemon_address(&daemon));
	for (size_t i = 0; i < COUNT(aborts); i++)
		check_abort(i, &daemon, &client);
	open_request(&out, 3, 0, "/line?line=alive");
	end_body(&out, 3);
	send_all(&client, &out);
	expect_logged(&client, 3, "alive\n", "logged\n");
	client_read_all(&client);
	cr_expect(!client.reset && client.in.length == 0);
	client_close(&client);
	daemon_stop(&daemon);
}

/* ---- turns ---- */

static const uint8_t *await_bytes(struct client *client, size_t length)
{
	while (client->in.length < length)
		cr_assert(client_fill(client), "the connection has ended");
	return (const uint8_t *)client->in.data;
}

/* Takes the next record; returns its type, its exchange and how much it holds. */
static unsigned take_record(struct client *client, unsigned *id, size_t *length)
{
	const uint8_t *record = await_bytes(client, 8);
	unsigned type = record[1];
	size_t padding = record[6];

	*id = (unsigned)(record[2] << 8 | record[3]);
	*length = (size_t)(record[4] << 8 | record[5]);
	await_bytes(client, 8 + *length + padding);
	client_take(client, 8 + *length + padding);
	return type;
}

/*
 * One has written as much as it may in a turn, to a client that takes it all, and has to go on with
 * the next: also where another one on the connection is answered and over before that.
 */
Test(fastcgi_e2e, another_ends_between_turns, .timeout = 120)
{
	const size_t wanted = 16 * 1024 * 1024; /* many turns */
	size_t written = 0, ended = 0;
	struct bytes out = { 0 };
	struct daemon daemon;
	struct client client;

	start(&daemon);
	client_open(&client, daemon_address(&daemon));
	/* in whichever order they run, one runs behind that which writes */
	for (unsigned id = 1; id <= 3; id++) {
		open_request(&out, id, FASTCGI_KEEP, id == 2 ? "/write" : "/line?line=short");
		end_body(&out, id);
	}
	send_all(&client, &out);
	while (written < wanted) {
		size_t length;
		unsigned id, type = take_record(&client, &id, &length);

		written += id == 2 && type == 6 ? length : 0;
		ended += type == 3;
	}
	cr_expect_eq(ended, 2, "%zu", ended);
	client_close(&client);
	daemon_stop(&daemon);
}

/* ---- STDERR (6.1) ---- */

static const struct {
	const char *uri, *lines, *body;
} logged[] = {
	{ "/line?line=hello", "hello\n", "logged\n" },
	{ "/line?line=", "\n", "logged\n" },
	{ "/line?line=a%0ab%0d%1b%7f%09", "a\\x0ab\\x0d\\x1b\\x7f\\x09\n", "logged\n" },
	{ "/line?line=%c3%a9", "\xc3\xa9\n", "logged\n" },
	{ "/between", "before\nbetween\nbehind\n", "one two\n" },
};

Test(fastcgi_e2e, lines, .timeout = 60)
{
	struct daemon daemon;
	struct client client;

	start(&daemon);
	client_open(&client, daemon_address(&daemon));
	for (size_t i = 0; i < COUNT(logged); i++) {
		struct bytes out = { 0 };

		open_request(&out, 7, FASTCGI_KEEP, logged[i].uri);
		end_body(&out, 7);
		send_all(&client, &out);
		expect_logged(&client, 7, logged[i].lines, logged[i].body);
	}
	client_close(&client);
	daemon_stop(&daemon);
}

/* Lines of a handler that logs faster than the gateway reads are left out, whole. */
Test(fastcgi_e2e, too_many_lines, .timeout = 120)
{
	gate_variables variables = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/line", NULL };
	const size_t count = 20000, size = 1001;
	struct response response;
	struct bytes out = { 0 };
	struct daemon daemon;
	struct client client;

	daemon_start(&daemon, 1, "-w", "1", "-P", "fastcgi", "-l", "127.0.0.1:0", "-s",
	        "log.level=error", APP, NULL);
	client_open(&client, daemon_address(&daemon));
	open_request(&out, 1, FASTCGI_KEEP, "/many?count=20000");
	end_body(&out, 1);
	send_all(&client, &out);
	/* answered behind the other, which waits for nothing */
	gate_request("fastcgi", daemon_address(&daemon), variables, NULL, 0, &response);
	cr_expect_eq(response.status, 200);
	response_free(&response);
	fastcgi_response(&client, 1, &response);
	cr_expect_eq(response.status, 204);
	cr_expect_eq(response.stderr.length % size, 0, "a line is cut");
	cr_expect_gt(response.stderr.length, 0);
	cr_expect_lt(response.stderr.length, count * size, "all were kept");
	response_free(&response);
	client_close(&client);
	daemon_stop(&daemon);
}

/* nginx writes them into its own log, one line each. */
Test(fastcgi_e2e, nginx_logs, .timeout = 60)
{
	struct response response;
	struct daemon daemon;
	struct nginx nginx;
	char *text;

	start(&daemon);
	nginx_start_all(&nginx, daemon_address(&daemon));
	for (size_t gate = 0; gate < 2; gate++) {
		http_get(nginx.address[gate], "/line?line=told%0aforged", &response);
		cr_expect_eq(response.status, 200);
		expect_text(&response.body, "logged\n");
		response_free(&response);
		http_get(nginx.address[gate], "/between", &response);
		cr_expect(response.status == 200 && response.whole);
		expect_text(&response.body, "one two\n");
		response_free(&response);
	}
	nginx_stop(&nginx);
	text = nginx_log();
	cr_expect(strstr(text, "FastCGI sent in stderr: \"told\\x0aforged\""), "%s", text);
	cr_expect(strstr(text, "FastCGI sent in stderr: \"before"), "%s", text);
	cr_expect_null(strstr(text, "\nforged"), "%s", text);
	free(text);
	daemon_stop(&daemon);
}

/* The other gateways: what they show of it, and none of them fails over it. */
#define FORGED "/line?line=told%0aforged"
static const struct {
	size_t kind;
	const char *target, *log, *shows; /* NULL: nothing */
} loggers[] = {
	{ 1, FORGED, "apache.log", "told\\\\x0aforged" },
	{ 2, "/line?line=told+plainly", "lighttpd.log", "FastCGI-stderr:told plainly" },
	{ 3, FORGED, NULL, NULL }, /* is sent none */
	{ 4, FORGED, NULL, NULL }, /* version 2.6 drops it */
};

static void expect_shown(const char *log, const char *shows)
{
	struct bytes text = { 0 };
	FILE *file = fopen(support_path(log), "re");
	char piece[4096];
	size_t size;

	cr_assert(file, "%s: %s", log, strerror(errno));
	bytes_text(&text, "");
	while ((size = fread(piece, 1, sizeof piece, file)) > 0)
		bytes_add(&text, piece, size);
	fclose(file);
	cr_expect(strstr(text.data, shows), "%s: %s", log, text.data);
	cr_expect_null(strstr(text.data, "\nforged"), "%s: %s", log, text.data);
	bytes_free(&text);
}

static void check_logger(size_t i, const char *backend)
{
	const struct gateway_kind *kind = &gateway_kinds[loggers[i].kind];
	struct gateway gateway;

	gateway_start(&gateway, kind, backend);
	for (int n = 0; n < 10; n++) {
		struct response response;

		http_get(gateway.address[0], loggers[i].target, &response);
		cr_expect_eq(response.status, 200, "%s: %d", kind->name, response.status);
		response_free(&response);
		http_get(gateway.address[0], "/between", &response);
		cr_expect_eq(response.status, 200, "%s: %d", kind->name, response.status);
		expect_text(&response.body, "one two\n");
		response_free(&response);
	}
	if (loggers[i].log)
		expect_shown(loggers[i].log, loggers[i].shows);
	gateway_stop(&gateway);
}

Test(fastcgi_e2e, others_log, .timeout = 120)
{
	struct daemon daemon;

	start(&daemon);
	for (size_t i = 0; i < COUNT(loggers); i++)
		check_logger(i, daemon_address(&daemon));
	daemon_stop(&daemon);
}
