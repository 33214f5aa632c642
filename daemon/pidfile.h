/*
 * The pidfile: locked with flock(2) as long as the daemon lives, so that a second instance is told
 * about the first; it gets the process id once the daemon serves. The lock belongs to the open
 * file, so it survives fork and exec in whoever keeps the descriptor.
 */
#ifndef DAEMON_PIDFILE_H
#define DAEMON_PIDFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pidfile {
	const char *path; /* not owned; NULL: none */
	int fd;           /* -1: none */
};

#define PIDFILE_NONE                                                                               \
	{                                                                                          \
		NULL, -1                                                                           \
	}

/*
 * Opens and locks `path`; NULL is no pidfile, and fine. False with one line in `error` where
 * another process holds it, or it can't be opened.
 */
bool pidfile_take(struct pidfile *pidfile, const char *path, char *error, size_t size);

/*
 * Takes over a descriptor that an earlier program of this process, or its parent, left open and
 * locked (pidfile_pass) for the same path; it is close-on-exec then. False with one line in `error`
 * where it is not that file or not locked by it; the descriptor stays open.
 */
bool pidfile_adopt(struct pidfile *pidfile, const char *path, int fd, char *error, size_t size);

/* Lets the descriptor stay open over exec(2), or no longer. Returns its number, -1: none. */
int pidfile_pass(const struct pidfile *pidfile, bool pass);

/* Replaces the content by this process's id. False with errno. */
bool pidfile_write(const struct pidfile *pidfile);

/*
 * The id of the daemon that holds the file, for another process. -1 with one line in `error`: there
 * is none, or it does not serve yet.
 */
pid_t pidfile_holder(const char *path, char *error, size_t size);

/* Closes the descriptor and leaves the file: in a process that is not the daemon. */
void pidfile_close(struct pidfile *pidfile);

/* Removes the file and gives the lock back. */
void pidfile_remove(struct pidfile *pidfile);

#endif
