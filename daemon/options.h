/* The command line. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "../app/anygate.h"

#define ANYGATE_VERSION "0.1.0"

enum options_action {
	OPTIONS_RUN,
	OPTIONS_CHECK,        /* -t */
	OPTIONS_PRINT_CONFIG, /* --print-config */
	OPTIONS_HELP,         /* -h */
	OPTIONS_VERSION,      /* -V */
	OPTIONS_STATUS,       /* the commands: see command.h */
	OPTIONS_RELOAD,
	OPTIONS_STOP,
	OPTIONS_REOPEN,
};

/* A key set on the command line, by -s or by an option of its own. */
struct option_value {
	const char *option; /* as messages name it: "--workers", "-s" */
	char *path;         /* "daemon.workers" */
	char *value;
};

struct options {
	enum options_action action;
	bool debug;
	bool once;       /* --once */
	ag_setup *self;  /* the program's own application, or NULL */
	char **argv;     /* all of it */
	int start;       /* the directory it was started in, to which relative paths belong */
	const char *app; /* argv's, or NULL */
	const char *config_file; /* argv's, or NULL */
	const char **listen;     /* argv's, in order */
	size_t listen_count;
	struct option_value *values; /* in order */
	size_t value_count;
};

/*
 * Reads the command line of a program whose own application is `self`, or NULL; `argv` must outlive
 * the options, and is permuted. On failure false, with one line in `error`; main prints it after
 * "anygate: " and exits 2. Free in both cases.
 */
bool options_parse(
        struct options *options, int argc, char **argv, ag_setup *self, char *error, size_t size);
void options_free(struct options *options);

/* Answers -h and -V on `out`; false for any other action. */
bool options_answer(const struct options *options, FILE *out);

#endif
