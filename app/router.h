/*
 * One application: its routes, as a tree of path segments, and its settings. Finding a route costs
 * the depth of the path, not the number of routes.
 */
#ifndef APP_ROUTER_H
#define APP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "anygate.h"
#include "arena.h"

/* Most ":name" and "*name" in one pattern. */
#define ROUTE_PARAMS 8

/* What the names of a route matched. `values` belong to the request's arena, or end its path. */
struct params {
	unsigned count;
	const char *names[ROUTE_PARAMS];
	const char *values[ROUTE_PARAMS];
};

struct setting {
	const char *key, *value;
};

struct status_source;
enum hook_kind { HOOK_START, HOOK_STOP, HOOK_EVERY };

/* A function that is called though nobody has asked. */
struct hook {
	struct hook *next;
	enum hook_kind kind;
	unsigned ms; /* between two calls, HOOK_EVERY */
	ag_function *function;
	void *argument;
};

struct ag_app {
	char *name;  /* of its section, "main" from the command line */
	char *mount; /* "" or "/prefix", no slash at its end */
	size_t mount_length;
	char *host;         /* a server name in lower case, or NULL: any */
	struct route *root; /* the tree's node for "/" */
	struct setting *settings;
	size_t setting_count;
	const struct status_source *status; /* of builtin/status.c; NULL: it can't be loaded */
	ag_setup *self;                     /* the program's own application, or NULL */
	void *library;                      /* dlopen's, or NULL */
	char *error;                        /* the first ag_fail or bad pattern, or NULL */
	struct hook *hooks;                 /* in the order in which they were registered */
	bool debug;
};

/* All applications of a worker, those with the longest mount first. */
struct host {
	struct ag_app **apps;
	size_t count;
};

/* An application without routes. All strings are copied. `mount` as configured: "/", "/a", "/a/".
 */
struct ag_app *app_new(const char *name, const char *mount, const char *host);
void app_free(struct ag_app *app);
void hooks_free(struct ag_app *app);
void app_setting(struct ag_app *app, const char *key, const char *value);

/* What route_find found. */
struct match {
	ag_handler *handler; /* NULL: none */
	const char *allow;   /* without a handler, but a pattern matched: the value for Allow */
	struct params params;
};

/*
 * Looks up `path` for `method`. Texts that are made (parameters, Allow) come from `arena`; a
 * parameter at the path's end is the path's own.
 * OPTIONS without a handler of its own is found as no handler with `allow`.
 */
void route_find(const struct ag_app *app, const char *method, const char *path, struct arena *arena,
        struct match *match);

/*
 * The application for a server name (any case, with its port or without, may be NULL) and a full
 * path: the longest mount that ends at a segment, one with that host before one without. NULL:
 * none.
 */
struct ag_app *host_find(const struct host *host, const char *server, const char *path);

#endif
