/*
 * A reverse proxy: passes each request on to another server and its answer back, both as they come.
 *
 *	cc -shared -fPIC proxy.c -o proxy.so
 *	anygate -l 127.0.0.1:8888 -s app.upstream=http://127.0.0.1:8080 ./proxy.so
 *
 * `upstream` may have a path, which goes before that of the request. Header fields that are for one
 * connection only stay where they came from (RFC 9110 7.6.1).
 */
#include <anygate.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FIELDS 128 /* of a request, at most */

static const char *upstream;

/* ---- header fields ---- */

/* Whether the list of a Connection field has this name. */
static bool is_listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	while (list && *list) {
		list += strspn(list, ", \t");
		size_t item = strcspn(list, ", \t");

		if (item == length && strncasecmp(list, name, length) == 0)
			return true;
		list += item;
	}
	return false;
}

static bool is_for_connection(const char *connection, const char *name)
{
	return is_listed("Connection Keep-Alive Proxy-Authenticate Proxy-Authorization "
	                 "Proxy-Connection TE Trailer Transfer-Encoding Upgrade",
	               name) ||
	       is_listed(connection, name);
}

/* ---- the request ---- */

static const char *line_of(struct ag_request *req, const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(value) + 3;
	char *line = ag_alloc(req, size);

	if (line)
		snprintf(line, size, "%s: %s", name, value);
	return line;
}

/* The field that a CGI variable was made of; NULL: of none that is passed on. */
static const char *field_of(struct ag_request *req, const char *variable, const char *value)
{
	char name[256];
	size_t length = 0;

	if (strncmp(variable, "HTTP_", 5) == 0)
		variable += 5;
	else if (strcmp(variable, "CONTENT_TYPE") != 0 || !*value)
		return NULL;
	if (strlen(variable) >= sizeof name)
		return NULL;
	for (; variable[length]; length++)
		name[length] = variable[length] == '_' ? '-' : variable[length];
	name[length] = '\0';
	if (is_for_connection(NULL, name) || ag_is_connection_header(req, name) ||
	        is_listed("Host Expect Via X-Forwarded-For", name))
		return NULL;
	return line_of(req, name, value);
}

static void build_fields(struct ag_request *req, const char **fields)
{
	const char *name, *value, *client = ag_env(req, "REMOTE_ADDR");
	size_t count = 0;

	fields[count++] = "Via: 1.1 anygate";
	if (client && (fields[count] = line_of(req, "X-Forwarded-For", client)))
		count++;
	for (size_t i = 0; count < FIELDS && ag_env_at(req, i, &name, &value); i++)
		if ((fields[count] = field_of(req, name, value)))
			count++;
	fields[count] = NULL;
}

/* Where it goes; NULL: nowhere. */
static const char *build_url(struct ag_request *req)
{
	const char *uri = ag_env(req, "REQUEST_URI");
	size_t size = strlen(upstream) + (uri ? strlen(uri) : 0) + 1;
	char *url = uri && *uri == '/' ? ag_alloc(req, size) : NULL;

	if (url)
		snprintf(url, size, "%s%s", upstream, uri);
	return url;
}

/* ---- the answer ---- */

struct passing {
	struct ag_fetch_result result;
	bool begun; /* the client has some of it */
};

static int pass_head(struct ag_request *req, struct passing *passing)
{
	const struct ag_fetch_result *result = &passing->result;
	const char *connection = ag_fetch_header(result, "Connection"), *name, *value;

	if (ag_status(req, result->status))
		return AG_BAD_ANSWER;
	ag_set_header(req, "Content-Type", ""); /* only one of the answer's own */
	for (size_t i = 0; ag_fetch_header_at(result, i, &name, &value); i++)
		if (!is_for_connection(connection, name))
			ag_add_header(req, name, value); /* what is not allowed stays here */
	passing->begun = true;
	return ag_flush(req);
}

/* Flushed, as the next piece may be long in coming. */
static int pass(struct ag_request *req, void *argument, const char *data, size_t size)
{
	if (!size)
		return pass_head(req, argument);
	int answer = ag_write(req, data, size);

	return answer ? answer : ag_flush(req);
}

static int proxy(struct ag_request *req)
{
	struct passing passing = { .begun = false };
	const char *fields[FIELDS + 1];
	struct ag_fetch_spec spec = {
		.url = build_url(req),
		.method = ag_method(req),
		.headers = fields,
		.body_request = true,
		.take = pass,
		.argument = &passing,
	};

	if (!spec.url)
		return 400;
	build_fields(req, fields);
	int answer = ag_fetch(req, &spec, &passing.result);

	if (!answer)
		return passing.result.status;
	ag_log(req, "no whole answer of %s: %s", spec.url, passing.result.error);
	if (passing.begun)
		return answer; /* the client is to see that there should be more */
	return answer == AG_SLOW ? 504 : answer == AG_INVALID ? 400 : 502;
}

AG_APP(app)
{
	upstream = ag_config(app, "upstream", NULL);
	if (!upstream)
		ag_fail(app, "upstream: where to pass requests on to, such as http://127.0.0.1:80");
	ag_route(app, NULL, "/*path", proxy);
}
