/* Channels between daemons, through a real Redis. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/admin.h"
#include "tests/support/audience.h"

SUITE(bus_redis);

/* ---- Redis ---- */

struct redis {
	char directory[64], address[128]; /* as [bus] has it */
	char port[16];                    /* "0": none */
	struct process process;
};

static void redis_start(struct redis *redis, const char *more)
{
	char command[1024];
	const char *arguments[] = { "sh", "-c", command, NULL };
	const struct process_options options = { .arguments = arguments };

	snprintf(command, sizeof command,
	        "exec redis-server --port %s --bind 127.0.0.1 --unixsocket %s/redis.sock "
	        "--save '' --dir %s --logfile '' %s >&2",
	        redis->port, redis->directory, redis->directory, more);
	process_start(&redis->process, &options);
	process_expect(&redis->process, "ready to accept connections", 0);
}

static void redis_make(struct redis *redis, const char *more)
{
	snprintf(redis->directory, sizeof redis->directory, "%s/XXXXXX", support_directory());
	cr_assert(mkdtemp(redis->directory));
	snprintf(redis->address, sizeof redis->address, "unix:%s/redis.sock", redis->directory);
	strcpy(redis->port, "0");
	redis_start(redis, more);
}

static void redis_kill(struct redis *redis)
{
	kill(redis->process.pid, SIGKILL);
	process_wait(&redis->process);
	process_free(&redis->process);
}

/* What a program of theirs says. */
static void redis_ask(struct redis *redis, const char *words, const char *expected)
{
	char command[512];
	const char *arguments[] = { "sh", "-c", command, NULL };
	const struct process_options options = { .arguments = arguments };
	struct process process;

	snprintf(command, sizeof command, "redis-cli -s %s/redis.sock %s", redis->directory, words);
	process_succeed(&process, &options);
	cr_expect_str_eq(process.out.data, expected, "%s: %s", words, process.out.data);
	process_free(&process);
}

/* ---- daemons ---- */

#define WORKERS 2

struct site {
	char directory[64];
	struct daemon daemon;
	struct audience audience;
	struct admin_site admin; /* for its address */
};

static struct site sites[2];

static void site_start_with(
        struct site *site, const struct redis *redis, const char *setting, const char *workers)
{
	char where[256], bus[256];

	snprintf(site->directory, sizeof site->directory, "%s/XXXXXX", support_directory());
	cr_assert(mkdtemp(site->directory));
	snprintf(
	        site->admin.admin, sizeof site->admin.admin, "unix:%s/admin.sock", site->directory);
	snprintf(where, sizeof where, "admin.listen=%s", site->admin.admin);
	snprintf(bus, sizeof bus, "bus.redis=%s", redis->address);
	daemon_start(&site->daemon, 2, "-w", workers, "-l", "127.0.0.1:0", "-s", where, "-s", bus,
	        "-s", setting, "-s", "daemon.reload_watch=0", "-s",
	        "app.hog.load=" DAEMON_APPS "hog.so", "-s", "app.hog.mount=/hog",
	        DAEMON_APPS "channels.so", NULL);
}

static void site_start(struct site *site, const struct redis *redis, const char *setting)
{
	site_start_with(site, redis, setting, "2");
}

static const char *site_address(const struct site *site)
{
	return daemon_address(&site->daemon);
}

static void site_gather(struct site *site)
{
	audience_gather(&site->audience, site_address(site), WORKERS);
	admin_await(&site->admin, "totals/bus_connected", WORKERS);
}

static void site_stop(struct site *site)
{
	audience_dismiss(&site->audience);
	daemon_stop(&site->daemon);
}

/* What is published in either reaches all, each once and in order. */
static void expect_everywhere(const char *text)
{
	for (int i = 0; i < 8; i++) {
		char numbered[64];

		snprintf(numbered, sizeof numbered, "%s-%d", text, i);
		audience_publish(site_address(&sites[i % 2]), "news", numbered);
		for (size_t j = 0; j < COUNT(sites); j++)
			audience_expect(&sites[j].audience, numbered);
	}
}

static size_t occurrences(const char *text, const char *of)
{
	size_t count = 0;

	while ((text = strstr(text, of))) {
		text += strlen(of);
		count++;
	}
	return count;
}

