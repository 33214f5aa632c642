/* Hello by libmicrohttpd, one thread with epoll: microhttpd ADDRESS */
#include <microhttpd.h>
#include <stdio.h>
#include <unistd.h>

#include "../address.h"

static enum MHD_Result answer(void *response, struct MHD_Connection *connection, const char *url,
        const char *method, const char *version, const char *upload, size_t *upload_size,
        void **context)
{
	(void)url, (void)method, (void)version, (void)upload, (void)upload_size;
	if (!*context) { /* the head only; the answer is wanted at the second call */
		*context = response;
		return MHD_YES;
	}
	return MHD_queue_response(connection, 200, response);
}

int main(int argc, char **argv)
{
	struct address address;
	int listener = argc == 2 && address_parse(argv[1], &address) ? address_listen(&address)
	                                                             : -1;
	struct MHD_Response *response = MHD_create_response_from_buffer(
	        13, (void *)"Hello, world\n", MHD_RESPMEM_PERSISTENT);

	if (listener < 0 || !response) {
		perror("microhttpd");
		return 1;
	}
	MHD_add_response_header(response, "Content-Type", "text/plain");
	if (!MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL,
	            answer, response, MHD_OPTION_LISTEN_SOCKET, listener,
	            MHD_OPTION_CONNECTION_LIMIT, 20000u, MHD_OPTION_END))
		return 1;
	for (;;)
		pause();
}
