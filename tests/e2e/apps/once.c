/* Loads in the first worker and in a check, but in no worker after an upgrade's exec. */
#define _GNU_SOURCE
#include <anygate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int hello(struct ag_request *req)
{
	ag_puts(req, "hello\n");
	return 200;
}

/* Two descriptors of programs: the master's own, and the one before it. */
static bool has_former(void)
{
	char path[48], name[256];
	int programs = 0;

	for (int fd = 3; fd < 64; fd++) {
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getppid(), fd);
		ssize_t n = readlink(path, name, sizeof name);

		programs += n > 0 && memmem(name, (size_t)n, "/anygate-test-", 14) != NULL;
	}
	return programs > 1;
}

AG_APP(app)
{
	if (has_former())
		ag_fail(app, "not this time");
	ag_get(app, "/", hello);
}
