/*
 * A queue of bytes on disk, for a body that its handler does not read as fast as it comes: an
 * unlinked temporary file, so that nothing is left whatever happens to the process.
 */
#ifndef APP_SPOOL_H
#define APP_SPOOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct spool {
	int fd;         /* -1: no file yet */
	uint64_t first; /* offset of the first byte not read */
	uint64_t last;  /* and behind the last */
};

#define SPOOL_EMPTY                                                                                \
	{                                                                                          \
		-1, 0, 0                                                                           \
	}

/* Appends; 0, or -1 with errno (ENOSPC: the disk is full). The file is made in $TMPDIR, or /tmp. */
int spool_write(struct spool *spool, const void *data, size_t size);

/* Takes up to `size` bytes off the front: their count, 0 when empty, -1 with errno. */
ssize_t spool_read(struct spool *spool, void *data, size_t size);

void spool_free(struct spool *spool);

#endif
