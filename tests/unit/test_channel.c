/* Channels within one worker: who receives what, what is lost, what WebSockets hear. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/async/channel.h"
#include "tests/support/loopback.h"

SUITE(channel);

static struct loopback loop;
static char trace[2048];

static void note(const char *format, ...)
{
	size_t used = strlen(trace);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(trace + used, sizeof trace - used, format, arguments);
	va_end(arguments);
}

static int say(struct ag_request *req, const char *channel, const char *text)
{
	return ag_publish(req, channel, text, strlen(text));
}

/* "text", or "text(lost)", or what it was told. */
static int hear(struct ag_request *req, struct ag_subscription *subscription, unsigned ms)
{
	struct ag_message message;
	int answer = ag_receive(req, subscription, &message, ms);

	if (answer) {
		note("%d ", answer);
		return answer;
	}
	cr_expect_eq(strlen(message.data), message.size);
	note("%s:%s", message.channel, message.data);
	note(message.lost ? "(%zu) " : " ", message.lost);
	return 0;
}

static int hears_three(struct ag_request *req, void *name)
{
	struct ag_subscription *subscription = ag_subscribe(req, "news");

	for (int i = 0; i < 3; i++) {
		note("%s ", (const char *)name);
		hear(req, subscription, AG_FOREVER);
	}
	return 0;
}

/* ---- who receives what ---- */

static int tells_all(struct ag_request *req)
{
	ag_spawn(req, hears_three, "a");
	ag_spawn(req, hears_three, "b");
	ag_sleep(req, 1);
	say(req, "news", "1");
	say(req, "other", "2");
	ag_sleep(req, 1);
	say(req, "news", "3");
	say(req, "news", "4");
	ag_join_all(req);
	return 200;
}

static int before_and_after(struct ag_request *req)
{
	say(req, "news", "1");
	struct ag_subscription *first = ag_subscribe(req, "news");

	say(req, "news", "2");
	struct ag_subscription *second = ag_subscribe(req, "news");

	say(req, "news", "3");
	hear(req, second, 0);
	hear(req, second, 0);
	hear(req, first, 0);
	hear(req, first, 0);
	hear(req, first, 1);
	return 200;
}

/* What was received stays until the next, whatever becomes of the others. */
static int holds(struct ag_request *req)
{
	struct ag_subscription *first = ag_subscribe(req, "news"),
	                       *second = ag_subscribe(req, "news");
	struct ag_message message;

	say(req, "news", "1");
	say(req, "news", "2");
	cr_assert_eq(ag_receive(req, first, &message, 0), 0);
	cr_expect_eq(ag_unsubscribe(second), 0);
	note("%s ", message.data);
	cr_assert_eq(ag_receive(req, first, &message, 0), 0);
	say(req, "news", "3");
	note("%s ", message.data);
	return 200; /* one is not received */
}

static int waits(struct ag_request *req, void *subscription)
{
	return hear(req, subscription, AG_FOREVER);
}

static int unsubscribes(struct ag_request *req)
{
	struct ag_subscription *subscription = ag_subscribe(req, "news");
	struct ag_task *task = ag_spawn(req, waits, subscription);

	ag_sleep(req, 1);
	note("%d ", ag_unsubscribe(subscription));
	hear(req, subscription, 0);
	ag_cancel(req, task);
	ag_join(req, task, NULL);
	note("%d ", ag_unsubscribe(subscription));
	return 200;
}

/* ---- what is lost ---- */

static int falls_behind(struct ag_request *req)
{
	struct ag_subscription *slow = ag_subscribe(req, "news");

	for (int i = 0; i < CHANNEL_KEPT_MAX + 3; i++) {
		char text[16];
		int length = snprintf(text, sizeof text, "%d", i);

		if (i == CHANNEL_KEPT_MAX + 1)
			hear(req, slow, 0);
		ag_publish(req, "news", text, (size_t)length);
	}
	hear(req, slow, 0);
	hear(req, slow, 0);
	return 200;
}

static int falls_behind_bytes(struct ag_request *req)
{
	struct ag_subscription *slow = ag_subscribe(req, "news");
	char *large = calloc(1, AG_PUBLISH_MAX);
	struct ag_message message;

	for (int i = 0; i < CHANNEL_KEPT_BYTES / AG_PUBLISH_MAX + 2; i++) {
		large[0] = (char)('a' + i);
		ag_publish(req, "news", large, AG_PUBLISH_MAX);
	}
	cr_assert_eq(ag_receive(req, slow, &message, 0), 0);
	note("%c %zu", message.data[0], message.lost);
	free(large);
	return 200;
}

static int misses(struct ag_request *req)
{
	struct ag_subscription *one = ag_subscribe(req, "news"), *other = ag_subscribe(req, "old");

	say(req, "old", "1");
	channels_miss(&loop.runtime, 7);
	say(req, "news", "2");
	hear(req, one, 0);
	hear(req, other, 0);
	note("%d", (int)loop.runtime.channel_counters->lost);
	return 200;
}

/* ---- limits ---- */

