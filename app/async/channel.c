#include "channel.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "../request.h"

/*
 * A message is before a subscription from its delivery until it is received, so those that have an
 * older one before them have all younger ones too: messages leave a channel in order.
 */
struct channel {
	const char *name; /* first: what they are found by */
	TAILQ_HEAD(messages, message) kept;
	size_t kept_count, kept_bytes;
	struct subscriptions subscriptions;
	unsigned subscription_count;
	char name_text[];
};

/* There while there is a subscription. */
struct channels {
	void *tree; /* of tsearch(3): names that clients choose can't make it slow */
	size_t count;
	uint64_t messages; /* so far */
};

static int compare(const void *one, const void *other)
{
	return strcmp(((const struct channel *)one)->name, ((const struct channel *)other)->name);
}

static struct channel *find(const struct runtime *runtime, const char *name)
{
	const struct channel key = { .name = name };
	struct channel **found = runtime->channels ? tfind(&key, &runtime->channels->tree, compare)
	                                           : NULL;

	return found ? *found : NULL;
}

bool channel_is_name(const char *name)
{
	size_t length = name ? strnlen(name, CHANNEL_NAME_MAX + 1) : 0;

	return length && length <= CHANNEL_NAME_MAX;
}

const char *channel_name(const struct channel *channel)
{
	return channel->name;
}

/* ---- messages ---- */

static void release(struct message *message)
{
	if (message && --message->references == 0)
		free(message);
}

static void stop_keeping(struct channel *channel, struct message *message)
{
	TAILQ_REMOVE(&channel->kept, message, link);
	channel->kept_count--;
	channel->kept_bytes -= message->size;
	release(message);
}

static struct message *message_new(struct runtime *runtime, const void *data, size_t size)
{
	struct message *message = malloc(sizeof(*message) + size + 1);

	if (!message)
		return NULL;
	*message = (struct message){
		.references = 1, .number = ++runtime->channels->messages, .size = size
	};
	if (size)
		memcpy(message->data, data, size);
	message->data[size] = '\0';
	return message;
}

/* The oldest is lost to those that have not received it. */
static void drop_oldest(struct runtime *runtime, struct channel *channel)
{
	struct message *oldest = TAILQ_FIRST(&channel->kept);
	struct ag_subscription *each;

	for (each = LIST_FIRST(&channel->subscriptions); each; each = LIST_NEXT(each, by_channel))
		if (each->next == oldest) {
			each->next = TAILQ_NEXT(oldest, link);
			each->lost++;
			runtime->channel_counters->lost++;
		}
	stop_keeping(channel, oldest);
}

static void make_room(struct runtime *runtime, struct channel *channel, size_t size)
{
	while (channel->kept_count && (channel->kept_count >= CHANNEL_KEPT_MAX ||
	                                      channel->kept_bytes + size > CHANNEL_KEPT_BYTES))
		drop_oldest(runtime, channel);
}

static void lose(struct runtime *runtime, struct channel *channel, uint64_t count)
{
	struct ag_subscription *each;

	for (each = LIST_FIRST(&channel->subscriptions); each; each = LIST_NEXT(each, by_channel))
		each->lost += count;
	runtime->channel_counters->lost += count * channel->subscription_count;
}

/* Whoever was there when it was published has it before him; how many. */
static unsigned hand_out(struct channel *channel, struct message *message, uint64_t number)
{
	struct ag_subscription *each;
	unsigned count = 0;

	for (each = LIST_FIRST(&channel->subscriptions); each; each = LIST_NEXT(each, by_channel)) {
		if (each->since > number)
			continue;
		count++;
		if (!each->next)
			each->next = message;
		if (*each->waiter)
			waiting_wake_later(*each->waiter, 0);
	}
	return count;
}

void channels_deliver(
        struct runtime *runtime, const char *name, const void *data, size_t size, uint64_t number)
{
	struct channel *channel = find(runtime, name);
	struct message *message = channel ? message_new(runtime, data, size) : NULL;

	if (!channel)
		return;
	if (!message) {
		lose(runtime, channel, 1);
		return;
	}
	make_room(runtime, channel, size);
	TAILQ_INSERT_TAIL(&channel->kept, message, link);
	channel->kept_count++;
	channel->kept_bytes += size;
	message->pending = hand_out(channel, message, number);
	if (!message->pending)
		stop_keeping(channel, message);
}

struct missed {
	struct runtime *runtime;
	uint64_t count;
};

