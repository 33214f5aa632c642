/* What a request asks for: path, mount, query, server and scheme, from the variables that came. */
#include <string.h>
#include <strings.h>

#include "path.h"
#include "request.h"
#include "response.h"
#include "router.h"

/* Redirects within the server that one request may go through. */
#define REDIRECTS_MAX 5

static const char *text(const struct ag_request *req, enum var_id id)
{
	const struct var *var = env_known(&req->env, id);

	return var ? env_value(var) : "";
}

static bool set(struct ag_request *req, enum var_id id, const char *value)
{
	return env_set(&req->env, id, value, strlen(value));
}

/* A constant where there is no value. */
static bool set_missing(struct ag_request *req, enum var_id id, const char *value)
{
	const struct var *var = env_known(&req->env, id);

	return (var && var->value_length) || env_point(&req->env, id, value, strlen(value));
}

/* SCRIPT_NAME and PATH_INFO as one path that nobody has to trust. */
static char *joined_path(struct ag_request *req, const char *script, const char *info)
{
	size_t script_length = strlen(script), info_length = strlen(info);
	char *joined = arena_text(&req->arena, script_length + info_length + 1);

	if (!joined)
		return NULL;
	memcpy(joined, script, script_length);
	memcpy(joined + script_length, info, info_length + 1);
	return joined;
}

/* The path rule: what the client sent is the truth, decoded and normalised here. */
static char *find_path(struct ag_request *req)
{
	const struct var *uri = env_known(&req->env, VAR_REQUEST_URI);
	const char *document = text(req, VAR_DOCUMENT_URI);

	if (uri && uri->value_length)
		return path_of_target(&req->arena, env_value(uri), uri->value_length);
	if (*document)
		return path_normalise(&req->arena, document, strlen(document));
	char *joined = joined_path(req, text(req, VAR_SCRIPT_NAME), text(req, VAR_PATH_INFO));

	if (!joined)
		return NULL;
	return path_normalise(&req->arena, *joined ? joined : "/", *joined ? strlen(joined) : 1);
}

/* Whether the gateway's split of the path adds up to it; only then does it tell a mount. */
static bool split_adds_up(struct ag_request *req, const char *path)
{
	const char *script = text(req, VAR_SCRIPT_NAME), *info = text(req, VAR_PATH_INFO);
	size_t length = strlen(script);

	if (!env_known(&req->env, VAR_PATH_INFO) || (*info && *info != '/'))
		return false;
	return strncmp(path, script, length) == 0 && strcmp(path + length, info) == 0;
}

/*
 * The mount is what the configuration says, or, for an application mounted at "/", what the
 * gateway says. SCRIPT_NAME and PATH_INFO are put right where they say something else.
 */
static bool find_mount(struct ag_request *req, char *path)
{
	const char *script = text(req, VAR_SCRIPT_NAME);
	bool adds_up = split_adds_up(req, path);

	req->mount = req->app ? req->app->mount : "";
	if (!*req->mount && adds_up && *script && *text(req, VAR_PATH_INFO) == '/')
		req->mount = script;
	req->path = path + strlen(req->mount);
	if (!*req->path)
		req->path = "/";
	if (adds_up && (strcmp(script, req->mount) == 0 || !req->app || !*req->app->mount))
		return env_known(&req->env, VAR_SCRIPT_NAME) || set(req, VAR_SCRIPT_NAME, "");
	if (*req->mount ? !set(req, VAR_SCRIPT_NAME, req->mount)
	                : !env_point(&req->env, VAR_SCRIPT_NAME, "", 0))
		return false;
	return set(req, VAR_PATH_INFO, req->path);
}

static bool find_query(struct ag_request *req)
{
	if (env_known(&req->env, VAR_QUERY_STRING)) {
		req->query = text(req, VAR_QUERY_STRING);
		return true;
	}
	const char *mark = strchr(text(req, VAR_REQUEST_URI), '?');

	req->query = mark ? mark + 1 : "";
	return set(req, VAR_QUERY_STRING, req->query);
}

/* A server name without its port; brackets belong to the name. NULL without memory. */
static const char *without_port(struct ag_request *req, const char *host)
{
	const char *bracket = *host == '[' ? strchr(host, ']') : NULL;
	const char *colon = strchr(bracket ? bracket : host, ':');

	return colon ? arena_copy(&req->arena, host, (size_t)(colon - host)) : host;
}

static bool is_on(const char *text)
{
	return strcasecmp(text, "on") == 0 || strcmp(text, "1") == 0;
}

/* REQUEST_SCHEME and HTTPS say the same; a gateway may send one, the other, or neither. */
static bool find_scheme(struct ag_request *req)
{
	const char *scheme = text(req, VAR_REQUEST_SCHEME);
	bool https = *scheme ? strcasecmp(scheme, "https") == 0 : is_on(text(req, VAR_HTTPS));

	if (!https)
		env_hide(&req->env, VAR_HTTPS);
	else if (strcmp(text(req, VAR_HTTPS), "on") != 0 && !set(req, VAR_HTTPS, "on"))
		return false;
	if (https)
		return set_missing(req, VAR_REQUEST_SCHEME, "https") &&
		       set_missing(req, VAR_SERVER_PORT, "443");
	return set_missing(req, VAR_REQUEST_SCHEME, "http") &&
	       set_missing(req, VAR_SERVER_PORT, "80");
}

static bool find_server(struct ag_request *req)
{
	const char *sent = text(req, VAR_SERVER_NAME);
	const char *name = without_port(req, *sent ? sent : text(req, VAR_HTTP_HOST));

	if (!name)
		return false;
	if (strcmp(name, sent) != 0 || !*name)
		if (!set(req, VAR_SERVER_NAME, *name ? name : "localhost"))
			return false;
	return find_scheme(req) && set_missing(req, VAR_SERVER_PROTOCOL, "HTTP/1.1") &&
	       set_missing(req, VAR_GATEWAY_INTERFACE, "CGI/1.1") &&
	       set_missing(req, VAR_SERVER_SOFTWARE, "anygate");
}

static void find_length(struct ag_request *req)
{
	const char *digits = text(req, VAR_CONTENT_LENGTH);

	if (req->authorizer)
		req->length = 0;
	if (!*digits)
		return;
	for (req->length = 0; *digits; digits++)
		req->length = req->length * 10 + (*digits - '0');
}

int request_head(struct ag_request *req)
{
	char *path = find_path(req);

	req->since = request_now(req->runtime);
	req->method = text(req, VAR_REQUEST_METHOD);
	req->is_head = strcmp(req->method, "HEAD") == 0;
	if (!path)
		return 400;
	const char *host = without_port(req, text(req, VAR_HTTP_HOST));

	if (!host || !find_server(req))
		return 431;
	if (!*host)
		host = text(req, VAR_SERVER_NAME);
	req->app = host_find(req->runtime->host, host, path);
	find_length(req);
	return find_mount(req, path) && find_query(req) ? 0 : 431;
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
	if (!set(req, VAR_REQUEST_URI, target) ||
	        (!req->is_head && !set(req, VAR_REQUEST_METHOD, "GET")))
		return 503;
	req->length = 0;
	req->arguments = NULL;
	int status = request_head(req);

	return status ? status : request_dispatch(req);
}
