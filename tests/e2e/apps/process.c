/* Tells what its process has: the environment at load, memory, files. */
#include <anygate.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char colour[64];

static int tell_colour(struct ag_request *req)
{
	ag_puts(req, colour);
	return 200;
}

/* Whether there is such a file. */
static int tell_file(struct ag_request *req)
{
	return access(ag_arg(req, "path", ""), F_OK) == 0 ? 200 : 404;
}

/* Whether it gets so much memory. */
static int tell_memory(struct ag_request *req)
{
	char *memory = malloc((size_t)atoi(ag_arg(req, "mib", "0")) << 20);
	char *volatile kept = memory;

	free(kept);
	return memory ? 200 : 507;
}

AG_APP(app)
{
	const char *value = getenv("COLOUR");

	strncpy(colour, value ? value : "none", sizeof colour - 1);
	ag_get(app, "/colour", tell_colour);
	ag_get(app, "/file", tell_file);
	ag_get(app, "/memory", tell_memory);
}
