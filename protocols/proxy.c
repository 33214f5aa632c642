#include "proxy.h"

#include <arpa/inet.h>

static enum proxy_result bad(struct proxy_header *header, const char *reason)
{
	header->reason = reason;
	return PROXY_BAD;
}

/* Whether all there is of a constant is right so far. */
static bool begins(struct span in, const void *constant, size_t length)
{
	return memcmp(in.data, constant, in.length < length ? in.length : length) == 0;
}

/* ---- version 1: a line of text (2.1) ---- */

static const char v1_signature[] = "PROXY ";
#define V1_SIGNATURE (sizeof(v1_signature) - 1)

/* The words behind the signature: all of them, for TCP4 and TCP6. */
enum { V1_FAMILY, V1_SOURCE, V1_DESTINATION, V1_SOURCE_PORT, V1_DESTINATION_PORT, V1_WORDS };

/*
 * The line without its CRLF, or as much of it as there is. No byte of it is a control character,
 * which the grammar allows nowhere: a LF that somebody else takes for the end would split it.
 */
static enum proxy_result v1_line(struct span in, struct span *line, struct proxy_header *header)
{
	size_t at = 0;

	while (at < in.length && at < PROXY_V1_MAX && in.data[at] >= 0x20 && in.data[at] != 0x7f)
		at++;
	*line = (struct span){ in.data, at };
	if (at > PROXY_V1_MAX - 2)
		return bad(header, "a PROXY line of more than 107 bytes");
	if (at == in.length)
		return PROXY_MORE;
	if (in.data[at] != '\r')
		return bad(header, "a control character in a PROXY line");
	if (at + 1 == in.length)
		return PROXY_MORE;
	if (in.data[at + 1] != '\n')
		return bad(header, "a CR without LF in a PROXY line");
	header->length = at + 2;
	return PROXY_DONE;
}

/* Up to the next space; false: the word ends where the line does. */
static bool take_word(struct span *line, struct span *word)
{
	const uint8_t *space = line->length ? memchr(line->data, ' ', line->length) : NULL;

	word->data = line->data;
	word->length = space ? (size_t)(space - line->data) : line->length;
	span_take(line, word->length + (space != NULL));
	return space != NULL;
}

/* inet_pton takes exactly the forms of 2.1: no leading zeros, no blanks, no zone. */
static bool v1_address(struct span word, enum proxy_family family, uint8_t address[16])
{
	char text[INET6_ADDRSTRLEN];

	if (word.length >= sizeof(text))
		return false;
	memcpy(text, word.data, word.length);
	text[word.length] = '\0';
	return inet_pton(family == PROXY_V4 ? AF_INET : AF_INET6, text, address) == 1;
}

static bool v1_port(struct span word, uint16_t *port)
{
	uint64_t value;

	if (word.length > 5 || (word.length > 1 && word.data[0] == '0'))
		return false;
	if (!scan_decimal(word, &value) || value > UINT16_MAX)
		return false;
	*port = (uint16_t)value;
	return true;
}

static bool v1_family(struct span word, enum proxy_family *family)
{
	if (span_is(word, "TCP4"))
		*family = PROXY_V4;
	else if (span_is(word, "TCP6"))
		*family = PROXY_V6;
	else
		*family = PROXY_UNKNOWN;
	return *family != PROXY_UNKNOWN || span_is(word, "UNKNOWN");
}

static bool v1_word(unsigned which, struct span word, struct proxy_header *header)
{
	switch (which) {
	case V1_FAMILY:
		return v1_family(word, &header->family);
	case V1_SOURCE:
		return v1_address(word, header->family, header->source.address);
	case V1_DESTINATION:
		return v1_address(word, header->family, header->destination.address);
	case V1_SOURCE_PORT:
		return v1_port(word, &header->source.port);
	default:
		return v1_port(word, &header->destination.port);
	}
}

static enum proxy_result v1_decode(struct span in, struct proxy_header *header)
{
	static const char malformed[] = "a malformed PROXY line";
	struct span line, word;
	enum proxy_result result = v1_line(in, &line, header);

	if (result == PROXY_BAD || line.length < V1_SIGNATURE)
		return result == PROXY_MORE ? PROXY_MORE : bad(header, malformed);
	span_take(&line, V1_SIGNATURE);
	for (unsigned which = 0; which < V1_WORDS; which++) {
		bool spaced = take_word(&line, &word);

		/* a word that has not come whole is not judged yet */
		if (!spaced && result == PROXY_MORE)
			return PROXY_MORE;
		if (!v1_word(which, word, header))
			return bad(header, malformed);
		/* "the receiver must ignore anything presented before the CRLF" */
		if (header->family == PROXY_UNKNOWN)
			return result;
		if (spaced != (which + 1 < V1_WORDS))
			return bad(header, malformed);
	}
	return result;
}

/* ---- version 2: binary (2.2) ---- */

static const uint8_t v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum {
	V2_VERSION = 12, /* 2 in the high half, the command in the low one */
	V2_FAMILY = 13,  /* the address family and the transport */
	V2_LENGTH = 14,  /* of what follows */
	V2_FIXED = 16,
};

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };

/* The combinations of 2.2; any other must be refused. A datagram's addresses are like a stream's.
 */
static const struct v2_family {
	uint8_t byte;
	enum proxy_family family;
	size_t address, length; /* bytes of one address, and of the whole block */
} v2_families[] = {
	{ 0x00, PROXY_UNKNOWN, 0, 0 },
	{ 0x11, PROXY_V4, 4, 12 },
	{ 0x12, PROXY_V4, 4, 12 },
	{ 0x21, PROXY_V6, 16, 36 },
	{ 0x22, PROXY_V6, 16, 36 },
	{ 0x31, PROXY_UNIX, 108, 216 },
	{ 0x32, PROXY_UNIX, 108, 216 },
};

