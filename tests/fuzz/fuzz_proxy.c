/*
 * Any bytes as a PROXY header: what is found does not depend on how many bytes are shown beyond it,
 * and what is refused stays refused.
 */
#include <stdlib.h>

#include "../../protocols/proxy.h"
#include "oracle.h"

/* A copy that ends where its memory ends. */
static enum proxy_result decode(const uint8_t *data, size_t size, struct proxy_header *header)
{
	uint8_t *shown = malloc(size);

	memset(header, 0, sizeof *header);
	if (size)
		memcpy(shown, data, size);
	enum proxy_result result = proxy_decode((struct span){ shown, size }, header);

	free(shown);
	return result;
}

static bool same(const struct proxy_header *a, const struct proxy_header *b)
{
	return a->length == b->length && a->family == b->family &&
	       a->source.port == b->source.port && a->destination.port == b->destination.port &&
	       memcmp(a->source.address, b->source.address, 16) == 0 &&
	       memcmp(a->destination.address, b->destination.address, 16) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header whole, part;
	enum proxy_result result = decode(data, size, &whole);

	FUZZ_CHECK(result != PROXY_BAD || whole.reason, "PROXY_BAD without a reason");
	if (result == PROXY_MORE)
		FUZZ_CHECK(size < 16 + PROXY_V2_MAX, "more than a header may have");
	if (result == PROXY_DONE)
		FUZZ_CHECK(whole.length > 0 && whole.length <= size, "length");
	for (size_t length = 0; length < size; length++) {
		enum proxy_result now = decode(data, length, &part);

		if (now == PROXY_MORE) {
			FUZZ_CHECK(result != PROXY_DONE || length < whole.length,
			        "wants more than the header");
		} else if (now == PROXY_DONE) {
			FUZZ_CHECK(result == PROXY_DONE && length >= whole.length &&
			                   same(&part, &whole),
			        "another header");
		} else {
			FUZZ_CHECK(result == PROXY_BAD, "refused, then not");
			break;
		}
		if (length > 256 && length + 16 < size)
			length = size - 16; /* all places near both ends */
	}
	return 0;
}
