#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the connection ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static socklen_t parse_tcp(union address *to, const char *text)
{
	const char *colon = strrchr(text, ':');
	char host[64];

	cr_assert(colon && colon - text < (int)sizeof host, "no address: %s", text);
	snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
	if (host[0] == '[') {
		host[strlen(host) - 1] = '\0';
		to->v6.sin6_family = AF_INET6;
		to->v6.sin6_port = htons((uint16_t)atoi(colon + 1));
		cr_assert_eq(inet_pton(AF_INET6, host + 1, &to->v6.sin6_addr), 1);
		return sizeof to->v6;
	}
	to->v4.sin_family = AF_INET;
	to->v4.sin_port = htons((uint16_t)atoi(colon + 1));
	cr_assert_eq(inet_pton(AF_INET, host, &to->v4.sin_addr), 1, "no address: %s", text);
	return sizeof to->v4;
}

static socklen_t parse_address(union address *to, const char *text)
{
	memset(to, 0, sizeof *to);
	if (strncmp(text, "unix:", 5) != 0)
		return parse_tcp(to, text);
	to->local.sun_family = AF_UNIX;
	cr_assert_lt(strlen(text + 5), sizeof to->local.sun_path);
	strcpy(to->local.sun_path, text + 5);
	return sizeof to->local;
}

void client_open(struct client *client, const char *address)
{
	union address to;
	socklen_t length = parse_address(&to, address);
	struct pollfd one = { .events = POLLOUT };
	int error = 0;

	*client = (struct client){ .in = bytes_empty(), .deadline = deadline_in(PATIENCE) };
	client->fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	cr_assert_geq(client->fd, 0);
	/* EAGAIN: a Unix socket whose backlog is full */
	while (connect(client->fd, &to.any, length) < 0 && errno == EAGAIN) {
		cr_assert_gt(deadline_left(client->deadline), 0, "connect to %s", address);
		poll(NULL, 0, 5);
	}
	one.fd = client->fd;
	cr_assert_eq(poll(&one, 1, PATIENCE), 1, "connect to %s: no answer", address);
	getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){ sizeof error });
	cr_assert(error == 0 && !(one.revents & POLLERR), "connect to %s: %s", address,
	        strerror(error));
}

void client_close(struct client *client)
{
	close(client->fd);
	bytes_free(&client->in);
}

void client_send(struct client *client, const void *data, size_t length)
{
	client->out = data;
	client->out_left = length;
}

static void push(struct client *client)
{
	ssize_t sent = send(client->fd, client->out, client->out_left, MSG_NOSIGNAL);

	if (sent >= 0) {
		client->out += sent;
		client->out_left -= (size_t)sent;
	} else if (errno != EAGAIN && errno != EINTR) {
		client->reset = true;
		client->out_left = 0;
	}
}

