/* Channels that a WebSocket has subscribed to: their messages come by ag_ws_recv. */
#include <string.h>

#include "websocket_private.h"

static bool is_own(const struct ag_ws *ws, const struct ag_subscription *subscription)
{
	return subscription->waiter == &ws->listener;
}

static struct ag_subscription *find(const struct ag_ws *ws, const char *channel)
{
	struct ag_subscription *each;

	for (each = LIST_FIRST(&ws->req->subscriptions); each; each = LIST_NEXT(each, by_request))
		if (is_own(ws, each) && strcmp(channel_name(each->channel), channel) == 0)
			return each;
	return NULL;
}

int ag_ws_subscribe(struct ag_ws *ws, const char *channel)
{
	if (!ws || ws->error)
		return ws ? ws->error : AG_GONE;
	if (!channel_is_name(channel))
		return AG_INVALID;
	if (find(ws, channel))
		return 0;
	if (!channel_subscribe(ws->req, channel, &ws->listener))
		return AG_NOMEM;
	ws->heard = request_clock();
	return 0;
}

int ag_ws_unsubscribe(struct ag_ws *ws, const char *channel)
{
	struct ag_subscription *subscription = ws && channel ? find(ws, channel) : NULL;

	if (!subscription)
		return AG_INVALID;
	if (ws->told == subscription)
		ws->told = NULL;
	channel_unsubscribe(subscription);
	return 0;
}

/* The subscription whose message came first, or NULL. */
static struct ag_subscription *find_oldest(const struct ag_ws *ws)
{
	struct ag_subscription *each, *oldest = NULL;

	for (each = LIST_FIRST(&ws->req->subscriptions); each; each = LIST_NEXT(each, by_request))
		if (is_own(ws, each) && each->next &&
		        (!oldest || each->next->number < oldest->next->number))
			oldest = each;
	return oldest;
}

/* Looked at once for all that get it. */
static bool is_text(struct message *message)
{
	if (!message->checked)
		message->text = utf8_is(message->data, message->size);
	message->checked = true;
	return message->text;
}

bool websocket_take_published(struct ag_ws *ws, struct ag_ws_message *message)
{
	struct ag_subscription *subscription = find_oldest(ws);
	struct ag_message received;

	if (!subscription)
		return false;
	channel_receive(subscription, &received);
	ws->told = subscription;
	*message = (struct ag_ws_message){
		.kind = is_text(subscription->held) ? AG_WS_TEXT : AG_WS_BINARY,
		.data = received.data,
		.length = received.size,
		.channel = received.channel,
		.lost = received.lost,
	};
	return true;
}
