/* No descriptors left, or no disk: what needs them fails clearly, all else goes on. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/audience.h"
#include "tests/support/daemon.h"
#include "tests/support/peer.h"

SUITE(shortage);

static const struct peer_answer answers[] = {
	{ "/ok", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", PEER_CLOSE,
	        NULL },
	{ NULL, NULL, PEER_KEEP, NULL },
};

static struct daemon anygate;
static struct peer peer;
static struct client hog, asker; /* connections that are there already */
static const char *address;

#define MOUNT(name)                                                                                \
	"-s", "app." name ".load=" DAEMON_APPS name ".so", "-s", "app." name ".mount=/" name

/* Sends a GET on an open connection; its answer, which has to be 200, has to begin with a text. */
static void ask(struct client *client, const char *target, const char *wanted)
{
	struct response response;

	http_ask(client, target);
	client_response(client, "GET", &response);
	const char *got = response.body.data;

	cr_expect_eq(response.status, 200, "%s: %d", target, response.status);
	cr_expect_eq(strncmp(got, wanted, strlen(wanted)), 0, "%s: %s", target, got);
	response_free(&response);
}

static void begin(void)
{
	peer.answers = answers;
	peer_start(&peer);
	daemon_start(&anygate, 1, "-w", "1", "-l", "http=127.0.0.1:0", "-s", "daemon.open_files=64",
	        MOUNT("fetches"), MOUNT("streams"), MOUNT("hog"), DAEMON_APPS "channels.so", NULL);
	address = daemon_address(&anygate);
	client_open(&hog, address);
	client_open(&asker, address);
	ask(&hog, "/hog/", "here");
	ask(&asker, "/hog/", "here");
}

static void end(void)
{
	client_close(&hog);
	client_close(&asker);
	daemon_stop(&anygate);
	peer_stop(&peer);
}

static void fetch_well(const char *host)
{
	char target[128];

	snprintf(target, sizeof target, "/fetches/?url=http://%s%s/ok", host,
	        strchr(peer.address, ':'));
	ask(&asker, target, "0 200 2");
}

static size_t occurrences(const char *text, const char *of)
{
	size_t count = 0;

	for (; (text = strstr(text, of)); text += strlen(of))
		count++;
	return count;
}

/* ---- ag_fetch ---- */

#define LACKS "-10 0 0 no descriptors are left; raise daemon.open_files\n"

static const struct {
	unsigned leave; /* descriptors */
	const char *scheme, *host, *wanted;
} fetches[] = {
	{ 0, "http", "127.0.0.1", LACKS },
	{ 0, "http", "localhost", LACKS },
	{ 0, "https", "127.0.0.1", LACKS },
	{ 0, "http", "name.invalid", LACKS },
	{ 1, "http", "name.invalid", LACKS }, /* its resolution takes two */
	{ 1, "https", "127.0.0.1", LACKS },   /* the certificates are in a file */
	{ 1, "http", "127.0.0.1", "0 200 2" },
	{ 0, "http", "127.0.0.1", LACKS },
};

Test(shortage, fetch, .timeout = 60)
{
	const char *said;

	begin();
	for (size_t i = 0; i < COUNT(fetches); i++) {
		char target[256], shortage[32];

		snprintf(shortage, sizeof shortage, "/hog/hog?leave=%u", fetches[i].leave);
		snprintf(target, sizeof target, "/fetches/?show=error&url=%s://%s%s/ok",
		        fetches[i].scheme, fetches[i].host, strchr(peer.address, ':'));
		ask(&hog, shortage, "taken");
		ask(&asker, target, fetches[i].wanted);
		ask(&hog, "/hog/free", "free");
	}
	said = daemon_text(&anygate);
	cr_expect_eq(occurrences(said, "ag_fetch: no descriptors are left"), 2, "%s", said);
	fetch_well("127.0.0.1");
	fetch_well("localhost");
	end();
}

/* ---- a full disk ---- */

/* A body that the one who is asked does not take: it ends in an answer, and so does the fetch. */
Test(shortage, body_on_full_disk, .timeout = 60)
{
	const struct rlimit small = { 65536, 65536 };
	const size_t size = 32 << 20; /* more than sockets hold */
	char *noise = support_noise(size), deaf_address[32], target[64];
	struct response response;
	int deaf = support_listen(deaf_address); /* nobody accepts from it */

	snprintf(target, sizeof target, "/fetches/?stream=1&url=http://%s/", deaf_address);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	begin();
	fetch_well("127.0.0.1");

	size_t before = process_descriptors(daemon_worker(&anygate, 0));

	http_request(address, "POST", target, NULL, noise, size, &response);
	cr_expect_eq(response.status, 507, "%d", response.status);
	response_free(&response);
	daemon_expect(&anygate, "can't keep the body on disk");
	daemon_expect(&anygate, "fetch ended with -3: ");
	process_check_nothing_left(daemon_worker(&anygate, 0), before);
	fetch_well("127.0.0.1");
	end();
	close(deaf);
	free(noise);
}

/* ---- what needs none ---- */

/* Events and messages reach those who are there; who connects has to wait, which is told once. */
Test(shortage, streams_go_on, .timeout = 120)
{
	struct client silent, stream, late;
	struct response response;
	int worker;

	begin();
	client_open(&silent, address);
	http_ask(&silent, "/streams/silent");
	audience_expect_text(&silent, "text/event-stream");
	audience_open_stream(&stream, address, "http", "/stream/numbers", &worker);
	ask(&hog, "/hog/hog", "taken");
	client_open(&late, address);
	http_ask(&late, "/hog/");
	/* a comment each 20 ms: it is tried to accept several times meanwhile */
	for (int i = 0; i < 50; i++)
		audience_expect_text(&silent, ":\n");
	daemon_expect(&anygate, "out of descriptors");
	/* on a connection that there is another one can begin, too */
	http_ask(&asker, "/stream/numbers");
	audience_take_worker(&asker, false);
	ask(&hog, "/slow?n=3", "0 lost, then 0");
	audience_expect_text(&stream, "0 2\n");
	audience_expect_text(&asker, "0 2\n");
	ask(&hog, "/hog/free", "free");
	client_response(&late, "GET", &response);
	cr_expect_eq(response.status, 200);
	response_free(&response);
	audience_publish(address, "numbers", "again");
	audience_expect_text(&stream, "0 again\n");
	audience_expect_text(&asker, "0 again\n");
	cr_expect_eq(occurrences(daemon_text(&anygate), "out of descriptors"), 1, "%s",
	        daemon_text(&anygate));
	client_close(&silent);
	client_close(&stream);
	client_close(&late);
	end();
}
