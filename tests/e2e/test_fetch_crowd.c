/* Many handlers that wait for the same slow server at the same time. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/fetching.h"

SUITE(fetch_crowd);

#define CROWD 5000

static const struct peer_answer answers[] = {
	{ "/slow", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow", PEER_GATHER, NULL },
	{ NULL, NULL, PEER_KEEP, NULL },
};

static void start(struct daemon *daemon, const char *program)
{
	daemon_start_with(daemon, 1,
	        &(struct process_options){
	                .arguments = (const char *const[]){ program, "-w", "1", "-l",
	                        "http=127.0.0.1:0", "-s", "daemon.fetches=0", "-s",
	                        "daemon.request_timeout=0", DAEMON_APPS "fetches.so", NULL } });
}

static void expect_answers(struct client *clients)
{
	for (size_t i = 0; i < CROWD; i++) {
		struct response response;

		client_response(&clients[i], "GET", &response);
		cr_assert_eq(response.status, 200, "request %zu", i);
		cr_expect_str_eq(response.body.data, "0 200 4\nslow");
		response_free(&response);
		client_close(&clients[i]);
	}
}

/* The peer answers nobody before it has been asked by all, and then each 1 s after it was asked. */
static void check_crowd(const char *name, const char *program)
{
	struct peer peer = { .answers = answers, .gather = CROWD, .ms = 1000 };
	struct client *clients = calloc(CROWD, sizeof *clients);
	struct daemon daemon;
	char target[128];

	cr_assert(clients);
	peer_start(&peer);
	start(&daemon, program);
	snprintf(target, sizeof target, "/?sleep=1000&url=http://%s/slow", peer.address);
	pid_t worker = daemon_worker(&daemon, 0);
	int64_t begin = deadline_in(0);

	for (size_t i = 0; i < CROWD; i++) {
		client_open(&clients[i], daemon_address(&daemon));
		http_ask(&clients[i], target);
	}
	expect_answers(clients);
	fprintf(stderr,
	        "%s: %d handlers that sleep 1 s and fetch from who answers in 1 s: %d ms, "
	        "%ld KiB resident\n",
	        name, CROWD, (int)(deadline_in(0) - begin), process_memory(worker));
	cr_expect_eq(peer_most_held(&peer), CROWD);
	cr_expect_eq(peer_requests(&peer), CROWD);
	free(clients);
	daemon_stop(&daemon);
	peer_stop(&peer);
}

Test(fetch_crowd, sanitized, .timeout = 180)
{
	support_allow_descriptors();
	check_crowd("sanitized", DAEMON_PROGRAM);
}

Test(fetch_crowd, plain, .timeout = 180)
{
	support_allow_descriptors();
	check_crowd("plain", DAEMON_PLAIN);
}
