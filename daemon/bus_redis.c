#include "bus_redis.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <hiredis/async.h>

#include "log.h"
#include "worker.h"

/*
 * ms: until a connection must be in order, and has to answer; between two questions whether it is
 * still there; between two tries, at first and at most.
 */
#define ANSWER_MS    5000
#define ASK_MS       5000
#define DELAY_MS     100
#define DELAY_MS_MAX 5000

/* Seconds until a peer that is silently gone is given up. */
#define DEAD_SECONDS 20

/* Bytes that may wait for Redis to take them; what comes then is dropped. */
#define WAITING_MAX (8 * 1024 * 1024)

#define MARK_LENGTH 16

/*
 * Two connections: one that has subscribed can't publish. The first is kept all the time, the
 * second while there are subscriptions.
 */
struct link {
	struct bus_redis *redis;
	redisAsyncContext *context; /* NULL: not connected */
	struct event readable, writable;
	struct event timer; /* it has to answer until then, or is asked again, or the next try */
	unsigned delay;     /* ms */
	bool listens, wanted;
	bool greeted; /* it was told what it is for, */
	bool up;      /* ... and has answered well */
	bool asked;   /* up, and has not answered since it was asked */
};

struct bus_redis {
	struct worker *worker;
	struct ring *ring;
	const struct bus_config *config;
	struct link publisher, listener;
	char mark[MARK_LENGTH + 1];
};

/* ---- what is told ---- */

static void tell_down(const struct link *link, const char *why)
{
	const struct bus_redis *redis = link->redis;

	redis->worker->slot->bus = BUS_LINK_DOWN;
	if (ring_exchange_link(redis->ring, BUS_LINK_DOWN) != BUS_LINK_DOWN)
		log_line(LOG_LEVEL_WARNING,
		        "no Redis at %s: %s; until it is back messages stay in this daemon",
		        redis->config->redis, why);
}

static void tell_up(const struct link *link)
{
	const struct bus_redis *redis = link->redis;
	unsigned before;

	if (!redis->publisher.up || redis->listener.up != redis->listener.wanted)
		return;
	redis->worker->slot->bus = BUS_LINK_UP;
	before = ring_exchange_link(redis->ring, BUS_LINK_UP);
	if (before != BUS_LINK_UP)
		log_line(before == BUS_LINK_DOWN ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		        "Redis at %s is %s: messages go to all its daemons", redis->config->redis,
		        before == BUS_LINK_DOWN ? "back" : "there");
}

/* ---- hiredis on our loop ---- */

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	redisAsyncHandleRead(((struct link *)argument)->context);
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	redisAsyncHandleWrite(((struct link *)argument)->context);
}

static void add_read(void *link)
{
	event_add(&((struct link *)link)->readable, NULL);
}

static void del_read(void *link)
{
	event_del(&((struct link *)link)->readable);
}

static void add_write(void *link)
{
	event_add(&((struct link *)link)->writable, NULL);
}

static void del_write(void *link)
{
	event_del(&((struct link *)link)->writable);
}

static void forget_events(void *link)
{
	del_read(link);
	del_write(link);
}

static void attach(struct link *link)
{
	redisAsyncContext *context = link->context;
	struct event_base *base = link->redis->worker->base;

	event_assign(&link->readable, base, context->c.fd, EV_READ | EV_PERSIST, on_readable, link);
	event_assign(
	        &link->writable, base, context->c.fd, EV_WRITE | EV_PERSIST, on_writable, link);
	context->data = link;
	context->ev.data = link;
	context->ev.addRead = add_read;
	context->ev.delRead = del_read;
	context->ev.addWrite = add_write;
	context->ev.delWrite = del_write;
	context->ev.cleanup = forget_events;
}

/* ---- a connection's life ---- */

static void set_timer(struct link *link, unsigned ms)
{
	const struct timeval after = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	evtimer_add(&link->timer, &after);
}

/* It is over; the next one comes a while later. Not all workers come at the same time. */
static void lose(struct link *link, const char *why)
{
	link->context = NULL;
	link->greeted = link->up = false;
	tell_down(link, why);
	set_timer(link, link->delay + (unsigned)random() % (link->delay / 2));
	link->delay = link->delay < DELAY_MS_MAX / 2 ? 2 * link->delay : DELAY_MS_MAX;
}

