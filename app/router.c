#include "router.h"
#include "grammar.h"
#include "tree.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* In place of a reason that found no memory; never freed. */
static char no_memory[] = "out of memory";

/* ---- registering ---- */

static bool is_name(const char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && *text != '_' && *text != '-')
			return false;
	return true;
}

/* Takes the name of ":name" or "*name"; returns what is wrong with it, or NULL. */
static const char *name_take(struct endpoint *endpoint, const char *name)
{
	if (!*name)
		return "\":\" and \"*\" need a name behind them";
	if (!is_name(name))
		return "a name is made of letters, digits, \"_\" and \"-\"";
	if (endpoint->count == ROUTE_PARAMS)
		return "it has too many names (8 at most)";
	for (unsigned i = 0; i < endpoint->count; i++)
		if (strcmp(endpoint->names[i], name) == 0)
			return "it has a name twice";
	endpoint->names[endpoint->count++] = name;
	return NULL;
}

static const char *segment_take(struct endpoint *endpoint, const char *segment, bool last)
{
	if (!*segment && !last)
		return "it has an empty segment, which no path has";
	if (strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)
		return "it has a dot segment, which no path has";
	if (*segment == '*' && !last)
		return "\"*name\" must be the last segment";
	return *segment == ':' || *segment == '*' ? name_take(endpoint, segment + 1) : NULL;
}

/* Cuts endpoint->text into segments and takes the names; returns what is wrong with it, or NULL. */
static const char *pattern_take(struct endpoint *endpoint)
{
	char *at = endpoint->text;
	const char *wrong = *at == '/' ? NULL : "it must begin with \"/\"";
	bool last = false;

	while (!wrong && !last) {
		char *segment = at + 1;

		at = strchrnul(segment, '/');
		last = !*at;
		*at = '\0';
		wrong = segment_take(endpoint, segment, last);
	}
	return wrong;
}

static struct endpoint *endpoint_new(const char *method, const char *pattern, ag_handler *handler)
{
	struct endpoint *endpoint = calloc(1, sizeof *endpoint);

	if (!endpoint)
		return NULL;
	endpoint->handler = handler;
	endpoint->text = strdup(pattern);
	endpoint->method = method ? strdup(method) : NULL;
	if (!endpoint->text || (method && !endpoint->method)) {
		endpoint_free(endpoint);
		return NULL;
	}
	return endpoint;
}

