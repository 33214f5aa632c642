#include "address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static bool parse_unix(const char *path, struct address *address)
{
	struct sockaddr_un *local = (struct sockaddr_un *)&address->socket;

	local->sun_family = AF_UNIX;
	address->length = sizeof(*local);
	int length = snprintf(local->sun_path, sizeof(local->sun_path), "%s", path);

	return length > 0 && (size_t)length < sizeof(local->sun_path);
}

bool address_parse(const char *text, struct address *address)
{
	struct sockaddr_in *inet = (struct sockaddr_in *)&address->socket;
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];

	*address = (struct address){ 0 };
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, address);
	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return false;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	inet->sin_family = AF_INET;
	inet->sin_port = htons((uint16_t)atoi(colon + 1));
	address->length = sizeof(*inet);
	return inet_pton(AF_INET, host, &inet->sin_addr) == 1;
}

int address_listen(const struct address *address)
{
	const struct sockaddr *to = (const struct sockaddr *)&address->socket;
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, to, address->length) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	close(fd);
	return -1;
}