/* Ends it from our side. */
static void drop(struct link *link)
{
	redisAsyncContext *context = link->context;

	link->context = NULL;
	link->greeted = link->up = false;
	if (!context)
		return;
	context->data = NULL; /* what hiredis calls on the way is no news */
	redisAsyncFree(context);
}

static void fail(struct link *link, const char *why)
{
	char text[128];

	snprintf(text, sizeof(text), "%s", why); /* may be the context's */
	drop(link);
	lose(link, text);
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
	struct link *link = context->data;

	if (link)
		lose(link, status == REDIS_OK ? "closed" : context->errstr);
}

/* It has answered well. One that listens can't be asked again: the other's fall is its own. */
static void rise(struct link *link)
{
	link->asked = false;
	if (link->listens)
		evtimer_del(&link->timer);
	else
		set_timer(link, ASK_MS);
	if (link->up)
		return;
	link->up = true;
	link->delay = DELAY_MS;
	tell_up(link);
}

/* Redis may repeat what it was sent, and that is the password. */
static void fail_auth(struct link *link, const char *why)
{
	char text[128];

	snprintf(text, sizeof(text), "AUTH: %.*s", (int)strcspn(why, ",'`\""), why);
	fail(link, text);
}

/* To AUTH and PING. */
static void on_answer(redisAsyncContext *context, void *answer, void *last)
{
	const redisReply *reply = answer;
	struct link *link = context->data;

	if (!reply || !link)
		return; /* on_disconnect says more */
	if (reply->type != REDIS_REPLY_ERROR && last)
		rise(link);
	else if (reply->type == REDIS_REPLY_ERROR && last)
		fail(link, reply->str);
	else if (reply->type == REDIS_REPLY_ERROR)
		fail_auth(link, reply->str);
}

/* ---- messages that come ---- */

static size_t prefix_length(const struct bus_redis *redis)
{
	return redis->config->prefix ? strlen(redis->config->prefix) : 0;
}

static void take_message(struct bus_redis *redis, const redisReply *name, const redisReply *data)
{
	size_t length = prefix_length(redis);

	if ((size_t)name->len <= length || strlen(name->str) != (size_t)name->len ||
	        (size_t)data->len < MARK_LENGTH || (size_t)data->len > MARK_LENGTH + AG_PUBLISH_MAX)
		return;
	if (memcmp(data->str, redis->mark, MARK_LENGTH) != 0)
		channels_deliver(&redis->worker->runtime, name->str + length,
		        data->str + MARK_LENGTH, (size_t)data->len - MARK_LENGTH,
		        CHANNEL_UNNUMBERED);
}

