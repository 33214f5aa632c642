/* A WebSocket client (RFC 6455), written from the specification: over http, scgi and uwsgi. */
#ifndef TESTS_SUPPORT_WSCLIENT_H
#define TESTS_SUPPORT_WSCLIENT_H

#include "client.h"

#define WEBSOCKET_KEY "dGhlIHNhbXBsZSBub25jZQ=="

/* The header fields that ask for one. */
#define WEBSOCKET_FIELDS                                                                           \
	"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"               \
	"Sec-WebSocket-Key: " WEBSOCKET_KEY "\r\n"

enum wsclient_opcode {
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

/* The request for one; `protocol` is "http", "scgi" or "uwsgi". */
void wsclient_build_request(struct bytes *out, const char *protocol, const char *target);

/* A masked frame. */
void wsclient_build_frame(
        struct bytes *out, enum wsclient_opcode opcode, const char *data, size_t length);

/* Takes the head of the answer; fails the test unless it is 101. */
void wsclient_expect_accepted(struct client *client, const char *protocol);

/* Connects, asks, and has been accepted. */
void wsclient_open(
        struct client *client, const char *address, const char *protocol, const char *target);

void wsclient_send(
        struct client *client, enum wsclient_opcode opcode, const char *data, size_t length);

/* Takes one frame of the server, not masked, which has to be this one. */
void wsclient_expect(
        struct client *client, enum wsclient_opcode opcode, const char *data, size_t length);

/* The same for texts. */
void wsclient_say(struct client *client, const char *text);
void wsclient_hear(struct client *client, const char *text);

/* Says goodbye, and expects the same and nothing else. */
void wsclient_leave(struct client *client);

#endif
