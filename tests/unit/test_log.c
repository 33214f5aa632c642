/* daemon/log*.c: what a line looks like, where it goes, and what becomes of lines that nobody
 * takes. */
#include "../support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/log_escape.h"
#include "tests/support/json.h"

static void finish(void)
{
	log_close();
	support_check_leaks();
}

TestSuite(log, .fini = finish);

/* ---- escapes ---- */

typedef void escape(struct writer *out, const char *text, size_t length);

static const struct escape_row {
	const char *name;
	escape *escape;
	const char *bytes;
	size_t length;
	const char *written;
} escapes[] = {
#define ROW(name, function, bytes, written)                                                        \
	{                                                                                          \
		name, function, bytes, sizeof(bytes) - 1, written                                  \
	}
	ROW("plain", log_escape_field, "GET /a?b=c", "GET /a?b=c"),
	ROW("a forged line", log_escape_field, "/\r\n2026", "/\\x0d\\x0a2026"),
	ROW("NUL", log_escape_field, "a\0b", "a\\x00b"),
	ROW("quote and backslash", log_escape_field, "\"\\", "\\x22\\x5c"),
	ROW("DEL and above", log_escape_field, "\x7f\x80\x9f\xa0\xff", "\\x7f\\x80\\x9f\\xa0\\xff"),
	ROW("UTF-8 in a field", log_escape_field, "\xc3\xa9", "\\xc3\\xa9"),
	ROW("blank in a field", log_escape_field, "a b", "a b"),
	ROW("blank in a word", log_escape_word, "a b", "a\\x20b"),
	ROW("tab in a word", log_escape_word, "a\tb", "a\\x09b"),
	ROW("UTF-8 in a line", log_escape_line, "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80",
	        "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"),
	ROW("quotes in a line", log_escape_line, "\"a\\b\"", "\"a\\b\""),
	ROW("line feed in a line", log_escape_line, "a\nb\x1b[2J", "a\\x0ab\\x1b[2J"),
	ROW("C1 as a character", log_escape_line, "\xc2\x9b\xc2\xa0", "\\xc2\\x9b\xc2\xa0"),
	ROW("C1 as a byte", log_escape_line, "\x9bz", "\\x9bz"),
	ROW("overlong", log_escape_line, "\xc0\x8a", "\\xc0\\x8a"),
	ROW("cut in a character", log_escape_line, "\xe2\x82", "\\xe2\\x82"),
	ROW("JSON", log_escape_json, "a\"\\\n\x7f", "a\\\"\\\\\\u000a\\u007f"),
	ROW("JSON, UTF-8", log_escape_json, "\xc3\xa9\xff", "\xc3\xa9\\u00ff"),
	ROW("JSON, C1", log_escape_json, "\xc2\x9b\x9b", "\\u009b\\u009b"),
	ROW("JSON, surrogate", log_escape_json, "\xed\xa0\x80", "\\u00ed\\u00a0\\u0080"),
};

Test(log, escapes)
{
	for (size_t i = 0; i < COUNT(escapes); i++) {
		const struct escape_row *row = &escapes[i];
		char written[128] = "";
		struct writer out = { (uint8_t *)written, (uint8_t *)written + 127, false };

		row->escape(&out, row->bytes, row->length);
		cr_expect(!out.overflow, "%s", row->name);
		cr_expect_str_eq(written, row->written, "%s: %s", row->name, written);
	}
}

/* What does not fit is left out from there on: half an escape would say something else. */
Test(log, escapes_end_at_the_end)
{
	static escape *const all[] = { log_escape_field, log_escape_word, log_escape_line,
		log_escape_json };

	for (size_t i = 0; i < COUNT(all); i++)
		for (size_t room = 0; room < 8; room++) {
			char written[16] = "";
			struct writer out = { (uint8_t *)written, (uint8_t *)written + room,
				false };

			all[i](&out, "\x01\x01", 2);
			cr_expect_eq(out.overflow, room < (i == 3 ? 12 : 8), "%zu %zu", i, room);
			cr_expect_eq(strlen(written) % (i == 3 ? 6 : 4), 0, "%s", written);
		}
}

