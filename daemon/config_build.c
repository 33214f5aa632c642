/* Listeners, applications and keys of a configuration in the making. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config_build.h"

bool build_fail(struct build *build, const char *format, ...)
{
	va_list arguments;
	int used;

	if (build->failed)
		return false;
	build->failed = true;
	if (!build_in_file(build))
		used = snprintf(
		        build->error, build->size, "%s%s", build->place, *build->place ? ": " : "");
	else if (build->line == 0)
		used = snprintf(build->error, build->size, "%s: ", build->file);
	else
		used = snprintf(build->error, build->size, "%s:%u: ", build->file, build->line);
	if (used < 0 || (size_t)used >= build->size)
		return false;
	va_start(arguments, format);
	vsnprintf(build->error + used, build->size - (size_t)used, format, arguments);
	va_end(arguments);
	return false;
}

bool build_fail_nearest(
        struct build *build, const char *what, const struct nearest *nearest, const char *quotes)
{
	if (nearest->best == NULL)
		return build_fail(build, "%s", what);
	return build_fail(
	        build, "%s; did you mean %c%s%c?", what, quotes[0], nearest->best, quotes[1]);
}

/* ---- listeners and applications ---- */

struct listen_config *config_find_listener(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->listen_count; i++) {
		if (strcmp(config->listen[i].name, name) == 0)
			return &config->listen[i];
	}
	return NULL;
}

struct app_config *config_find_app(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->app_count; i++) {
		if (strcmp(config->app[i].name, name) == 0)
			return &config->app[i];
	}
	return NULL;
}

/* Where a section was opened or an option was given, for later messages. */
static char *make_origin(const struct build *build)
{
	char *origin = NULL;

	if (!build_in_file(build))
		return strdup(build->place);
	return asprintf(&origin, "%s:%u", build->file, build->line) < 0 ? NULL : origin;
}

bool build_defaults(struct build *build, enum section_id section, void *base)
{
	char error[CONFIG_ERROR_MAX];

	for (size_t i = 0; i < config_key_count; i++) {
		const struct key *key = &config_keys[i];
		bool required = key->type == KEY_ADDRESS || strcmp(key->name, "load") == 0;

		if (key->section == section && !required &&
		        !key_parse(key, base, key->standard, error, sizeof(error)))
			return build_fail(build, "the default of \"%s\": %s", key->name, error);
	}
	return true;
}

struct listen_config *build_listener(struct build *build, const char *name)
{
	struct config *config = build->config;
	struct listen_config *grown, *listen;

	grown = reallocarray(config->listen, config->listen_count + 1, sizeof(*grown));
	if (grown == NULL) {
		build_fail(build, "out of memory");
		return NULL;
	}
	config->listen = grown;
	listen = &grown[config->listen_count++];
	*listen = (struct listen_config){ .name = strdup(name), .origin = make_origin(build) };
	if (listen->name && listen->origin)
		return listen;
	build_fail(build, "out of memory");
	return NULL;
}

struct app_config *build_app(struct build *build, const char *name)
{
	struct config *config = build->config;
	struct app_config *grown, *app;

	grown = reallocarray(config->app, config->app_count + 1, sizeof(*grown));
	if (grown == NULL) {
		build_fail(build, "out of memory");
		return NULL;
	}
	config->app = grown;
	app = &grown[config->app_count++];
	*app = (struct app_config){ .name = strdup(name), .origin = make_origin(build) };
	if (app->name && app->origin)
		return build_defaults(build, SECTION_APP, app) ? app : NULL;
	build_fail(build, "out of memory");
	return NULL;
}

bool build_self(struct build *build)
{
	struct config *config = build->config;

	if (!config->self)
		return true;
	if (config->app_count == 0 && !build_app(build, "main"))
		return false;
	for (size_t i = 0; i < config->app_count; i++) {
		struct app_config *app = &config->app[i];

		if (!app->load && !(app->load = strdup("self")))
			return build_fail(build, "out of memory");
	}
	return true;
}

static void clear_keys(enum section_id section, void *base)
{
	for (size_t i = 0; i < config_key_count; i++) {
		if (config_keys[i].section == section)
			key_clear(&config_keys[i], base);
	}
}

static void clear_listener(struct listen_config *listen)
{
	clear_keys(SECTION_LISTEN, listen);
	free(listen->name);
	free(listen->origin);
}

