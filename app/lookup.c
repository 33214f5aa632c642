/* What a handler looks up: variables, headers, route parameters, arguments, cookies, the rest. */
#include <stdio.h>
#include <string.h>

#include "path.h"
#include "request.h"
#include "router.h"

const char *ag_env(const struct ag_request *req, const char *name)
{
	const struct var *var = env_find(&req->env, name, strlen(name));

	return var ? env_value(var) : NULL;
}

bool ag_env_at(const struct ag_request *req, size_t i, const char **name, const char **value)
{
	for (size_t at = 0; at < req->env.count; at++) {
		const struct var *var = &req->env.vars[at];

		if (var->hidden || i-- > 0)
			continue;
		*name = env_name(var);
		*value = env_value(var);
		return true;
	}
	return false;
}

#define ID_MAX 64

/* Letters, digits and what stands in UUIDs, in trace ids and in base64: no quoting anywhere. */
static bool is_id(const char *text, size_t length)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                              "0123456789-_.:+/=@";

	return length > 0 && length <= ID_MAX && strspn(text, allowed) == length;
}

const char *ag_request_id(struct ag_request *req)
{
	const struct var *given = env_known(&req->env, VAR_REQUEST_ID);

	if (req->name)
		return req->name;
	if (given && is_id(env_value(given), given->value_length))
		return req->name = env_value(given);
	char *own = arena_text(&req->arena, ID_MAX);

	if (!own)
		return "-"; /* as far as a log goes */
	snprintf(own, ID_MAX, "%012llx-%llx", (unsigned long long)req->runtime->seed,
	        (unsigned long long)req->number);
	return req->name = own;
}

bool request_arrived_at(
        const struct ag_request *req, size_t i, const char **name, const char **value)
{
	if (i >= req->env.arrived)
		return false;
	*name = env_name(&req->env.vars[i]);
	*value = env_value(&req->env.vars[i]);
	return true;
}

/* Whether a variable stands for an HTTP field: "HTTP_X_NAME" for "x-name", from its sixth byte. */
static bool stands_for(const char *variable, const char *field)
{
	for (; *variable && *field; variable++, field++) {
		char c = *field == '-'                    ? '_'
		         : *field >= 'a' && *field <= 'z' ? *field - 32
		                                          : *field;

		if (c != *variable)
			return false;
	}
	return !*variable && !*field;
}

const char *ag_header(const struct ag_request *req, const char *name)
{
	for (size_t i = req->env.count; i-- > 0;) {
		const struct var *var = &req->env.vars[i];

		if (var->hidden)
			continue;
		bool own_name = var->id == VAR_CONTENT_TYPE || var->id == VAR_CONTENT_LENGTH;
		const char *variable = env_name(var);
		bool field = strncmp(variable, "HTTP_", 5) == 0;

		if ((own_name || field) && stands_for(own_name ? variable : variable + 5, name))
			return env_value(var);
	}
	return NULL;
}

/* A letter of a header's name, or of the variable's that stands for it. */
static char fold(char c)
{
	return (char)(c == '_' ? '-' : c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool is_same_header(const char *one, const char *other, size_t length)
{
	while (length && fold(*one) == fold(*other)) {
		one++;
		other++;
		length--;
	}
	return !length;
}

/* Of variables that are hidden, as Connection's are, the values stand nevertheless. */
bool ag_is_connection_header(const struct ag_request *req, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < req->env.count; i++) {
		const struct var *var = &req->env.vars[i];
		const char *at = var->id == VAR_HTTP_CONNECTION ? env_value(var) : "";

		for (size_t item; *(at += strspn(at, ", \t")); at += item) {
			item = strcspn(at, ", \t");
			if (item == length && is_same_header(at, name, length))
				return true;
		}
	}
	return false;
}

const char *ag_param(const struct ag_request *req, const char *name)
{
	for (unsigned i = 0; req->params && i < req->params->count; i++)
		if (strcmp(req->params->names[i], name) == 0)
			return req->params->values[i];
	return NULL;
}

static const struct arguments *arguments(struct ag_request *req)
{
	static const struct arguments none;

	if (!req->arguments)
		req->arguments = query_parse(&req->arena, req->query, strlen(req->query));
	return req->arguments ? req->arguments : &none;
}

const char *ag_arg(struct ag_request *req, const char *name, const char *fallback)
{
	const struct arguments *all = arguments(req);

	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->list[i].name, name) == 0)
			return all->list[i].value;
	return fallback;
}

bool ag_arg_at(struct ag_request *req, size_t i, const char **name, const char **value)
{
	const struct arguments *all = arguments(req);

	if (i >= all->count)
		return false;
	*name = all->list[i].name;
	*value = all->list[i].value;
	return true;
}

const char *ag_cookie(struct ag_request *req, const char *name)
{
	const struct var *var = env_known(&req->env, VAR_HTTP_COOKIE);

	return var ? cookie_find(&req->arena, env_value(var), name) : NULL;
}

/* ---- the request itself ---- */

bool ag_aborted(const struct ag_request *req)
{
	return req->gone;
}

bool ag_is_authorizer(const struct ag_request *req)
{
	return req->authorizer;
}

int64_t ag_length(const struct ag_request *req)
{
	return req->length;
}

const char *ag_method(const struct ag_request *req)
{
	return req->method;
}

const char *ag_path(const struct ag_request *req)
{
	return req->path;
}

const char *ag_mount(const struct ag_request *req)
{
	return req->mount;
}

const char *ag_query(const struct ag_request *req)
{
	return req->query;
}

const char *ag_protocol(const struct ag_request *req)
{
	return req->gate->protocol;
}

int ag_worker(const struct ag_request *req)
{
	return req->runtime->worker;
}

void *ag_alloc(struct ag_request *req, size_t size)
{
	return arena_alloc(&req->arena, size ? size : 1);
}
