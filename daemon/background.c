#include "background.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "socket.h"

bool background_open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	return fd >= 0;
}

/* In the parent: its exit status. */
static int wait_for_daemon(pid_t daemon, int from)
{
	char byte;
	int status;

	if (read(from, &byte, 1) == 1)
		return 0;
	return waitpid(daemon, &status, 0) == daemon && WIFEXITED(status) && WEXITSTATUS(status)
	               ? WEXITSTATUS(status)
	               : 1;
}

/* Sockets of systemd were meant for the process that we were; a reload looks for them again. */
static void keep_sockets(pid_t former)
{
	const char *meant = getenv("LISTEN_PID");
	char pid[16];

	snprintf(pid, sizeof(pid), "%ld", (long)former);
	if (!meant || strcmp(meant, pid) != 0)
		return;
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("LISTEN_PID", pid, 1);
}

int background_enter(void)
{
	pid_t former = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();

	if (pid < 0) {
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	if (pid > 0) {
		close(ends[1]);
		_exit(wait_for_daemon(pid, ends[0]));
	}
	close(ends[0]);
	setsid();
	keep_sockets(former);
	return ends[1];
}

bool background_leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return false;
	if (!socket_listens(STDIN_FILENO)) /* spawn-fcgi's */
		dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	close(null);
	return true;
}

bool background_announce(int announce)
{
	bool told = write(announce, "1", 1) == 1;

	close(announce);
	return told && background_leave_terminal();
}