static int refuses(struct ag_request *req)
{
	static char large[AG_PUBLISH_MAX + 1];
	char name[CHANNEL_NAME_MAX + 2];

	memset(name, 'n', sizeof name);
	name[CHANNEL_NAME_MAX + 1] = '\0';
	note("%d %d %d ", say(req, name, ""), say(req, "", ""), ag_publish(req, NULL, "", 0));
	note("%d ", ag_publish(req, "news", large, sizeof large));
	cr_expect_null(ag_subscribe(req, name));
	cr_expect_null(ag_subscribe(req, ""));
	cr_expect_null(ag_subscribe(req, NULL));
	struct ag_subscription *longest = ag_subscribe(req, name + 1);

	cr_assert_not_null(longest);
	note("%d ", ag_publish(req, name + 1, NULL, 0));
	struct ag_message message;

	note("%d ", ag_receive(req, longest, &message, 0));
	note("%zu", message.size);
	return 200;
}

static const struct {
	const char *name;
	ag_handler *handler;
	const char *trace;
} rows[] = {
	{ "all", tells_all, "a b news:1 b news:1 a news:3 b news:4 news:3 a news:4 " },
	{ "before and after", before_and_after, "news:3 -2 news:2 news:3 -2 " },
	{ "holds", holds, "1 2 " },
	{ "unsubscribes", unsubscribes, "-4 -4 -6 0 " },
	{ "falls behind", falls_behind, "news:1(1) news:3(1) news:4 " },
	{ "falls behind by bytes", falls_behind_bytes, "c 2" },
	{ "misses", misses, "news:2(7) old:1(7) 14" },
	{ "refuses", refuses, "-4 -4 -4 -4 0 0 0" },
};

static void run(const char *name, ag_handler *handler)
{
	ag_get(loop.app, "/", handler);
	trace[0] = '\0';
	loopback_get(&loop, "/");
	loopback_run(&loop);
	cr_assert(loop.finished, "%s: %s", name, trace);
	cr_expect_eq(loop.status, 200, "%s", name);
}

Test(channel, local)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		loopback_open(&loop);
		run(rows[i].name, rows[i].handler);
		cr_expect_str_eq(trace, rows[i].trace, "%s: %s", rows[i].name, trace);
		loopback_close(&loop);
	}
}

/* ---- a bus ---- */

static int bus_publish(struct bus *bus, const char *channel, const void *data, size_t size)
{
	(void)bus;
	note("%s<%.*s ", channel, (int)size, (const char *)data);
	return size > 1 ? AG_BUSY : 0;
}

static uint64_t bus_next(const struct bus *bus)
{
	(void)bus;
	return 10;
}

static void bus_wanted(struct bus *bus, const char *channel, bool wanted, size_t channels)
{
	(void)bus;
	note("%c%s=%zu ", wanted ? '+' : '-', channel, channels);
}

static int uses_bus(struct ag_request *req)
{
	struct ag_subscription *one = ag_subscribe(req, "a"), *other = ag_subscribe(req, "a");

	ag_subscribe(req, "b");
	note("%d ", say(req, "a", "1"));
	note("%d ", say(req, "a", "23"));
	hear(req, one, 0);
	channels_deliver(&loop.runtime, "a", "3", 1, 9); /* was published before */
	channels_deliver(&loop.runtime, "a", "4", 1, 10);
	channels_deliver(&loop.runtime, "unknown", "5", 1, CHANNEL_UNNUMBERED);
	hear(req, one, 0);
	ag_unsubscribe(one);
	ag_unsubscribe(other);
	return 200;
}

Test(channel, bus)
{
	struct bus bus = { bus_publish, bus_wanted, bus_next };

	loopback_open(&loop);
	loop.runtime.bus = &bus;
	run("bus", uses_bus);
	cr_expect_str_eq(trace, "+a=1 +b=2 a<1 0 a<23 -7 -2 a:4 -a=1 -b=0 ", "%s", trace);
	cr_expect_eq(loop.runtime.channel_counters->published, 1);
	cr_expect_eq(loop.runtime.channel_counters->delivered, 1);
	loopback_close(&loop);
}

/* ---- WebSockets ---- */

#define FRAME(first, length, text) first length "\0\0\0\0" text

static int chats(struct ag_request *req)
{
	const struct ag_ws_options options = { .ping_interval = AG_FOREVER };
	struct ag_ws *ws = ag_ws_accept(req, &options);
	struct ag_ws_message message;

	note("%d %d ", ag_ws_subscribe(ws, "room"), ag_ws_subscribe(ws, "room"));
	note("%d %d ", ag_ws_subscribe(ws, "hall"), ag_ws_subscribe(ws, ""));
	while (ag_ws_recv(ws, &message) == 0) {
		if (!message.channel && strcmp(message.data, "leave") == 0)
			for (int i = 0; i < 2; i++)
				note("%d ", ag_ws_unsubscribe(ws, "room"));
		else if (!message.channel)
			ag_publish(req, "room", message.data, message.length);
		else
			ag_ws_send(ws, message.kind, message.data, message.length);
	}
	note("%d", ag_ws_subscribe(ws, "room"));
	return ag_ws_status(req);
}

