#include "protocol.h"

const struct protocol *const protocols[] = { &protocol_fastcgi, &protocol_scgi, &protocol_uwsgi,
	&protocol_http, NULL };

const struct protocol *protocol_find(const char *name)
{
	for (const struct protocol *const *p = protocols; *p; p++)
		if (strcmp((*p)->name, name) == 0)
			return *p;
	return NULL;
}

const struct protocol *protocol_sniff(uint8_t first)
{
	for (const struct protocol *const *p = protocols; *p; p++)
		if ((*p)->sniff(first))
			return *p;
	return NULL;
}

/* The type of a TLS record that begins a handshake (RFC 8446 5.1). */
#define TLS_HANDSHAKE 0x16

const char *protocol_guess(uint8_t first)
{
	if (first == TLS_HANDSHAKE)
		return "TLS";
	const struct protocol *protocol = protocol_sniff(first);

	return protocol ? protocol->name : "no protocol anygate knows";
}
