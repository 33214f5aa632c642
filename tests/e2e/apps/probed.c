/* Answers "/" only if /ready was asked before in this process, which takes a while. */
#include <anygate.h>
#include <stdio.h>

static char asked[200];

static int ready(struct ag_request *req)
{
	if (ag_sleep(req, 20) < 0)
		return 500;
	snprintf(asked, sizeof asked, "%s asked %s", ag_env(req, "HTTP_USER_AGENT"),
	        ag_env(req, "REQUEST_URI"));
	return 204;
}

static int broken(struct ag_request *req)
{
	(void)req;
	return 500;
}

static int never(struct ag_request *req)
{
	while (ag_sleep(req, 3600000) == 0)
		;
	return 200;
}

static int serve(struct ag_request *req)
{
	ag_puts(req, asked);
	return *asked ? 200 : 500;
}

AG_APP(app)
{
	ag_get(app, "/", serve);
	ag_get(app, "/ready", ready);
	ag_get(app, "/broken", broken);
	ag_get(app, "/never", never);
}
