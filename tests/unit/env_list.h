/* A list of variables with all it needs. */
#ifndef TESTS_UNIT_ENV_LIST_H
#define TESTS_UNIT_ENV_LIST_H

#include <string.h>

#include "app/env.h"
#include "protocols/cgi.h"

struct list {
	struct block_pool pool;
	struct arena arena;
	struct env env;
};

static inline void list_open(struct list *list, unsigned variables, size_t bytes)
{
	*list = (struct list){ .pool = { NULL, 0 } };
	arena_init(&list->arena, &list->pool, 1 << 22);
	env_init(&list->env, &list->arena, variables, bytes);
}

static inline void list_close(struct list *list)
{
	arena_free(&list->arena);
	block_pool_free(&list->pool);
}

static inline struct var *add(struct list *list, const char *name, const char *value)
{
	return env_add(&list->env, name, strlen(name), value, strlen(value));
}

/* One that stands alone in its event. */
static inline struct verdict take(struct env *env, const char *name, size_t name_length,
        const char *value, size_t value_length)
{
	struct wire_event event = { .kind = EVENT_VARIABLES, .count = 1 };

	event.pairs[0] = pair_of(
	        (const uint8_t *)name, name_length, (const uint8_t *)value, value_length);
	return cgi_take(env, &event);
}

#endif
