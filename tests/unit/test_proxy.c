/* protocols/proxy.c, from https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt. */
#include "../support/support.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "protocols/proxy.h"

SUITE(proxy);

/* The bytes and the length of a literal, which may hold NULs. */
#define BYTES(text) text, sizeof(text) - 1

/*
 * What is expected, as text: "FAMILY LENGTH", and for v4 and v6 " SOURCE PORT DESTINATION PORT";
 * "more"; or "bad LENGTH" with the number of bytes at which it is refused.
 */
struct proxy_row {
	const char *name, *bytes;
	size_t length;
	const char *expected;
};

static const char *const families[] = { "unknown", "v4", "v6", "unix" };

static void describe(const struct proxy_header *header, char *text, size_t size)
{
	int family = header->family == PROXY_V4 ? AF_INET : AF_INET6;
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	int used = snprintf(text, size, "%s %zu", families[header->family], header->length);

	if (header->family != PROXY_V4 && header->family != PROXY_V6)
		return;
	inet_ntop(family, header->source.address, source, sizeof source);
	inet_ntop(family, header->destination.address, destination, sizeof destination);
	snprintf(text + used, size - (size_t)used, " %s %u %s %u", source, header->source.port,
	        destination, header->destination.port);
}

/* Decodes the first bytes of a row, directly in front of a page that must not be touched. */
static enum proxy_result decode(
        uint8_t *end, const struct proxy_row *row, size_t length, struct proxy_header *header)
{
	uint8_t *at = end - length;

	memcpy(at, row->bytes, length);
	return proxy_decode((struct span){ at, length }, header);
}

/*
 * The decoder keeps nothing between calls, so its answers to all beginnings of the bytes are those
 * to every way of cutting them: MORE up to some byte, and from there on the same verdict.
 */
static void check(uint8_t *end, const struct proxy_row *row)
{
	char found[256] = "more", again[256];
	struct proxy_header header;
	size_t first = 0;

	for (size_t length = 0; length <= row->length; length++) {
		enum proxy_result result = decode(end, row, length, &header);

		if (result == PROXY_MORE) {
			cr_expect_str_eq(found, "more", "%s: %zu", row->name, length);
			continue;
		}
		first = first ? first : length;
		if (result == PROXY_BAD) {
			snprintf(again, sizeof again, "bad %zu", first);
			cr_expect(header.reason && *header.reason, "%s", row->name);
		} else {
			describe(&header, again, sizeof again);
			cr_expect_eq(header.length, first, "%s: %zu", row->name, first);
		}
		if (first != length)
			cr_expect_str_eq(again, found, "%s: %zu", row->name, length);
		snprintf(found, sizeof found, "%s", again);
	}
	cr_expect_str_eq(found, row->expected, "%s: %s", row->name, found);
}

static void check_all(const struct proxy_row *rows, size_t count)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 8 * page;
	uint8_t *guarded = mmap(
	        NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(guarded, MAP_FAILED);
	cr_assert_eq(mprotect(guarded + size, page, PROT_NONE), 0);
	for (size_t i = 0; i < count; i++)
		check(guarded + size, &rows[i]);
	munmap(guarded, size + page);
}

/* ---- version 1 ---- */

