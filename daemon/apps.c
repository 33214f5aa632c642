#include "apps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../app/host/host.h"

static struct ag_app *load_one(
        const struct config *config, const struct app_config *wanted, char *error, size_t size)
{
	struct ag_app *app = app_new(wanted->name, wanted->mount, wanted->host);

	if (!app) {
		snprintf(error, size, "no memory for [app %s]", wanted->name);
		return NULL;
	}
	app->status = wanted->status;
	app->self = config->self;
	app->debug = wanted->debug || config->debug;
	for (size_t i = 0; i < wanted->setting_count; i++)
		app_setting(app, wanted->settings[i].key, wanted->settings[i].value);
	if (app_load(app, wanted->load, error, size))
		return app;
	app_free(app);
	return NULL;
}

static int by_mount(const void *a, const void *b)
{
	size_t left = strlen((*(struct ag_app *const *)a)->mount);
	size_t right = strlen((*(struct ag_app *const *)b)->mount);

	return left < right ? 1 : left > right ? -1 : 0;
}

struct host *host_load(const struct config *config, char *error, size_t size)
{
	struct host *host = calloc(1, sizeof(*host));

	if (host)
		host->apps = calloc(config->app_count ? config->app_count : 1, sizeof(*host->apps));
	if (!host || !host->apps) {
		free(host);
		snprintf(error, size, "no memory for the applications");
		return NULL;
	}
	for (; host->count < config->app_count; host->count++) {
		host->apps[host->count] = load_one(config, &config->app[host->count], error, size);
		if (!host->apps[host->count]) {
			host_free(host);
			return NULL;
		}
	}
	qsort(host->apps, host->count, sizeof(*host->apps), by_mount);
	return host;
}

void host_free(struct host *host)
{
	if (!host)
		return;
	for (size_t i = 0; i < host->count; i++)
		app_free(host->apps[i]);
	free(host->apps);
	free(host);
}
