#include "notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DATAGRAM_MAX 1024

/* The length of the address in $NOTIFY_SOCKET; 0: there is none that we know. */
static socklen_t read_address(struct sockaddr_un *address)
{
	const char *name = getenv("NOTIFY_SOCKET");
	size_t length = name ? strlen(name) : 0;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (length < 2 || length >= sizeof(address->sun_path) || (*name != '/' && *name != '@'))
		return 0;
	memcpy(address->sun_path, name, length);
	if (*name == '@')
		address->sun_path[0] = '\0'; /* an abstract name ends where the address does */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*name == '/'));
}

bool notify_send(const char *format, ...)
{
	struct sockaddr_un address;
	socklen_t length = read_address(&address);
	char text[DATAGRAM_MAX];
	va_list arguments;

	if (!length)
		return false;
	va_start(arguments, format);
	int size = vsnprintf(text, sizeof(text), format, arguments);

	va_end(arguments);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || size < 0)
		return false;
	if (size >= DATAGRAM_MAX)
		size = DATAGRAM_MAX - 1;
	/* a manager that does not read must not stop the master */
	bool sent = sendto(fd, text, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT,
	                    (struct sockaddr *)&address, length) == size;

	close(fd);
	return sent;
}

bool notify_ready(const char *status)
{
	return notify_send("READY=1\nMAINPID=%ld\nSTATUS=%s", (long)getpid(), status);
}

bool notify_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return notify_send("RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reloading",
	        (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

bool notify_stopping(void)
{
	return notify_send("STOPPING=1\nSTATUS=Stopping");
}

bool notify_status(const char *status)
{
	return notify_send("STATUS=%s", status);
}

bool notify_main_pid(pid_t pid)
{
	return notify_send("MAINPID=%ld", (long)pid);
}

bool notify_watchdog(void)
{
	return notify_send("WATCHDOG=1");
}

/* A whole decimal number, 0 for anything else. */
static uint64_t read_number(const char *name)
{
	const char *text = getenv(name);
	uint64_t value = 0;

	if (!text || !*text || text[strspn(text, "0123456789")] || strlen(text) > 18)
		return 0;
	for (; *text; text++)
		value = value * 10 + (uint64_t)(*text - '0');
	return value;
}

uint64_t notify_watchdog_interval(void)
{
	uint64_t interval = read_number("WATCHDOG_USEC") / 2000;

	/* without WATCHDOG_PID it is meant for whoever reads it */
	if (getenv("WATCHDOG_PID") && read_number("WATCHDOG_PID") != (uint64_t)getpid())
		return 0;
	return interval || !read_number("WATCHDOG_USEC") ? interval : 1;
}

void notify_forget(void)
{
	static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
		"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unsetenv(names[i]);
}
