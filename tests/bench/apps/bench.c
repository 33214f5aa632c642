/* What the bench asks of anygate besides hello: as many routes as the key `routes` says, and waits.
 */
#include <anygate.h>
#include <anygate/async.h>
#include <stdio.h>
#include <stdlib.h>

static int hello(struct ag_request *req)
{
	static const char text[] = "Hello, world\n";

	ag_set_header(req, "Content-Type", "text/plain");
	ag_write(req, text, sizeof(text) - 1);
	return 200;
}

/* Longer than the bench watches. */
static int wait_long(struct ag_request *req)
{
	ag_sleep(req, 600000);
	return 204;
}

/* Reads a body to its end and says hello. */
static int sink(struct ag_request *req)
{
	static char bytes[65536];

	for (ssize_t n; (n = ag_read(req, bytes, sizeof(bytes))) != 0;)
		if (n < 0)
			return 400;
	return hello(req);
}

AG_APP(app)
{
	unsigned routes = (unsigned)atoi(ag_config(app, "routes", "0"));

	ag_get(app, "/", hello);
	ag_get(app, "/wait", wait_long);
	ag_post(app, "/sink", sink);
	for (unsigned i = 0; i < routes; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/shop/section%u/items", i);
		ag_get(app, path, hello);
	}
}
