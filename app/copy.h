/* Copies of a few bytes, as most names and values are: what a call of memcpy(3) costs is more. */
#ifndef APP_COPY_H
#define APP_COPY_H

#include <stddef.h>
#include <string.h>

static inline void copy_ends(char *to, const char *from, size_t length, size_t half)
{
	memcpy(to, from, half);
	memcpy(to + length - half, from + length - half, half);
}

/* memcpy(3): up to 32 bytes by two words that may overlap. The texts must not. */
static inline void copy_short(void *to, const void *from, size_t length)
{
	if (length - 8 <= 8)
		copy_ends(to, from, length, 8);
	else if (length - 17 <= 15)
		copy_ends(to, from, length, 16);
	else if (length - 4 <= 3)
		copy_ends(to, from, length, 4);
	else if (length)
		memcpy(to, from, length);
}

#endif
