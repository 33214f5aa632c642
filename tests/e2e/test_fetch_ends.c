/* Connections to other servers: which are used again, and what becomes of those that end. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fetching.h"

SUITE(fetch_ends);

/* ---- connections ---- */

Test(fetch_ends, uses_connections_again, .timeout = 60)
{
	fetching_begin("app.debug=off");
	for (int i = 0; i < 20; i++)
		fetching_check(FETCHING_GATE(i), fetching_query("/ok", i % 2 ? "&body=abc" : ""),
		        NULL, "0 200 2\nok");
	cr_expect_eq(peer_requests(&fetching.peer), 20);
	cr_expect_eq(peer_accepted(&fetching.peer), 1);
	/* what has no end but the connection's, or was not read to its end, takes that with it */
	fetching_check("http", fetching_query("/old", ""), NULL, "0 200 13\nuntil the end");
	fetching_check("http", fetching_query("/ok", "&limit=1"), NULL, AG_TOO_LARGE " 200 0\n");
	fetching_check("http", fetching_query("/ok", ""), NULL, "0 200 2\nok");
	cr_expect_leq(peer_accepted(&fetching.peer), 3);
	fetching_end();
}

/* A connection that is closed as it is used again: what may be sent twice is. */
static const struct {
	const char *query, *second;
	unsigned requests;
} retries[] = {
	{ "", "0 200 2\nok", 3 },
	{ "&method=PUT&body=abc", "0 200 2\nok", 3 },
	{ "&body=abc", AG_BAD_ANSWER " 0 0\n", 2 },
	{ "&method=PATCH&body=abc", AG_BAD_ANSWER " 0 0\n", 2 },
	{ "&method=POST", "0 200 2\nok", 2 },
};

Test(fetch_ends, sends_again, .timeout = 60)
{
	for (size_t i = 0; i < COUNT(retries); i++) {
		fetching = (struct fetching){ 0 };
		fetching_begin("app.debug=off");
		fetching_check(
		        "http", fetching_query("/once", retries[i].query), NULL, "0 200 2\nok");
		fetching_check(
		        "http", fetching_query("/once", retries[i].query), NULL, retries[i].second);
		cr_expect_eq(peer_requests(&fetching.peer), retries[i].requests, "%s: %u",
		        retries[i].query, peer_requests(&fetching.peer));
		fetching_end();
	}
}

static const struct {
	const char *url, *result;
} unreachable[] = {
	{ "http://127.0.0.1:1/", AG_UNREACHABLE " 0 0\n" },
	{ "http://no-such-name.invalid/", AG_UNREACHABLE " 0 0\n" },
	{ "http://a/&socket=/no/such/socket", AG_UNREACHABLE " 0 0\n" },
	{ "http://127.0.0.1:99999/", AG_INVALID " 0 0\n" },
	{ "http:///", AG_INVALID " 0 0\n" },
	{ "http://a:b@127.0.0.1/", AG_INVALID " 0 0\n" },
	{ "http://[::1/", AG_INVALID " 0 0\n" },
	{ "file:///etc/passwd", AG_INVALID " 0 0\n" },
	{ "127.0.0.1", AG_INVALID " 0 0\n" },
	{ "", AG_INVALID " 0 0\n" },
};

Test(fetch_ends, unreachable, .timeout = 60)
{
	fetching_begin("app.debug=off");
	for (size_t i = 0; i < COUNT(unreachable); i++) {
		char query[200];

		snprintf(query, sizeof query, "url=%s", unreachable[i].url);
		fetching_check(FETCHING_GATE(i), query, NULL, unreachable[i].result);
	}
	fetching_end();
}

/* TLS with who does not speak it. */
Test(fetch_ends, connect_timeout, .timeout = 60)
{
	char query[200];

	fetching_begin("app.debug=off");
	snprintf(query, sizeof query, "url=https://%s/stall&connect=100", fetching.peer.address);
	fetching_check("http", query, NULL, AG_SLOW " 0 0\n");
	fetching_end();
}

/* Another's server is not to be asked because of the environment. */
static const char *const proxies[] = {
	"daemon.environment=http_proxy=http://127.0.0.1:1",
	"daemon.environment=ALL_PROXY=http://127.0.0.1:1",
};

Test(fetch_ends, no_proxy, .timeout = 60)
{
	for (size_t i = 0; i < COUNT(proxies); i++) {
		fetching = (struct fetching){ 0 };
		fetching_begin(proxies[i]);
		fetching_check("http", fetching_query("/ok", ""), NULL, "0 200 2\nok");
		fetching_end();
	}
}

/* ---- backpressure ---- */

/* A client that takes nothing yet: the peer, which sends without end, has to stop. */
Test(fetch_ends, holds_the_peer, .timeout = 60)
{
	struct client client;

	fetching_begin("app.debug=off");
	fetching_ask("http", fetching_query("/endless", "&take=0&pause=3600000"), NULL, &client);
	daemon_expect(&fetching.daemon, "fetch begins");
	/* others are served meanwhile, over the same loop */
	for (int i = 0; i < 20; i++)
		fetching_check("scgi", fetching_query("/ok", ""), NULL, "0 200 2\nok");
	cr_expect_leq(peer_sent(&fetching.peer), 32 << 20, "%llu", peer_sent(&fetching.peer));
	client_close(&client);
	daemon_expect(&fetching.daemon, "fetch ended with " AG_GONE);
	fetching_end();
}

