/* Clients of the application channels.so, of all kinds, in all workers of a daemon. */
#ifndef TESTS_SUPPORT_AUDIENCE_H
#define TESTS_SUPPORT_AUDIENCE_H

#include "client.h"

#define AUDIENCE_MAX 200

struct audience {
	struct client clients[AUDIENCE_MAX];
	bool web_socket[AUDIENCE_MAX];
	size_t count;
};

/* Has one of every kind listen to "news", and more until there is one on each worker. */
void audience_gather(struct audience *audience, const char *address, unsigned workers);

/* All get this text next, once. */
void audience_expect(struct audience *audience, const char *text);

/* They leave, without having heard anything else. */
void audience_dismiss(struct audience *audience);

void audience_publish(const char *address, const char *channel, const char *text);

/* One that asks for a stream of messages by this gate, and which worker it has come to. */
void audience_open_stream(struct client *client, const char *address, const char *gate,
        const char *target, int *worker);

/* The number of the worker, which comes first. */
int audience_take_worker(struct client *client, bool web_socket);

/* Takes what comes up to the end of this text. */
void audience_expect_text(struct client *client, const char *text);

#endif