static void clear_app(struct app_config *app)
{
	clear_keys(SECTION_APP, app);
	for (size_t i = 0; i < app->setting_count; i++) {
		free(app->settings[i].key);
		free(app->settings[i].value);
	}
	free(app->settings);
	free(app->name);
	free(app->origin);
}

void config_drop_listeners(struct config *config, size_t keep)
{
	while (config->listen_count > keep)
		clear_listener(&config->listen[--config->listen_count]);
	if (keep > 0)
		return;
	free(config->listen);
	config->listen = NULL;
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	config_drop_listeners(config, 0);
	for (size_t i = 0; i < config->app_count; i++)
		clear_app(&config->app[i]);
	free(config->app);
	clear_keys(SECTION_DAEMON, &config->daemon);
	clear_keys(SECTION_LOG, &config->log);
	clear_keys(SECTION_BUS, &config->bus);
	clear_listener(&config->listen_default);
	clear_listener(&config->admin);
	free(config);
}

/* ---- sections ---- */

bool config_is_name(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                             "0123456789_-");

	return length > 0 && length <= CONFIG_NAME_MAX && name[length] == '\0';
}

const struct section *build_section(struct build *build, const char *name)
{
	struct nearest nearest = { .wanted = name };
	char what[128];

	for (size_t i = 0; i < SECTION_COUNT; i++) {
		if (strcmp(config_sections[i].name, name) == 0)
			return &config_sections[i];
		nearest_offer(&nearest, config_sections[i].name);
	}
	snprintf(what, sizeof(what), "unknown section [%s]", name);
	build_fail_nearest(build, what, &nearest, "[]");
	return NULL;
}

static bool set_target(struct build *build, const struct section *section, const char *name,
        void *base, uint64_t *given)
{
	struct target *target = &build->target;

	if (base == NULL)
		return false;
	build->given = 0;
	target->section = section;
	target->id = (enum section_id)(section - config_sections);
	target->base = base;
	target->given = given ? given : &build->given;
	target->app = target->id == SECTION_APP ? base : NULL;
	snprintf(target->label, sizeof(target->label), "%s%s%s", section->name, *name ? " " : "",
	        name);
	return true;
}

/* The struct of a section that needs no name. */
static void *plain_base(struct config *config, enum section_id id)
{
	switch (id) {
	case SECTION_DAEMON:
		return &config->daemon;
	case SECTION_LISTEN:
		return &config->listen_default;
	case SECTION_LIMITS:
		return &config->limits;
	case SECTION_BUS:
		return &config->bus;
	case SECTION_ADMIN:
		return &config->admin;
	default:
		return &config->log;
	}
}

bool build_to_plain(struct build *build, const struct section *section)
{
	void *base = plain_base(build->config, (enum section_id)(section - config_sections));

	return set_target(build, section, "", base, NULL);
}

bool build_to_listener(struct build *build, struct listen_config *listen)
{
	return listen && set_target(build, &config_sections[SECTION_LISTEN], listen->name, listen,
	                         &listen->given);
}

bool build_to_app(struct build *build, struct app_config *app)
{
	return app && set_target(build, &config_sections[SECTION_APP], app->name, app, NULL);
}

/* ---- keys ---- */

static bool unknown_key(struct build *build, const char *name)
{
	struct nearest nearest = { .wanted = name };
	char what[192];

	for (size_t i = 0; i < config_key_count; i++) {
		if (config_keys[i].section == build->target.id)
			nearest_offer(&nearest, config_keys[i].name);
	}
	snprintf(what, sizeof(what), "unknown key \"%s\" in [%s]", name, build->target.label);
	return build_fail_nearest(build, what, &nearest, "\"\"");
}

static struct app_setting *find_setting(struct app_config *app, const char *key)
{
	for (size_t i = 0; i < app->setting_count; i++) {
		if (strcmp(app->settings[i].key, key) == 0)
			return &app->settings[i];
	}
	return NULL;
}

static struct app_setting *add_setting(struct app_config *app, const char *key)
{
	struct app_setting *grown;

	grown = reallocarray(app->settings, app->setting_count + 1, sizeof(*grown));
	if (grown == NULL)
		return NULL;
	app->settings = grown;
	grown += app->setting_count;
	*grown = (struct app_setting){ .key = strdup(key) };
	if (grown->key == NULL)
		return NULL;
	app->setting_count++;
	return grown;
}

