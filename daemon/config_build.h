/* A configuration in the making: what config.c feeds from the file and from the command line. */
#ifndef DAEMON_CONFIG_BUILD_H
#define DAEMON_CONFIG_BUILD_H

#include "config_keys.h"

/* Bytes of a listener's or an application's name. */
#define CONFIG_NAME_MAX 32

/* The section that keys go to. */
struct target {
	const struct section *section; /* NULL: none yet */
	enum section_id id;
	void *base;             /* its struct */
	uint64_t *given;        /* key_bit: was set */
	char label[64];         /* "listen main" */
	struct app_config *app; /* NULL: the section is not an application's */
};

struct build {
	struct config *config;
	char *error; /* the caller's */
	size_t size;
	bool failed;
	char place[CONFIG_ERROR_MAX]; /* the option at work; "": the file */
	const char *file;             /* NULL: there is none */
	unsigned line;                /* of the file, from 1 */
	unsigned sections;            /* bit N: section N was opened without a name */
	uint64_t given;               /* for sections that have no such field */
	char *scaled;                 /* where a key of scaling was set last, or NULL */
	struct target target;
};

static inline bool build_in_file(const struct build *build)
{
	return *build->place == '\0' && build->file != NULL;
}

/* Keeps the first message, with its place before it. False, for the caller to return. */
__attribute__((format(printf, 2, 3))) bool build_fail(struct build *build, const char *format, ...);

/* "what; did you mean X?" with X between the two `quotes`. */
bool build_fail_nearest(
        struct build *build, const char *what, const struct nearest *nearest, const char *quotes);

/* Gives the keys of a struct, whose fields are empty, their defaults. */
bool build_defaults(struct build *build, enum section_id section, void *base);

/* By name, or NULL. */
struct listen_config *config_find_listener(const struct config *config, const char *name);
struct app_config *config_find_app(const struct config *config, const char *name);

/* Appends one with a name that is free; NULL on failure. */
struct listen_config *build_listener(struct build *build, const char *name);
struct app_config *build_app(struct build *build, const char *name);

/* In a program that is an application: an [app X] that does not say what to load is that, and
 * without any there is [app main]. */
bool build_self(struct build *build);

/* Drops all but the first `keep`. */
void config_drop_listeners(struct config *config, size_t keep);

/* Whether a listener or an application may be called this. */
bool config_is_name(const char *name);

/* By name, or NULL with a message. */
const struct section *build_section(struct build *build, const char *name);

/* Points build_set to a section; false where `listen` or `app` is NULL. */
bool build_to_plain(struct build *build, const struct section *section);
bool build_to_listener(struct build *build, struct listen_config *listen);
bool build_to_app(struct build *build, struct app_config *app);

/* Checks the keys of scaling against each other, and puts `workers` between them. */
bool build_check_scaling(struct build *build);

/* Sets a key of the section at hand. */
bool build_set(struct build *build, const char *name, const char *value);

#endif
