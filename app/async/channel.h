/*
 * Channels in one worker: who has subscribed, and what has come and was not received yet. A message
 * is kept once, whoever is to have it. What carries messages to other workers is a bus, a handful
 * of functions that the daemon provides.
 */
#ifndef APP_ASYNC_CHANNEL_H
#define APP_ASYNC_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "../anygate.h"

struct channels;
struct runtime;

/* Bytes of a channel's name at most, without its NUL. */
#define CHANNEL_NAME_MAX 255

/* What a channel keeps for those that have not received it yet: messages, and bytes of them. */
#define CHANNEL_KEPT_MAX   256
#define CHANNEL_KEPT_BYTES (1024 * 1024)

/*
 * What carries messages between workers. publish() takes one to all of them, this one too, and
 * returns 0, AG_BUSY or AG_NOMEM; this worker's comes by channels_deliver in a later turn of the
 * loop. wanted() says that the worker has a subscription to the channel from now on, or none any
 * more; `channels` is how many it has them for. next() is the number of the next message that will
 * be published.
 */
struct bus {
	int (*publish)(struct bus *bus, const char *channel, const void *data, size_t size);
	void (*wanted)(struct bus *bus, const char *channel, bool wanted, size_t channels);
	uint64_t (*next)(const struct bus *bus);
};

/* In memory once for all that are to have it. */
struct message {
	TAILQ_ENTRY(message) link; /* in the channel, oldest first, while it is kept */
	unsigned references;
	unsigned pending; /* subscriptions that have it before them */
	uint64_t number;  /* counts the worker's, of all channels */
	bool text;        /* is UTF-8, once `checked` */
	bool checked;
	size_t size;
	char data[]; /* and a NUL */
};

struct ag_subscription {
	LIST_ENTRY(ag_subscription) by_channel;
	LIST_ENTRY(ag_subscription) by_request;
	struct ag_request *req;
	struct channel *channel;
	struct message *next;    /* to be received; NULL: none has come */
	struct message *held;    /* was received last and may be looked at */
	size_t lost;             /* before `next` */
	uint64_t since;          /* the bus's number of the first message it is to have */
	struct ag_task *task;    /* waits in ag_receive */
	struct ag_task **waiter; /* says who waits; not always `task` */
};

LIST_HEAD(subscriptions, ag_subscription);

/* For the worker's figures. */
struct channel_counters {
	uint64_t published, delivered, lost;
};

/* For messages that are not numbered by the bus. */
#define CHANNEL_UNNUMBERED UINT64_MAX

/*
 * A message has come: all subscriptions have it before them that are not younger than its number on
 * the bus. `data` is copied.
 */
void channels_deliver(struct runtime *runtime, const char *channel, const void *data, size_t size,
        uint64_t number);

/* So many have passed the worker by, of whatever channels. */
void channels_miss(struct runtime *runtime, uint64_t count);

/* Calls each(to, name) for every channel with a subscription. */
void channels_each(struct runtime *runtime, void (*each)(void *to, const char *channel), void *to);

bool channel_is_name(const char *name);
const char *channel_name(const struct channel *channel);

/* Like ag_subscribe; `*waiter` is woken when a message comes (NULL: subscription->task). */
struct ag_subscription *channel_subscribe(
        struct ag_request *req, const char *name, struct ag_task **waiter);

/* The subscription passes on to the next message, holding this one; there must be one. */
void channel_receive(struct ag_subscription *subscription, struct ag_message *message);

/* What is held may not be looked at any more. */
void channel_let_go(struct ag_subscription *subscription);

/* Ends it. Nobody may wait. */
void channel_unsubscribe(struct ag_subscription *subscription);

/* Ends those of a request that is over. */
void channels_forget(struct ag_request *req);

/* Gives back the worker's memory; all requests must be over. */
void channels_free(struct runtime *runtime);

#endif
