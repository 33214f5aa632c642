/* How the daemon is: for people, for scripts, for Prometheus and for load balancers. */
#include "status.h"

#include <string.h>
#include <strings.h>

#include "../request.h"
#include "../router.h"
#include "builtin.h"

static const struct status_source *source_of(const struct ag_request *req)
{
	return req->app->status;
}

/* An address or localhost, with or without a port. */
static bool is_local_name(const char *host)
{
	return *host == '[' || !host[strspn(host, "0123456789.:")] ||
	       strncasecmp(host, "localhost:", 10) == 0 || strcasecmp(host, "localhost") == 0;
}

/*
 * A page of the Web may have a name of its own mean this host, and a browser here then asks for it
 * under that name. Unix sockets are out of its reach.
 */
static bool is_asked_by_name(const struct ag_request *req)
{
	const char *peer = ag_env(req, "REMOTE_ADDR"), *host = ag_header(req, "Host");

	return peer && strcmp(peer, "unix:") != 0 && host && !is_local_name(host);
}

/* Every answer is of this moment, and nothing in it is to be run. False: 403 is the answer. */
static bool begin(struct ag_request *req, const char *type)
{
	if (is_asked_by_name(req))
		return false;
	ag_set_header(req, "Content-Type", type);
	ag_set_header(req, "Cache-Control", "no-store");
	ag_set_header(req, "X-Content-Type-Options", "nosniff");
	ag_set_header(req, "Content-Security-Policy",
	        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
	return true;
}

static int page(struct ag_request *req)
{
	if (!begin(req, "text/html; charset=utf-8"))
		return 403;
	return source_of(req)->page(source_of(req)->data, req);
}

static int json(struct ag_request *req)
{
	if (!begin(req, "application/json"))
		return 403;
	return source_of(req)->json(source_of(req)->data, req);
}

static int text(struct ag_request *req)
{
	if (!begin(req, "text/plain; charset=utf-8"))
		return 403;
	return source_of(req)->text(source_of(req)->data, req);
}

static int metrics(struct ag_request *req)
{
	if (!begin(req, "application/openmetrics-text; version=1.0.0; charset=utf-8"))
		return 403;
	return source_of(req)->metrics(source_of(req)->data, req);
}

static int live(struct ag_request *req)
{
	if (!begin(req, "text/plain; charset=utf-8"))
		return 403;
	ag_puts(req, "live\n");
	return 200;
}

static int ready(struct ag_request *req)
{
	const char *obstacle = source_of(req)->obstacle(source_of(req)->data);

	if (!begin(req, "text/plain; charset=utf-8"))
		return 403;
	ag_printf(req, "%s\n", obstacle ? obstacle : "ready");
	return obstacle ? 503 : 200;
}

void builtin_status(struct ag_app *app)
{
	if (!app->status) {
		ag_fail(app, "it is served where [admin] listen says, not by an [app]");
		return;
	}
	ag_get(app, "/", page);
	ag_get(app, "/status", page);
	ag_get(app, "/status.json", json);
	ag_get(app, "/status.txt", text);
	ag_get(app, "/metrics", metrics);
	ag_get(app, "/healthz", ready);
	ag_get(app, "/healthz/ready", ready);
	ag_get(app, "/healthz/live", live);
}
