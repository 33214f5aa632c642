/*
 * Any text as the configuration file: an error in words, or a configuration that, printed, reads
 * back to the same.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../daemon/config.h"
#include "../../daemon/options.h"
#include "oracle.h"

/* A file with this text, without a place on a disk; -1 is not expected. */
static int file_of(const void *text, size_t length)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("config", MFD_CLOEXEC);
	FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0, "memfd");
	FUZZ_CHECK(pwrite(fd, text, length, 0) == (ssize_t)length, "write");
	return fd;
}

static struct config *load(const void *text, size_t length)
{
	char path[32], error[CONFIG_ERROR_MAX] = "";
	struct options options = { .config_file = path };

	snprintf(path, sizeof path, "/proc/self/fd/%d", file_of(text, length));
	struct config *config = config_load(&options, error, sizeof error);

	FUZZ_CHECK(config ? !*error : *error && !strchr(error, '\n'), "an error of one line");
	return config;
}

static char *print(const struct config *config, size_t *length)
{
	char *text;
	FILE *out = open_memstream(&text, length);

	config_print(config, out);
	fclose(out);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = load(data, size), *again;
	size_t length, length_again;

	if (!config)
		return 0;
	char *text = print(config, &length);

	again = load(text, length);
	FUZZ_CHECK(again, "what was printed does not read back");
	char *text_again = print(again, &length_again);

	FUZZ_CHECK(length == length_again && memcmp(text, text_again, length) == 0,
	        "what was printed reads back to another");
	free(text);
	free(text_again);
	config_free(config);
	config_free(again);
	return 0;
}