/* ---- ends ---- */

static const struct {
	const char *path, *query;
} ways[] = {
	{ "/stall", "" },
	{ "/stall", "&times=1" },
	{ "/stall", "&times=20" },
	{ "/stall/body", "" },
	{ "/stall/body", "&take=0" },
	{ "/endless", "&take=0&pause=3600000" },
	{ "/trickle", "&take=0" },
};

static void await_held(unsigned requests_before)
{
	for (int64_t deadline = deadline_in(PATIENCE);
	        peer_requests(&fetching.peer) == requests_before;)
		cr_assert(deadline_left(deadline) && usleep(1000) == 0, "no request came");
}

Test(fetch_ends, client_goes_away, .timeout = 120)
{
	fetching_begin("app.debug=off");
	pid_t worker = daemon_worker(&fetching.daemon, 0);

	fetching_check("http", fetching_query("/old", ""), NULL, "0 200 13\nuntil the end");
	size_t descriptors = process_descriptors(worker), told = 0;

	for (size_t i = 0; i < COUNT(ways) * 4; i++) {
		unsigned before = peer_requests(&fetching.peer);
		struct client client;

		fetching_ask(FETCHING_GATE(i), fetching_query(ways[i / 4].path, ways[i / 4].query),
		        NULL, &client);
		await_held(before);
		client_close(&client);
		told = process_expect(&fetching.daemon.process, "fetch ended with " AG_GONE, told);
		peer_await_open(&fetching.peer, 0);
	}
	process_check_nothing_left(worker, descriptors);
	fetching_end();
}

/* A client that ends in the middle of the body that is passed on. */
Test(fetch_ends, client_goes_away_in_the_body, .timeout = 60)
{
	struct client client;
	struct bytes out = { 0 };

	fetching_begin("app.debug=off");
	bytes_printf(&out, "POST /?stream=1&%s HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
	        fetching_query("/ok", ""));
	client_open(&client, fetching.address);
	client_send(&client, out.data, out.length);
	client_flush(&client);
	daemon_expect(&fetching.daemon, "fetch begins");
	peer_await_open(&fetching.peer, 1);
	client_close(&client);
	daemon_expect(&fetching.daemon, "fetch ended with " AG_GONE);
	peer_await_open(&fetching.peer, 0);
	cr_expect_eq(peer_requests(&fetching.peer), 0);
	bytes_free(&out);
	fetching_end();
}

Test(fetch_ends, request_timeout, .timeout = 60)
{
	struct response response;
	struct client client;

	fetching_begin("daemon.request_timeout=300ms");
	fetching_ask("http", fetching_query("/stall", ""), NULL, &client);
	gate_answer("http", &client, &response);
	cr_expect_eq(response.status, 504);
	daemon_expect(&fetching.daemon, "fetch ended with " AG_TIMEOUT);
	peer_await_open(&fetching.peer, 0);
	response_free(&response);
	fetching_end();
}

/* ---- daemon.fetches ---- */

Test(fetch_ends, at_once, .timeout = 60)
{
	fetching.peer.gather = 100;
	fetching_begin("daemon.fetches=0");
	fetching_check_many(fetching_query("/gather", ""), 100, "0 200 2\nok");
	cr_expect_eq(peer_most_held(&fetching.peer), 100);
	fetching_end();
}

Test(fetch_ends, waits_its_turn, .timeout = 60)
{
	fetching.peer.gather = 1;
	fetching_begin("daemon.fetches=1");
	fetching_check_many(fetching_query("/gather", ""), 20, "0 200 2\nok");
	cr_expect_eq(peer_most_held(&fetching.peer), 1);
	cr_expect_eq(peer_accepted(&fetching.peer), 1);
	fetching_end();
}

/* One that gives up while it waits leaves its place; failures give theirs back. */
Test(fetch_ends, gives_up_its_turn, .timeout = 60)
{
	struct client first, second;
	size_t told = 0;

	fetching_begin("daemon.fetches=1");
	fetching_check_many(fetching_query("/closed", ""), 3, AG_BAD_ANSWER " 0 0\n");
	fetching_check_many("url=http://127.0.0.1:1/", 3, AG_UNREACHABLE " 0 0\n");
	unsigned before = peer_requests(&fetching.peer);

	fetching_ask("http", fetching_query("/stall", ""), NULL, &first);
	await_held(before);
	fetching_ask("scgi", fetching_query("/ok", "&times=3"), NULL, &second);
	for (size_t i = 0; i < 6 + 1 + 3; i++)
		told = process_expect(&fetching.daemon.process, "fetch begins", told);
	client_close(&second);
	for (size_t i = 0; i < 3; i++)
		told = process_expect(&fetching.daemon.process, "fetch ended with " AG_GONE, told);
	cr_expect_eq(peer_requests(&fetching.peer), before + 1);
	client_close(&first);
	fetching_check_many(fetching_query("/ok", ""), 4, "0 200 2\nok");
	fetching_end();
}
