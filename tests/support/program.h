/* Programs that a test writes for the daemon to run. */
#ifndef TESTS_SUPPORT_PROGRAM_H
#define TESTS_SUPPORT_PROGRAM_H

#include "support.h"

/*
 * An executable shell script of these commands, in the test's directory; `name` may have "/" in it,
 * its directories are made. Returns its path, valid until the test ends.
 */
const char *program_write(const char *name, const char *commands);

/* A file in the test's directory, with these permissions. Returns its path, as above. */
const char *program_file(const char *name, const char *text, mode_t mode);

#endif