static void open_chat(ag_handler *handler)
{
	loopback_open(&loop);
	ag_get(loop.app, "/", handler);
	trace[0] = '\0';
	loopback_request(&loop,
	        PAIRS({ "REQUEST_METHOD", "GET" }, { "REQUEST_URI", "/" },
	                { "SERVER_PROTOCOL", "HTTP/1.1" }, { "HTTP_HOST", "a" },
	                { "HTTP_UPGRADE", "websocket" }, { "HTTP_CONNECTION", "Upgrade" },
	                { "HTTP_SEC_WEBSOCKET_VERSION", "13" },
	                { "HTTP_SEC_WEBSOCKET_KEY", "dGhlIHNhbXBsZSBub25jZQ==" }),
	        NULL);
	cr_assert_eq(loop.status, 101);
}

static void expect_sent(const char *bytes, size_t length)
{
	loopback_run(&loop);
	cr_assert_eq(loop.body.length, length, "%zu bytes", loop.body.length);
	cr_expect_eq(memcmp(loop.body.data, bytes, length), 0, "%.*s", (int)length, loop.body.data);
	bytes_free(&loop.body);
}

#define EXPECT(bytes) expect_sent(bytes, sizeof(bytes) - 1)

Test(channel, websocket)
{
	open_chat(chats);
	loopback_body(&loop, FRAME("\x81", "\x82", "hi"), 8);
	EXPECT("\x81\x02hi");
	channels_deliver(&loop.runtime, "hall", "\xff", 1, CHANNEL_UNNUMBERED);
	channels_deliver(&loop.runtime, "room", "1", 1, CHANNEL_UNNUMBERED);
	channels_deliver(&loop.runtime, "hall", "2", 1, CHANNEL_UNNUMBERED);
	EXPECT("\x82\x01\xff\x81\x01"
	       "1\x81\x01"
	       "2");
	/* in the middle of what the client says */
	loopback_body(&loop, FRAME("\x01", "\x81", "b"), 7);
	channels_deliver(&loop.runtime, "room", "3", 1, CHANNEL_UNNUMBERED);
	EXPECT("\x81\x01"
	       "3");
	loopback_body(&loop, FRAME("\x80", "\x81", "c"), 7);
	EXPECT("\x81\x02"
	       "bc");
	loopback_body(&loop, FRAME("\x81", "\x85", "leave"), 11);
	channels_deliver(&loop.runtime, "room", "4", 1, CHANNEL_UNNUMBERED);
	channels_deliver(&loop.runtime, "hall", "5", 1, CHANNEL_UNNUMBERED);
	EXPECT("\x81\x01"
	       "5");
	loopback_gone(&loop, true);
	cr_expect(loop.finished);
	cr_expect_str_eq(trace, "0 0 0 -4 0 -4 -1", "%s", trace);
	loopback_close(&loop);
}

/* Neither the client's nor the channels' messages have to wait for the end of the others. */
static int counts(struct ag_request *req)
{
	struct ag_ws *ws = ag_ws_accept(req, NULL);
	struct ag_ws_message message;

	ag_ws_subscribe(ws, "room");
	while (ag_ws_recv(ws, &message) == 0) {
		note("%c%s ", message.channel ? '#' : '<', message.data);
		if (strcmp(message.data, "0") == 0)
			for (int i = 1; i <= 3; i++)
				say(req, "room", (const char *[]){ "", "1", "2", "3" }[i]);
	}
	return ag_ws_status(req);
}

Test(channel, takes_turns)
{
	static const char bytes[] = FRAME("\x81", "\x81", "0") FRAME("\x81", "\x81", "a")
	        FRAME("\x81", "\x81", "b") FRAME("\x81", "\x81", "c") "\x88\x80\0\0\0\0";

	open_chat(counts);
	loopback_body(&loop, bytes, sizeof bytes - 1);
	loopback_run(&loop);
	cr_expect(loop.finished);
	cr_expect_str_eq(trace, "<0 #1 <a #2 <b #3 <c ", "%s", trace);
	loopback_close(&loop);
}

/* Others' messages do not make a silent client a live one. */
static int restless(struct ag_request *req)
{
	const struct ag_ws_options options = { .ping_interval = 40 };
	struct ag_ws *ws = ag_ws_accept(req, &options);
	struct ag_ws_message message;
	int answer;

	ag_ws_subscribe(ws, "room");
	say(req, "room", "x");
	while ((answer = ag_ws_recv(ws, &message)) == 0) {
		ag_sleep(req, 1);
		say(req, "room", "x");
	}
	note("%d", answer);
	return ag_ws_status(req);
}

Test(channel, silent_client)
{
	open_chat(restless);
	loopback_run(&loop);
	cr_assert(loop.finished);
	cr_expect_str_eq(trace, "-2", "%s", trace);
	cr_expect_eq(memcmp(loop.body.data, "\x89\x00", 2), 0);
	loopback_close(&loop);
}
