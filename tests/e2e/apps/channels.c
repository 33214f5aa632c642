/*
 * Channels, as tests use them.
 *
 *	GET /worker                    the worker's number
 *	POST /publish/:channel?text=   publishes
 *	GET /stream/:from              "worker N\n", then a line for each message: "LOST TEXT\n"
 *	GET /relay/:from/:to           the same, and publishes what comes; ends with the text "end"
 *	WebSocket /socket/:channel     the same as text messages; what it is sent is published
 *	GET /busy                      keeps its worker from all else for a tenth of a second
 *	GET /slow?n=                   publishes so many to one that is slow and one that is not
 *	GET /behind?n=                 the same without a pause, so that the worker itself falls
 *behind
 */
#include <anygate.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>

static int worker(struct ag_request *req)
{
	ag_printf(req, "%d", ag_worker(req));
	return 200;
}

static int publish(struct ag_request *req)
{
	const char *text = ag_arg(req, "text", "");

	return ag_publish(req, ag_param(req, "channel"), text, strlen(text)) ? 500 : 200;
}

static int stream(struct ag_request *req)
{
	const char *from = ag_param(req, "from"), *to = ag_param(req, "to");
	struct ag_subscription *subscription = ag_subscribe(req, from ? from : "");
	struct ag_message message;

	if (!subscription)
		return 500;
	ag_printf(req, "worker %d\n", ag_worker(req));
	ag_flush(req);
	while (ag_receive(req, subscription, &message, AG_FOREVER) == 0) {
		ag_printf(req, "%zu %s\n", message.lost, message.data);
		if (ag_flush(req))
			break;
		if (to)
			ag_publish(req, to, message.data, message.size);
		if (strcmp(message.data, "end") == 0)
			break;
	}
	return 200;
}

static int web_socket(struct ag_request *req)
{
	const char *channel = ag_param(req, "channel");
	struct ag_ws *ws = ag_ws_accept(req, NULL);
	struct ag_ws_message message;

	ag_ws_subscribe(ws, channel);
	ag_ws_printf(ws, "worker %d", ag_worker(req));
	while (ag_ws_recv(ws, &message) == 0)
		if (message.channel)
			ag_ws_printf(ws, "%zu %s", message.lost, message.data);
		else
			ag_publish(req, channel, message.data, message.length);
	return ag_ws_status(req);
}

/* ---- who is too slow ---- */

static void publish_numbers(struct ag_request *req, int n)
{
	char text[16];

	for (int i = 0; i < n; i++)
		ag_publish(req, "numbers", text, (size_t)sprintf(text, "%d", i));
}

static int slow(struct ag_request *req)
{
	struct ag_subscription *fast = ag_subscribe(req, "numbers"),
	                       *late = ag_subscribe(req, "numbers");
	struct ag_message message;
	int n = atoi(ag_arg(req, "n", "0"));

	publish_numbers(req, n);
	for (int i = 0; i < n; i++)
		if (ag_receive(req, fast, &message, 10000) || message.lost ||
		        atoi(message.data) != i)
			return 500;
	if (ag_receive(req, late, &message, 0))
		return 500;
	ag_printf(req, "%zu lost, then %s", message.lost, message.data);
	return 200;
}

/* So much that the ring goes round before anything of it is read. */
static int behind(struct ag_request *req)
{
	static char large[AG_PUBLISH_MAX];
	struct ag_subscription *subscription = ag_subscribe(req, "large");
	struct ag_message message;
	size_t n = (size_t)atoi(ag_arg(req, "n", "0")), got = 0, lost = 0;

	for (size_t i = 0; i < n; i++) {
		snprintf(large, sizeof large, "%zu", i);
		ag_publish(req, "large", large, sizeof large);
	}
	while (got + lost < n && ag_receive(req, subscription, &message, 10000) == 0) {
		lost += message.lost;
		if ((size_t)atoi(message.data) != got + lost)
			return 500;
		got++;
	}
	ag_printf(req, "%s, %zu in all", lost && got ? "some lost" : "nothing lost", got + lost);
	return 200;
}

/* Others have to take what comes meanwhile. */
static int busy(struct ag_request *req)
{
	usleep(100000);
	ag_puts(req, "done\n");
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/busy", busy);
	ag_get(app, "/worker", worker);
	ag_post(app, "/publish/:channel", publish);
	ag_get(app, "/stream/:from", stream);
	ag_get(app, "/relay/:from/:to", stream);
	ag_get(app, "/socket/:channel", web_socket);
	ag_get(app, "/slow", slow);
	ag_get(app, "/behind", behind);
}
