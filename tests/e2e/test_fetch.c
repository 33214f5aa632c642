/* Other servers that a handler asks: what they are sent, what they answer, how they fail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fetching.h"

SUITE(fetch);

/* ---- one fetch ---- */

static const struct fetch_row {
	const char *path, *query, *body, *result; /* as apps/fetches.c */
} rows[] = {
	{ "/ok", "", NULL, "0 200 2\nok" },
	{ "/ok", "&show=x-a", NULL, "0 200 2 one\nok" },
	{ "/ok", "&show=Empty", NULL, "0 200 2 \nok" },
	{ "/ok", "&show=error", NULL, "0 200 2 \nok" },
	{ "/error", "", NULL, "0 503 4\nbusy" },
	{ "/none", "", NULL, "0 204 0\n" },
	{ "/nul", "", NULL, "0 200 0\n" },
	{ "/old", "", NULL, "0 200 13\nuntil the end" },
	{ "/head", "&method=HEAD", NULL, "0 200 0\n" },
	{ "/early", "&show=X-A", NULL, "0 200 2 yes\nok" },
	{ "/chunked", "&show=X-A", NULL, "0 200 6 head\nonetwo" },
	{ "/chunked", "&show=X-B", NULL, "0 200 6 \nonetwo" },
	{ "/empty", "&show=X-B", NULL, "0 200 0 \n" },
	{ "/folded", "&show=X-A", NULL, "0 200 0 one two\n" },
	/* limits */
	{ "/ok", "&limit=2", NULL, "0 200 2\nok" },
	{ "/ok", "&limit=1", NULL, AG_TOO_LARGE " 200 0\n" },
	{ "/endless", "", NULL, AG_TOO_LARGE " 200 0\n" },
	{ "/endless", "&limit=3000000", NULL, AG_TOO_LARGE " 200 0\n" },
	{ "/large/field", "", NULL, AG_TOO_LARGE " 0 0\n" },
	{ "/large/head", "", NULL, AG_TOO_LARGE " 0 0\n" },
	{ "/endless/head", "", NULL, AG_TOO_LARGE " 0 0\n" },
	{ "/endless/line", "", NULL, AG_TOO_LARGE " 0 0\n" },
	/* redirects */
	{ "/moved", "", NULL, "0 302 3\nold" },
	{ "/moved", "&show=location", NULL, "0 302 3 /ok\nold" },
	{ "/moved", "&redirects=1", NULL, "0 200 2\nok" },
	{ "/moved", "&redirects=1&body=abc", NULL, "0 200 2\nok" },
	{ "/moved", "&redirects=1&take=0", NULL, "<200 (null)>[ok]0 200 0\n" },
	{ "/again", "&redirects=1&body=abc", NULL, "0 200 2\nok" },
	{ "/again", "&redirects=1&stream=1", "abc", AG_BAD_ANSWER " 0 0\n" },
	{ "/other", "&redirects=1&method=PUT&body=abc", NULL, "0 200 2\nok" },
	{ "/loop", "&redirects=5", NULL, AG_BAD_ANSWER " 0 0\n" },
	{ "/file", "", NULL, "0 302 0\n" },
	{ "/file", "&redirects=5", NULL, AG_BAD_ANSWER " 0 0\n" },
	{ "/ftp", "&redirects=5", NULL, AG_BAD_ANSWER " 0 0\n" },
	{ "/user", "&redirects=5", NULL, AG_BAD_ANSWER " 0 0\n" },
	{ "/nowhere", "&redirects=5", NULL, AG_UNREACHABLE " 0 0\n" },
	/* what is no answer */
	{ "/closed", "", NULL, AG_BAD_ANSWER " 0 0\n" },
	{ "/cut", "", NULL, AG_BAD_ANSWER " 200 0\n" },
	{ "/cut/head", "", NULL, AG_BAD_ANSWER " 0 0\n" },
	{ "/cut/chunk", "", NULL, AG_BAD_ANSWER " 200 0\n" },
	{ "/cut/chunks", "", NULL, AG_BAD_ANSWER " 200 0\n" },
	{ "/bad/chunk", "", NULL, AG_BAD_ANSWER " 200 0\n" },
	{ "/bad/length", "", NULL, AG_BAD_ANSWER " 0 0\n" },
	{ "/mail", "", NULL, AG_BAD_ANSWER " 0 0\n" },
	/* time */
	{ "/stall", "&ms=100", NULL, AG_SLOW " 0 0\n" },
	{ "/stall", "&ms=100&show=error", NULL,
	        AG_SLOW " 0 0 the peer was silent for timeout_ms\n" },
	{ "/stall/head", "&ms=100", NULL, AG_SLOW " 0 0\n" },
	{ "/stall/body", "&ms=100", NULL, AG_SLOW " 200 0\n" },
	{ "/trickle", "&ms=300", NULL, AG_SLOW " 200 0\n" },
	{ "/endless/early", "", NULL, AG_BAD_ANSWER " 0 0\n" },
	/* taken as it comes */
	{ "/typed", "&take=0", NULL, "<200 text/x>[ok]0 200 0\n" },
	{ "/none", "&take=0", NULL, "<204 (null)>0 204 0\n" },
	{ "/typed", "&take=42", NULL, "<200 text/x>42 200 0\n" },
	{ "/endless", "&take=42", NULL, "<200 text/x>42 200 0\n" },
	{ "/endless", "&take=-2", NULL, "<200 text/x>" AG_TIMEOUT " 200 0\n" },
	{ "/endless", "&times=1&cancel=1&pause=10", NULL, "<200 text/x>" AG_CANCELED " 200 0\n" },
	{ "/stall/body", "&take=0&ms=100", NULL, "<200 text/x>[12]" AG_SLOW " 200 0\n" },
	{ "/cut", "&take=0", NULL, "<200 (null)>[12345]" AG_BAD_ANSWER " 200 0\n" },
	{ "/typed", "&take=0&limit=1", NULL, "<200 text/x>" AG_TOO_LARGE " 200 0\n" },
	/* what must not be sent */
	{ "/ok", "%0d%0aX:1", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "%20HTTP/1.0", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "%c3%a4", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&method=GET%20/x", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&method=A%0d%0aB", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&method=", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&method=CONNECT", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&header=A:1%0d%0aB:2", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&header=A:1%0aB:2", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&header=A%20:1", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&header=:1", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&header=A", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&header=A;", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&header=content-length:5", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&header=Transfer-Encoding:chunked", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&header=Connection:close", NULL, AG_INVALID " 0 0\n" },
	{ "/ok", "&stream=1&body=x", "y", AG_INVALID " 0 0\n" },
	{ "/ok", "&method=HEAD&body=x", NULL, AG_INVALID " 0 0\n" },
};

static void check_rows(void)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		fetching_check(FETCHING_GATE(i), fetching_query(rows[i].path, rows[i].query),
		        rows[i].body, rows[i].result);
}

