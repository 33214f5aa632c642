/* Addresses to listen on, and networks of clients. No name is looked up: what is configured must
 * mean the same whether or not a resolver answers. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "config_keys.h"

#define ADDRESS_FORMS "HOST:PORT, :PORT, [V6]:PORT, unix:PATH or fd:N"
#define FD_MAX        1048575

/* 1 to 7 digits and nothing else, at most `max`. */
static bool parse_digits(const char *text, unsigned max, unsigned *value)
{
	size_t length = strspn(text, "0123456789");
	unsigned sum = 0;

	if (length == 0 || length > 7 || text[length] != '\0')
		return false;
	for (; *text; text++)
		sum = sum * 10 + (unsigned)(*text - '0');
	*value = sum;
	return sum <= max;
}

static bool parse_unix(struct listen_address *where, const char *path, char *error, size_t size)
{
	where->kind = ADDRESS_UNIX;
	if (*path == '\0') {
		snprintf(error, size, "no path after \"unix:\"");
		return false;
	}
	if (strlen(path) >= sizeof(where->path)) {
		snprintf(error, size, "the path of a Unix socket has at most %zu bytes",
		        sizeof(where->path) - 1);
		return false;
	}
	snprintf(where->path, sizeof(where->path), "%s", path);
	return true;
}

static bool parse_fd(struct listen_address *where, const char *text, char *error, size_t size)
{
	unsigned fd;

	where->kind = ADDRESS_FD;
	if (!parse_digits(text, FD_MAX, &fd)) {
		snprintf(error, size, "expected a descriptor's number after \"fd:\"");
		return false;
	}
	where->fd = (int)fd;
	return true;
}

/* A literal in its shortest form, so that the same address is always the same text. */
static bool set_host(struct listen_address *where, int family, const char *host)
{
	unsigned char bytes[16];

	return inet_pton(family, host, bytes) == 1 &&
	       inet_ntop(family, bytes, where->host, sizeof(where->host)) != NULL;
}

static bool parse_host(struct listen_address *where, const char *host, char *error, size_t size)
{
	size_t length = strlen(host);

	if (length == 0 || strcmp(host, "*") == 0)
		return true;
	if (strcasecmp(host, "localhost") == 0)
		return set_host(where, AF_INET, "127.0.0.1");
	if (host[0] == '[' && host[length - 1] == ']') {
		char inside[INET6_ADDRSTRLEN];

		if (length - 2 < sizeof(inside)) {
			snprintf(inside, sizeof(inside), "%.*s", (int)length - 2, host + 1);
			if (set_host(where, AF_INET6, inside))
				return true;
		}
		snprintf(error, size, "%s is not an IPv6 address", host);
		return false;
	}
	if (strchr(host, ':')) {
		snprintf(error, size, "write an IPv6 address in brackets: [V6]:PORT");
		return false;
	}
	if (set_host(where, AF_INET, host))
		return true;
	snprintf(error, size,
	        "\"%s\" is not an IP address, localhost or *; names are not looked up", host);
	return false;
}

static bool parse_tcp(struct listen_address *where, const char *text, char *error, size_t size)
{
	const char *colon = strrchr(text, ':');
	char host[sizeof(where->host)];
	size_t length;

	where->kind = ADDRESS_TCP;
	if (colon == NULL || strchr(colon, ']')) {
		snprintf(error, size, "no port: expected " ADDRESS_FORMS);
		return false;
	}
	length = (size_t)(colon - text);
	if (length >= sizeof(host)) {
		snprintf(error, size, "no such host: expected " ADDRESS_FORMS);
		return false;
	}
	snprintf(host, sizeof(host), "%.*s", (int)length, text);
	if (!parse_host(where, host, error, size))
		return false;
	if (!parse_digits(colon + 1, 65535, &where->port)) {
		snprintf(error, size, "expected a port from 0 to 65535 after the last \":\"");
		return false;
	}
	return true;
}