static bool same_method(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Puts the endpoint in its place; returns what is wrong, or NULL: the tree owns it now. */
static const char *endpoint_add(struct ag_app *app, struct endpoint *endpoint, const char *pattern)
{
	const char *wrong = pattern_take(endpoint);

	if (wrong)
		return wrong;

	struct endpoint **place = route_place(app->root, pattern);

	if (!place)
		return no_memory;
	for (; *place; place = &(*place)->next)
		if (same_method((*place)->method, endpoint->method))
			return "there is a route for the same paths and method already";
	*place = endpoint;
	return NULL;
}

void ag_route(struct ag_app *app, const char *method, const char *pattern, ag_handler *handler)
{
	const char *wrong = no_memory;

	if (!pattern)
		pattern = "";
	if (!handler) {
		wrong = "it has no handler";
	} else if (method && !grammar_is_token(method, strlen(method))) {
		wrong = "its method is not a token";
	} else {
		struct endpoint *endpoint = endpoint_new(method, pattern, handler);

		if (endpoint)
			wrong = endpoint_add(app, endpoint, pattern);
		if (wrong)
			endpoint_free(endpoint);
	}
	if (wrong)
		ag_fail(app, "route %s \"%.200s\": %s", method ? method : "(any method)", pattern,
		        wrong);
}

void ag_get(struct ag_app *app, const char *pattern, ag_handler *handler)
{
	ag_route(app, "GET", pattern, handler);
}

void ag_post(struct ag_app *app, const char *pattern, ag_handler *handler)
{
	ag_route(app, "POST", pattern, handler);
}

/* ---- finding ---- */

/* What a name matched: the end of the path as it is, else a copy; NULL without memory. */
static const char *span_text(const struct span *span, struct arena *arena)
{
	if (!span->end || !*span->end)
		return span->text;
	return arena_copy(arena, span->text, (size_t)(span->end - span->text));
}

/* False without memory. */
static bool params_fill(struct params *params, const struct search *search, struct arena *arena)
{
	for (unsigned i = 0; i < search->count; i++) {
		params->names[i] = search->found->names[i];
		params->values[i] = span_text(&search->spans[i], arena);
		if (!params->values[i])
			return false;
	}
	params->count = search->count;
	return true;
}

/* The value for Allow (RFC 9110 10.2.1); NULL without memory, or where nothing fits the path. */
static __attribute__((noinline)) const char *allow_text(struct search *search, struct arena *arena)
{
	if (search->allowed == 0)
		return NULL;
	for (unsigned i = 0; i < search->allowed; i++)
		if (strcmp(search->allow[i], "GET") == 0)
			allow_add(search, "HEAD");
	allow_add(search, "OPTIONS");

	size_t size = 1;

	for (unsigned i = 0; i < search->allowed; i++)
		size += strlen(search->allow[i]) + 2;

	char *text = arena_text(arena, size), *at = text;

	for (unsigned i = 0; at && i < search->allowed; i++) {
		at = stpcpy(at, i ? ", " : "");
		at = stpcpy(at, search->allow[i]);
	}
	return text;
}

/* Not inlined: the search's part of the stack is free again when the handler runs. */
__attribute__((noinline)) void route_find(const struct ag_app *app, const char *method,
        const char *path, struct arena *arena, struct match *match)
{
	struct search search;

	match->handler = NULL;
	match->allow = NULL;
	match->params.count = 0;
	search.method = method;
	if (*path != '/')
		return; /* OPTIONS * (RFC 9112 3.2.4) is for the server, not for a route */
	if (!route_search(app->root, path, &search))
		match->allow = allow_text(&search, arena);
	else if (params_fill(&match->params, &search, arena))
		match->handler = search.found->handler;
}

/* ---- applications ---- */

static char *lower_copy(const char *text)
{
	char *copy = strdup(text);

	for (char *at = copy; at && *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return copy;
}

static char *mount_copy(const char *mount)
{
	size_t length = mount ? strlen(mount) : 0;

	while (length > 0 && mount[length - 1] == '/')
		length--;
	return strndup(length > 0 ? mount : "", length);
}

struct ag_app *app_new(const char *name, const char *mount, const char *host)
{
	struct ag_app *app = calloc(1, sizeof *app);

	if (!app)
		return NULL;
	app->name = strdup(name);
	app->mount = mount_copy(mount);
	app->host = host && *host ? lower_copy(host) : NULL;
	app->root = route_new();
	if (!app->name || !app->mount || !app->root || (host && *host && !app->host)) {
		app_free(app);
		return NULL;
	}
	app->mount_length = strlen(app->mount);
	return app;
}

void app_free(struct ag_app *app)
{
	if (!app)
		return;
	route_free(app->root);
	hooks_free(app);
	for (size_t i = 0; i < app->setting_count; i++) {
		free((char *)app->settings[i].key);
		free((char *)app->settings[i].value);
	}
	free(app->settings);
	if (app->error != no_memory)
		free(app->error);
	free(app->host);
	free(app->mount);
	free(app->name);
	if (app->library)
		dlclose(app->library);
	free(app);
}

void app_setting(struct ag_app *app, const char *key, const char *value)
{
	size_t count = app->setting_count;
	struct setting *list = reallocarray(app->settings, count + 1, sizeof *list);
	struct setting new = { .key = strdup(key), .value = strdup(value) };

	if (list)
		app->settings = list;
	if (!list || !new.key || !new.value) {
		free((char *)new.key);
		free((char *)new.value);
		ag_fail(app, "%s", no_memory);
		return;
	}
	list[count] = new;
	app->setting_count++;
}

const char *ag_config(struct ag_app *app, const char *key, const char *fallback)
{
	for (size_t i = app->setting_count; i-- > 0;) /* the last one set is in force */
		if (strcmp(app->settings[i].key, key) == 0)
			return app->settings[i].value;
	return fallback;
}

void ag_fail(struct ag_app *app, const char *format, ...)
{
	va_list arguments;

	if (app->error)
		return;
	va_start(arguments, format);
	if (vasprintf(&app->error, format, arguments) < 0)
		app->error = no_memory;
	va_end(arguments);
}

static bool mount_fits(const struct ag_app *app, const char *path)
{
	size_t length = app->mount_length;

	if (length == 0)
		return true;
	return strncmp(path, app->mount, length) == 0 && (path[length] == '/' || !path[length]);
}

static bool host_fits(const struct ag_app *app, const char *server)
{
	if (!app->host)
		return true;
	size_t length = strlen(app->host);

	return server && strncasecmp(app->host, server, length) == 0 &&
	       (!server[length] || server[length] == ':');
}

/* Whether one that fits is to be taken rather than another that fits too. */
static bool is_better(const struct ag_app *app, const struct ag_app *other)
{
	if (app->mount_length != other->mount_length)
		return app->mount_length > other->mount_length;
	return app->host && !other->host;
}

struct ag_app *host_find(const struct host *host, const char *server, const char *path)
{
	struct ag_app *best = NULL;

	for (size_t i = 0; i < host->count; i++) {
		struct ag_app *app = host->apps[i];

		if (mount_fits(app, path) && host_fits(app, server) &&
		        (!best || is_better(app, best)))
			best = app;
	}
	return best;
}
