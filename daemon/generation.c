#include "generation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* Without listeners of its own: descriptor 0, then systemd's sockets, then the default. */
static bool find_listeners(struct config *config, char *error, size_t size)
{
	char address[32];

	if (config->listen_count)
		return true;
	if (socket_listens(STDIN_FILENO))
		return config_add_listener(config, "fd:0", error, size);
	int inherited = socket_from_systemd();

	for (int fd = 3; fd < 3 + inherited; fd++) {
		snprintf(address, sizeof(address), "fd:%d", fd);
		if (!config_add_listener(config, address, error, size))
			return false;
	}
	return inherited || config_add_listener(config, "127.0.0.1:8888", error, size);
}

/* Whether the socket was opened for this address. Port 0: for the listener of this name. */
static bool serves(const struct bound *bound, const struct listen_config *config)
{
	const struct listen_address *a = &bound->where, *b = &config->where;

	if (a->kind != b->kind)
		return false;
	if (a->kind == ADDRESS_FD)
		return a->fd == b->fd;
	if (a->kind == ADDRESS_UNIX)
		return strcmp(a->path, b->path) == 0;
	return strcmp(a->host, b->host) == 0 && a->port == b->port &&
	       (a->port || strcmp(bound->label, config->name) == 0);
}

static const struct bound *find_bound(
        const struct generation *before, const struct listen_config *config)
{
	for (size_t i = 0; before && i < before->bound_count; i++)
		if (serves(&before->bound[i], config))
			return &before->bound[i];
	return NULL;
}

struct generation *generation_parse(const struct options *options, char *error, size_t size)
{
	struct generation *generation = calloc(1, sizeof(*generation));

	if (!generation) {
		snprintf(error, size, "no memory");
		return NULL;
	}
	generation->number = 1;
	if (fchdir(options->start) < 0)
		snprintf(error, size, "can't go back to where it was started: %s", strerror(errno));
	else
		generation->config = config_load(options, error, size);
	if (generation->config && find_listeners(generation->config, error, size))
		return generation;
	generation_free(generation, NULL);
	return NULL;
}

bool generation_open_logs(const struct generation *generation, char *error, size_t size)
{
	const struct config *config = generation->config;
	unsigned level = config->debug ? LOG_LEVEL_DEBUG : config->log.level;

	return log_open(config->log.error, config->log.access, level, error, size);
}

bool generation_enter(const struct config *config, char *error, size_t size)
{
	const char *directory = config->daemon.directory;

	if (!directory || chdir(directory) == 0)
		return true;
	snprintf(error, size, "daemon.directory: can't enter %s: %s", directory, strerror(errno));
	return false;
}

/* The next of its sockets: one that is open already, or a new one. */
static bool open_next(struct generation *generation, const struct generation *before,
        const struct listen_config *config, char *error, size_t size)
{
	const struct bound *old = find_bound(before, config);
	struct bound *bound = &generation->bound[generation->bound_count];

	if (old)
		*bound = *old;
	if (old ? !socket_renew(bound, config, error, size)
	        : !socket_open(bound, config, error, size))
		return false;
	bound->listener = generation->bound_count++;
	return true;
}

bool generation_open(
        struct generation *generation, const struct generation *before, char *error, size_t size)
{
	struct config *config = generation->config;

	if (!generation_enter(config, error, size))
		return false;
	generation->bound = calloc(config->listen_count + 1, sizeof(*generation->bound));
	if (!generation->bound) {
		snprintf(error, size, "no memory");
		return false;
	}
	for (size_t i = 0; i < config->listen_count; i++)
		if (!open_next(generation, before, &config->listen[i], error, size))
			return false;
	if (!config->admin.address)
		return true;
	if (!open_next(generation, before, &config->admin, error, size))
		return false;
	generation->bound[config->listen_count].listener = 0; /* the only one of its process */
	return true;
}

const struct bound *generation_admin(const struct generation *generation)
{
	size_t count = generation->config->listen_count;

	return generation->bound_count > count ? &generation->bound[count] : NULL;
}

void generation_free(struct generation *generation, const struct generation *other)
{
	if (!generation)
		return;
	for (size_t i = 0; i < generation->bound_count; i++) {
		struct bound *bound = &generation->bound[i];
		bool shared = false;

		for (size_t j = 0; other && j < other->bound_count; j++)
			shared |= other->bound[j].fd == bound->fd;
		if (!shared)
			socket_close(bound);
	}
	free(generation->bound);
	config_free(generation->config);
	free(generation);
}
