/*
 * The smallest application: one route, one query argument.
 *
 *	cc -shared -fPIC hello.c -o hello.so
 *	anygate -l http=127.0.0.1:8080 ./hello.so
 *	curl 'http://127.0.0.1:8080/?name=you'
 */
#include <anygate.h>

static int hello(struct ag_request *req)
{
	ag_printf(req, "Hello, %s\n", ag_arg(req, "name", "world"));
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/", hello);
}
