/* What becomes of a crash record, and of the modules it names: it may hold anything. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/config.h"
#include "daemon/crash.h"
#include "daemon/symbols.h"
#include "tests/support/support.h"

SUITE(crash_log);

#define APP BUILD_DIR "/apps/crash.so"

static const struct daemon_config as_we_are;

/* ---- what becomes of a record ---- */

static void add_line(void *data, const char *text)
{
	bytes_printf(data, "%s\n", text);
}

static const char *describe(const struct crash *crash, struct bytes *text)
{
	const struct crash_worker worker = { 3, 77, 1234, &as_we_are };

	bytes_free(text);
	*text = (struct bytes){ 0 };
	crash_describe(crash, &worker, add_line, text);
	return text->data;
}

static const struct {
	struct crash crash;
	const char *text;
} texts[] = {
	{ { .signal = SIGSEGV,
	          .stage = CRASH_WHOLE,
	          .address = 16,
	          .at = 500,
	          .ran = 1,
	          .request = { "GET", "/a?b", 488 } },
	        "worker 3: SIGSEGV at address 0x10 in GET /a?b (for 12 ms); pid 77, up 1234 ms\n" },
	{ { .signal = SIGABRT }, "worker 3: SIGABRT in no request; pid 77, up 1234 ms\n" },
	{ { .signal = 4000 }, "worker 3: signal 4000 in no request; pid 77, up 1234 ms\n" },
	{ { .signal = CRASH_PROBE, .ran = 1, .at = 5, .request = { "PUT", "/later", 6 } },
	        "worker 3: held up in PUT /later; pid 77, up 1234 ms\n" },
	{ { .signal = SIGFPE, .overflow = 1 },
	        "worker 3: SIGFPE in no request; pid 77, up 1234 ms\n"
	        "worker 3: stack overflow in a handler: give it less to keep on its stack, or "
	        "raise daemon.stack_size\n" },
	{ { .signal = SIGILL,
	          .at = 9,
	          .other_count = 1,
	          .others_in_all = 1,
	          .others = { { "GET", "/b", 2 } } },
	        "worker 3: SIGILL in no request; pid 77, up 1234 ms\n"
	        "worker 3: other request in flight: GET /b (for 7 ms)\n" },
	{ { .signal = SIGILL,
	          .other_count = 1,
	          .others_in_all = 9,
	          .others = { { "GET", "/b", 0 } } },
	        "worker 3: SIGILL in no request; pid 77, up 1234 ms\n"
	        "worker 3: other request in flight: GET /b\n"
	        "worker 3: 8 other requests in flight are not listed\n" },
	{ { .signal = SIGILL,
	          .frame_count = 2,
	          .frames = { { "", 0xabc, 1 }, { "/no/such/lib.so", 0x10, 3 } } },
	        "worker 3: SIGILL in no request; pid 77, up 1234 ms\n"
	        "worker 3: #0 ? (?+0xabc)\n"
	        "worker 3: #1 ? (lib.so+0x10) (3 times)\n" },
	{ { .signal = SIGILL, .frame_count = 1, .frames = { { APP, 0x1200, 1, { 9, 9 } } } },
	        "worker 3: SIGILL in no request; pid 77, up 1234 ms\n"
	        "worker 3: #0 ? (crash.so+0x1200) (changed on disk)\n" },
};

Test(crash_log, texts)
{
	struct bytes text = { 0 };

	for (size_t i = 0; i < COUNT(texts); i++)
		cr_expect_str_eq(describe(&texts[i].crash, &text), texts[i].text, "%s", text.data);
	bytes_free(&text);
}

/* Whatever stands in a record: at most so many lines, each of a bounded length. */
static void check_bounds(const struct crash *crash, const char *name)
{
	struct bytes text = { 0 };
	size_t lines = 0, length;

	for (const char *at = describe(crash, &text); *at; at += length + 1, lines++) {
		length = strcspn(at, "\n");
		cr_expect_lt(length, 1024, "%s", name);
	}
	cr_expect(lines > 0 && lines <= 3 + CRASH_OTHERS + CRASH_FRAMES, "%s: %zu lines", name,
	        lines);
	bytes_free(&text);
}

