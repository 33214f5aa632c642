/*
 * Any output of a CGI program: its head is found at the same place whole and byte by byte, no byte
 * of the body is taken, and what is made of a good head can be sent on: no control byte, no name
 * that is not a token, nothing of the connection's.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../app/host/cgi_head.h"
#include "oracle.h"

/* In memory that ends where the bytes do, so one too many is seen. */
static char *copy(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size ? size : 1);

	FUZZ_CHECK(bytes, "no memory");
	if (size)
		memcpy(bytes, data, size);
	return bytes;
}

static size_t take_whole(struct cgi_head *head, const char *bytes, size_t size)
{
	cgi_head_begin(head);
	return cgi_head_take(head, bytes, size);
}

static size_t take_bytes(struct cgi_head *head, const char *bytes, size_t size)
{
	size_t taken = 0, n = 1;

	cgi_head_begin(head);
	while (taken < size && n) {
		n = cgi_head_take(head, bytes + taken, 1);
		taken += n;
	}
	return taken;
}

/* Where the empty line ends that ends the head, found another way; 0: there is none. */
static size_t find_end(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		bool begins = i == 0 || bytes[i - 1] == '\n';

		if (begins && bytes[i] == '\n')
			return i + 1;
		if (begins && bytes[i] == '\r' && i + 1 < size && bytes[i + 1] == '\n')
			return i + 2;
	}
	return 0;
}

static bool same_text(const char *one, const char *other)
{
	return one && other ? strcmp(one, other) == 0 : one == other;
}

static void check_same(const struct cgi_head *one, const struct cgi_head *other)
{
	FUZZ_CHECK(one->status == other->status && one->length == other->length &&
	                   same_text(one->type, other->type) &&
	                   same_text(one->location, other->location) && one->count == other->count,
	        "another head byte by byte");
	for (size_t i = 0; i < one->count; i++)
		FUZZ_CHECK(same_text(one->fields[i].name, other->fields[i].name) &&
		                   same_text(one->fields[i].value, other->fields[i].value),
		        "another field byte by byte");
}

static void check_value(const char *value)
{
	size_t length = strlen(value);

	for (const char *at = value; *at; at++)
		FUZZ_CHECK(((unsigned char)*at >= 0x20 && *at != 0x7f) || *at == '\t',
		        "a control byte in a value");
	FUZZ_CHECK(!length || (!strchr(" \t", value[0]) && !strchr(" \t", value[length - 1])),
	        "a blank around a value");
}

static void check_field(const struct cgi_field *field)
{
	static const char *const never[] = { "Status", "Content-Type", "Content-Length", "Location",
		"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Trailer",
		"TE", "Upgrade", "Date" };

	FUZZ_CHECK(*field->name, "a field without a name");
	for (const char *at = field->name; *at; at++)
		FUZZ_CHECK((unsigned char)*at > 0x20 && (unsigned char)*at < 0x7f &&
		                   !strchr("()<>@,;:\\\"/[]?={}", *at),
		        "a name that is no token");
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		FUZZ_CHECK(strcasecmp(field->name, never[i]) != 0, "a field that is not passed on");
	FUZZ_CHECK(strncasecmp(field->name, "X-CGI-", 6) != 0, "an extension of CGI's own");
	check_value(field->value);
}

static void check_parsed(const struct cgi_head *head)
{
	FUZZ_CHECK(head->status == 0 || (head->status >= 200 && head->status <= 599), "a status");
	FUZZ_CHECK(head->length >= -1, "a length");
	FUZZ_CHECK(head->status || head->type || head->location, "a head that says nothing");
	FUZZ_CHECK(head->count <= CGI_FIELDS_MAX, "too many fields");
	if (head->type)
		check_value(head->type);
	if (head->location)
		check_value(head->location);
	for (size_t i = 0; i < head->count; i++)
		check_field(&head->fields[i]);
}

static void check(struct cgi_head *whole, struct cgi_head *pieces, const char *bytes, size_t size)
{
	size_t taken = take_whole(whole, bytes, size), end = find_end(bytes, size);

	FUZZ_CHECK(take_bytes(pieces, bytes, size) == taken, "another end byte by byte");
	FUZZ_CHECK(whole->complete == pieces->complete, "complete or not, byte by byte");
	FUZZ_CHECK(whole->complete == (end && end <= CGI_HEAD_MAX), "an end that is not seen");
	if (!whole->complete) {
		FUZZ_CHECK(taken == (size < CGI_HEAD_MAX ? size : CGI_HEAD_MAX), "what is taken");
		return;
	}
	FUZZ_CHECK(taken == end, "bytes of the body are taken");
	const char *problem = cgi_head_parse(whole);

	FUZZ_CHECK(same_text(cgi_head_parse(pieces), problem), "another fault byte by byte");
	if (problem)
		return;
	check_same(whole, pieces);
	check_parsed(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgi_head *whole = malloc(sizeof *whole), *pieces = malloc(sizeof *pieces);
	char *bytes = copy(data, size);

	FUZZ_CHECK(whole && pieces, "no memory");
	check(whole, pieces, bytes, size);
	free(bytes);
	free(pieces);
	free(whole);
	return 0;
}
