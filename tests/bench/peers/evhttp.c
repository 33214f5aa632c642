/* Hello by libevent's evhttp: evhttp ADDRESS */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/util.h>
#include <stdio.h>

#include "../address.h"

static void answer(struct evhttp_request *request, void *unused)
{
	struct evbuffer *body = evbuffer_new();

	(void)unused;
	evbuffer_add_reference(body, "Hello, world\n", 13, NULL, NULL);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain");
	evhttp_send_reply(request, 200, "OK", body);
	evbuffer_free(body);
}

int main(int argc, char **argv)
{
	struct address address;
	int listener = argc == 2 && address_parse(argv[1], &address) ? address_listen(&address)
	                                                             : -1;
	struct event_base *base = event_base_new();
	struct evhttp *http = base ? evhttp_new(base) : NULL;

	if (listener < 0 || !http || evutil_make_socket_nonblocking(listener) < 0 ||
	        evhttp_accept_socket(http, listener) < 0) {
		perror("evhttp");
		return 1;
	}
	evhttp_set_gencb(http, answer, NULL);
	return event_base_dispatch(base);
}
