/*
 * Who may see what another server serves: the gateway asks this application before it goes on.
 * It lets those pass who send the right key, and tells the gateway their name.
 *
 *	cc -shared -fPIC authorizer.c -o authorizer.so
 *	anygate -P fastcgi -l 127.0.0.1:9000 ./authorizer.so
 *
 * lighttpd:
 *	fastcgi.server = ("/private/" => (("host" => "127.0.0.1", "port" => 9000,
 *	        "mode" => "authorizer", "docroot" => "/srv/www")))
 *
 * Apache:
 *	AuthnzFcgiDefineProvider authnz keys fcgi://127.0.0.1:9000/
 *	<Location "/private/">
 *	        AuthType None
 *	        AuthnzFcgiCheckAuthnProvider keys Authoritative On RequireBasicAuth Off \
 *	                UserExpr "%{reqenv:KEY_OWNER}"
 *	        Require valid-user
 *	</Location>
 */
#include <anygate.h>
#include <string.h>

static const struct {
	const char *key, *owner;
} keys[] = {
	{ "open-sesame", "ali" },
	{ "mellon", "frodo" },
};

static int authorize(struct ag_request *req)
{
	const char *sent = ag_header(req, "X-Key");

	if (!ag_is_authorizer(req)) {
		ag_puts(req, "This answers a gateway's question, not a browser's.\n");
		return 403;
	}
	for (size_t i = 0; sent && i < sizeof(keys) / sizeof(*keys); i++) {
		if (strcmp(sent, keys[i].key) != 0)
			continue;
		ag_set_variable(req, "KEY_OWNER", keys[i].owner);
		return 200;
	}
	ag_log(req, "no valid key");
	return 403;
}

AG_APP(app)
{
	ag_route(app, NULL, "/*path", authorize);
}
