/* The smallest answer: what a benchmark asks for. */
#include "builtin.h"

static int hello(struct ag_request *req)
{
	static const char text[] = "Hello, world\n";

	ag_set_header(req, "Content-Type", "text/plain");
	ag_write(req, text, sizeof text - 1);
	return 200;
}

void builtin_hello(struct ag_app *app)
{
	ag_route(app, NULL, "/*path", hello);
}
