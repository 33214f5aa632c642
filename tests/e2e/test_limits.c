/* Every limit, from both sides, through each gate: what is just allowed passes, one more does not.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"

SUITE(limits);

#define ONE "-w", "1", "-l", "127.0.0.1:0"

/* A Unix socket holds little of an answer, where TCP may hold all of it. */
#define NARROW "-w", "1", "-l", narrow()

static const char *narrow(void)
{
	static char listen[200];

	snprintf(listen, sizeof listen, "unix:%s", support_path("narrow.sock"));
	return listen;
}

/* ---- requests of a certain size ---- */

struct ask {
	const char *method, *target;
	size_t target_pad; /* letters behind the target */
	size_t pad;        /* bytes of the value of X-Pad; 0: no such field */
	size_t extra;      /* more fields, without a value */
	size_t body;       /* bytes */
	bool chunked;
};

#define EXTRA_MAX 32

static char *letters(const char *before, size_t count)
{
	size_t length = strlen(before);
	char *text = malloc(length + count + 1);

	cr_assert(text);
	memcpy(text, before, length);
	memset(text + length, 'p', count);
	text[length + count] = '\0';
	return text;
}

static void build_http(struct bytes *out, const struct ask *ask, const char *target,
        const char *pad, const char *body)
{
	struct bytes fields = { 0 };

	bytes_text(&fields, "Host: a\r\nConnection: close\r\n");
	if (ask->pad)
		bytes_printf(&fields, "X-Pad: %s\r\n", pad);
	for (size_t i = 0; i < ask->extra; i++)
		bytes_printf(&fields, "X%zu:\r\n", i);
	if (ask->chunked) {
		bytes_printf(out, "%s %s HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
		        ask->method, target, fields.data, ask->body);
		bytes_add(out, body, ask->body);
		bytes_text(out, "\r\n0\r\n\r\n");
	} else {
		http_build(
		        out, ask->method, target, fields.data, ask->body ? body : NULL, ask->body);
	}
	bytes_free(&fields);
}

static void build_cgi(const char *gate, struct bytes *out, const struct ask *ask,
        const char *target, const char *pad, const char *body)
{
	const char *variables[6 + 2 * EXTRA_MAX + 1] = { "REQUEST_METHOD", ask->method,
		"REQUEST_URI", target };
	char names[EXTRA_MAX][8];
	size_t count = 4;

	if (ask->pad) {
		variables[count++] = "HTTP_X_PAD";
		variables[count++] = pad;
	}
	for (size_t i = 0; i < ask->extra; i++) {
		snprintf(names[i], sizeof names[i], "X%u", (unsigned)i % EXTRA_MAX);
		variables[count++] = names[i];
		variables[count++] = "";
	}
	if (strcmp(gate, "fastcgi") == 0)
		fastcgi_build(out, 1, 0, variables, body, ask->body);
	else if (strcmp(gate, "scgi") == 0)
		scgi_build(out, variables, body, ask->body);
	else
		uwsgi_build(out, variables, body, ask->body);
}

static void build(const char *gate, struct bytes *out, const struct ask *ask)
{
	char *target = letters(ask->target, ask->target_pad), *pad = letters("", ask->pad);
	char *body = support_noise(ask->body);

	if (strcmp(gate, "http") == 0)
		build_http(out, ask, target, pad, body);
	else
		build_cgi(gate, out, ask, target, pad, body);
	free(target);
	free(pad);
	free(body);
}

/* The status of an answer as it came; 0: none. */
static int status_of(const struct client *client)
{
	static const char *const before[] = { "HTTP/1.1 ", "Status: " };

	for (size_t i = 0; client->in.length && i < COUNT(before); i++) {
		const char *at = memmem(
		        client->in.data, client->in.length, before[i], strlen(before[i]));

		if (at)
			return atoi(at + strlen(before[i]));
	}
	return 0;
}

static int exchange(const char *gate, const char *address, const struct ask *ask)
{
	struct bytes out = { 0 };
	struct client client;
	int status;

	build(gate, &out, ask);
	client_open(&client, address);
	client_send(&client, out.data, out.length);
	client_read_all(&client);
	status = status_of(&client);
	client_close(&client);
	bytes_free(&out);
	return status;
}

