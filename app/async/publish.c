/* What applications call of channels; see channel.h. */
#include "async_private.h"
#include "channel.h"

int ag_publish(struct ag_request *req, const char *channel, const void *data, size_t size)
{
	struct runtime *runtime = req->runtime;
	int answer = 0;

	if (!channel_is_name(channel) || size > AG_PUBLISH_MAX)
		return AG_INVALID;
	if (runtime->bus)
		answer = runtime->bus->publish(runtime->bus, channel, data, size);
	else
		channels_deliver(runtime, channel, data, size, CHANNEL_UNNUMBERED);
	runtime->channel_counters->published += !answer;
	return answer;
}

struct ag_subscription *ag_subscribe(struct ag_request *req, const char *channel)
{
	return channel_is_name(channel) ? channel_subscribe(req, channel, NULL) : NULL;
}

/* Until there is a message. */
static int await(struct ag_subscription *subscription, unsigned ms)
{
	struct ag_request *req = subscription->req;
	int answer = request_check(req);

	if (answer)
		return answer;
	if (!ms)
		return AG_TIMEOUT;
	subscription->task = waiting_task(req);
	answer = async_wait(req, WAITING_QUEUE, ms, AG_TIMEOUT);
	subscription->task = NULL;
	return answer;
}

int ag_receive(struct ag_request *req, struct ag_subscription *subscription,
        struct ag_message *message, unsigned ms)
{
	if (subscription->req != req || subscription->task)
		return AG_INVALID;
	channel_let_go(subscription);
	int answer = subscription->next ? 0 : await(subscription, ms);

	if (!answer)
		channel_receive(subscription, message);
	return answer;
}

int ag_unsubscribe(struct ag_subscription *subscription)
{
	if (subscription->task)
		return AG_INVALID;
	channel_unsubscribe(subscription);
	return 0;
}
