/*
 * What every test needs: a suite whose tests fail when they leak, a directory of its own, and an
 * end at which nothing is left behind, whatever way the test ended.
 *
 * The runner's last line on standard output is "N passed, N failed". A test that crashed, timed out
 * or was passed over counts as failed, unless the command line chose others (--filter).
 */
#ifndef TESTS_SUPPORT_SUPPORT_H
#define TESTS_SUPPORT_SUPPORT_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A suite whose tests are checked for leaks. One with a .fini of its own calls the check last. */
#define SUITE(name) TestSuite(name, .fini = support_check_leaks)
void support_check_leaks(void);

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

/* Fails the test at once, with a message. */
#define FAIL(...) cr_assert(false, __VA_ARGS__)

/* Longest wait for anything, in ms. Tests only use it to end at all, never to measure. */
#define PATIENCE 60000

/* A moment `ms` from now, and what is left until then, at least 0; for poll(2). */
int64_t deadline_in(int ms);
int deadline_left(int64_t deadline);

/* The test's own directory, made at the first call and removed with all it holds at its end. */
const char *support_directory(void);

/* DIRECTORY/name, as the test's own until its end. */
const char *support_path(const char *name);

/* Kills the process group when this process ends without having forgotten it. */
void support_guard(pid_t group);
void support_forget(pid_t group);

/* Lets this process, and those it starts, have as many descriptors as they may. */
void support_allow_descriptors(void);

/* A listening socket on a free loopback port, whose address is written as anygate prints it. */
int support_listen(char address[32]);

/* Bytes that grow; zeroed means none. `data` ends in a NUL that `length` does not count. */
struct bytes {
	char *data;
	size_t length, size;
};

/* None as well, but as a text: `data` is there. */
struct bytes bytes_empty(void);

void bytes_add(struct bytes *bytes, const void *data, size_t length);
void bytes_text(struct bytes *bytes, const char *text);
void bytes_printf(struct bytes *bytes, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
void bytes_free(struct bytes *bytes);

/* `length` bytes of all values, the same for the same length. To be freed. */
char *support_noise(size_t length);

/* SHA-256 in hexadecimal. */
void support_sha256(const void *data, size_t length, char hex[65]);

#endif