static const struct text_row {
	size_t size;
	const char *text, *written;
} texts[] = {
	{ 16, "/short", "/short" },
	{ 14, "/a\nb\"", "/a\\x0ab..." },
	{ 16, "/exactly-twe", "/exactly-twe" },
	{ 16, "/exactly-twelve", "/exactly-twe..." },
	{ 4, "", "" },
	{ 4, "x", "..." },
};

Test(log, texts)
{
	for (size_t i = 0; i < COUNT(texts); i++) {
		char to[16];

		cr_expect_str_eq(log_text(to, texts[i].size, texts[i].text), texts[i].written,
		        "%s: %s", texts[i].text, to);
	}
}

/* ---- lines in a file ---- */

static char *read_whole(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	cr_assert(file, "%s: %s", path, strerror(errno));
	if (getdelim(&text, &size, '\0', file) < 0)
		*text = '\0';
	fclose(file);
	return text;
}

static void open_logs(const char *error_log, const char *access_log)
{
	char error[256];

	cr_assert(
	        log_open(error_log, access_log, LOG_LEVEL_INFO, error, sizeof error), "%s", error);
}

static void expect_file(const char *path, const char *text)
{
	char *whole = read_whole(path);

	cr_expect_str_eq(whole, text);
	free(whole);
}

/* "2026-11-21T10:00:00.123+00:00 " and what follows. */
static const char *behind_stamp(const char *line)
{
	int year, month, day, hour, minute, second, ms, zone_hour, zone_minute, n = 0;
	char sign;

	cr_assert_eq(sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3d%c%2d:%2d %n", &year, &month, &day,
	                     &hour, &minute, &second, &ms, &sign, &zone_hour, &zone_minute, &n),
	        10, "%s", line);
	cr_assert_eq(n, 30, "%s", line);
	return line + n;
}

Test(log, lines)
{
	const char *path = support_path("error.log");
	char expected[256];
	struct stat status;
	const char *at;
	char *text;

	umask(022);
	open_logs(path, "off");
	log_name("worker 7");
	log_line(LOG_LEVEL_WARNING, "a %s line", "\n2026 forged");
	log_line(LOG_LEVEL_DEBUG, "not wanted");
	log_request_line(LOG_LEVEL_ERROR, "id-1", "%s", "text");
	text = read_whole(path);
	snprintf(expected, sizeof expected, "warning: worker 7[%d]: a \\x0a2026 forged line\n",
	        getpid());
	at = behind_stamp(text);
	cr_expect_eq(strncmp(at, expected, strlen(expected)), 0, "%s", text);
	at = behind_stamp(at + strlen(expected));
	snprintf(expected, sizeof expected, "error: worker 7[%d]: request id-1: text\n", getpid());
	cr_expect_str_eq(at, expected);
	free(text);
	cr_assert_eq(stat(path, &status), 0);
	cr_expect_eq(status.st_mode & 0777, 0640, "%o", status.st_mode);
}

/* A line ends, however much there is to say. */
Test(log, long_lines_are_cut)
{
	const char *path = support_path("error.log");
	char *noise = support_noise(100000), *text;

	for (size_t i = 0; i < 100000; i++)
		noise[i] = noise[i] ? noise[i] : 1;
	noise[99999] = '\0';
	open_logs(path, "off");
	log_line(LOG_LEVEL_ERROR, "%s", noise);
	text = read_whole(path);
	cr_expect_leq(strlen(text), LOG_PIPE_LINE);
	cr_expect_gt(strlen(text), 2000);
	cr_expect_eq(strchr(text, '\n'), text + strlen(text) - 1);
	free(text);
	free(noise);
}

static const struct refused_row {
	const char *where, *says;
} refused[] = {
	{ "/no/such/directory/log", "log.error: can't open /no/such/directory/log: No such file" },
	{ "syslog:/no/such/socket",
	        "log.error: can't connect to the socket of syslog, /no/such/socket: No such file" },
	{ "LINK", "it is a symbolic link" },
	{ "FIFO", "nobody reads it" },
};

