#include "control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

bool control_pair(int *master, int *worker)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return false;
	*master = ends[0];
	*worker = ends[1];
	return true;
}

bool control_send(int fd, enum control kind, const char *text)
{
	char message[1 + CONTROL_TEXT_MAX] = { (char)kind };
	size_t length = text ? strlen(text) : 0;

	length = length < CONTROL_TEXT_MAX ? length : CONTROL_TEXT_MAX - 1;
	if (text)
		memcpy(message + 1, text, length);
	return send(fd, message, 1 + length, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

enum control control_receive(int fd, char text[CONTROL_TEXT_MAX])
{
	char message[1 + CONTROL_TEXT_MAX];
	ssize_t n;

	do
		n = recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT | MSG_PEEK);
	while (n < 0 && errno == EINTR);
	/* with descriptors: log_take_descriptors receives it */
	if (n > 0 && message[0] != CONTROL_REOPEN)
		n = recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT);
	text[0] = '\0';
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? CONTROL_NONE : CONTROL_CLOSED;
	memcpy(text, message + 1, (size_t)n - 1);
	text[n - 1] = '\0';
	return (enum control)message[0];
}