bool address_parse(struct listen_address *where, const char *text, char *error, size_t size)
{
	*where = (struct listen_address){ .fd = -1 };
	if (*text == '\0') {
		snprintf(error, size, "expected " ADDRESS_FORMS);
		return false;
	}
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(where, text + 5, error, size);
	if (strncmp(text, "fd:", 3) == 0)
		return parse_fd(where, text + 3, error, size);
	if (*text == '/' || *text == '.') {
		snprintf(error, size, "write the path of a Unix socket as unix:PATH");
		return false;
	}
	return parse_tcp(where, text, error, size);
}

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool is_mapped(const uint8_t address[16])
{
	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

/* Whether the first `bits` of both are the same. */
static bool same_bits(const uint8_t *one, const uint8_t *other, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (memcmp(one, other, bytes) != 0)
		return false;
	return rest == 0 || (one[bytes] ^ other[bytes]) >> (8 - rest) == 0;
}

/* The v4 or v6 address as v6; the bits that stand before a v4 prefix, or -1. */
static int parse_any(const char *text, uint8_t address[16])
{
	memcpy(address, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, text, address + sizeof(mapped)) == 1)
		return 8 * (int)sizeof(mapped);
	return inet_pton(AF_INET6, text, address) == 1 ? 0 : -1;
}

/* Zeroes what stands behind the prefix; false: there was something. */
static bool clear_host_bits(struct cidr *cidr)
{
	struct cidr whole = *cidr;

	for (unsigned bit = cidr->bits; bit < 128; bit++)
		cidr->address[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return memcmp(whole.address, cidr->address, sizeof(whole.address)) == 0;
}

bool cidr_parse(struct cidr *cidr, const char *text, char *error, size_t size)
{
	char address[INET6_ADDRSTRLEN], proper[CIDR_TEXT_MAX];
	size_t length = strcspn(text, "/");
	unsigned bits;
	int before = -1;

	if (length < sizeof(address)) {
		snprintf(address, sizeof(address), "%.*s", (int)length, text);
		before = parse_any(address, cidr->address);
	}
	if (before < 0) {
		snprintf(error, size, "\"%s\" is no network such as 10.0.0.0/8 or fd00::/8", text);
		return false;
	}
	bits = 128 - (unsigned)before;
	if (text[length] && !parse_digits(text + length + 1, bits, &bits)) {
		snprintf(error, size, "\"%s\": expected /0 to /%d", text, 128 - before);
		return false;
	}
	cidr->bits = bits + (unsigned)before;
	if (clear_host_bits(cidr))
		return true;
	cidr_text(cidr, proper);
	snprintf(error, size, "\"%s\" has bits set behind its prefix; write %s", text, proper);
	return false;
}

void cidr_text(const struct cidr *cidr, char text[CIDR_TEXT_MAX])
{
	char address[INET6_ADDRSTRLEN] = "";
	bool v4 = is_mapped(cidr->address) && cidr->bits >= 96;

	inet_ntop(v4 ? AF_INET : AF_INET6, cidr->address + (v4 ? 12 : 0), address, sizeof(address));
	snprintf(text, CIDR_TEXT_MAX, "%s/%u", address, v4 ? cidr->bits - 96 : cidr->bits);
}

bool cidr_match(const struct cidr *list, size_t count, const struct sockaddr *peer)
{
	uint8_t address[16];

	memcpy(address, mapped, sizeof(mapped));
	if (peer->sa_family == AF_INET)
		memcpy(address + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
	else if (peer->sa_family == AF_INET6)
		memcpy(address, &((const struct sockaddr_in6 *)peer)->sin6_addr, 16);
	else
		return false;
	return cidr_has(list, count, address);
}

bool cidr_has(const struct cidr *list, size_t count, const uint8_t address[16])
{
	for (size_t i = 0; i < count; i++) {
		/* ::/0 is all of v6, not also all of v4 */
		if (is_mapped(address) && list[i].bits < 96)
			continue;
		if (same_bits(address, list[i].address, list[i].bits))
			return true;
	}
	return false;
}

bool address_is_local(const struct listen_address *where)
{
	static const struct cidr loopback[] = {
		{ { [10] = 0xff, [11] = 0xff, [12] = 127 }, 104 },
		{ { [15] = 1 }, 128 },
	};
	uint8_t address[16];

	return where->kind != ADDRESS_TCP ||
	       (parse_any(where->host, address) >= 0 && cidr_has(loopback, 2, address));
}
