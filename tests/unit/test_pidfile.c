#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/pidfile.h"
#include "tests/support/support.h"

SUITE(pidfile);

static char error[256];

static struct pidfile take(const char *path)
{
	struct pidfile pidfile;

	cr_assert(pidfile_take(&pidfile, path, error, sizeof(error)), "%s", error);
	return pidfile;
}

static void expect_refused(const char *path, const char *says)
{
	struct pidfile pidfile;

	cr_expect(!pidfile_take(&pidfile, path, error, sizeof(error)));
	cr_expect(strstr(error, says) && strstr(error, path), "not \"%s\": %s", says, error);
	cr_expect_eq(pidfile.fd, -1);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	cr_assert(file);
	fputs(text, file);
	fclose(file);
}

static void expect_content(const char *path, const char *text)
{
	char content[64] = "";
	FILE *file = fopen(path, "re");

	cr_assert(file, "%s: %s", path, strerror(errno));
	cr_expect(fgets(content, sizeof(content), file));
	fclose(file);
	cr_expect_str_eq(content, text);
}

Test(pidfile, none)
{
	struct pidfile pidfile = take(NULL);

	cr_expect_eq(pidfile.fd, -1);
	cr_expect(pidfile_write(&pidfile));
	cr_expect_eq(pidfile_pass(&pidfile, true), -1);
	pidfile_remove(&pidfile);
}

Test(pidfile, second_names_the_first)
{
	const char *path = support_path("pid");
	struct pidfile pidfile;
	char own[32];

	write_file(path, "not a number, and longer than any\n"); /* of somebody who is gone */
	pidfile = take(path);
	expect_refused(path, "another anygate is starting");
	cr_expect(pidfile_write(&pidfile));
	snprintf(own, sizeof(own), "%d\n", getpid());
	expect_content(path, own);
	snprintf(own, sizeof(own), "runs already, as pid %d", getpid());
	expect_refused(path, own);
	pidfile_remove(&pidfile);
	cr_expect_neq(access(path, F_OK), 0);
	pidfile = take(path);
	pidfile_remove(&pidfile);
}

Test(pidfile, lock_ends_with_the_descriptor)
{
	const char *path = support_path("pid");
	struct pidfile pidfile = take(path);

	pidfile_close(&pidfile);
	cr_expect_eq(access(path, F_OK), 0);
	pidfile = take(path);
	pidfile_remove(&pidfile);
}

/* What stands under the name by then is another's. */
Test(pidfile, removes_only_its_own)
{
	const char *path = support_path("pid");
	struct pidfile pidfile = take(path);

	unlink(path);
	write_file(path, "1\n");
	pidfile_remove(&pidfile);
	expect_content(path, "1\n");
}

Test(pidfile, symlink)
{
	const char *path = support_path("link");

	cr_assert_eq(symlink("/dev/null", path), 0);
	expect_refused(path, "can't open the pidfile");
}

Test(pidfile, adopt)
{
	const char *path = support_path("pid");
	struct pidfile first = take(path), second;
	int other = open(path, O_RDWR | O_CLOEXEC);

	cr_expect_eq(pidfile_pass(&first, true), first.fd);
	cr_expect_eq(fcntl(first.fd, F_GETFD), 0);
	cr_expect(!pidfile_adopt(&second, path, other, error, sizeof(error)), "locked by another");
	cr_expect(!pidfile_adopt(&second, path, STDERR_FILENO, error, sizeof(error)));
	cr_expect(!pidfile_adopt(&second, NULL, first.fd, error, sizeof(error)));
	cr_assert(pidfile_adopt(&second, path, first.fd, error, sizeof(error)), "%s", error);
	cr_expect_eq(fcntl(second.fd, F_GETFD), FD_CLOEXEC);
	expect_refused(path, "is locked");
	pidfile_remove(&second);
	close(other);
}
