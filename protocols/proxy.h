/*
 * The header that a proxy puts in front of a connection to say where it came from: the PROXY
 * protocol, versions 1 and 2 (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt, whose
 * section numbers are meant here). Who may be believed is the caller's business.
 */
#ifndef PROTOCOLS_PROXY_H
#define PROTOCOLS_PROXY_H

#include "scan.h"

/* A line of version 1 with its CRLF (2.1). */
#define PROXY_V1_MAX 107

/* What a header of version 2 may announce behind its 16 bytes; the field could say 64 KiB. */
#define PROXY_V2_MAX 16384

enum proxy_result {
	PROXY_MORE, /* the beginning of a header */
	PROXY_DONE, /* `length` bytes are the header; the connection's own follow */
	PROXY_BAD,  /* not a header and never will be: `reason` says why */
};

enum proxy_family {
	PROXY_UNKNOWN, /* UNKNOWN, LOCAL, UNSPEC: the connection's own addresses count */
	PROXY_V4,      /* the first 4 bytes of an address */
	PROXY_V6,
	PROXY_UNIX, /* no address is kept */
};

struct proxy_end {
	uint8_t address[16];
	uint16_t port;
};

struct proxy_header {
	size_t length; /* bytes, once PROXY_DONE */
	enum proxy_family family;
	struct proxy_end source, destination;
	const char *reason; /* a constant, once PROXY_BAD */
};

/*
 * Decodes the header at the front of `in`, of which nothing is taken. After PROXY_MORE the caller
 * shows the same bytes and more; each call costs no more than one header.
 */
enum proxy_result proxy_decode(struct span in, struct proxy_header *header);

#endif
