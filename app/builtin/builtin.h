/* Applications compiled in, by name: `anygate env`. */
#ifndef APP_BUILTIN_BUILTIN_H
#define APP_BUILTIN_BUILTIN_H

#include "../anygate.h"

struct builtin {
	const char *name;
	void (*setup)(struct ag_app *app);
	const char *help; /* in one line */
};

/* All of them; the last has no name. */
extern const struct builtin builtins[];

void builtin_env(struct ag_app *app);
void builtin_hello(struct ag_app *app);
void builtin_echo(struct ag_app *app);
void builtin_cgi(struct ag_app *app);
void builtin_status(struct ag_app *app);

#endif