Test(fetch, rows, .timeout = 120)
{
	fetching_begin("app.debug=off");
	check_rows();
	size_t descriptors = process_descriptors(daemon_worker(&fetching.daemon, 0));

	check_rows();
	process_check_nothing_left(daemon_worker(&fetching.daemon, 0), descriptors);
	fetching_end();
}

/* ---- what is sent ---- */

/* The peer's address stands for each "@". */
static void check_sent(const char *wanted)
{
	char *last = peer_last(&fetching.peer);
	struct bytes text = { 0 };

	for (; *wanted; wanted++)
		if (*wanted == '@')
			bytes_text(&text, fetching.peer.address);
		else
			bytes_add(&text, wanted, 1);
	cr_expect_str_eq(last, text.data);
	bytes_free(&text);
	free(last);
}

static const struct {
	const char *path, *query, *body, *sent;
} requests[] = {
	{ "/ok", "", NULL, "GET /ok HTTP/1.1\r\nHost: @\r\n\r\n" },
	{ "/ok?a=/b", "&header=X-A:+1&header=Empty:+&header=Accept:a&header=User-Agent:b", NULL,
	        "GET /ok?a=/b HTTP/1.1\r\nHost: @\r\nX-A: "
	        "1\r\nEmpty:\r\nAccept:a\r\nUser-Agent:b\r\n"
	        "\r\n" },
	{ "/ok", "&header=host:a.test", NULL, "GET /ok HTTP/1.1\r\nHost:a.test\r\n\r\n" },
	{ "/ok", "&method=DELETE", NULL, "DELETE /ok HTTP/1.1\r\nHost: @\r\n\r\n" },
	{ "/head", "&method=HEAD", NULL, "HEAD /head HTTP/1.1\r\nHost: @\r\n\r\n" },
	/* bodies */
	{ "/ok", "&body=abc", NULL,
	        "POST /ok HTTP/1.1\r\nHost: @\r\nContent-Length: 3\r\n\r\nabc" },
	{ "/ok", "&body=abc&method=PUT&header=Content-Type:a/b", NULL,
	        "PUT /ok HTTP/1.1\r\nHost: @\r\nContent-Type:a/b\r\nContent-Length: 3\r\n\r\nabc" },
	{ "/ok", "&body=abc&method=GET", NULL,
	        "GET /ok HTTP/1.1\r\nHost: @\r\nContent-Length: 3\r\n\r\nabc" },
	{ "/ok", "&method=POST", NULL,
	        "POST /ok HTTP/1.1\r\nHost: @\r\nContent-Length: 0\r\n\r\n" },
	{ "/ok", "&method=PUT", NULL, "PUT /ok HTTP/1.1\r\nHost: @\r\nContent-Length: 0\r\n\r\n" },
	{ "/ok", "&stream=1", "the body",
	        "POST /ok HTTP/1.1\r\nHost: @\r\nContent-Length: 8\r\n\r\nthe body" },
	{ "/ok", "&stream=1&method=PATCH", "the body",
	        "PATCH /ok HTTP/1.1\r\nHost: @\r\nContent-Length: 8\r\n\r\nthe body" },
	{ "/ok", "&stream=1", NULL, "GET /ok HTTP/1.1\r\nHost: @\r\n\r\n" },
	/* behind redirects */
	{ "/moved", "&body=abc&redirects=1", NULL, "GET /ok HTTP/1.1\r\nHost: @\r\n\r\n" },
	{ "/other", "&body=abc&method=PUT&redirects=1", NULL,
	        "GET /ok?other HTTP/1.1\r\nHost: @\r\n\r\n" },
	{ "/again", "&body=abc&redirects=1", NULL,
	        "POST /ok HTTP/1.1\r\nHost: @\r\nContent-Length: 3\r\n\r\nabc" },
	{ "/again", "&redirects=1&header=Authorization:a&header=Cookie:b&header=X:c", NULL,
	        "GET /ok HTTP/1.1\r\nHost: @\r\nAuthorization:a\r\nCookie:b\r\nX:c\r\n\r\n" },
};

Test(fetch, sends, .timeout = 60)
{
	struct bytes elsewhere_sent = { 0 };

	fetching_begin("app.debug=off");
	for (size_t i = 0; i < COUNT(requests); i++) {
		const char *head = strncmp(requests[i].path, "/head", 5) == 0 ? "0 200 0\n" : NULL;

		fetching_check(FETCHING_GATE(i),
		        fetching_query(requests[i].path, requests[i].query), requests[i].body,
		        head ? head : "0 200 2\nok");
		check_sent(requests[i].sent);
	}
	fetching_check("http",
	        fetching_query("/elsewhere",
	                "&redirects=1&header=Authorization:a&header=Cookie:b&header=X:c"),
	        NULL, "0 200 2\nok");
	bytes_printf(&elsewhere_sent, "GET /ok HTTP/1.1\r\nHost: localhost%s\r\nX:c\r\n\r\n",
	        strchr(fetching.peer.address, ':'));
	check_sent(elsewhere_sent.data);
	bytes_free(&elsewhere_sent);
	fetching_end();
}
