#include "fetching.h"

#include <stdio.h>
#include <string.h>

const char *const fetching_gates[4] = { "fastcgi", "scgi", "uwsgi", "http" };

#define OK(length) "HTTP/1.1 200 OK\r\nContent-Length: " #length "\r\n"

struct fetching fetching;

static char large_head[200000], many_fields[100000], elsewhere[200];

static const struct peer_answer answers[] = {
	{ "/ok", OK(2) "X-A: one\r\nx-a: two\r\nEmpty:\r\n\r\nok", PEER_KEEP, NULL },
	{ "/typed", OK(2) "Content-Type: text/x\r\n\r\nok", PEER_KEEP, NULL },
	{ "/nul", OK(0) "\r\n", PEER_KEEP, NULL },
	{ "/head", OK(5) "\r\n", PEER_KEEP, NULL },
	{ "/error", "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", PEER_KEEP, NULL },
	{ "/none", "HTTP/1.1 204 None\r\n\r\n", PEER_KEEP, NULL },
	{ "/old", "HTTP/1.0 200 OK\r\n\r\nuntil the end", PEER_CLOSE, NULL },
	{ "/early", "HTTP/1.1 103 Early\r\nX-A: no\r\n\r\n" OK(2) "X-A: yes\r\n\r\nok", PEER_KEEP,
	        NULL },
	{ "/chunked",
	        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: head\r\n\r\n"
	        "3\r\none\r\n3\r\ntwo\r\n0\r\nX-A: trailer\r\nX-B: trailer\r\n\r\n",
	        PEER_KEEP, NULL },
	{ "/empty",
	        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-B: trailer\r\n\r\n",
	        PEER_KEEP, NULL },
	{ "/folded", OK(0) "X-A: one\r\n  two\r\n\r\n", PEER_KEEP, NULL },
	{ "/once", OK(2) "\r\nok", PEER_ONCE, NULL },
	/* redirects */
	{ "/moved", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 3\r\n\r\nold",
	        PEER_KEEP, NULL },
	{ "/other", "HTTP/1.1 303 Other\r\nLocation: ok?other\r\nContent-Length: 0\r\n\r\n",
	        PEER_KEEP, NULL },
	{ "/again", "HTTP/1.1 307 Again\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", PEER_KEEP,
	        NULL },
	{ "/loop", "HTTP/1.1 301 Moved\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n", PEER_KEEP,
	        NULL },
	{ "/file",
	        "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
	        PEER_KEEP, NULL },
	{ "/ftp", "HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
	        PEER_KEEP, NULL },
	{ "/user", "HTTP/1.1 302 Found\r\nLocation: http://a:b@127.0.0.1:1/\r\n\r\n", PEER_CLOSE,
	        NULL },
	{ "/elsewhere", elsewhere, PEER_KEEP, NULL },
	{ "/nowhere", "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", PEER_CLOSE,
	        NULL },
	/* what is wrong */
	{ "/closed", "", PEER_CLOSE, NULL },
	{ "/cut", OK(10) "\r\n12345", PEER_CLOSE, NULL },
	{ "/cut/head", "HTTP/1.1 200 OK\r\nX-A: on", PEER_CLOSE, NULL },
	{ "/cut/chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n12345",
	        PEER_CLOSE, NULL },
	{ "/cut/chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n12\r\n",
	        PEER_CLOSE, NULL },
	{ "/bad/chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", PEER_STALL,
	        NULL },
	{ "/bad/length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", PEER_STALL, NULL },
	{ "/mail", "220 mail.test ESMTP\r\n", PEER_STALL, NULL },
	{ "/large/field", large_head, PEER_STALL, NULL },
	{ "/large/head", many_fields, PEER_STALL, NULL },
	{ "/endless/head", "HTTP/1.1 200 OK\r\n", PEER_REPEAT, "A: b\r\n" },
	{ "/endless/line", "HTTP/1.1 200 OK\r\nA: ", PEER_REPEAT, "bbbbbbbbbbbbbbbb" },
	{ "/endless/early", "", PEER_REPEAT, "HTTP/1.1 100 Continue\r\n\r\n" },
	{ "/endless", "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\n\r\n", PEER_REPEAT,
	        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" },
	{ "/stall", "", PEER_STALL, NULL },
	{ "/stall/head", "HTTP/1.1 200 OK\r\nX-A: on", PEER_STALL, NULL },
	{ "/stall/body", OK(5) "Content-Type: text/x\r\n\r\n12", PEER_STALL, NULL },
	{ "/trickle", "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\n\r\n", PEER_TRICKLE, NULL },
	{ "/gather", OK(2) "\r\nok", PEER_GATHER, NULL },
	{ NULL, NULL, PEER_KEEP, NULL },
};

void fetching_begin(const char *setting)
{
	size_t at = (size_t)snprintf(many_fields, sizeof many_fields, "HTTP/1.1 200 OK\r\n");

	memset(large_head, 'a', sizeof large_head - 1);
	memcpy(large_head, "HTTP/1.1 200 OK\r\nA: ", 20);
	while (at + 80 < sizeof many_fields)
		at += (size_t)sprintf(many_fields + at, "Name-%zu: %050d\r\n", at, 0);
	fetching.peer.answers = answers;
	peer_start(&fetching.peer);
	snprintf(elsewhere, sizeof elsewhere,
	        "HTTP/1.1 307 Else\r\nLocation: http://localhost%s/ok\r\nContent-Length: 0\r\n\r\n",
	        strchr(fetching.peer.address, ':'));
	daemon_start(&fetching.daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "-s", setting,
	        DAEMON_APPS "fetches.so", NULL);
	fetching.address = daemon_address(&fetching.daemon);
}

void fetching_end(void)
{
	daemon_stop(&fetching.daemon);
	peer_stop(&fetching.peer);
}

void fetching_ask(const char *gate, const char *query, const char *body, struct client *client)
{
	gate_ask_query(gate, fetching.address, query, body, client);
}

void fetching_check(const char *gate, const char *query, const char *body, const char *wanted)
{
	gate_check_query(gate, fetching.address, query, body, wanted, 1);
}

void fetching_check_many(const char *query, unsigned times, const char *wanted)
{
	char all[512];

	snprintf(all, sizeof all, "%s&times=%u", query, times);
	gate_check_query("http", fetching.address, all, NULL, wanted, times);
}

const char *fetching_query(const char *path, const char *more)
{
	static char query[512];

	snprintf(query, sizeof query, "url=http://%s%s%s", fetching.peer.address, path, more);
	return query;
}
