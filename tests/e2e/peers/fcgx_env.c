/*
 * What libfcgi's FCGX makes of a request, on the listening socket that is descriptor 0: the
 * variables as they came, one "NAME=value" for each line, then how long the body was.
 *
 *	cc fcgx_env.c -o fcgx_env -lfcgi
 */
#include <fcgiapp.h>

int main(void)
{
	FCGX_Request request;

	if (FCGX_Init() != 0 || FCGX_InitRequest(&request, 0, 0) != 0)
		return 1;
	while (FCGX_Accept_r(&request) == 0) {
		char piece[4096];
		long length = 0, size;

		while ((size = FCGX_GetStr(piece, sizeof piece, request.in)) > 0)
			length += size;
		FCGX_FPrintF(request.out, "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n");
		for (char **variable = request.envp; *variable; variable++)
			FCGX_FPrintF(request.out, "%s\n", *variable);
		FCGX_FPrintF(request.out, "body: %ld\n", length);
	}
	return 0;
}
