#include "wsclient.h"

#include <string.h>

#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

void wsclient_build_request(struct bytes *out, const char *protocol, const char *target)
{
	gate_variables variables = { "REQUEST_METHOD", "GET", "REQUEST_URI", target,
		"SERVER_PROTOCOL", "HTTP/1.1", "HTTP_HOST", "gate.test", "HTTP_UPGRADE",
		"websocket", "HTTP_CONNECTION", "Upgrade", "HTTP_SEC_WEBSOCKET_VERSION", "13",
		"HTTP_SEC_WEBSOCKET_KEY", WEBSOCKET_KEY, NULL };

	if (strcmp(protocol, "scgi") == 0)
		scgi_build(out, variables, NULL, 0);
	else if (strcmp(protocol, "uwsgi") == 0)
		uwsgi_build(out, variables, NULL, 0);
	else
		http_build(out, "GET", target, WEBSOCKET_FIELDS, NULL, 0);
}

void wsclient_build_frame(
        struct bytes *out, enum wsclient_opcode opcode, const char *data, size_t length)
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

void wsclient_expect_accepted(struct client *client, const char *protocol)
{
	const char *line = strcmp(protocol, "scgi") == 0 ? "Status: 101 " : "HTTP/1.1 101 ";
	char *end;

	while (!(end = strstr(client->in.data, "\r\n\r\n")))
		cr_assert(client_fill(client), "no answer");
	cr_expect_eq(strncmp(client->in.data, line, strlen(line)), 0, "%s", client->in.data);
	end[2] = '\0';
	cr_expect_not_null(strcasestr(client->in.data, "Sec-WebSocket-Accept: " ACCEPT "\r\n"));
	cr_expect_not_null(strcasestr(client->in.data, "\r\nUpgrade: websocket\r\n"));
	cr_expect_null(strcasestr(client->in.data, "\r\nContent-"), "%s", client->in.data);
	cr_expect_null(strcasestr(client->in.data, "\r\nConnection: close"), "%s", client->in.data);
	client_take(client, (size_t)(end - client->in.data) + 4);
}

void wsclient_open(
        struct client *client, const char *address, const char *protocol, const char *target)
{
	struct bytes out = { 0 };

	client_open(client, address);
	wsclient_build_request(&out, protocol, target);
	send_bytes(client, &out);
	wsclient_expect_accepted(client, protocol);
}

void wsclient_send(
        struct client *client, enum wsclient_opcode opcode, const char *data, size_t length)
{
	struct bytes out = { 0 };

	wsclient_build_frame(&out, opcode, data, length);
	send_bytes(client, &out);
}

void wsclient_expect(
        struct client *client, enum wsclient_opcode opcode, const char *data, size_t length)
{
	unsigned extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
	size_t announced = 0;

	await_bytes(client, 2 + extended + length);
	const unsigned char *at = (const unsigned char *)client->in.data;

	cr_assert_eq(at[0], 0x80 | opcode, "first byte %02x", at[0]);
	cr_assert_eq(at[1],
	        extended == 0   ? length
	        : extended == 2 ? 126
	                        : 127,
	        "%.100s, not %s", (const char *)at + 2, data);
	for (unsigned i = 0; i < extended; i++)
		announced = announced << 8 | at[2 + i];
	cr_assert(!extended || announced == length);
	cr_assert_eq(memcmp(at + 2 + extended, data, length), 0, "%.*s, not %s", (int)length,
	        (const char *)at + 2 + extended, data);
	client_take(client, 2 + extended + length);
}

void wsclient_say(struct client *client, const char *text)
{
	wsclient_send(client, WEBSOCKET_TEXT, text, strlen(text));
}

void wsclient_hear(struct client *client, const char *text)
{
	wsclient_expect(client, WEBSOCKET_TEXT, text, strlen(text));
}

void wsclient_leave(struct client *client)
{
	wsclient_send(client, WEBSOCKET_CLOSE, "\x03\xe8", 2);
	wsclient_expect(client, WEBSOCKET_CLOSE, "\x03\xe8", 2);
	client_read_all(client);
	cr_expect_eq(client->in.length, 0);
	client_close(client);
}
