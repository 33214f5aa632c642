/*
 * Hello by libfcgi, on the listening socket that spawn-fcgi leaves as descriptor 0.
 *
 *	libfcgi [THREADS]
 *
 * A thread serves one connection at a time: with keep-alive there are as many as connections.
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <stdlib.h>

static void *serve(void *unused)
{
	FCGX_Request request;

	FCGX_InitRequest(&request, 0, 0);
	while (FCGX_Accept_r(&request) == 0) {
		FCGX_PutS("Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world\n",
		        request.out);
		FCGX_Finish_r(&request);
	}
	return unused;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 1;

	FCGX_Init();
	for (int i = 1; i < threads; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, serve, NULL);
	}
	serve(NULL);
}
