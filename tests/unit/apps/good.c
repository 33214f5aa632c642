/* Loads: two routes, and one more that its configuration names. */
#include <anygate.h>

static int answer(struct ag_request *req)
{
	(void)req;
	return 204;
}

AG_APP(app)
{
	const char *extra = ag_config(app, "extra", NULL);

	ag_get(app, "/", answer);
	ag_post(app, "/:name", answer);
	if (extra)
		ag_get(app, extra, answer);
}
