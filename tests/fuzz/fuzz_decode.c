/* Any bytes to one decoder, which -DPROTOCOL names: four of control (oracle.h), then the wire. */
#include "oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < ORACLE_CONTROL)
		return 0;
	struct oracle oracle = oracle_of(data);

	oracle_check(&PROTOCOL, &oracle, data + ORACLE_CONTROL, size - ORACLE_CONTROL);
	return 0;
}
