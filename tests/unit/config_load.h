/* What the tests of the configuration share: loading one from arguments and from text. */
#ifndef TESTS_UNIT_CONFIG_LOAD_H
#define TESTS_UNIT_CONFIG_LOAD_H

#include "../support/support.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/options.h"

#define ARGV_MAX 32

/* A temporary file with this text; the caller unlinks it. */
static inline void write_file(char path[32], const char *text, size_t length)
{
	int fd;

	snprintf(path, 32, "/tmp/anygate-config-XXXXXX");
	fd = mkstemp(path);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, length), (ssize_t)length);
	close(fd);
}

/* The configuration of "anygate ARGUMENTS", which are separated by "|"; NULL: see `error`. */
static inline struct config *load(const char *arguments, char error[CONFIG_ERROR_MAX])
{
	char *copy = strdup(arguments), *rest = copy;
	char *argv[ARGV_MAX] = { (char *)"anygate" };
	struct config *config = NULL;
	struct options options;
	int argc = 1;

	*error = '\0';
	while (*arguments && rest && argc < ARGV_MAX - 1)
		argv[argc++] = strsep(&rest, "|");
	if (options_parse(&options, argc, argv, NULL, error, CONFIG_ERROR_MAX))
		config = config_load(&options, error, CONFIG_ERROR_MAX);
	options_free(&options);
	free(copy);
	return config;
}

/* The same with a file of this text; in a message its name becomes "FILE". */
static inline struct config *load_text(
        const char *text, size_t length, const char *more, char error[CONFIG_ERROR_MAX])
{
	char path[32], arguments[1024], message[CONFIG_ERROR_MAX];
	struct config *config;

	write_file(path, text, length);
	snprintf(arguments, sizeof(arguments), "-c|%s%s%s", path, *more ? "|" : "", more);
	config = load(arguments, error);
	unlink(path);
	for (char *at; (at = strstr(error, path)) != NULL;) {
		snprintf(message, sizeof(message), "%.*sFILE%s", (int)(at - error), error,
		        at + strlen(path));
		memcpy(error, message, sizeof(message));
	}
	return config;
}

static inline struct config *load_good(const char *arguments)
{
	char error[CONFIG_ERROR_MAX];
	struct config *config = load(arguments, error);

	cr_assert_not_null(config, "%s: %s", arguments, error);
	return config;
}

/* As --print-config shows it; to be freed. */
static inline char *print(const struct config *config)
{
	size_t size;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	config_print(config, out);
	fclose(out);
	return text;
}

struct error_row {
	const char *input, *message;
};

#endif
