#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int open_unlinked(void)
{
	const char *directory = getenv("TMPDIR");
	char name[256];

	if (!directory || !*directory)
		directory = "/tmp";
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	/* a file system without O_TMPFILE */
	if (snprintf(name, sizeof(name), "%s/anygate-XXXXXX", directory) >= (int)sizeof(name))
		return -1;
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

int spool_write(struct spool *spool, const void *data, size_t size)
{
	const char *at = data;

	if (spool->fd < 0)
		spool->fd = open_unlinked();
	if (spool->fd < 0)
		return -1;
	while (size > 0) {
		ssize_t n = pwrite(spool->fd, at, size, (off_t)spool->last);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		spool->last += (uint64_t)n;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

ssize_t spool_read(struct spool *spool, void *data, size_t size)
{
	uint64_t have = spool->last - spool->first;
	ssize_t n;

	if (!have)
		return 0;
	do
		n = pread(spool->fd, data, size < have ? size : (size_t)have, (off_t)spool->first);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		spool->first += (uint64_t)n;
	/* what was read makes room again */
	if (n > 0 && spool->first == spool->last && ftruncate(spool->fd, 0) == 0)
		spool->first = spool->last = 0;
	return n;
}

void spool_free(struct spool *spool)
{
	if (spool->fd >= 0)
		close(spool->fd);
	*spool = (struct spool)SPOOL_EMPTY;
}
