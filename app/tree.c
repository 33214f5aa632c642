#include "tree.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * The literal children are sorted by a hash of their segment, so that a search reads one small
 * array. The hash has no key: only the application chooses what is in the tree.
 */
struct route {
	uint32_t *hashes;
	struct route **children;
	size_t count, capacity;
	struct route *one;          /* the child for any one segment, or NULL */
	struct endpoint *endpoints; /* patterns that end here */
	struct endpoint *rest;      /* patterns that end here with "*name" */
	size_t length;
	char segment[]; /* not NUL-terminated */
};

static uint32_t segment_hash(const char *segment, size_t length)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)segment[i]) * 16777619u;
	return hash;
}

static struct route *node_new(const char *segment, size_t length)
{
	struct route *node = calloc(1, sizeof *node + length);

	if (!node)
		return NULL;
	node->length = length;
	memcpy(node->segment, segment, length);
	return node;
}

struct route *route_new(void)
{
	return node_new("", 0);
}

void endpoint_free(struct endpoint *list)
{
	while (list) {
		struct endpoint *next = list->next;

		free(list->method);
		free(list->text);
		free(list);
		list = next;
	}
}

void route_free(struct route *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->count; i++)
		route_free(node->children[i]);
	route_free(node->one);
	endpoint_free(node->endpoints);
	endpoint_free(node->rest);
	free(node->hashes);
	free(node->children);
	free(node);
}

/* The index of the first child whose hash is not below `hash`. */
static size_t child_place(const struct route *node, uint32_t hash)
{
	size_t low = 0, high = node->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (node->hashes[middle] < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct route *child_find(const struct route *node, const char *segment, size_t length)
{
	if (node->count == 0)
		return NULL;

	uint32_t hash = segment_hash(segment, length);

	for (size_t i = child_place(node, hash); i < node->count && node->hashes[i] == hash; i++) {
		struct route *child = node->children[i];

		if (child->length == length && memcmp(child->segment, segment, length) == 0)
			return child;
	}
	return NULL;
}

static bool children_grow(struct route *node)
{
	size_t capacity = node->capacity ? 2 * node->capacity : 4;
	uint32_t *hashes = reallocarray(node->hashes, capacity, sizeof *hashes);

	if (!hashes)
		return false;
	node->hashes = hashes;

	struct route **children = reallocarray(node->children, capacity, sizeof *children);

	if (!children)
		return false;
	node->children = children;
	node->capacity = capacity;
	return true;
}

static struct route *child_add(struct route *node, const char *segment, size_t length)
{
	if (node->count == node->capacity && !children_grow(node))
		return NULL;

	struct route *child = node_new(segment, length);

	if (!child)
		return NULL;

	uint32_t hash = segment_hash(segment, length);
	size_t at = child_place(node, hash), behind = node->count - at;

	memmove(node->hashes + at + 1, node->hashes + at, behind * sizeof *node->hashes);
	memmove(node->children + at + 1, node->children + at, behind * sizeof(struct route *));
	node->hashes[at] = hash;
	node->children[at] = child;
	node->count++;
	return child;
}

/* The child for one segment of a pattern, made where there is none; NULL without memory. */
static struct route *child_ensure(struct route *node, const char *segment, size_t length)
{
	if (*segment == ':') {
		if (!node->one)
			node->one = node_new("", 0);
		return node->one;
	}

	struct route *child = child_find(node, segment, length);

	return child ? child : child_add(node, segment, length);
}

struct endpoint **route_place(struct route *node, const char *pattern)
{
	const char *at = pattern;

	while (node && *at == '/') {
		const char *segment = at + 1;

		if (*segment == '*')
			return &node->rest;
		at = strchrnul(segment, '/');
		node = child_ensure(node, segment, (size_t)(at - segment));
	}
	return node ? &node->endpoints : NULL;
}

/* ---- finding ---- */

void allow_add(struct search *search, const char *method)
{
	unsigned at = search->allowed;
	int order = 1;

	while (at > 0 && (order = strcmp(search->allow[at - 1], method)) > 0)
		at--;
	if ((at > 0 && order == 0) || search->allowed == ALLOW_METHODS)
		return;
	memmove(search->allow + at + 1, search->allow + at,
	        (search->allowed - at) * sizeof *search->allow);
	search->allow[at] = method;
	search->allowed++;
}

/* None of these has the method: they are what is allowed. */
static void add_methods(struct search *search, const struct endpoint *list)
{
	for (; list; list = list->next)
		allow_add(search, list->method);
}

/* The endpoint for the method: its own, GET's for HEAD, or the one for every method. */
static const struct endpoint *endpoint_for(const struct endpoint *list, const char *method)
{
	const struct endpoint *get = NULL, *any = NULL;

	for (; list; list = list->next) {
		if (!list->method)
			any = list;
		else if (strcmp(list->method, method) == 0)
			return list;
		else if (strcmp(list->method, "GET") == 0)
			get = list;
	}
	return get && strcmp(method, "HEAD") == 0 ? get : any;
}

static inline bool search_method(struct search *search, const struct endpoint *list)
{
	search->found = endpoint_for(list, search->method);
	if (!search->found)
		add_methods(search, list);
	return search->found;
}

static void search_cover(struct search *search, const char *text, const char *end)
{
	search->spans[search->count].text = text;
	search->spans[search->count].end = end;
	search->count++;
}

static bool search_below(struct search *search, const struct route *node, const char *at);

/* Searches the children of `node` for the segments from `at` on. */
static __attribute__((noinline)) bool search_children(
        struct search *search, const struct route *node, const char *at)
{
	const char *end = strchrnul(at, '/'), *next = *end ? end + 1 : NULL;
	const struct route *child = child_find(node, at, (size_t)(end - at));

	if (child && search_below(search, child, next))
		return true;
	if (!node->one || end == at)
		return false;
	search_cover(search, at, end);
	if (search_below(search, node->one, next))
		return true;
	search->count--;
	return false;
}

/* Searches below `node` for the segments from `at` on; NULL: the path ends at this node. */
static bool search_below(struct search *search, const struct route *node, const char *at)
{
	if (!at)
		return search_method(search, node->endpoints);

	if ((node->count > 0 || node->one) && search_children(search, node, at))
		return true;
	if (!node->rest)
		return false;
	search_cover(search, at, NULL);
	if (search_method(search, node->rest))
		return true;
	search->count--;
	return false;
}

bool route_search(const struct route *root, const char *path, struct search *search)
{
	search->found = NULL;
	search->count = 0;
	search->allowed = 0;
	return search_below(search, root, path + 1);
}
