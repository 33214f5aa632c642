/*
 * What code addresses are called, from the symbols and debug information in the files they were
 * loaded from (libdw). The files are named by a worker that ran wild and may be anything: they are
 * read by a process of its own, with no more rights than the worker had, and for a limited time.
 */
#ifndef DAEMON_SYMBOLS_H
#define DAEMON_SYMBOLS_H

#include <stddef.h>

#include "crash.h"

/* ms, at most, for all frames; what was found by then stands. */
#define SYMBOLS_MS 2000

struct symbol {
	char function[160]; /* "" where there is none */
	char file[160];     /* of the source, "" where it is unknown; its end, if it is long */
	unsigned line;
	unsigned changed; /* not 0: the file is not the one that was loaded; nothing else is set */
};

/*
 * Fills in `symbols`, one for each of `count` frames; all but the first are return addresses. The
 * frames' texts are terminated. `as` says whose rights to read with.
 */
void symbols_find(const struct crash_frame *frames, size_t count, const struct daemon_config *as,
        struct symbol *symbols);

#endif