Test(bus_redis, two_daemons, .timeout = 180)
{
	struct redis redis;

	redis_make(&redis, "");
	for (size_t i = 0; i < COUNT(sites); i++) {
		site_start(&sites[i], &redis, "log.level=warning");
		site_gather(&sites[i]);
	}
	expect_everywhere("first");
	/* Redis goes: each daemon goes on by itself, and says so once */
	redis_kill(&redis);
	for (size_t i = 0; i < COUNT(sites); i++) {
		admin_await(&sites[i].admin, "totals/bus_connected", 0);
		audience_publish(site_address(&sites[i]), "news", "alone");
		audience_expect(&sites[i].audience, "alone");
	}
	/* Redis comes back: so do they */
	redis_start(&redis, "");
	for (size_t i = 0; i < COUNT(sites); i++)
		admin_await(&sites[i].admin, "totals/bus_connected", WORKERS);
	expect_everywhere("again");
	for (size_t i = 0; i < COUNT(sites); i++) {
		const char *said = daemon_text(&sites[i].daemon);

		cr_expect_eq(occurrences(said, "no Redis at "), 1, "%s", said);
		cr_expect_eq(occurrences(said, "is back:"), 1, "%s", said);
		site_stop(&sites[i]);
	}
	redis_kill(&redis);
}

/* Redis is there but does nothing: that is noticed, and when it does something again. */
Test(bus_redis, stopped, .timeout = 120)
{
	struct redis redis;

	redis_make(&redis, "");
	for (size_t i = 0; i < COUNT(sites); i++) {
		site_start(&sites[i], &redis, "log.level=warning");
		site_gather(&sites[i]);
	}
	kill(redis.process.pid, SIGSTOP);
	for (size_t i = 0; i < COUNT(sites); i++)
		daemon_expect(&sites[i].daemon, "it does not answer");
	audience_publish(site_address(&sites[0]), "news", "alone");
	audience_expect(&sites[0].audience, "alone");
	kill(redis.process.pid, SIGCONT);
	for (size_t i = 0; i < COUNT(sites); i++)
		admin_await(&sites[i].admin, "totals/bus_connected", WORKERS);
	for (size_t i = 0; i < COUNT(sites); i++)
		site_stop(&sites[i]);
	redis_kill(&redis);
}

/* Whoever else is there can take part: 16 bytes that name the sender, then the message. */
Test(bus_redis, others, .timeout = 120)
{
	struct redis redis;

	redis_make(&redis, "");
	site_start(&sites[0], &redis, "bus.prefix=site/");
	site_gather(&sites[0]);
	redis_ask(
	        &redis, "pubsub numsub site/news anygate:news", "site/news\n2\nanygate:news\n0\n");
	redis_ask(&redis, "publish site/news short", "2\n");
	redis_ask(&redis, "publish site/ 0123456789abcdefno-channel", "2\n");
	redis_ask(&redis, "publish site/news 0123456789abcdefhello", "2\n");
	audience_expect(&sites[0].audience, "hello");
	audience_dismiss(&sites[0].audience);
	/* nobody listens any more: Redis knows, and the first who comes back is heard again */
	for (int i = 0; i < CHANGES; i++) {
		if (admin_figure(&sites[0].admin, "totals/connections") <= 1)
			break;
		usleep(1000);
	}
	site_gather(&sites[0]);
	redis_ask(&redis, "publish site/news 0123456789abcdefback", "2\n");
	audience_expect(&sites[0].audience, "back");
	site_stop(&sites[0]);
	redis_kill(&redis);
}

/* A generation that follows is connected like the one before. */
Test(bus_redis, reload, .timeout = 120)
{
	struct redis redis;

	redis_make(&redis, "");
	for (size_t i = 0; i < COUNT(sites); i++) {
		site_start(&sites[i], &redis, "log.level=info");
		admin_await(&sites[i].admin, "totals/bus_connected", WORKERS);
	}
	kill(sites[0].daemon.process.pid, SIGHUP);
	daemon_expect(&sites[0].daemon, "reloaded: generation 2 serves");
	for (size_t i = 0; i < COUNT(sites); i++)
		site_gather(&sites[i]);
	expect_everywhere("reloaded");
	for (size_t i = 0; i < COUNT(sites); i++)
		site_stop(&sites[i]);
	redis_kill(&redis);
}

/* ---- no descriptors ---- */

static void ask(struct client *client, const char *target, const char *wanted)
{
	struct response response;

	http_ask(client, target);
	client_response(client, "GET", &response);
	cr_assert_eq(response.status, 200, "%s: %d", target, response.status);
	cr_expect_str_eq(response.body.data, wanted);
	response_free(&response);
}