/* Arrays of "message", channel, data; or "subscribe", channel, count. */
static void on_pushed(redisAsyncContext *context, void *answer, void *unused)
{
	const redisReply *reply = answer;
	struct link *link = context->data;

	(void)unused;
	if (!reply || !link || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
		return;
	const redisReply *kind = reply->element[0], *name = reply->element[1],
	                 *data = reply->element[2];

	if (strcmp(kind->str, "subscribe") == 0 && (size_t)name->len == prefix_length(link->redis))
		rise(link);
	else if (strcmp(kind->str, "message") == 0 && data->type == REDIS_REPLY_STRING)
		take_message(link->redis, name, data);
}

/* ---- what is sent ---- */

static void send_channel(struct link *link, const char *command, const char *channel)
{
	const char *prefix = link->redis->config->prefix;

	redisAsyncCommand(
	        link->context, on_pushed, NULL, "%s %s%s", command, prefix ? prefix : "", channel);
}

static void subscribe(void *link, const char *channel)
{
	send_channel(link, "SUBSCRIBE", channel);
}

static void send_auth(struct link *link)
{
	const struct bus_config *config = link->redis->config;

	if (config->user)
		redisAsyncCommand(link->context, on_answer, NULL, "AUTH %s %s", config->user,
		        config->password ? config->password : "");
	else if (config->password)
		redisAsyncCommand(link->context, on_answer, NULL, "AUTH %s", config->password);
}

static void on_connect(const redisAsyncContext *context, int status)
{
	struct link *link = context->data;

	if (!link)
		return;
	if (status != REDIS_OK) {
		lose(link, context->errstr);
		return;
	}
	link->greeted = true;
	send_auth(link);
	if (!link->listens) {
		redisAsyncCommand(link->context, on_answer, link, "PING");
		return;
	}
	channels_each(&link->redis->worker->runtime, subscribe, link);
	/* a name that no channel has: when it is there, all are, and it never leaves its last */
	subscribe(link, "");
}

static void tune(const struct listen_address *where, int fd)
{
	const int on = 1, idle = DEAD_SECONDS / 2, interval = DEAD_SECONDS / 4, count = 2;
	const unsigned timeout = DEAD_SECONDS * 1000;

	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (where->kind != ADDRESS_TCP)
		return;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void dial(struct link *link)
{
	const struct listen_address *where = &link->redis->config->where;

	link->context = where->kind == ADDRESS_UNIX
	                        ? redisAsyncConnectUnix(where->path)
	                        : redisAsyncConnect(where->host, (int)where->port);
	if (!link->context) {
		lose(link, "no memory");
	} else if (link->context->err) {
		fail(link, link->context->errstr);
	} else {
		tune(where, link->context->c.fd);
		attach(link);
		redisAsyncSetDisconnectCallback(link->context, on_disconnect);
		redisAsyncSetConnectCallback(link->context, on_connect);
		set_timer(link, ANSWER_MS);
	}
}

/* What is silent on one connection is on the other. */
static void fail_both(struct bus_redis *redis, const char *why)
{
	if (redis->publisher.context)
		fail(&redis->publisher, why);
	if (redis->listener.context)
		fail(&redis->listener, why);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct link *link = argument;

	(void)fd;
	(void)what;
	if (!link->context) {
		dial(link);
	} else if (link->up && !link->asked) {
		link->asked = true;
		redisAsyncCommand(link->context, on_answer, link, "PING");
		set_timer(link, ANSWER_MS);
	} else {
		fail_both(link->redis, "it does not answer");
	}
}

/* ---- what the bus asks for ---- */

void bus_redis_publish(struct bus_redis *redis, const char *channel, const void *data, size_t size)
{
	redisAsyncContext *context = redis->publisher.context;
	const char *prefix = redis->config->prefix ? redis->config->prefix : "";
	char *marked;

	if (!redis->publisher.up || sdslen(context->c.obuf) > WAITING_MAX)
		return;
	marked = malloc(MARK_LENGTH + size);
	if (!marked)
		return;
	memcpy(marked, redis->mark, MARK_LENGTH);
	if (size)
		memcpy(marked + MARK_LENGTH, data, size);
	redisAsyncCommand(context, NULL, NULL, "PUBLISH %s%s %b", prefix, channel, marked,
	        MARK_LENGTH + size);
	free(marked);
}

void bus_redis_wanted(struct bus_redis *redis, const char *channel, bool wanted, size_t channels)
{
	struct link *link = &redis->listener;

	link->wanted = channels > 0;
	if (!channels) {
		evtimer_del(&link->timer);
		drop(link);
		tell_up(link);
	} else if (wanted && channels == 1) {
		redis->worker->slot->bus = BUS_LINK_NONE;
		dial(link);
	} else if (link->greeted) {
		send_channel(link, wanted ? "SUBSCRIBE" : "UNSUBSCRIBE", channel);
	}
}

static void link_init(struct link *link, struct bus_redis *redis, bool listens)
{
	link->redis = redis;
	link->delay = DELAY_MS;
	link->listens = listens;
	evtimer_assign(&link->timer, redis->worker->base, on_timer, link);
}

struct bus_redis *bus_redis_start(struct worker *worker, struct ring *ring)
{
	struct bus_redis *redis = calloc(1, sizeof(*redis));

	if (!redis)
		return NULL;
	redis->worker = worker;
	redis->ring = ring;
	redis->config = &worker->config->bus;
	snprintf(redis->mark, sizeof(redis->mark), "%016llx", (unsigned long long)ring_id(ring));
	link_init(&redis->publisher, redis, false);
	link_init(&redis->listener, redis, true);
	dial(&redis->publisher);
	return redis;
}

static void end(struct link *link)
{
	evtimer_del(&link->timer);
	drop(link);
}

void bus_redis_stop(struct bus_redis *redis)
{
	if (!redis)
		return;
	if (redis->publisher.up)
		redisAsyncHandleWrite(redis->publisher.context);
	end(&redis->publisher);
	end(&redis->listener);
	free(redis);
}