/* ---- sizes ---- */

/*
 * Of a POST with Content-Length: bytes beside the padding that header_size counts: names, values
 * and, by SCGI and uwsgi, what frames them; by HTTP those that the request line is made into, and
 * HTTP_ before each field. And the variables.
 */
static const struct gate_row {
	const char *name;
	size_t bytes, variables;
} gates[] = {
	{ "fastcgi", 14 + 4 + 11 + 1 + 10 + 14 + 1, 3 },
	{ "scgi", 14 + 4 + 11 + 1 + 10 + 14 + 1 + 4 + 1 + 5 * 2, 4 },
	{ "uwsgi", 14 + 4 + 11 + 1 + 10 + 14 + 1 + 4 * 4, 3 },
	{ "http", 14 + 4 + 11 + 1 + 12 + 15 + 8 + 9 + 1 + 15 + 5 + 10 + 19 + 1, 7 },
};

#define POST      .method = "POST", .target = "/"
#define SIZE      2048
#define VARIABLES 24
#define BODY      5000

static struct ask ask_size(const struct gate_row *gate, size_t more)
{
	return (struct ask){ POST, .pad = SIZE - gate->bytes + more, .body = 5 };
}

static struct ask ask_variables(const struct gate_row *gate, size_t more)
{
	return (struct ask){ POST, .extra = VARIABLES - gate->variables + more, .body = 5 };
}

static struct ask ask_body(const struct gate_row *gate, size_t more)
{
	(void)gate;
	return (struct ask){ POST, .body = BODY + more };
}

static struct ask ask_chunked(const struct gate_row *gate, size_t more)
{
	return (struct ask){ POST, .body = BODY + more,
		.chunked = strcmp(gate->name, "http") == 0 };
}

static const struct size_row {
	const char *set;
	struct ask (*ask)(const struct gate_row *gate, size_t more);
	int status; /* of one more than allowed */
} sizes[] = {
	{ "limits.header_size=2K", ask_size, 431 }, { "limits.variables=24", ask_variables, 431 },
	{ "limits.body_size=5000", ask_body, 413 }, { "limits.body_size=5000", ask_chunked, 413 },
	{ "limits.body_memory=5000", ask_body, 200 }, /* that goes to disk */
};

Test(limits, sizes, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct daemon daemon;

		daemon_start(&daemon, 1, ONE, "-s", sizes[i].set, "echo", NULL);
		for (size_t j = 0; j < COUNT(gates); j++) {
			struct ask fits = sizes[i].ask(&gates[j], 0);
			struct ask more = sizes[i].ask(&gates[j], 1);
			int status = exchange(gates[j].name, daemon_address(&daemon), &fits);

			cr_expect_eq(
			        status, 200, "%s, %s: %d", gates[j].name, sizes[i].set, status);
			status = exchange(gates[j].name, daemon_address(&daemon), &more);
			cr_expect_eq(status, sizes[i].status, "%s, %s and one more: %d",
			        gates[j].name, sizes[i].set, status);
		}
		daemon_stop(&daemon);
	}
}

/* "GET / HTTP/1.1" with its CRLF: 16 bytes. A longer target is in the variables twice at most, a
 * line that does not fit by itself is 414. */
static const struct target_row {
	size_t pad;
	int status;
} targets[] = {
	{ SIZE - (14 + 3 + 11 + 1 + 12 + 15 + 8 + 9 + 1 + 15 + 5), 200 },
	{ SIZE - (14 + 3 + 11 + 1 + 12 + 15 + 8 + 9 + 1 + 15 + 5) + 1, 431 },
	{ SIZE - 16, 431 },
	{ SIZE - 16 + 1, 414 },
};

Test(limits, targets, .timeout = 60)
{
	struct daemon daemon;

	daemon_start(&daemon, 1, ONE, "-s", "limits.header_size=2K", "echo", NULL);
	for (size_t i = 0; i < COUNT(targets); i++) {
		struct ask ask = { .method = "GET", .target = "/", .target_pad = targets[i].pad };
		int status = exchange("http", daemon_address(&daemon), &ask);

		cr_expect_eq(status, targets[i].status, "%zu: %d", targets[i].pad, status);
	}
	daemon_stop(&daemon);
}

