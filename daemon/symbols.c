#include "symbols.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "privileges.h"

/* Of a file; the reader may map several. */
#define BYTES_MAX (INT64_C(1) << 30)

/* The reader's end of the world: all descriptors from here on are closed. */
#define OUTPUT 3

/* ---- in the process that reads ---- */

struct lookup {
	const struct crash_frame *frames;
	const char *root; /* of the worker: paths may be as seen inside; NULL: ours */
	Dwfl *dwfl;
	Dwfl_Module *modules[CRASH_FRAMES]; /* of the frames; NULL: none */
};

/* Only regular files: others may block, or do something when they are opened. A relative path is
 * meant from where the worker started, which is where the master is. */
static int module_open(const char *path)
{
	struct stat status;

	if (!strchr(path, '/') || stat(path, &status) < 0 || !S_ISREG(status.st_mode) ||
	        status.st_size > BYTES_MAX)
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* Inside of the worker's root, or, as it was loaded before that, outside. */
static int module_find(const char *root, const char *path)
{
	char inside[2 * CRASH_MODULE];
	int fd = -1;

	if (root && snprintf(inside, sizeof(inside), "%s/%s", root, path) < (int)sizeof(inside))
		fd = module_open(inside);
	return fd < 0 ? module_open(path) : fd;
}

/* The module of frame `i`, which frames before it may have too. */
static Dwfl_Module *module_of(const struct lookup *lookup, size_t i)
{
	const char *path = lookup->frames[i].module;

	for (size_t k = 0; k < i; k++)
		if (strcmp(lookup->frames[k].module, path) == 0)
			return lookup->modules[k];
	int fd = module_find(lookup->root, path);

	if (fd < 0)
		return NULL;
	Dwfl_Module *module = dwfl_report_offline(lookup->dwfl, path, path, fd);

	if (!module)
		close(fd);
	return module;
}

/* The end is what tells most. */
static void copy_end(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	snprintf(to, size, "%s", length < size ? from : from + length - (size - 1));
}

/* The innermost function that the compiler put in place of its call, or NULL. */
static const char *inlined(Dwfl_Module *module, Dwarf_Addr address)
{
	Dwarf_Addr bias;
	Dwarf_Die *unit = dwfl_module_addrdie(module, address, &bias);
	Dwarf_Die *scopes = NULL;
	int count = unit ? dwarf_getscopes(unit, address - bias, &scopes) : 0;
	const char *name = NULL;

	for (int i = 0; i < count && !name; i++)
		if (dwarf_tag(&scopes[i]) == DW_TAG_inlined_subroutine)
			name = dwarf_diename(&scopes[i]);
	free(scopes);
	return name;
}

static bool is_other(Dwfl_Module *module, const struct crash_frame *frame)
{
	static const uint8_t none[CRASH_BUILD];
	const unsigned char *build;
	GElf_Addr address;
	int size = dwfl_module_build_id(module, &build, &address);

	if (memcmp(frame->build, none, sizeof(none)) == 0)
		return false;
	return size <= 0 ||
	       memcmp(frame->build, build, size < CRASH_BUILD ? (size_t)size : CRASH_BUILD);
}

static void find(const struct lookup *lookup, size_t i, struct symbol *symbol)
{
	Dwfl_Module *module = lookup->modules[i];
	GElf_Addr bias;
	GElf_Off offset;
	GElf_Sym entry;
	int number = 0;

	if (!module || !dwfl_module_getelf(module, &bias))
		return;
	symbol->changed = is_other(module, &lookup->frames[i]);
	if (symbol->changed)
		return;
	/* a return address may be the first of the next line or function */
	Dwarf_Addr address = bias + lookup->frames[i].offset - (i > 0);
	const char *name = dwfl_module_addrinfo(module, address, &offset, &entry, NULL, NULL, NULL);
	const char *within = inlined(module, address);
	Dwfl_Line *line = dwfl_module_getsrc(module, address);
	const char *file = line ? dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL) : NULL;

	if (within && name)
		snprintf(symbol->function, sizeof(symbol->function), "%s, inlined in %s", within,
		        name);
	else if (within || name)
		snprintf(symbol->function, sizeof(symbol->function), "%s", name ? name : within);
	if (file)
		copy_end(symbol->file, sizeof(symbol->file), file);
	symbol->line = file && number > 0 ? (unsigned)number : 0;
}