#define FULL "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static const struct proxy_row lines[] = {
	{ "nothing", BYTES(""), "more" },
	{ "TCP4", BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET"),
	        "v4 45 192.0.2.1 56324 198.51.100.2 443" },
	{ "TCP6", BYTES("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"),
	        "v6 36 2001:db8::1 1 ::1 65535" },
	{ "the longest TCP6", BYTES("PROXY TCP6 " FULL " " FULL " 65535 65535\r\n"),
	        "v6 104 " FULL " 65535 " FULL " 65535" },
	{ "the longest", BYTES("PROXY UNKNOWN " FULL " " FULL " 65535 65535\r\n"), "unknown 107" },
	{ "one byte longer", BYTES("PROXY UNKNOWN " FULL " " FULL " 65535 65535 \r\n"), "bad 106" },
	{ "mapped", BYTES("PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n"),
	        "v6 35 ::ffff:1.2.3.4 1 ::1 2" },
	{ "port 0", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n"), "v4 32 1.2.3.4 0 5.6.7.8 0" },
	{ "UNKNOWN", BYTES("PROXY UNKNOWN\r\nGET"), "unknown 15" },
	{ "UNKNOWN and a space", BYTES("PROXY UNKNOWN \r\n"), "unknown 16" },
	{ "UNKNOWN and anything", BYTES("PROXY UNKNOWN a  b:\xff TCP4\r\n"), "unknown 27" },
	{ "a part", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r"), "more" },
	{ "a part of an address", BYTES("PROXY TCP4 1.2.3."), "more" },

	{ "another protocol", BYTES("GET / HTTP/1.1\r\n"), "bad 1" },
	{ "almost the signature", BYTES("PROXX"), "bad 5" },
	{ "lower case", BYTES("proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), "bad 1" },
	{ "lower case of the family", BYTES("PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n"), "bad 11" },
	{ "a blank in front", BYTES(" PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), "bad 1" },
	{ "no family", BYTES("PROXY \r\n"), "bad 8" },
	{ "TCP", BYTES("PROXY TCP 1.2.3.4 5.6.7.8 1 2\r\n"), "bad 10" },
	{ "UNKNOWNS", BYTES("PROXY UNKNOWNS\r\n"), "bad 16" },
	{ "UDP4", BYTES("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n"), "bad 11" },
	{ "two spaces", BYTES("PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), "bad 7" },
	{ "two spaces later", BYTES("PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n"), "bad 20" },
	{ "a space at the end", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n"), "bad 31" },
	{ "a word too many", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n"), "bad 31" },
	{ "no ports", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8\r\n"), "bad 28" },
	{ "one port", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"), "bad 30" },
	{ "v6 as TCP4", BYTES("PROXY TCP4 ::1 ::2 1 2\r\n"), "bad 15" },
	{ "v4 as TCP6", BYTES("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n"), "bad 19" },
	{ "octets above 255", BYTES("PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n"), "bad 21" },
	{ "three octets", BYTES("PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n"), "bad 17" },
	{ "zeros in front", BYTES("PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n"), "bad 20" },
	{ "an address too long", BYTES("PROXY TCP6 " FULL ":ffff:ffff ::1 1 2\r\n"), "bad 61" },
	{ "no address", BYTES("PROXY TCP4 \r\n"), "bad 13" },
	{ "a zone", BYTES("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n"), "bad 24" },
	{ "brackets", BYTES("PROXY TCP6 [::1] ::1 1 2\r\n"), "bad 17" },
	{ "a port of 65536", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n"), "bad 33" },
	{ "a second port of 65536", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n"), "bad 36" },
	{ "a port with zeros", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n"), "bad 30" },
	{ "two zeros", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 00 2\r\n"), "bad 30" },
	{ "a negative port", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n"), "bad 30" },
	{ "a port with a sign", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n"), "bad 30" },
	{ "a port of letters", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 http 2\r\n"), "bad 32" },
	{ "a tab", BYTES("PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n"), "bad 11" },
	{ "a NUL", BYTES("PROXY TCP4 1.2.3.4\0 5.6.7.8 1 2\r\n"), "bad 19" },
	{ "a DEL", BYTES("PROXY UNKNOWN \x7f\r\n"), "bad 15" },
	{ "LF alone", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"), "bad 31" },
	{ "LF alone, UNKNOWN", BYTES("PROXY UNKNOWN\nGET / HTTP/1.1\r\n"), "bad 14" },
	{ "CR alone", BYTES("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rG"), "bad 32" },
	{ "CRLF in the middle", BYTES("PROXY TCP4 1.2.3.4\r\n5.6.7.8 1 2\r\n"), "bad 20" },
};

Test(proxy, version_1)
{
	check_all(lines, COUNT(lines));
}

/* ---- version 2 ---- */

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define ENDS      "\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"
#define SAID      " 192.0.2.1 56324 198.51.100.2 443"
#define ENDS6                                                                                      \
	"\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"                                                    \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\xff\xff"
#define TEN "0123456789"

static const struct proxy_row blocks[] = {
	{ "v4", BYTES(SIGNATURE "\x21\x11\0\14" ENDS "GET"), "v4 28" SAID },
	{ "v4 datagrams", BYTES(SIGNATURE "\x21\x12\0\14" ENDS), "v4 28" SAID },
	{ "v6", BYTES(SIGNATURE "\x21\x21\0\44" ENDS6 "GET"), "v6 52 2001:db8::1 1 ::1 65535" },
	{ "UNSPEC", BYTES(SIGNATURE "\x21\0\0\0GET"), "unknown 16" },
	{ "UNSPEC with something", BYTES(SIGNATURE "\x21\0\0\3abcGET"), "unknown 19" },
	{ "LOCAL", BYTES(SIGNATURE "\x20\0\0\0GET"), "unknown 16" },
	{ "LOCAL with addresses", BYTES(SIGNATURE "\x20\x11\0\14" ENDS "GET"), "unknown 28" },
	{ "LOCAL of any family", BYTES(SIGNATURE "\x20\xff\0\2abGET"), "unknown 18" },
	{ "an unknown TLV", BYTES(SIGNATURE "\x21\x11\0\25" ENDS "\xe0\0\6custom"), "v4 37" SAID },
	{ "two TLVs, one empty", BYTES(SIGNATURE "\x21\x11\0\23" ENDS "\4\0\0\2\0\1a"),
	        "v4 35" SAID },
	{ "SSL", BYTES(SIGNATURE "\x21\x11\0\33" ENDS "\x20\0\14\1\0\0\0\0\x21\0\4TLS1"),
	        "v4 43" SAID },
	{ "SSL without TLVs", BYTES(SIGNATURE "\x21\x11\0\24" ENDS "\x20\0\5\1\0\0\0\0"),
	        "v4 36" SAID },
	{ "a part of the signature", BYTES("\r\n\r\n\0\r\nQU"), "more" },
	{ "a part of the block", BYTES(SIGNATURE "\x21\x11\0\15" ENDS), "more" },
	{ "16 KiB to come", BYTES(SIGNATURE "\x21\x11\x40\0" ENDS), "more" },

	{ "almost the signature", BYTES("\r\n\r\n\0\r\nQUIT\r"), "bad 12" },
	{ "version 1", BYTES(SIGNATURE "\x11\x11\0\14" ENDS), "bad 13" },
	{ "version 3", BYTES(SIGNATURE "\x31\x11\0\14" ENDS), "bad 13" },
	{ "command 2", BYTES(SIGNATURE "\x22\x11\0\14" ENDS), "bad 13" },
	{ "family 4", BYTES(SIGNATURE "\x21\x41\0\14" ENDS), "bad 14" },
	{ "transport 3", BYTES(SIGNATURE "\x21\x13\0\14" ENDS), "bad 14" },
	{ "a family without transport", BYTES(SIGNATURE "\x21\x10\0\14" ENDS), "bad 14" },
	{ "more than 16 KiB", BYTES(SIGNATURE "\x21\x11\x40\1" ENDS), "bad 16" },
	{ "64 KiB, LOCAL", BYTES(SIGNATURE "\x20\0\xff\xff"), "bad 16" },
	{ "v4 in 11 bytes", BYTES(SIGNATURE "\x21\x11\0\13" ENDS), "bad 16" },
	{ "v6 in 35 bytes", BYTES(SIGNATURE "\x21\x21\0\43" ENDS6), "bad 16" },
	{ "unix in 215 bytes", BYTES(SIGNATURE "\x21\x31\0\xd7"), "bad 16" },
	{ "one byte of a TLV", BYTES(SIGNATURE "\x21\x11\0\15" ENDS "\4"), "bad 29" },
	{ "two bytes of a TLV", BYTES(SIGNATURE "\x21\x11\0\16" ENDS "\4\0"), "bad 30" },
	{ "a TLV past the end", BYTES(SIGNATURE "\x21\x11\0\17" ENDS "\4\0\1GET"), "bad 31" },
	{ "SSL of 4 bytes", BYTES(SIGNATURE "\x21\x11\0\23" ENDS "\x20\0\4\1\0\0\0"), "bad 35" },
	{ "SSL past its end",
	        BYTES(SIGNATURE "\x21\x11\0\27" ENDS "\x20\0\x8\1\0\0\0\0\x21\0\1GET"), "bad 39" },
	{ "a CRC of 3 bytes", BYTES(SIGNATURE "\x21\x11\0\22" ENDS "\3\0\3abc"), "bad 34" },
	{ "a wrong CRC", BYTES(SIGNATURE "\x21\x11\0\23" ENDS "\3\0\4abcd"), "bad 35" },
};

Test(proxy, version_2)
{
	check_all(blocks, COUNT(blocks));
}

/* ---- what is made rather than written ---- */

/* A header of v4 with `tlvs` behind the addresses, and a name for the row. */
static struct proxy_row made(
        char *bytes, const char *name, const void *tlvs, size_t length, const char *expected)
{
	memcpy(bytes, SIGNATURE "\x21\x11\0\14" ENDS, 28);
	memcpy(bytes + 28, tlvs, length);
	bytes[14] = (char)((12 + length) >> 8);
	bytes[15] = (char)(12 + length);
	return (struct proxy_row){ name, bytes, 28 + length, expected };
}

/* RFC 9260 appendix A, by another way: bit by bit over the polynomial as it is written. */
static uint32_t slow_crc32c(const char *bytes, size_t length)
{
	uint32_t crc = UINT32_MAX, swapped = 0;

	for (size_t i = 0; i < length * 8; i++) {
		uint32_t bit = (uint32_t)((unsigned char)bytes[i / 8] >> i % 8 & 1);

		crc = crc << 1 ^ (crc >> 31 ^ bit ? 0x1edc6f41 : 0);
	}
	for (int i = 0; i < 32; i++)
		swapped |= (crc >> i & 1) << (31 - i);
	return ~swapped;
}

Test(proxy, checksums)
{
	char bytes[64], expected[64];
	struct proxy_row row = made(bytes, "a CRC", "\3\0\4\0\0\0\0\4\0\1a", 11, expected);
	uint32_t crc = slow_crc32c(bytes, row.length);

	cr_assert_eq(slow_crc32c("123456789", 9), 0xe3069283);
	for (int i = 0; i < 4; i++)
		bytes[31 + i] = (char)(crc >> (24 - 8 * i));
	snprintf(expected, sizeof expected, "v4 39" SAID);
	check_all(&row, 1);
	/* every bit counts, but those that say what there is */
	for (size_t bit = 0; bit < row.length * 8; bit++) {
		struct proxy_header header;

		bytes[bit / 8] ^= (char)(1 << bit % 8);
		if (bit / 8 < 12 || (bit / 8 > 15 && bit / 8 != 28))
			cr_expect_eq(proxy_decode((struct span){ (uint8_t *)bytes, row.length },
			                     &header),
			        PROXY_BAD, "bit %zu", bit);
		bytes[bit / 8] ^= (char)(1 << bit % 8);
	}
	bytes[28 + 7] = '\3';
	row.expected = "bad 39"; /* a second CRC, and of one byte */
	check_all(&row, 1);
}

Test(proxy, sizes)
{
	static char bytes[PROXY_V2_MAX + 32], tlvs[PROXY_V2_MAX];
	struct proxy_row rows[3];

	tlvs[0] = 4;
	tlvs[1] = (char)((PROXY_V2_MAX - 15) >> 8);
	tlvs[2] = (char)(PROXY_V2_MAX - 15);
	rows[0] = made(bytes, "16 KiB", tlvs, PROXY_V2_MAX - 12, "v4 16400" SAID);
	check_all(rows, 1);
	memcpy(tlvs, "\5\0\x80", 3);
	rows[0] = made(bytes, "a unique id of 128 bytes", tlvs, 131, "v4 159" SAID);
	check_all(rows, 1);
	memcpy(tlvs, "\5\0\x81", 3);
	rows[0] = made(bytes, "a unique id of 129 bytes", tlvs, 132, "bad 160");
	check_all(rows, 1);
}

Test(proxy, unix_sockets)
{
	char bytes[16 + 216] = SIGNATURE "\x21\x31\0\xd8/tmp/a";
	const struct proxy_row row = { "unix", bytes, sizeof bytes, "unix 232" };

	check_all(&row, 1);
}