/* ---- time ---- */

/* Bytes that may be missing of a request: all but its first, or the last ones of its body. */
static const struct late_row {
	const char *set, *gate;
	size_t first; /* bytes sent; 0: all but the last few of the body */
	int status;   /* 0: closed without a word */
	const char *log;
} late[] = {
#define HEADER "no complete request within limits.header_timeout"
	{ "limits.header_timeout=", "fastcgi", 20, 0, HEADER },
	{ "limits.header_timeout=", "scgi", 20, 0, HEADER },
	{ "limits.header_timeout=", "uwsgi", 20, 0, HEADER },
	{ "limits.header_timeout=", "http", 20, 408, HEADER },
#define NO_BYTE "no byte of the body within limits.body_timeout"
	{ "limits.body_timeout=", "fastcgi", 0, 408, NO_BYTE },
	{ "limits.body_timeout=", "scgi", 0, 408, NO_BYTE },
	{ "limits.body_timeout=", "uwsgi", 0, 408, NO_BYTE },
	{ "limits.body_timeout=", "http", 0, 408, NO_BYTE },
};

static const struct ask small_post = { POST, .body = 64 };

static void check_late(const struct late_row *row, const char *time, int status)
{
	struct ask probe = { .method = "GET", .target = "/" };
	struct bytes out = { 0 };
	struct daemon daemon;
	struct client client;
	char set[64];

	snprintf(set, sizeof set, "%s%s", row->set, time);
	daemon_start(&daemon, 1, ONE, "-s", set, "env", NULL);
	build(row->gate, &out, &small_post);
	size_t first = row->first ? row->first : out.length - 24;

	client_open(&client, daemon_address(&daemon));
	client_send(&client, out.data, first);
	client_flush(&client);
	if (status == 200) {
		/* others are served meanwhile; then the rest comes */
		cr_expect_eq(exchange("http", daemon_address(&daemon), &probe), 200);
		client_send(&client, out.data + first, out.length - first);
	}
	client_read_all(&client);
	cr_expect_eq(status_of(&client), status, "%s, %s: %d", set, row->gate, status_of(&client));
	if (status != 200)
		daemon_expect(&daemon, row->log);
	client_close(&client);
	bytes_free(&out);
	daemon_stop(&daemon);
}

Test(limits, late_requests, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(late); i++) {
		check_late(&late[i], "200ms", late[i].status);
		check_late(&late[i], "1h", 200);
	}
}

/* A client that takes nothing of a long answer, by each gate. */
Test(limits, write_timeout, .timeout = 120)
{
	struct ask ask = { .method = "GET", .target = "/64" };
	struct daemon daemon;
	size_t from = 0;

	daemon_start(&daemon, 1, NARROW, "-s", "limits.write_timeout=200ms",
	        DAEMON_APPS "download.so", NULL);
	for (size_t i = 0; i < COUNT(gates); i++) {
		struct bytes out = { 0 };
		struct client client;

		build(gates[i].name, &out, &ask);
		client_open(&client, daemon_address(&daemon));
		client_send(&client, out.data, out.length);
		client_flush(&client);
		from = process_expect(&daemon.process,
		        "no byte of the answer taken within limits.write_timeout", from);
		client_close(&client);
		bytes_free(&out);
	}
	daemon_stop(&daemon);
}

/* ---- rates ---- */

/* Lets `ms` pass, or less where the peer has something to say. */
static bool pause_for(const struct client *client, int ms)
{
	struct pollfd wait = { .fd = client->fd, .events = POLLIN };

	return poll(&wait, 1, ms) == 0;
}

/*
 * A body of 10 bytes a second, as far as the daemon takes it: 2 seconds are body_timeout. `bytes`
 * is longer than that, but for the rows that end by 408 anyway.
 */
