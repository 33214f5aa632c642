/*
 * What every decoder must do with any bytes, checked by delivering them whole, byte by byte and in
 * random pieces: the same events each time, in the order that protocol.h promises, with lengths
 * within the limits, and not one byte read outside of what was shown. A fault ends the process.
 */
#ifndef TESTS_FUZZ_ORACLE_H
#define TESTS_FUZZ_ORACLE_H

#include "../../protocols/protocol.h"

/* When the exchange is answered. */
enum answer {
	ANSWER_AT_END,    /* an end alone, where the request ends */
	ANSWER_WITH_HEAD, /* head, piece and end there */
	ANSWER_EARLY,     /* the same at HEAD: before the body came */
	ANSWER_LATE,      /* with multiplexing: when the next exchange begins */
};

struct oracle {
	struct limits limits;
	enum answer answer;
	uint32_t seed; /* of the pieces */
};

/* Bytes at the front of an input that choose the oracle's ways; four zeros: the usual limits. */
#define ORACLE_CONTROL 4

struct oracle oracle_of(const uint8_t control[ORACLE_CONTROL]);

void oracle_check(const struct protocol *protocol, const struct oracle *oracle,
        const uint8_t *bytes, size_t length);

/* Ends the process with a message where something is wrong. */
#define FUZZ_CHECK(good, what)                                                                     \
	do {                                                                                       \
		if (!(good))                                                                       \
			fuzz_fail(__FILE__, __LINE__, what);                                       \
	} while (0)

_Noreturn void fuzz_fail(const char *file, int line, const char *what);

#endif