Test(crash_log, wild_records, .timeout = 60)
{
	struct crash *crash = calloc(1, sizeof *crash);
	char *noise = support_noise(sizeof *crash + 64);

	cr_assert(crash);
	/* no byte of these is a line's end: those are the log's to escape */
	for (int byte = 0xff; byte >= 0xfd; byte--) {
		memset(crash, byte, sizeof *crash);
		check_bounds(crash, "one byte");
	}
	for (size_t i = 0; i < 64; i++) {
		memcpy(crash, noise + i, sizeof *crash);
		for (size_t k = 0; k < sizeof *crash; k++)
			if (((char *)crash)[k] == '\n')
				((char *)crash)[k] = ' ';
		check_bounds(crash, "noise");
	}
	free(noise);
	free(crash);
}

/* ---- what a module may be ---- */

static void write_file(const char *path, const char *data, size_t length)
{
	FILE *out = fopen(path, "we");

	cr_assert(out && fwrite(data, 1, length, out) == length);
	fclose(out);
}

static struct bytes read_app(void)
{
	struct bytes bytes = { 0 };
	char piece[4096];
	FILE *in = fopen(APP, "re");
	size_t n;

	cr_assert(in, "%s", APP);
	while ((n = fread(piece, 1, sizeof piece, in)) > 0)
		bytes_add(&bytes, piece, n);
	fclose(in);
	return bytes;
}

/* Each is no module: the frames stay without a name. */
static void check_nameless(const char *path)
{
	struct crash_frame frames[1] = { { .offset = 0x1200 } };
	struct symbol symbols[1];

	snprintf(frames[0].module, sizeof frames[0].module, "%s", path);
	symbols_find(frames, 1, &as_we_are, symbols);
	cr_expect_str_eq(symbols[0].function, "", "%s: %s", path, symbols[0].function);
	cr_expect_eq(symbols[0].line, 0);
}

Test(crash_log, no_modules, .timeout = 60)
{
	const char *fifo = support_path("fifo");

	cr_assert_eq(mkfifo(fifo, 0600), 0);
	check_nameless(fifo);
	check_nameless(support_directory());
	check_nameless("/dev/zero");
	check_nameless("/dev/null");
	check_nameless("/dev/stdin");
	check_nameless("/proc/self/mem");
	check_nameless("/no/such/file");
	check_nameless("crash.so");
	write_file(support_path("empty"), "", 0);
	check_nameless(support_path("empty"));
	write_file(support_path("elf"), "\177ELF", 4);
	check_nameless(support_path("elf"));
}

/* The reader may crash of them, never who asked; there is nothing to compare with. */
Test(crash_log, broken_modules, .timeout = 120)
{
	struct bytes app = read_app();
	char *broken = malloc(app.length);
	struct crash_frame frames[1] = { { .offset = 0x1200 } };
	struct symbol symbols[1];

	cr_assert(broken);
	snprintf(frames[0].module, sizeof frames[0].module, "%s", support_path("broken.so"));
	for (size_t i = 0; i < 40; i++) {
		size_t length = i & 1 ? app.length : app.length * i / 40;

		memcpy(broken, app.data, app.length);
		for (size_t k = i; i & 1 && k < app.length; k += 37 + i)
			broken[k] = (char)(broken[k] ^ (char)(i * 41));
		write_file(frames[0].module, broken, length);
		memset(symbols, 0x55, sizeof symbols);
		symbols_find(frames, 1, &as_we_are, symbols);
		cr_expect_neq(symbols[0].function[0], 0x55);
		cr_expect(memchr(symbols[0].function, 0, sizeof symbols[0].function));
		cr_expect(memchr(symbols[0].file, 0, sizeof symbols[0].file));
	}
	free(broken);
	bytes_free(&app);
}