static const struct trickle_row {
	const char *rate, *target;
	size_t bytes;
	int status;
} trickles[] = {
	{ "limits.body_rate=500", "/read", 600, 408 },
	/* whose handler rests after each piece */
	{ "limits.body_rate=500", "/rest?ms=10", 600, 408 },
	{ "limits.body_rate=2", "/read", 30, 200 },
	{ "limits.body_rate=0", "/read", 30, 200 },
	/* what is left of the body may be less */
	{ "limits.body_rate=500", "/read", 3, 200 },
};

static void check_trickle(const char *gate, const struct trickle_row *row)
{
	struct ask ask = { .method = "POST", .target = row->target, .body = row->bytes };
	struct bytes out = { 0 };
	struct daemon daemon;
	struct client client;

	daemon_start(&daemon, 1, ONE, "-s", "limits.body_timeout=2s", "-s", row->rate,
	        DAEMON_APPS "napper.so", NULL);
	build(gate, &out, &ask);
	client_open(&client, daemon_address(&daemon));
	client_send(&client, out.data, out.length - row->bytes);
	client_flush(&client);
	for (size_t sent = out.length - row->bytes; sent < out.length; sent++) {
		if (!pause_for(&client, 100))
			break;
		client_send(&client, out.data + sent, 1);
		client_flush(&client);
	}
	client_read_all(&client);
	cr_expect_eq(status_of(&client), row->status, "%s, %s, %zu: %d", gate, row->rate,
	        row->bytes, status_of(&client));
	if (row->status == 408)
		daemon_expect(&daemon, "slower than limits.body_rate");
	client_close(&client);
	bytes_free(&out);
	daemon_stop(&daemon);
}

Test(limits, body_rate, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(trickles); i++)
		check_trickle(i % 2 ? "scgi" : "http", &trickles[i]);
}

/* The time in which a handler is at something else is not the peer's. */
Test(limits, a_slow_handler_is_not_blamed, .timeout = 60)
{
	struct ask ask = { .method = "POST", .target = "/read?ms=600", .body = 1 << 20 };
	struct daemon daemon;

	daemon_start(&daemon, 1, ONE, "-s", "limits.body_timeout=200ms", "-s",
	        "limits.body_rate=1G", DAEMON_APPS "napper.so", NULL);
	for (size_t i = 0; i < COUNT(gates); i++)
		cr_expect_eq(exchange(gates[i].name, daemon_address(&daemon), &ask), 200, "%s",
		        gates[i].name);
	daemon_stop(&daemon);
}

/* Takes 64 KiB of the answer at a time, about 1.3 MB a second. */
static const struct sip_row {
	const char *rate;
	bool whole;
} sips[] = {
	{ "limits.write_rate=100M", false },
	{ "limits.write_rate=500", true },
};

#define SIPPED (8 << 20)

static size_t sip(struct client *client)
{
	static char taken[65536];
	size_t total = 0;
	ssize_t n = 1;

	while (n > 0 && total < 2 * SIPPED) {
		struct pollfd wait = { .fd = client->fd, .events = POLLIN };

		poll(NULL, 0, total < SIPPED / 2 ? 50 : 0);
		poll(&wait, 1, PATIENCE);
		n = recv(client->fd, taken, sizeof taken, 0);
		total += n > 0 ? (size_t)n : 0;
	}
	return total;
}

Test(limits, write_rate, .timeout = 120)
{
	struct ask ask = { .method = "GET", .target = "/8" };

	for (size_t i = 0; i < COUNT(sips); i++) {
		struct bytes out = { 0 };
		struct daemon daemon;
		struct client client;

		daemon_start(&daemon, 1, NARROW, "-s", "limits.write_timeout=1s", "-s",
		        sips[i].rate, DAEMON_APPS "download.so", NULL);
		build("http", &out, &ask);
		client_open(&client, daemon_address(&daemon));
		client_send(&client, out.data, out.length);
		client_flush(&client);
		size_t total = client.in.length + sip(&client);

		if (sips[i].whole)
			cr_expect_geq(total, SIPPED, "%zu", total);
		else
			daemon_expect(&daemon, "slower than limits.write_rate");
		client_close(&client);
		bytes_free(&out);
		daemon_stop(&daemon);
	}
}
