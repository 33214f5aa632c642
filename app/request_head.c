/* What a request asks for: path, mount, query, server and scheme, from the variables that came. */
#include <string.h>
#include <strings.h>

#include "path.h"
#include "request.h"
#include "response.h"
#include "router.h"

/* Redirects within the server that one request may go through. */
#define REDIRECTS_MAX 5

/* A variable's value; "" where there is none. */
struct value {
	const char *at;
	size_t length;
};

static struct value value_of(const struct ag_request *req, enum var_id id)
{
	const struct var *var = env_known(&req->env, id);

	return var ? (struct value){ env_value(var), var->value_length } : (struct value){ "", 0 };
}

static bool is(struct value value, const char *text)
{
	return value.length == strlen(text) && memcmp(value.at, text, value.length) == 0;
}

static bool is_in_any_case(struct value value, const char *text)
{
	return value.length == strlen(text) && strncasecmp(value.at, text, value.length) == 0;
}

/* A constant where there is no value. */
static inline bool set_missing(struct ag_request *req, enum var_id id, const char *value)
{
	return value_of(req, id).length || env_point(&req->env, id, value, strlen(value));
}

/* ---- the path ---- */

/* Without memory `at` is NULL. */
struct path {
	char *at;
	size_t length;
};

/* Paths that the gateway has decoded: the whole one, or both its parts, that nobody has to trust.
 */
static __attribute__((noinline)) struct path join_path(struct ag_request *req)
{
	struct value first = value_of(req, VAR_DOCUMENT_URI), second = { "", 0 };

	if (!first.length) {
		first = value_of(req, VAR_SCRIPT_NAME);
		second = value_of(req, VAR_PATH_INFO);
	}
	if (!first.length && !second.length)
		first = (struct value){ "/", 1 };
	size_t length = first.length + second.length;
	char *at = arena_text(&req->arena, length + 1);

	if (!at)
		return (struct path){ NULL, 0 };
	memcpy(at, first.at, first.length);
	memcpy(at + first.length, second.at, second.length);
	at[length] = '\0';
	return (struct path){ at, path_normalise(at, length) };
}

/* The path rule: what the client sent is the truth, decoded and normalised here. */
static struct path find_path(struct ag_request *req)
{
	struct value uri = value_of(req, VAR_REQUEST_URI);

	if (!uri.length)
		return join_path(req);
	char *at = arena_text(&req->arena, uri.length + 1);

	return (struct path){ at, at ? path_of_target(at, uri.at, uri.length) : 0 };
}

/* Whether the gateway's split of the path adds up to it; only then does it tell a mount. */
static bool adds_up(const struct path *path, struct value script, struct value info)
{
	return script.length + info.length == path->length && (!info.length || *info.at == '/') &&
	       memcmp(path->at, script.at, script.length) == 0 &&
	       memcmp(path->at + script.length, info.at, info.length) == 0;
}

/*
 * The mount is what the configuration says, or, for an application mounted at "/", what the
 * gateway says. SCRIPT_NAME and PATH_INFO are put right where they say something else.
 */
static bool find_mount(struct ag_request *req, const struct path *path)
{
	struct value script = value_of(req, VAR_SCRIPT_NAME), info = value_of(req, VAR_PATH_INFO);
	struct value own = req->app ? (struct value){ req->app->mount, req->app->mount_length }
	                            : (struct value){ "", 0 };
	bool split = env_known(&req->env, VAR_PATH_INFO) && adds_up(path, script, info);
	struct value mount = split && !own.length && info.length ? script : own, rest = { "/", 1 };

	if (path->length > mount.length)
		rest = (struct value){ path->at + mount.length, path->length - mount.length };
	req->mount = mount.at;
	req->path = rest.at;
	if (split && (!own.length || is(script, own.at)))
		return env_known(&req->env, VAR_SCRIPT_NAME) ||
		       env_point(&req->env, VAR_SCRIPT_NAME, "", 0);
	return env_point(&req->env, VAR_SCRIPT_NAME, mount.at, mount.length) &&
	       env_point(&req->env, VAR_PATH_INFO, rest.at, rest.length);
}

static bool find_query(struct ag_request *req)
{
	const struct var *query = env_known(&req->env, VAR_QUERY_STRING);

	if (query) {
		req->query = env_value(query);
		return true;
	}
	struct value uri = value_of(req, VAR_REQUEST_URI);
	const char *end = uri.at + uri.length, *mark = memchr(uri.at, '?', uri.length);

	req->query = mark ? mark + 1 : end;
	return env_point(&req->env, VAR_QUERY_STRING, req->query, (size_t)(end - req->query));
}

