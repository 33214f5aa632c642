#include "support.h"

#include <arpa/inet.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

/* The file in which tests note that they leaked: the runner's, inherited. One byte for each. */
#define LEAKS_FILE "ANYGATE_TESTS_LEAKS"

/* ---- the clock ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int64_t deadline_in(int ms)
{
	return now_ms() + ms;
}

int deadline_left(int64_t deadline)
{
	int64_t left = deadline - now_ms();

	return left > 0 ? (int)left : 0;
}

/* ---- the guard: a process that outlives the test and removes what it left ---- */

#define GROUPS_MAX 64

struct guard_note {
	pid_t group;
	bool forget;
};

/* One for each test: Criterion runs every test in a process of its own. */
static struct {
	pid_t pid;
	int notes; /* a pipe to the guard; its end is our end */
	char directory[64];
} guard;

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)status, (void)kind, (void)at;
	remove(path);
	return 0;
}

static void guard_main(int notes, const char *directory)
{
	pid_t groups[GROUPS_MAX];
	struct guard_note note;
	size_t count = 0;

	while (read(notes, &note, sizeof note) == sizeof note) {
		for (size_t i = 0; note.forget && i < count; i++)
			if (groups[i] == note.group)
				groups[i--] = groups[--count];
		if (!note.forget && count < GROUPS_MAX)
			groups[count++] = note.group;
	}
	for (size_t i = 0; i < count; i++)
		kill(-groups[i], SIGKILL);
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	_exit(0);
}

/* The descriptors of the test are none of the guard's: it would keep them open. */
static void guard_fork(int ends[2])
{
	guard.pid = fork();
	cr_assert_geq(guard.pid, 0, "fork: %s", strerror(errno));
	if (guard.pid == 0) {
		setpgid(0, 0);
		signal(SIGTERM, SIG_IGN);
		signal(SIGINT, SIG_IGN);
		dup2(ends[0], 0);
		close_range(3, ~0U, 0);
		guard_main(0, guard.directory);
	}
}

static void guard_start(void)
{
	int ends[2];

	if (guard.pid > 0)
		return;
	snprintf(guard.directory, sizeof guard.directory, "/tmp/anygate-test-XXXXXX");
	cr_assert(mkdtemp(guard.directory), "%s: %s", guard.directory, strerror(errno));
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	guard_fork(ends);
	close(ends[0]);
	guard.notes = ends[1];
}

static void guard_end(void)
{
	if (guard.pid <= 0)
		return;
	close(guard.notes);
	waitpid(guard.pid, NULL, 0);
	guard.pid = 0;
}

static void guard_tell(pid_t group, bool forget)
{
	struct guard_note note = { .group = group, .forget = forget };

	guard_start();
	cr_assert_eq(write(guard.notes, &note, sizeof note), sizeof note);
}

void support_guard(pid_t group)
{
	guard_tell(group, false);
}

void support_forget(pid_t group)
{
	guard_tell(group, true);
}

const char *support_directory(void)
{
	guard_start();
	return guard.directory;
}

const char *support_path(const char *name)
{
	static char paths[16][128];
	static unsigned next;
	char *path = paths[next++ % COUNT(paths)];

	snprintf(path, sizeof paths[0], "%s/%s", support_directory(), name);
	return path;
}

/* ---- leaks, and the last line ---- */

/* Criterion does not count what fails in a fini, so the runner is told by a file. */
static void note_leak(void)
{
	const char *file = getenv(LEAKS_FILE);
	int fd = file ? open(file, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

	fprintf(stderr, "[FAIL] %s::%s: it leaks\n", criterion_current_test->category,
	        criterion_current_test->name);
	if (fd >= 0 && write(fd, "x", 1) != 1)
		perror(file);
	if (fd >= 0)
		close(fd);
}

/* What Criterion itself keeps in the process that runs the tests. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libcriterion";
}

const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}

void support_check_leaks(void)
{
	guard_end();
#ifdef __SANITIZE_ADDRESS__
	if (__lsan_do_recoverable_leak_check())
		note_leak();
#else
	(void)note_leak;
#endif
}

ReportHook(PRE_ALL)(struct criterion_test_set *set)
{
	char file[] = "/tmp/anygate-tests-XXXXXX";
	int fd = mkostemp(file, O_CLOEXEC);

	(void)set;
	if (fd >= 0) {
		close(fd);
		setenv(LEAKS_FILE, file, 1);
	}
}

static size_t count_leaks(void)
{
	const char *file = getenv(LEAKS_FILE);
	struct stat status = { 0 };

	if (!file || stat(file, &status) < 0)
		return 1; /* not known: not passed */
	unlink(file);
	return (size_t)status.st_size;
}

/* The runner takes its exit status from `tests_failed`. */
ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
	size_t leaks = count_leaks();

	leaks = leaks < stats->tests_passed ? leaks : stats->tests_passed;
	stats->tests_passed -= leaks;
	stats->tests_failed += leaks;
	if (!criterion_options.pattern) {
		stats->tests_failed += stats->tests_skipped;
		stats->tests_skipped = 0;
	}
	fflush(stderr);
	printf("%zu passed, %zu failed\n", stats->tests_passed, stats->tests_failed);
	fflush(stdout);
}

/* ---- limits ---- */

void support_allow_descriptors(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* ---- bytes ---- */

int support_listen(char address[32])
{
	struct sockaddr_in where = { .sin_family = AF_INET };
	socklen_t length = sizeof where;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&where, length), 0);
	cr_assert_eq(listen(fd, 511), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&where, &length), 0);
	snprintf(address, 32, "127.0.0.1:%u", ntohs(where.sin_port));
	return fd;
}

struct bytes bytes_empty(void)
{
	struct bytes bytes = { 0 };

	bytes_add(&bytes, NULL, 0);
	return bytes;
}

void bytes_add(struct bytes *bytes, const void *data, size_t length)
{
	if (bytes->size - bytes->length <= length) {
		bytes->size = 2 * bytes->size + length + 256;
		bytes->data = realloc(bytes->data, bytes->size);
		cr_assert(bytes->data);
	}
	if (length)
		memcpy(bytes->data + bytes->length, data, length);
	bytes->length += length;
	bytes->data[bytes->length] = '\0';
}

void bytes_text(struct bytes *bytes, const char *text)
{
	bytes_add(bytes, text, strlen(text));
}

void bytes_printf(struct bytes *bytes, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	cr_assert_geq(length, 0);
	bytes_add(bytes, text, (size_t)length);
	free(text);
}

void bytes_free(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){ 0 };
}

char *support_noise(size_t length)
{
	char *noise = malloc(length + 1);
	uint32_t state = 2463534242u ^ (uint32_t)length;

	cr_assert(noise);
	for (size_t i = 0; i < length; i++) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		noise[i] = (char)(state >> 8);
	}
	noise[length] = '\0';
	return noise;
}

void support_sha256(const void *data, size_t length, char hex[65])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256(data, length, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
}