static void miss(const void *node, VISIT visit, void *to)
{
	struct missed *missed = to;

	if (visit == postorder || visit == leaf)
		lose(missed->runtime, *(struct channel *const *)node, missed->count);
}

void channels_miss(struct runtime *runtime, uint64_t count)
{
	struct missed missed = { runtime, count };

	if (runtime->channels)
		twalk_r(runtime->channels->tree, miss, &missed);
}

struct each {
	void (*each)(void *to, const char *channel);
	void *to;
};

static void visit_each(const void *node, VISIT visit, void *to)
{
	struct each *each = to;

	if (visit == postorder || visit == leaf)
		each->each(each->to, (*(struct channel *const *)node)->name);
}

void channels_each(
        struct runtime *runtime, void (*function)(void *to, const char *channel), void *to)
{
	struct each each = { function, to };

	if (runtime->channels)
		twalk_r(runtime->channels->tree, visit_each, &each);
}

/* ---- channels ---- */

static struct channel *add(struct runtime *runtime, const char *name)
{
	size_t length = strlen(name);
	struct channel *channel = malloc(sizeof(*channel) + length + 1);

	if (!runtime->channels)
		runtime->channels = calloc(1, sizeof(*runtime->channels));
	if (!channel || !runtime->channels) {
		free(channel);
		return NULL;
	}
	*channel = (struct channel){ .name = channel->name_text };
	memcpy(channel->name_text, name, length + 1);
	TAILQ_INIT(&channel->kept);
	LIST_INIT(&channel->subscriptions);
	if (!tsearch(channel, &runtime->channels->tree, compare)) {
		free(channel);
		return NULL;
	}
	runtime->channels->count++;
	if (runtime->bus)
		runtime->bus->wanted(runtime->bus, name, true, runtime->channels->count);
	return channel;
}

static void end_channel(struct runtime *runtime, struct channel *channel)
{
	tdelete(channel, &runtime->channels->tree, compare);
	runtime->channels->count--;
	if (runtime->bus)
		runtime->bus->wanted(runtime->bus, channel->name, false, runtime->channels->count);
	free(channel);
}

void channels_free(struct runtime *runtime)
{
	free(runtime->channels);
	runtime->channels = NULL;
}

/* ---- subscriptions ---- */

struct ag_subscription *channel_subscribe(
        struct ag_request *req, const char *name, struct ag_task **waiter)
{
	struct runtime *runtime = req->runtime;
	struct ag_subscription *subscription = calloc(1, sizeof(*subscription));
	struct channel *channel = subscription ? find(runtime, name) : NULL;

	if (subscription && !channel)
		channel = add(runtime, name);
	if (!channel) {
		free(subscription);
		return NULL;
	}
	subscription->req = req;
	subscription->since = runtime->bus ? runtime->bus->next(runtime->bus) : 0;
	subscription->channel = channel;
	subscription->waiter = waiter ? waiter : &subscription->task;
	LIST_INSERT_HEAD(&channel->subscriptions, subscription, by_channel);
	LIST_INSERT_HEAD(&req->subscriptions, subscription, by_request);
	channel->subscription_count++;
	return subscription;
}

/* One fewer has it before it. */
static void pass(struct channel *channel, struct message *message)
{
	if (--message->pending == 0)
		stop_keeping(channel, message);
}

void channel_receive(struct ag_subscription *subscription, struct ag_message *message)
{
	struct message *next = subscription->next;

	channel_let_go(subscription);
	next->references++;
	*message = (struct ag_message){ .channel = subscription->channel->name,
		.data = next->data,
		.size = next->size,
		.lost = subscription->lost };
	subscription->held = next;
	subscription->lost = 0;
	subscription->next = TAILQ_NEXT(next, link);
	subscription->req->runtime->channel_counters->delivered++;
	pass(subscription->channel, next);
}

void channel_let_go(struct ag_subscription *subscription)
{
	release(subscription->held);
	subscription->held = NULL;
}

void channel_unsubscribe(struct ag_subscription *subscription)
{
	struct channel *channel = subscription->channel;

	for (struct message *each = subscription->next, *next; each; each = next) {
		next = TAILQ_NEXT(each, link);
		pass(channel, each);
	}
	channel_let_go(subscription);
	LIST_REMOVE(subscription, by_channel);
	LIST_REMOVE(subscription, by_request);
	if (--channel->subscription_count == 0)
		end_channel(subscription->req->runtime, channel);
	free(subscription);
}

void channels_forget(struct ag_request *req)
{
	while (!LIST_EMPTY(&req->subscriptions))
		channel_unsubscribe(LIST_FIRST(&req->subscriptions));
}
