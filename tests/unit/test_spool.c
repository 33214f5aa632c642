/* app/spool.c: bytes that wait on disk. */
#include "../../app/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/support.h"

SUITE(spool);

Test(spool, gives_back_what_it_got)
{
	struct spool spool = SPOOL_EMPTY;
	char *noise = support_noise(200000), *back = malloc(200000);
	size_t written = 0, read_back = 0;

	cr_assert(back);
	/* reading catches up with writing now and then: the file begins anew */
	for (size_t step = 1; written < 200000; step = step * 3 % 70001) {
		size_t n = 200000 - written < step ? 200000 - written : step;

		cr_assert_eq(spool_write(&spool, noise + written, n), 0);
		written += n;
		for (ssize_t got = 1; got > 0 && read_back + 100 < written;) {
			got = spool_read(&spool, back + read_back, step % 2 ? 70000 : 37);
			cr_assert_geq(got, 0);
			read_back += (size_t)got;
		}
	}
	while (read_back < written) {
		ssize_t got = spool_read(&spool, back + read_back, 1000);

		cr_assert_gt(got, 0);
		read_back += (size_t)got;
	}
	cr_expect_eq(spool_read(&spool, back, 1), 0);
	cr_expect_arr_eq(back, noise, 200000);
	spool_free(&spool);
	free(noise);
	free(back);
}

Test(spool, leaves_no_name_and_no_bytes)
{
	struct spool spool = SPOOL_EMPTY;
	struct stat status;
	char byte;

	setenv("TMPDIR", support_directory(), 1);
	cr_assert_eq(spool_write(&spool, "abc", 3), 0);
	cr_assert_eq(fstat(spool.fd, &status), 0);
	cr_expect_eq(status.st_nlink, 0);
	cr_expect_eq(status.st_mode & 0777, 0600);
	cr_expect(fcntl(spool.fd, F_GETFD) & FD_CLOEXEC);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(spool_read(&spool, &byte, 1), 1);
	cr_assert_eq(fstat(spool.fd, &status), 0);
	cr_expect_eq(status.st_size, 0, "what was read takes room");
	spool_free(&spool);
	cr_expect_eq(rmdir(support_directory()), 0);
}

Test(spool, says_when_it_can_not)
{
	const struct rlimit small = { 4096, 4096 };
	struct spool spool = SPOOL_EMPTY;
	char *noise = support_noise(8192);

	setenv("TMPDIR", "/nonexistent", 1);
	cr_expect_eq(spool_write(&spool, "a", 1), -1);
	cr_expect_eq(errno, ENOENT);
	setenv("TMPDIR", support_directory(), 1);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	cr_expect_eq(spool_write(&spool, noise, 8192), -1);
	cr_expect_eq(errno, EFBIG);
	spool_free(&spool);
	free(noise);
}
