/*
 * The router's tree of path segments: "/users/:id/" is the segments "users", ":id" and "", and "/"
 * is the one segment "". A search prefers literal to ":name" to "*name" and takes a choice back
 * when what follows does not fit. It enters a node at most once, and no deeper than the patterns
 * are, whatever the path.
 */
#ifndef APP_TREE_H
#define APP_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "anygate.h"
#include "router.h"

/* Methods in one Allow; the registry of RFC 9110 16.1.1 has 40. */
#define ALLOW_METHODS 48

/* One method of one pattern. The names belong to it, not to the places in the tree. */
struct endpoint {
	struct endpoint *next;
	ag_handler *handler;
	char *method; /* NULL: every method */
	char *text;   /* the pattern cut at its slashes: the names point into it */
	unsigned count;
	const char *names[ROUTE_PARAMS];
};

struct search {
	const char *method;
	const struct endpoint *found;
	unsigned count; /* of spans */
	struct span {
		const char *text, *end; /* NULL: the rest of the path */
	} spans[ROUTE_PARAMS];          /* what the names of the pattern cover, in order */
	unsigned allowed;
	const char *allow[ALLOW_METHODS]; /* of patterns that fit but for the method; sorted */
};

/* An empty tree; NULL without memory. */
struct route *route_new(void);
void route_free(struct route *root);

/*
 * The list a checked pattern's endpoint belongs to, with places made as needed; NULL without
 * memory. What is put into it belongs to the tree.
 */
struct endpoint **route_place(struct route *root, const char *pattern);

/* Frees a list of endpoints. */
void endpoint_free(struct endpoint *list);

/* Searches a path that begins with "/" for search->method; all else of `search` is set. */
bool route_search(const struct route *root, const char *path, struct search *search);

/* Adds a method; the list stays sorted and without repeats, what is beyond its end is left out. */
void allow_add(struct search *search, const char *method);

#endif
