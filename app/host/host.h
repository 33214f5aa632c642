/* Loading applications: compiled in, or from a shared object. */
#ifndef APP_HOST_HOST_H
#define APP_HOST_HOST_H

#include "../router.h"

/*
 * Sets up `app` from what was configured: the name of an application compiled in, "self" for the
 * program's own (app->self), or a path to a shared object (anything with a "/" or ending in
 * ".so"). On failure false, and a line without a
 * newline in `error` that says what and what to do.
 */
bool app_load(struct ag_app *app, const char *load, char *error, size_t size);

#endif
