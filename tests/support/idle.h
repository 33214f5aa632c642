/* What a connection costs that waits. */
#ifndef TESTS_SUPPORT_IDLE_H
#define TESTS_SUPPORT_IDLE_H

#include "client.h"

/*
 * Opens very many to the worker of an application, in the form without sanitizers, and says what
 * each of them takes of its memory, which must not be more than 12 KiB. `open` returns when the
 * connection has used all that it is going to use.
 */
void idle_check(const char *what, const char *application,
        void (*open)(struct client *client, const char *address));

#endif
