#include "audience.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wsclient.h"

static const char *const gates[] = { "http", "fastcgi", "scgi", "uwsgi" };

/* Takes what comes up to the end of this text. */
void audience_expect_text(struct client *client, const char *text)
{
	char *at;

	while (!(at = client->in.length
	                      ? memmem(client->in.data, client->in.length, text, strlen(text))
	                      : NULL))
		cr_assert(client_fill(client), "no \"%s\"", text);
	client_take(client, (size_t)(at - client->in.data) + strlen(text));
}

/* The number behind "worker ", and the line's end where there is one. */
int audience_take_worker(struct client *client, bool web_socket)
{
	int number;

	audience_expect_text(client, "worker ");
	while (!client->in.length || (!web_socket && client->in.length < 2))
		cr_assert(client_fill(client));
	number = atoi(client->in.data);
	client_take(client, web_socket ? 1 : 2);
	return number;
}

void audience_open_stream(struct client *client, const char *address, const char *gate,
        const char *target, int *worker)
{
	gate_ask_for(gate, address, target, client);
	*worker = audience_take_worker(client, false);
}

void audience_publish(const char *address, const char *channel, const char *text)
{
	struct response response;
	char target[128];

	snprintf(target, sizeof target, "/publish/%s?text=%s", channel, text);
	http_request(address, "POST", target, NULL, NULL, 0, &response);
	cr_expect_eq(response.status, 200, "%s: %d", target, response.status);
	response_free(&response);
}

void audience_gather(struct audience *audience, const char *address, unsigned workers)
{
	unsigned seen = 0;

	while (seen != (1U << workers) - 1 || audience->count % 8) {
		size_t i = audience->count++;
		const char *gate = gates[i % COUNT(gates)];
		struct client *client = &audience->clients[i];
		int worker;

		struct client other;

		cr_assert_lt(i, AUDIENCE_MAX, "no client for one of the workers");
		/* keeps one busy: workers that sleep do not get every connection then */
		if (i >= 8)
			gate_ask_for("http", address, "/busy", &other);
		audience->web_socket[i] = i % 8 >= 4 && strcmp(gate, "fastcgi") != 0;
		if (audience->web_socket[i]) {
			wsclient_open(client, address, gate, "/socket/news");
			worker = audience_take_worker(client, true);
		} else {
			audience_open_stream(client, address, gate, "/stream/news", &worker);
		}
		cr_assert(worker >= 1 && worker <= (int)workers, "worker %d", worker);
		seen |= 1U << (worker - 1);
		if (i >= 8)
			client_close(&other);
	}
}

/* All get this next, once. */
void audience_expect(struct audience *audience, const char *text)
{
	char line[64];

	for (size_t i = 0; i < audience->count; i++) {
		snprintf(line, sizeof line, audience->web_socket[i] ? "0 %s" : "0 %s\n", text);
		if (audience->web_socket[i])
			wsclient_hear(&audience->clients[i], line);
		else
			audience_expect_text(&audience->clients[i], line);
	}
}

void audience_dismiss(struct audience *audience)
{
	for (size_t i = 0; i < audience->count; i++) {
		cr_expect(!audience->clients[i].in.length || !audience->web_socket[i],
		        "something more has come");
		client_close(&audience->clients[i]);
	}
	audience->count = 0;
}