/* Writes one symbol for each frame as soon as it is found. */
static void look_up(const struct crash_frame *frames, size_t count, const char *root)
{
	static char *no_directory;
	static const Dwfl_Callbacks callbacks = { .find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
		.debuginfo_path = &no_directory };
	struct lookup lookup = { .frames = frames, .root = root };

	unsetenv("DEBUGINFOD_URLS"); /* nothing is asked of the network */
	lookup.dwfl = dwfl_begin(&callbacks);
	if (!lookup.dwfl)
		return;
	dwfl_report_begin(lookup.dwfl);
	for (size_t i = 0; i < count; i++)
		lookup.modules[i] = module_of(&lookup, i);
	dwfl_report_end(lookup.dwfl, NULL, NULL);
	for (size_t i = 0; i < count; i++) {
		struct symbol symbol = { .line = 0 };

		find(&lookup, i, &symbol);
		if (write(OUTPUT, &symbol, sizeof(symbol)) != (ssize_t)sizeof(symbol))
			return;
	}
}

static void limit(int resource, int64_t most)
{
	const struct rlimit value = { (rlim_t)most, (rlim_t)most };

	setrlimit(resource, &value);
}

/* Leaves what the master has: its rights and descriptors. False: it must not go on. */
static bool confine(int output, pid_t master, const struct daemon_config *as)
{
	struct daemon_config outside = *as;
	char error[256];
	sigset_t none;

	outside.chroot = NULL;
	outside.no_new_privileges = true;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!privileges_drop(&outside, error, sizeof(error)) || dup2(output, OUTPUT) < 0 ||
	        close_range(OUTPUT + 1, ~0u, 0) < 0)
		return false;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_CPU, SYMBOLS_MS / 1000 + 1);
#ifndef ANYGATE_SANITIZED
	limit(RLIMIT_AS, 4 * BYTES_MAX);
#endif
	return getppid() == master;
}

/* ---- in the master ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads what comes until the end, or the time has passed. */
static void collect(int fd, void *to, size_t size)
{
	int64_t due = now_ms() + SYMBOLS_MS;
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	for (size_t at = 0; at < size;) {
		int64_t left = due - now_ms();
		ssize_t n;

		if (left <= 0 || poll(&wait, 1, (int)left) <= 0)
			return;
		n = read(fd, (char *)to + at, size - at);
		if (n <= 0)
			return;
		at += (size_t)n;
	}
}

static void terminate(struct symbol *symbols, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		symbols[i].function[sizeof(symbols[i].function) - 1] = '\0';
		symbols[i].file[sizeof(symbols[i].file) - 1] = '\0';
	}
}

void symbols_find(const struct crash_frame *frames, size_t count, const struct daemon_config *as,
        struct symbol *symbols)
{
	pid_t master = getpid();
	int ends[2];

	memset(symbols, 0, count * sizeof(*symbols));
	if (!count || pipe2(ends, O_CLOEXEC) < 0)
		return;
	pid_t reader = fork();

	if (reader == 0) {
		if (confine(ends[1], master, as))
			look_up(frames, count, as->chroot);
		_exit(0);
	}
	close(ends[1]);
	if (reader > 0) {
		collect(ends[0], symbols, count * sizeof(*symbols));
		kill(reader, SIGKILL);
		waitpid(reader, NULL, 0);
	}
	close(ends[0]);
	terminate(symbols, count);
}
