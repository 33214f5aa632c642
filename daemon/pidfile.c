#include "pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The process id that the holder wrote; "" while it starts. */
static void read_holder(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	text[strspn(text, "0123456789")] = '\0';
}

static bool refuse(int fd, const char *path, char *error, size_t size)
{
	char holder[32];

	read_holder(fd, holder, sizeof(holder));
	if (*holder)
		snprintf(
		        error, size, "%s is locked: anygate runs already, as pid %s", path, holder);
	else
		snprintf(error, size, "%s is locked: another anygate is starting", path);
	return false;
}

/* Whether the descriptor is what the path names: its last holder may have removed it meanwhile. */
static bool is_at(int fd, const char *path)
{
	struct stat open_file, named;

	return fstat(fd, &open_file) == 0 && lstat(path, &named) == 0 &&
	       open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

/* Opens and locks once; false with `error`. */
static bool open_locked(int *fd, const char *path, char *error, size_t size)
{
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (*fd < 0) {
		snprintf(error, size, "can't open the pidfile %s: %s", path, strerror(errno));
		return false;
	}
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (errno == EWOULDBLOCK)
		refuse(*fd, path, error, size);
	else
		snprintf(error, size, "can't lock the pidfile %s: %s", path, strerror(errno));
	close(*fd);
	return false;
}

bool pidfile_take(struct pidfile *pidfile, const char *path, char *error, size_t size)
{
	int fd;

	*pidfile = (struct pidfile)PIDFILE_NONE;
	if (!path)
		return true;
	while (open_locked(&fd, path, error, size)) {
		if (is_at(fd, path)) {
			*pidfile = (struct pidfile){ path, fd };
			return true;
		}
		close(fd);
	}
	return false;
}

bool pidfile_adopt(struct pidfile *pidfile, const char *path, int fd, char *error, size_t size)
{
	*pidfile = (struct pidfile)PIDFILE_NONE;
	if (!path || !is_at(fd, path)) {
		snprintf(error, size, "descriptor %d is not the pidfile %s", fd, path ? path : "");
		return false;
	}
	/* for who holds it already this changes nothing */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return refuse(fd, path, error, size);
	*pidfile = (struct pidfile){ path, fd };
	pidfile_pass(pidfile, false);
	return true;
}

int pidfile_pass(const struct pidfile *pidfile, bool pass)
{
	if (pidfile->fd >= 0)
		fcntl(pidfile->fd, F_SETFD, pass ? 0 : FD_CLOEXEC);
	return pidfile->fd;
}

bool pidfile_write(const struct pidfile *pidfile)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (pidfile->fd < 0)
		return true;
	return ftruncate(pidfile->fd, 0) == 0 &&
	       pwrite(pidfile->fd, text, (size_t)length, 0) == length;
}

pid_t pidfile_holder(const char *path, char *error, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[32] = "";
	bool locked = false;

	if (fd < 0) {
		snprintf(error, size,
		        errno == ENOENT ? "no anygate runs: there is no %s"
		                        : "can't open the pidfile %s",
		        path);
		return -1;
	}
	locked = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	if (locked)
		read_holder(fd, text, sizeof(text));
	close(fd);
	if (*text)
		return (pid_t)strtol(text, NULL, 10);
	snprintf(error, size,
	        locked ? "the anygate that has locked %s does not serve yet"
	               : "no anygate runs: %s is not locked",
	        path);
	return -1;
}

void pidfile_close(struct pidfile *pidfile)
{
	if (pidfile->fd >= 0)
		close(pidfile->fd);
	*pidfile = (struct pidfile)PIDFILE_NONE;
}

void pidfile_remove(struct pidfile *pidfile)
{
	/* a file that somebody put in its place is not ours */
	if (pidfile->fd >= 0 && is_at(pidfile->fd, pidfile->path))
		unlink(pidfile->path);
	pidfile_close(pidfile);
}
