/* Asking the process of [admin], and reading its lines. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "command.h"
#include "socket.h"

/* Longest wait for it, in seconds, and most bytes that it is believed. */
#define PATIENCE_SECONDS 5
#define ANSWER_MAX       (64u << 20)

static const char request[] = "GET /status.txt HTTP/1.0\r\nConnection: close\r\n\r\n";

static int open_admin(const struct listen_config *admin, char *error, size_t size)
{
	const struct timeval patience = { PATIENCE_SECONDS, 0 };

	if (!admin->address) {
		snprintf(error, size, "admin.listen is off");
		return -1;
	}
	if (admin->where.kind == ADDRESS_TCP && !admin->where.port) {
		snprintf(error, size, "admin.listen has port 0: nobody can know which it is");
		return -1;
	}
	int fd = socket_connect(&admin->where, &patience);

	if (fd < 0)
		snprintf(error, size, "admin.listen: can't connect to %s: %s", admin->address,
		        strerror(errno));
	return fd;
}

/* Everything up to the end of the connection; NULL with errno. */
static char *read_all(int fd)
{
	char *text = NULL;
	size_t length = 0;
	ssize_t n = 1;

	while (n > 0) {
		char *grown = realloc(text, length + 65536 + 1);

		if (!grown || length > ANSWER_MAX) {
			free(grown ? grown : text);
			errno = ENOMEM;
			return NULL;
		}
		text = grown;
		n = recv(fd, text + length, 65536, 0);
		length += n > 0 ? (size_t)n : 0;
	}
	text[length] = '\0';
	if (n == 0)
		return text;
	free(text);
	return NULL;
}

/* Leaves the body of a good answer that came whole; false: it is none. */
static bool take_body(char *answer)
{
	char *body = strstr(answer, "\r\n\r\n");
	size_t length = body ? strlen(body) : 0;

	if (strncmp(answer, "HTTP/1.", 7) != 0 || strncmp(answer + 8, " 200 ", 5) != 0 ||
	        length < 8 || strcmp(body + length - 5, "\nend\n") != 0)
		return false;
	memmove(answer, body + 4, length - 3);
	return true;
}

char *command_fetch(const struct config *config, char *error, size_t size)
{
	const struct listen_config *admin = &config->admin;
	int fd = open_admin(admin, error, size);

	if (fd < 0)
		return NULL;
	bool sent = send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0;
	char *answer = sent ? read_all(fd) : NULL;
	int cause = errno;

	close(fd);
	if (answer && take_body(answer))
		return answer;
	snprintf(error, size, "admin.listen: no answer from %s: %s", admin->address,
	        !answer   ? strerror(cause)
	        : *answer ? "it is not anygate's"
	                  : "it hung up");
	free(answer);
	return NULL;
}

const char *command_line(const char *at, const char *kind)
{
	size_t length = strlen(kind);

	while (at && *at && !(strncmp(at, kind, length) == 0 && at[length] == '\t')) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return at && *at ? at : NULL;
}

bool command_field(const char *line, const char *name, char *value, size_t size)
{
	size_t length = strlen(name), end = strcspn(line, "\n");
	const char *at = line;

	while ((at = memchr(at, '\t', end - (size_t)(at - line))) != NULL) {
		at++;
		if (strncmp(at, name, length) != 0 || at[length] != '=')
			continue;
		at += length + 1;
		snprintf(value, size, "%.*s", (int)strcspn(at, "\t\n"), at);
		return true;
	}
	return false;
}

uint64_t command_number(const char *line, const char *name)
{
	char value[32];

	return command_field(line, name, value, sizeof(value)) ? strtoull(value, NULL, 10) : 0;
}