Test(log, refuses_to_open)
{
	char link[256], fifo[256], error[512];

	snprintf(link, sizeof link, "%s", support_path("link"));
	snprintf(fifo, sizeof fifo, "%s", support_path("fifo"));
	cr_assert_eq(symlink("elsewhere", link), 0);
	cr_assert_eq(mkfifo(fifo, 0600), 0);
	for (size_t i = 0; i < COUNT(refused); i++) {
		const char *where = strcmp(refused[i].where, "LINK") == 0   ? link
		                    : strcmp(refused[i].where, "FIFO") == 0 ? fifo
		                                                            : refused[i].where;

		cr_expect_not(log_open(where, "off", LOG_LEVEL_INFO, error, sizeof error));
		cr_expect(strstr(error, refused[i].says), "%s", error);
		cr_expect_not(log_open("stderr", where, LOG_LEVEL_INFO, error, sizeof error));
		cr_expect(strstr(error, "log.access: "), "%s", error);
	}
}

/* ---- reopened ---- */

Test(log, reopens_by_path)
{
	char path[256], moved[300];

	snprintf(path, sizeof path, "%s", support_path("access.log"));
	snprintf(moved, sizeof moved, "%s.1", path);
	open_logs("stderr", path);
	log_sink_write(log_access_sink(), "one\n", 4);
	cr_assert_eq(rename(path, moved), 0);
	log_sink_write(log_access_sink(), "two\n", 4);
	log_reopen();
	log_sink_write(log_access_sink(), "three\n", 6);
	expect_file(moved, "one\ntwo\n");
	expect_file(path, "three\n");
}

/* Another working directory does not make it another file. */
Test(log, reopens_a_relative_path)
{
	const char *directory = support_directory();

	cr_assert_eq(chdir(directory), 0);
	open_logs("stderr", "access.log");
	cr_assert_eq(chdir("/"), 0);
	cr_assert_eq(unlink(support_path("access.log")), 0);
	log_reopen();
	log_sink_write(log_access_sink(), "again\n", 6);
	expect_file(support_path("access.log"), "again\n");
}

/* The master's part and the worker's, in one process: numbers stay, files change. */
Test(log, passes_descriptors)
{
	char error_path[256], access_path[256];
	int ends[2], access_fd;

	snprintf(error_path, sizeof error_path, "%s", support_path("error.log"));
	snprintf(access_path, sizeof access_path, "%s", support_path("access.log"));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	open_logs(error_path, access_path);
	access_fd = log_access_sink()->fd;
	cr_assert(log_send_descriptors(ends[0]));
	/* what was sent stays what it is; these are others now */
	unlink(access_path);
	log_reopen();
	cr_assert(log_take_descriptors(ends[1]));
	log_sink_write(log_access_sink(), "old\n", 4);
	expect_file(access_path, "");
	cr_expect_eq(log_access_sink()->fd, access_fd);
	cr_assert(log_send_descriptors(ends[0]));
	cr_assert(log_take_descriptors(ends[1]));
	cr_expect(fcntl(access_fd, F_GETFD) & FD_CLOEXEC);
	close(ends[0]);
	cr_expect_not(log_take_descriptors(ends[1]));
	cr_expect_eq(errno, 0);
	close(ends[1]);
}

/* A worker takes nothing from who sends no descriptor, or more than there are logs. */
Test(log, takes_no_other_message)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	open_logs("stderr", support_path("access.log"));
	cr_expect_not(log_take_descriptors(ends[1]));
	cr_expect_eq(errno, EAGAIN);
	cr_assert_eq(write(ends[0], "a", 1), 1);
	cr_expect_not(log_take_descriptors(ends[1]));
	cr_assert_eq(write(ends[0], "oae", 3), 3);
	cr_expect(log_take_descriptors(ends[1]));
	log_sink_write(log_access_sink(), "x\n", 2);
	expect_file(support_path("access.log"), "x\n");
	close(ends[0]);
	close(ends[1]);
}

/* ---- nobody takes the lines ---- */