static const struct v2_family *v2_find(uint8_t byte)
{
	for (size_t i = 0; i < sizeof(v2_families) / sizeof(*v2_families); i++)
		if (v2_families[i].byte == byte)
			return &v2_families[i];
	return NULL;
}

/* Types and lengths of 2.2.1 to 2.2.6. */
enum { TLV_CRC32C = 0x03, TLV_UNIQUE_ID = 0x05, TLV_SSL = 0x20 };
enum { TLV_HEAD = 3, CRC32C_LENGTH = 4, UNIQUE_ID_MAX = 128, SSL_FIXED = 5 };

/* Takes one TLV; false: it runs past the end. */
static bool take_tlv(struct span *in, uint8_t *type, struct span *value)
{
	if (in->length < TLV_HEAD)
		return false;
	*type = in->data[0];
	value->length = read_u16be(in->data + 1);
	span_take(in, TLV_HEAD);
	if (value->length > in->length)
		return false;
	value->data = span_take(in, value->length);
	return true;
}

/* 2.2.6: a flag byte and the verdict on a certificate, then TLVs of their own. */
static bool ssl_is_sound(struct span in)
{
	struct span value;
	uint8_t type;

	if (in.length < SSL_FIXED)
		return false;
	span_take(&in, SSL_FIXED);
	while (in.length)
		if (!take_tlv(&in, &type, &value))
			return false;
	return true;
}

/* RFC 9260 appendix A, over the header with the four bytes at `sum` taken for zero. */
static uint32_t crc32c(struct span in, const uint8_t *sum)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < in.length; i++) {
		const uint8_t *at = in.data + i;

		crc ^= at >= sum && at < sum + CRC32C_LENGTH ? 0 : *at;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* What stands behind the addresses; types that mean nothing to us are skipped. */
static enum proxy_result v2_tlvs(struct span whole, struct span in, struct proxy_header *header)
{
	const uint8_t *sum = NULL;
	struct span value;
	uint8_t type;

	while (in.length) {
		if (!take_tlv(&in, &type, &value))
			return bad(header, "a TLV runs past the PROXY header");
		if (type == TLV_SSL && !ssl_is_sound(value))
			return bad(header, "a malformed SSL TLV in the PROXY header");
		if (type == TLV_UNIQUE_ID && value.length > UNIQUE_ID_MAX)
			return bad(header, "a unique id of more than 128 bytes");
		if (type != TLV_CRC32C)
			continue;
		if (sum || value.length != CRC32C_LENGTH)
			return bad(header, "a malformed CRC32c TLV in the PROXY header");
		sum = value.data;
	}
	if (sum && crc32c(whole, sum) != read_u32be(sum))
		return bad(header, "the PROXY header's CRC32c does not match");
	return PROXY_DONE;
}

/* The 16 fixed bytes, as many as there are. */
static enum proxy_result v2_fixed(struct span in, struct proxy_header *header)
{
	const struct v2_family *family;
	size_t length;

	if (in.length <= V2_VERSION)
		return PROXY_MORE;
	if (in.data[V2_VERSION] != V2_LOCAL && in.data[V2_VERSION] != V2_PROXY)
		return bad(header, "an unknown version or command in the PROXY header");
	if (in.length <= V2_FAMILY)
		return PROXY_MORE;
	family = v2_find(in.data[V2_FAMILY]);
	/* a LOCAL header's block is passed over, "including the family which is ignored" */
	if (!family && in.data[V2_VERSION] == V2_PROXY)
		return bad(header, "an unknown address family in the PROXY header");
	if (in.length < V2_FIXED)
		return PROXY_MORE;
	length = read_u16be(in.data + V2_LENGTH);
	if (length > PROXY_V2_MAX)
		return bad(header, "a PROXY header of more than 16 KiB");
	if (in.data[V2_VERSION] == V2_PROXY && length < family->length)
		return bad(header, "a PROXY header too short for its addresses");
	header->length = V2_FIXED + length;
	return in.length < header->length ? PROXY_MORE : PROXY_DONE;
}

static enum proxy_result v2_decode(struct span in, struct proxy_header *header)
{
	enum proxy_result result = v2_fixed(in, header);

	if (result != PROXY_DONE || in.data[V2_VERSION] == V2_LOCAL)
		return result;
	const struct v2_family *family = v2_find(in.data[V2_FAMILY]);
	struct span whole = { in.data, header->length };
	struct span rest = whole;

	span_take(&rest, V2_FIXED);
	/* UNSPEC: what it holds is passed over by its length */
	if (family->family == PROXY_UNKNOWN)
		return PROXY_DONE;
	header->family = family->family;
	const uint8_t *block = span_take(&rest, family->length);

	if (family->family != PROXY_UNIX) {
		memcpy(header->source.address, block, family->address);
		memcpy(header->destination.address, block + family->address, family->address);
		header->source.port = read_u16be(block + 2 * family->address);
		header->destination.port = read_u16be(block + 2 * family->address + 2);
	}
	return v2_tlvs(whole, rest, header);
}

enum proxy_result proxy_decode(struct span in, struct proxy_header *header)
{
	*header = (struct proxy_header){ 0 };
	if (!in.length)
		return PROXY_MORE;
	if (begins(in, v1_signature, V1_SIGNATURE))
		return v1_decode(in, header);
	if (!begins(in, v2_signature, sizeof(v2_signature)))
		return bad(header, "no PROXY header where one is required");
	return v2_decode(in, header);
}
