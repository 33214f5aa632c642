#include "proc.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *proc_read(pid_t pid, const char *name)
{
	static char text[16384];
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	FILE *file = fopen(path, "re");

	cr_assert(file, "%s", path);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	return text;
}

void proc_status(pid_t pid, const char *name, char value[256])
{
	char key[64];

	snprintf(key, sizeof key, "\n%s:\t", name);
	const char *at = strstr(proc_read(pid, "status"), key);

	cr_assert(at, "no %s of %d", name, pid);
	snprintf(value, 256, "%.*s", (int)strcspn(at + strlen(key), "\n"), at + strlen(key));
	for (size_t end = strlen(value); end > 0 && value[end - 1] == ' '; end--)
		value[end - 1] = '\0';
}

void proc_check_status(pid_t pid, const char *name, const char *expected)
{
	char value[256];

	proc_status(pid, name, value);
	cr_expect_str_eq(value, expected, "%s of %d", name, pid);
}

void proc_check_limit(pid_t pid, const char *name, unsigned long long expected)
{
	const char *at = strstr(proc_read(pid, "limits"), name);
	unsigned long long soft = 0, hard = 0;

	cr_assert(at, "%s", name);
	cr_expect_eq(sscanf(at + strlen(name), "%llu %llu", &soft, &hard), 2, "%s", at);
	cr_expect_eq(soft, expected, "%s: %llu", name, soft);
	cr_expect_eq(hard, expected, "%s: %llu", name, hard);
}

void proc_check_link(pid_t pid, const char *name, const char *expected)
{
	char path[64], target[512] = "";

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	cr_assert_gt(readlink(path, target, sizeof target - 1), 0, "%s", path);
	cr_expect_str_eq(target, expected, "%s", path);
}

/* The end of a connection may close it meanwhile. */
static void check_descriptor(pid_t pid, int fd)
{
	char info[64], path[64], line[64];
	struct stat status;
	unsigned flags;
	bool known = false;

	snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
	snprintf(info, sizeof info, "/proc/%d/fdinfo/%d", pid, fd);
	FILE *file = fopen(info, "re");

	while (file && !known && fgets(line, sizeof line, file))
		known = sscanf(line, "flags: %o", &flags) == 1;
	if (file)
		fclose(file);
	if (stat(path, &status) < 0)
		return;
	cr_expect(!S_ISDIR(status.st_mode), "%s is a directory", path);
	cr_assert(known, "%s", info);
	cr_expect(flags & 02000000, "%s has no O_CLOEXEC", path);
}

void proc_check_descriptors(pid_t pid)
{
	char path[64];
	size_t count = 0;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *all = opendir(path);

	cr_assert(all);
	for (const struct dirent *one; (one = readdir(all)) != NULL;) {
		if (atoi(one->d_name) <= 2)
			continue;
		check_descriptor(pid, atoi(one->d_name));
		count++;
	}
	closedir(all);
	cr_expect_gt(count, 2, "%zu descriptors", count);
}