/* A key that only the application knows. */
static bool set_setting(struct build *build, const char *key, const char *value)
{
	struct app_config *app = build->target.app;
	struct app_setting *setting = find_setting(app, key);
	size_t length = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                            "0123456789_-.");

	if (key[length] != '\0')
		return build_fail(build,
		        "bad key \"%s\" in [%s]: expected letters, digits, \"_\", "
		        "\"-\" or \".\"",
		        key, build->target.label);
	if (setting && build_in_file(build))
		return build_fail(build, "\"%s\" is given twice in [%s]", key, build->target.label);
	if (setting == NULL && (setting = add_setting(app, key)) == NULL)
		return build_fail(build, "out of memory");
	free(setting->value);
	setting->value = strdup(value);
	return setting->value != NULL || build_fail(build, "out of memory");
}

/* "http=" before an address sets `protocol`. Moves `value` behind it. */
static bool take_protocol(struct build *build, const char **value)
{
	size_t length = strspn(*value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	char protocol[32];

	if (length == 0 || length >= sizeof(protocol) || (*value)[length] != '=')
		return true;
	snprintf(protocol, sizeof(protocol), "%.*s", (int)length, *value);
	*value += length + 1;
	return build_set(build, "protocol", protocol);
}

/* Without the password of a URL: messages go to the log. */
static bool bad_value(struct build *build, const char *name, const char *value, const char *why)
{
	const char *scheme = strstr(value, "://"), *at = scheme ? strrchr(scheme, '@') : NULL;
	int shown = at ? (int)(scheme + 3 - value) : 0;
	const char *hidden = at ? SECRET_TEXT : "", *rest = at ? at : value;

	if (!build_in_file(build))
		return build_fail(
		        build, "bad value \"%.*s%s%s\"; %s", shown, value, hidden, rest, why);
	return build_fail(build, "bad value \"%.*s%s%s\" for \"%s\" in [%s]; %s", shown, value,
	        hidden, rest, name, build->target.label, why);
}

/* Whether the key may be set here and now. */
static bool may_set(struct build *build, const struct key *key, uint64_t bit)
{
	struct target *target = &build->target;

	if (key->type == KEY_ADDRESS && target->base == &build->config->listen_default)
		return build_fail(build,
		        "\"%s\" needs a listener with a name, such as [listen main]", key->name);
	/* long lists take several lines */
	if (build_in_file(build) && *target->given & bit && !key_is_list(key))
		return build_fail(build, "\"%s\" is given twice in [%s]", key->name, target->label);
	return true;
}

/* The keys of scaling make sense together only; a message names where one of them stands. */
static void note_scaling(struct build *build, const char *name)
{
	if (strncmp(name, "workers_", 8) != 0 && strncmp(name, "spare_", 6) != 0)
		return;
	free(build->scaled);
	build->scaled = make_origin(build);
}

bool build_check_scaling(struct build *build)
{
	struct daemon_config *daemon = &build->config->daemon;

	snprintf(build->place, sizeof(build->place), "%s", build->scaled ? build->scaled : "");
	if (daemon->workers_max && daemon->workers_min > daemon->workers_max)
		return build_fail(build, "workers_min (%u) is more than workers_max (%u)",
		        daemon->workers_min, daemon->workers_max);
	if (daemon->spare_min > daemon->spare_max)
		return build_fail(build, "spare_min (%u) is more than spare_max (%u)",
		        daemon->spare_min, daemon->spare_max);
	if (!daemon->workers_max && daemon->workers_min > 1)
		return build_fail(build,
		        "workers_min means nothing without workers_max; set that, or workers");
	*build->place = '\0';
	if (!daemon->workers_max)
		return true;
	if (daemon->workers > daemon->workers_max)
		daemon->workers = daemon->workers_max;
	if (daemon->workers < daemon->workers_min)
		daemon->workers = daemon->workers_min;
	return true;
}

bool build_set(struct build *build, const char *name, const char *value)
{
	struct target *target = &build->target;
	const struct key *key = key_find(target->id, name);
	char error[CONFIG_ERROR_MAX];
	uint64_t bit;

	if (key == NULL)
		return target->app ? set_setting(build, name, value) : unknown_key(build, name);
	bit = key_bit(key);
	if (!may_set(build, key, bit))
		return false;
	if (key->type == KEY_ADDRESS && !take_protocol(build, &value))
		return false;
	if (key_is_list(key) && !build_in_file(build))
		key_clear(key, target->base);
	if (!key_parse(key, target->base, value, error, sizeof(error)))
		return bad_value(build, name, value, error);
	*target->given |= bit;
	if (target->id == SECTION_DAEMON)
		note_scaling(build, name);
	return true;
}
