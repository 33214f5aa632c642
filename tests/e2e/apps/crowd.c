/* Every WebSocket hears what is posted, by a channel: what tests/bench/crowd gathers at. */
#include <anygate.h>

static int listen_in(struct ag_request *req)
{
	struct ag_ws *ws = ag_ws_accept(req, NULL);
	struct ag_ws_message message;

	if (ag_ws_subscribe(ws, "crowd") == 0)
		while (ag_ws_recv(ws, &message) == 0)
			if (message.channel)
				ag_ws_send(ws, message.kind, message.data, message.length);
	return ag_ws_status(req);
}

static int tell(struct ag_request *req)
{
	char text[64];
	ssize_t n = ag_read(req, text, sizeof text);

	return n > 0 && ag_publish(req, "crowd", text, (size_t)n) == 0 ? 200 : 500;
}

AG_APP(app)
{
	ag_get(app, "/", listen_in);
	ag_post(app, "/", tell);
}