/* A pipe as standard error, which stays a blocking one, and is full at some time. */
Test(log, full_pipe)
{
	int ends[2], saved = dup(STDERR_FILENO);
	char whole[LOG_PIPE_LINE * 32];
	struct bytes text = { 0 };
	uint64_t dropped;
	ssize_t n;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	dup2(ends[1], STDERR_FILENO);
	open_logs("stderr", "off");
	cr_expect_not(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
	for (int i = 0; i < 5000; i++)
		log_line(LOG_LEVEL_ERROR, "line %d", i);
	dropped = log_dropped();
	cr_expect_gt(dropped, 0);
	n = read(ends[0], whole, sizeof whole - 1);
	cr_assert_gt(n, 0);
	cr_expect_eq(whole[n - 1], '\n');
	log_line(LOG_LEVEL_ERROR, "it goes again");
	dup2(saved, STDERR_FILENO);
	log_close();
	close(ends[1]);
	while ((n = read(ends[0], whole, sizeof whole)) > 0)
		bytes_add(&text, whole, (size_t)n);
	snprintf(whole, sizeof whole, "%llu lines of the log were dropped: nobody took them\n",
	        (unsigned long long)dropped);
	cr_expect(strstr(text.data, whole), "not %s", whole);
	cr_expect(strstr(text.data, "it goes again\n"));
	bytes_free(&text);
	close(ends[0]);
	close(saved);
}

/* A disk that takes no more, here by RLIMIT_FSIZE: lines stay whole, and the rest is counted. */
Test(log, full_disk)
{
	const struct rlimit small = { 1000, RLIM_INFINITY },
	                    large = { RLIM_INFINITY, RLIM_INFINITY };
	const char *path = support_path("access.log");
	char lines[64 * 16], *text;
	struct log_sink *sink;

	for (int i = 0; i < 64; i++)
		memcpy(lines + i * 16, "a line, 16 long\n", 16);
	signal(SIGXFSZ, SIG_IGN);
	open_logs("stderr", path);
	sink = log_access_sink();
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	log_sink_write(sink, lines, 16 * 64);
	cr_expect_eq(sink->dropped, 2, "62 whole lines and a torn one fit");
	log_sink_write(sink, lines, 32);
	cr_expect_eq(sink->dropped, 4);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &large), 0);
	log_sink_write(sink, lines, 16);
	cr_expect_eq(sink->dropped, 4);
	text = read_whole(path);
	cr_expect_eq(strncmp(text, lines, 62 * 16), 0);
	cr_expect_str_eq(text + 1000, "\na line, 16 long\n", "the torn line ends");
	free(text);
}

/* ---- syslog ---- */

static int bind_syslog(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_lt(strlen(path), sizeof address.sun_path);
	memcpy(address.sun_path, path, strlen(path));
	unlink(path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void expect_datagram(int fd, const char *begins, const char *ends)
{
	char text[4096];
	ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

	cr_assert_gt(n, 0);
	text[n] = '\0';
	cr_expect_eq(strncmp(text, begins, strlen(begins)), 0, "%s", text);
	cr_expect_str_eq(text + n - strlen(ends), ends, "%s", text);
}

Test(log, syslog)
{
	char where[300], ends[100];
	const char *path = support_path("log.sock");
	int fd = bind_syslog(path);

	snprintf(where, sizeof where, "syslog:%s", path);
	open_logs(where, "off");
	log_name("worker 3");
	log_line(LOG_LEVEL_ERROR, "one\ntwo");
	snprintf(ends, sizeof ends, " anygate[%d]: worker 3: one\\x0atwo", getpid());
	expect_datagram(fd, "<27>", ends);
	log_line(LOG_LEVEL_WARNING, "a warning");
	expect_datagram(fd, "<28>", "a warning");
	/* the daemon behind it is started anew */
	close(fd);
	log_line(LOG_LEVEL_INFO, "lost");
	cr_expect_eq(log_dropped(), 1);
	fd = bind_syslog(path);
	log_line(LOG_LEVEL_INFO, "heard");
	expect_datagram(fd, "<28>", "1 line of the log was dropped: Connection refused");
	expect_datagram(fd, "<30>", "heard");
	close(fd);
}
