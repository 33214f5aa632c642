#include "host.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../builtin/builtin.h"

/* Where a failure's line goes. */
struct failure {
	char *text;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static bool fail(
        struct failure *failure, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(failure->text, failure->size, format, arguments);
	va_end(arguments);
	for (char *at = failure->text; failure->size > 0 && *at; at++)
		if (*at == '\n')
			*at = ' '; /* dlerror and ag_fail may say more than one line */
	return false;
}

/* ---- compiled in ---- */

/* Insertions, deletions and replacements from one name to another (Levenshtein); names are short.
 */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[32], columns = (unsigned)strnlen(b, 31);

	for (unsigned j = 0; j <= columns; j++)
		row[j] = j;
	for (unsigned i = 0; a[i]; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (unsigned j = 0; j < columns; j++) {
			unsigned least = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			if (row[j] + 1 < least)
				least = row[j] + 1;
			if (diagonal + 1 < least)
				least = diagonal + 1;
			row[j + 1] = least;
		}
	}
	return row[columns];
}

static bool fail_unknown(struct failure *failure, const char *name)
{
	const char *nearest = NULL;
	unsigned least = 3; /* more than two letters off is another word */
	char list[256] = "";
	size_t used = 0;

	for (const struct builtin *at = builtins; at->name; at++) {
		unsigned off = strlen(name) < 32 ? distance(name, at->name) : least;

		if (off < least) {
			least = off;
			nearest = at->name;
		}
		if (used < sizeof list)
			used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
			        used ? ", " : "", at->name);
	}
	return fail(failure,
	        "no built-in application is named \"%s\"%s%s%s (there are: %s); "
	        "a shared object is given as a path, like ./%.64s.so",
	        name, nearest ? ": did you mean \"" : "", nearest ? nearest : "",
	        nearest ? "\"?" : "", list, name);
}

static bool load_self(struct ag_app *app, struct failure *failure)
{
	app->self(app);
	return !app->error || fail(failure, "%s", app->error);
}

static bool load_builtin(struct ag_app *app, const char *name, struct failure *failure)
{
	if (app->self && strcmp(name, "self") == 0)
		return load_self(app, failure);
	for (const struct builtin *at = builtins; at->name; at++) {
		if (strcmp(at->name, name) == 0) {
			at->setup(app);
			return !app->error || fail(failure, "%s: %s", name, app->error);
		}
	}
	return fail_unknown(failure, name);
}

/* ---- shared objects ---- */

/* What is loaded runs as us: nobody but root and ourselves may have chosen its bytes. */
static bool check_file(const char *path, struct failure *failure)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return fail(failure, "cannot load %s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return fail(failure, "cannot load %s: it is not a regular file", path);
	if (status.st_uid != 0 && status.st_uid != geteuid())
		return fail(failure,
		        "will not load %s: it belongs to user %u; it must be root's or user %u's",
		        path, (unsigned)status.st_uid, (unsigned)geteuid());
	if (status.st_mode & (S_IWGRP | S_IWOTH))
		return fail(failure,
		        "will not load %s: others than its owner can write to it (mode %04o); "
		        "run chmod go-w on it",
		        path, (unsigned)(status.st_mode & 07777));
	return true;
}

/* Runs the entry point of an opened object; `path` is for the failure's line. */
static bool set_up(struct ag_app *app, void *library, const char *path, struct failure *failure)
{
	const unsigned *abi = dlsym(library, "ag_app_abi");
	void (*setup)(struct ag_app * app);

	*(void **)&setup = dlsym(library, "ag_app_setup"); /* as POSIX has it */
	if (!abi || !setup)
		return fail(failure, "cannot load %s: it has no AG_APP(...)", path);
	if (*abi != AG_ABI)
		return fail(failure,
		        "cannot load %s: it was built for ABI %u, this anygate has %u: rebuild it",
		        path, *abi, AG_ABI);
	setup(app);
	return !app->error || fail(failure, "%s: %s", path, app->error);
}

/* The linker's own words, without the path where they begin with it. */
static bool fail_open(struct failure *failure, const char *path, const char *reason)
{
	size_t length = strlen(path);

	if (strncmp(reason, path, length) == 0 && strncmp(reason + length, ": ", 2) == 0)
		reason += length + 2;
	return fail(failure, "cannot load %s: %s", path, reason);
}

static bool load_object(struct ag_app *app, const char *path, struct failure *failure)
{
	if (!check_file(path, failure))
		return false;

	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return fail_open(failure, path, dlerror());
	if (!set_up(app, library, path, failure)) {
		dlclose(library);
		return false;
	}
	app->library = library;
	return true;
}

static bool is_object_name(const char *name)
{
	size_t length = strlen(name);

	return length > 3 && strcmp(name + length - 3, ".so") == 0;
}

bool app_load(struct ag_app *app, const char *load, char *error, size_t size)
{
	struct failure failure = { .text = error, .size = size };
	char path[PATH_MAX];

	if (!load || !*load)
		return fail(&failure, "no application to load: give a built-in's name or a path");
	if (strchr(load, '/'))
		return load_object(app, load, &failure);
	if (!is_object_name(load))
		return load_builtin(app, load, &failure);
	/* without a slash, dlopen would search the system's directories */
	if (snprintf(path, sizeof path, "./%s", load) >= (int)sizeof path)
		return fail(&failure, "cannot load %.64s...: %s", load, strerror(ENAMETOOLONG));
	return load_object(app, path, &failure);
}
