/* Descriptors of reopened logs on their way from the master to a worker (unix(7), SCM_RIGHTS). */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "log_private.h"

/* A message is CONTROL_REOPEN and, for each descriptor, in their order, whose it is. */
#define FOR_ERROR  'e'
#define FOR_ACCESS 'a'
#define PASS_MAX   2

union rights {
	char bytes[CMSG_SPACE(PASS_MAX * sizeof(int))];
	struct cmsghdr align;
};

static bool is_passed(const struct log_sink *sink)
{
	return sink->path && sink->kind != LOG_SYSLOG;
}

static bool send_message(int socket, char *text, const int *fds, size_t count)
{
	union rights control = { { 0 } };
	struct iovec data = { text, 1 + count };
	struct msghdr message = { .msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
	return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

bool log_send_descriptors(int socket)
{
	char text[1 + PASS_MAX] = { CONTROL_REOPEN };
	int fds[PASS_MAX];
	size_t count = 0;

	if (is_passed(&logs.error)) {
		fds[count++] = logs.error.fd;
		text[count] = FOR_ERROR;
	}
	if (is_passed(&logs.access)) {
		fds[count++] = logs.access.fd;
		text[count] = FOR_ACCESS;
	}
	return !count || send_message(socket, text, fds, count);
}

/* Takes the place of what the sink has, under the same number. */
static bool replace(struct log_sink *sink, int fd)
{
	if (!is_passed(sink))
		return true;
	sink->torn = false;
	return dup3(fd, sink->fd, O_CLOEXEC) >= 0;
}

/* The descriptors that came, at most PASS_MAX. */
static size_t rights_of(struct msghdr *message, int fds[PASS_MAX])
{
	struct cmsghdr *rights = CMSG_FIRSTHDR(message);

	if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
		return 0;
	size_t size = rights->cmsg_len - CMSG_LEN(0);

	memcpy(fds, CMSG_DATA(rights), size);
	return size / sizeof(int);
}

bool log_take_descriptors(int socket)
{
	char text[1 + PASS_MAX];
	int fds[PASS_MAX];
	union rights control;
	struct iovec data = { text, sizeof(text) };
	struct msghdr message = { .msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	bool fine = n > 0 && text[0] == CONTROL_REOPEN;

	if (n <= 0) {
		errno = n ? errno : 0;
		return false;
	}
	size_t count = rights_of(&message, fds);

	for (size_t i = 0; i < count; i++) {
		struct log_sink *sink = text[1 + i] == FOR_ERROR ? &logs.error : &logs.access;

		if (fine && 1 + i < (size_t)n)
			fine = replace(sink, fds[i]);
		close(fds[i]);
	}
	return fine;
}