/* ---- the server ---- */

/* A server name without its port; brackets belong to the name. */
static struct value without_port(struct value host)
{
	const char *bracket = host.length && *host.at == '[' ? memchr(host.at, ']', host.length)
	                                                     : NULL;
	const char *from = bracket ? bracket : host.at;
	const char *colon = memchr(from, ':', (size_t)(host.at + host.length - from));

	return colon ? (struct value){ host.at, (size_t)(colon - host.at) } : host;
}

/* REQUEST_SCHEME and HTTPS say the same; a gateway may send one, the other, or neither. */
static bool find_scheme(struct ag_request *req)
{
	struct value scheme = value_of(req, VAR_REQUEST_SCHEME), on = value_of(req, VAR_HTTPS);
	bool https = scheme.length ? is_in_any_case(scheme, "https")
	                           : is_in_any_case(on, "on") || is(on, "1");

	if (!https)
		env_hide(&req->env, VAR_HTTPS);
	else if (!is(on, "on") && !env_point(&req->env, VAR_HTTPS, "on", 2))
		return false;
	const char *name = https ? "https" : "http";

	if (!scheme.length && !env_point(&req->env, VAR_REQUEST_SCHEME, name, strlen(name)))
		return false;
	return set_missing(req, VAR_SERVER_PORT, https ? "443" : "80");
}

static bool find_server(struct ag_request *req)
{
	struct value sent = value_of(req, VAR_SERVER_NAME);
	struct value name = without_port(sent.length ? sent : value_of(req, VAR_HTTP_HOST));

	if (!name.length)
		name = (struct value){ "localhost", 9 };
	if ((name.at != sent.at || name.length != sent.length) &&
	        !env_set(&req->env, VAR_SERVER_NAME, name.at, name.length))
		return false;
	return find_scheme(req) && set_missing(req, VAR_SERVER_PROTOCOL, "HTTP/1.1") &&
	       set_missing(req, VAR_GATEWAY_INTERFACE, "CGI/1.1") &&
	       set_missing(req, VAR_SERVER_SOFTWARE, "anygate");
}

/* The application for the server and the path; either name may have a port behind it. */
static struct ag_app *find_app(const struct ag_request *req, const struct path *path)
{
	struct value host = value_of(req, VAR_HTTP_HOST);

	if (!host.length || *host.at == ':')
		host = value_of(req, VAR_SERVER_NAME);
	return host_find(req->runtime->host, host.at, path->at);
}

/* ---- all of it ---- */

static void find_length(struct ag_request *req)
{
	struct value digits = value_of(req, VAR_CONTENT_LENGTH);

	if (req->authorizer)
		req->length = 0;
	if (!digits.length)
		return;
	req->length = 0;
	for (const char *at = digits.at; *at; at++)
		req->length = req->length * 10 + (*at - '0');
}

int request_head(struct ag_request *req)
{
	struct value method = value_of(req, VAR_REQUEST_METHOD);

	req->since = request_now(req->runtime);
	req->method = method.at;
	req->is_head = is(method, "HEAD");
	struct path path = find_path(req);

	if (!path.at)
		return 431;
	if (!path.length)
		return 400;
	if (!find_server(req))
		return 431;
	req->app = find_app(req, &path);
	find_length(req);
	return find_mount(req, &path) && find_query(req) ? 0 : 431;
}

int request_redirect(struct ag_request *req, const char *target)
{
	static const enum var_id stale[] = { VAR_DOCUMENT_URI, VAR_SCRIPT_NAME, VAR_PATH_INFO,
		VAR_QUERY_STRING, VAR_CONTENT_LENGTH, VAR_CONTENT_TYPE };
	int error = response_await_body(req);

	if (error || ++req->redirects > REDIRECTS_MAX)
		return error ? 400 : 508;
	for (size_t i = 0; i < sizeof(stale) / sizeof(*stale); i++)
		env_hide(&req->env, stale[i]);
	if (!env_set(&req->env, VAR_REQUEST_URI, target, strlen(target)) ||
	        (!req->is_head && !env_point(&req->env, VAR_REQUEST_METHOD, "GET", 3)))
		return 503;
	req->length = 0;
	req->arguments = NULL;
	int status = request_head(req);

	return status ? status : request_dispatch(req);
}