/* Redis comes back, but there is no descriptor to connect with: what is left is tried again. */
Test(bus_redis, no_descriptors, .timeout = 120)
{
	struct client hog, stream;
	struct redis redis;
	int worker;

	redis_make(&redis, "");
	site_start_with(&sites[0], &redis, "daemon.open_files=64", "1");
	admin_await(&sites[0].admin, "totals/bus_connected", 1);
	client_open(&hog, site_address(&sites[0]));
	client_open(&stream, site_address(&sites[0]));
	ask(&stream, "/worker", "1");
	ask(&hog, "/hog/hog", "taken\n");
	/* who subscribes first has the worker connect a second time */
	http_ask(&stream, "/stream/numbers");
	worker = audience_take_worker(&stream, false);
	cr_expect_eq(worker, 1);
	daemon_expect(&sites[0].daemon, "Too many open files; until it is back messages stay");
	ask(&hog, "/slow?n=3", "0 lost, then 0");
	audience_expect_text(&stream, "0 2\n");
	redis_kill(&redis);
	ask(&hog, "/hog/hog", "taken\n"); /* what that one connection has held */
	redis_start(&redis, "");
	ask(&hog, "/slow?n=3", "0 lost, then 0");
	audience_expect_text(&stream, "0 2\n");
	ask(&hog, "/hog/free", "free\n");
	daemon_expect(&sites[0].daemon, "is back:");
	redis_ask(&redis, "publish anygate:numbers 0123456789abcdefhello", "1\n");
	audience_expect_text(&stream, "0 hello\n");
	cr_expect_eq(occurrences(daemon_text(&sites[0].daemon), "no Redis at "), 1);
	client_close(&hog);
	client_close(&stream);
	site_stop(&sites[0]);
	redis_kill(&redis);
}

/* ---- passwords ---- */

/* Neither the log nor what is served of a daemon's state has it. */
static void expect_untold(struct site *site, const char *password)
{
	static const char *const pages[] = { "/status", "/status.json", "/metrics" };

	cr_expect_null(strstr(daemon_text(&site->daemon), password));
	for (size_t i = 0; i < COUNT(pages); i++) {
		char *page = admin_fetch(site->admin.admin, pages[i], 200);

		cr_expect_null(strstr(page, password), "%s: %s", pages[i], page);
		free(page);
	}
}

Test(bus_redis, password, .timeout = 120)
{
	static const char *const settings[] = { "bus.password=secret", "bus.password=wrong" };
	struct redis redis;

	redis_make(&redis, "--requirepass secret");
	for (size_t i = 0; i < COUNT(settings); i++)
		site_start(&sites[i], &redis, settings[i]);
	site_gather(&sites[0]);
	audience_publish(site_address(&sites[0]), "news", "let-in");
	audience_expect(&sites[0].audience, "let-in");
	daemon_expect(&sites[1].daemon, "WRONGPASS");
	cr_expect_eq(admin_figure(&sites[1].admin, "totals/bus_connected"), 0);
	audience_publish(site_address(&sites[1]), "news", "nobody");
	for (size_t i = 0; i < COUNT(settings); i++) {
		expect_untold(&sites[i], strchr(settings[i], '=') + 1);
		site_stop(&sites[i]);
	}
	redis_kill(&redis);
}

/* A Redis that does not know AUTH repeats what it was sent. */
Test(bus_redis, password_repeated, .timeout = 120)
{
	struct redis redis;

	redis_make(&redis, "--rename-command AUTH LOGIN");
	site_start(&sites[0], &redis, "bus.password=hunter2");
	daemon_expect(&sites[0].daemon, "AUTH: ERR unknown command");
	expect_untold(&sites[0], "hunter2");
	site_stop(&sites[0]);
	redis_kill(&redis);
}

/* ---- TCP ---- */

/* At first somebody is there who does not say a word, then nobody, then Redis. */
Test(bus_redis, tcp, .timeout = 180)
{
	struct redis redis;
	int fd;

	redis_make(&redis, "");
	redis_kill(&redis);
	fd = support_listen(redis.address);
	strcpy(redis.port, strchr(redis.address, ':') + 1);
	site_start(&sites[0], &redis, "log.level=warning");
	daemon_expect(&sites[0].daemon, "it does not answer");
	audience_gather(&sites[0].audience, site_address(&sites[0]), WORKERS);
	audience_publish(site_address(&sites[0]), "news", "alone");
	audience_expect(&sites[0].audience, "alone");
	close(fd);
	redis_start(&redis, "");
	site_start(&sites[1], &redis, "log.level=warning");
	admin_await(&sites[0].admin, "totals/bus_connected", WORKERS);
	site_gather(&sites[1]);
	expect_everywhere("tcp");
	for (size_t i = 0; i < COUNT(sites); i++)
		site_stop(&sites[i]);
	redis_kill(&redis);
}
