#include "program.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Of one test: each runs in a process of its own. */
static const char *keep(const char *path)
{
	static char paths[64][160];
	static size_t count;

	cr_assert_lt(count, COUNT(paths));
	snprintf(paths[count], sizeof *paths, "%s", path);
	return paths[count++];
}

static void make_directories(char *path, size_t from)
{
	for (char *slash = path + from; (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
}

const char *program_file(const char *name, const char *text, mode_t mode)
{
	char *path = (char *)keep(support_path(name));

	make_directories(path, strlen(support_directory()));

	FILE *file = fopen(path, "we");

	cr_assert(file, "%s", path);
	fputs(text, file);
	cr_assert_eq(fclose(file), 0);
	chmod(path, mode);
	return path;
}

const char *program_write(const char *name, const char *commands)
{
	struct bytes text = { 0 };

	bytes_printf(&text, "#!/bin/sh\n%s", commands);
	const char *path = program_file(name, text.data, 0755);

	bytes_free(&text);
	return path;
}
