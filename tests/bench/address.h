/* Socket addresses as the tools take them. */
#ifndef TESTS_BENCH_ADDRESS_H
#define TESTS_BENCH_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

struct address {
	struct sockaddr_storage socket;
	socklen_t length;
};

/* "unix:PATH" or "IPV4:PORT"; false where `text` is neither. */
bool address_parse(const char *text, struct address *address);

/* A listening socket, or -1. */
int address_listen(const struct address *address);

#endif