/* Whether there was anything, the end included. */
static bool pull(struct client *client)
{
	char piece[65536];
	ssize_t got = recv(client->fd, piece, sizeof piece, 0);

	if (got > 0) {
		bytes_add(&client->in, piece, (size_t)got);
		return true;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	client->eof = true;
	client->reset |= got < 0;
	return true;
}

/* Waits for something to read or, with `sending`, for all to be sent. */
static bool turn(struct client *client, bool sending)
{
	bool got = false;

	while (!client->eof && !got && (client->out_left || !sending)) {
		struct pollfd one = { .fd = client->fd, .events = POLLIN };
		int left = deadline_left(client->deadline);

		if (client->out_left)
			one.events |= POLLOUT;
		cr_assert(left && poll(&one, 1, left) == 1, "the peer is silent; so far:\n%.2000s",
		        client->in.data);
		if (client->out_left && one.revents & (POLLOUT | POLLERR | POLLHUP))
			push(client);
		if (one.revents & (POLLIN | POLLERR | POLLHUP))
			got = pull(client);
	}
	return got && !client->eof;
}

bool client_fill(struct client *client)
{
	return turn(client, false);
}

void client_flush(struct client *client)
{
	while (client->out_left && !client->eof)
		turn(client, true);
}

void client_read_all(struct client *client)
{
	while (client_fill(client))
		;
}

void client_take(struct client *client, size_t length)
{
	client->in.length -= length;
	memmove(client->in.data, client->in.data + length, client->in.length + 1);
}

/* ---- answers ---- */

const char *response_field(const struct response *response, const char *name)
{
	for (size_t i = 0; i < response->field_count; i++)
		if (strcasecmp(response->fields[i].name, name) == 0)
			return response->fields[i].value;
	return "";
}

void response_free(struct response *response)
{
	free(response->head);
	bytes_free(&response->body);
	bytes_free(&response->stderr);
	*response = (struct response){ 0 };
}

void response_head(struct response *response, const char *fields, size_t length)
{
	response->head = strndup(fields, length);
	response->head_length = length;
	cr_assert(response->head);
	for (char *line = response->head, *next; *line; line = next) {
		char *end = strstr(line, "\r\n");
		char *colon = strchr(line, ':');

		next = end ? end + 2 : strchr(line, '\0');
		if (end)
			*end = '\0';
		cr_assert(colon && colon < next, "not a header field: %s", line);
		cr_assert_lt(response->field_count, RESPONSE_FIELDS);
		*colon++ = '\0';
		response->fields[response->field_count].name = line;
		response->fields[response->field_count++].value = colon + strspn(colon, " \t");
	}
}

/* ---- HTTP/1.1 ---- */

/* Reads up to the end of `mark` from `from` on; the place behind it, or 0 at the end. */
static size_t find(struct client *client, const char *mark, size_t from)
{
	do {
		char *found = client->in.length > from
		                      ? memmem(client->in.data + from, client->in.length - from,
		                                mark, strlen(mark))
		                      : NULL;

		if (found)
			return (size_t)(found - client->in.data) + strlen(mark);
	} while (client_fill(client));
	return 0;
}

/* Moves up to `length` bytes to the body; false: they did not all come. */
static bool move(struct client *client, struct bytes *body, uint64_t length)
{
	while (length) {
		size_t part = client->in.length < length ? client->in.length : (size_t)length;

		if (part) {
			bytes_add(body, client->in.data, part);
			client_take(client, part);
			length -= part;
		} else if (!client_fill(client)) {
			return false;
		}
	}
	return true;
}

static bool read_chunks(struct client *client, struct bytes *body)
{
	for (;;) {
		size_t line = find(client, "\r\n", 0);
		char *end;

		if (!line)
			return false;

		unsigned long size = strtoul(client->in.data, &end, 16);

		cr_assert(end != client->in.data && (*end == '\r' || *end == ';'),
		        "not a chunk size: %.20s", client->in.data);
		client_take(client, line);
		if (!move(client, body, size) || find(client, "\r\n", 0) == 0)
			return false;
		cr_assert(strncmp(client->in.data, "\r\n", 2) == 0, "a chunk's end is missing");
		client_take(client, 2);
		if (size == 0)
			return true;
	}
}

static bool read_body(struct client *client, const char *method, struct response *response)
{
	const char *length = response_field(response, "Content-Length");

	if (strcmp(method, "HEAD") == 0 || response->status == 204 || response->status == 304)
		return true;
	if (strcasecmp(response_field(response, "Transfer-Encoding"), "chunked") == 0)
		return read_chunks(client, &response->body);
	if (*length)
		return move(client, &response->body, strtoull(length, NULL, 10));
	move(client, &response->body, UINT64_MAX);
	return !client->reset;
}

void client_response(struct client *client, const char *method, struct response *response)
{
	*response = (struct response){ .body = bytes_empty() };
	do {
		size_t head = find(client, "\r\n\r\n", 0),
		       line = head ? find(client, "\r\n", 0) : 0;

		response_free(response);
		response->body = bytes_empty();
		if (!head)
			return;
		cr_assert_eq(sscanf(client->in.data, "HTTP/1.%*1[01] %3d", &response->status), 1,
		        "not HTTP: %.200s", client->in.data);
		response_head(response, client->in.data + line, head - 2 - line);
		client_take(client, head);
	} while (response->status < 200 && response->status != 101);
	response->whole = read_body(client, method, response);
}

void http_build(struct bytes *out, const char *method, const char *target, const char *fields,
        const void *body, size_t length)
{
	bytes_printf(out, "%s %s HTTP/1.1\r\n", method, target);
	if (!fields || !strcasestr(fields, "Host:"))
		bytes_text(out, "Host: gate.test\r\n");
	if (body)
		bytes_printf(out, "Content-Length: %zu\r\n", length);
	bytes_text(out, fields ? fields : "");
	bytes_text(out, "\r\n");
	if (body)
		bytes_add(out, body, length);
}

void http_request(const char *address, const char *method, const char *target, const char *fields,
        const void *body, size_t length, struct response *response)
{
	struct bytes out = { 0 };
	struct client client;

	http_build(&out, method, target, fields, body, length);
	client_open(&client, address);
	client_send(&client, out.data, out.length);
	client_response(&client, method, response);
	client_close(&client);
	bytes_free(&out);
}

void http_ask(struct client *client, const char *target)
{
	struct bytes out = { 0 };

	http_build(&out, "GET", target, NULL, NULL, 0);
	client_send(client, out.data, out.length);
	client_flush(client);
	bytes_free(&out);
}

void http_get(const char *address, const char *target, struct response *response)
{
	http_request(address, "GET", target, NULL, NULL, 0, response);
}

void http_check(const char *address, const char *target, int status, const char *body)
{
	struct response response;

	http_get(address, target, &response);
	cr_expect_eq(response.status, status, "%s: %d", target, response.status);
	if (body)
		cr_expect_str_eq(response.body.data, body, "%s: %s", target, response.body.data);
	response_free(&response);
}
