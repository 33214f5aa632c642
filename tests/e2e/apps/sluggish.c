/* Loads when the file that its key `when` names is there. */
#include <anygate.h>
#include <unistd.h>

static int answer(struct ag_request *req)
{
	ag_puts(req, "here\n");
	return 200;
}

AG_APP(app)
{
	const char *when = ag_config(app, "when", "/");

	while (access(when, F_OK) < 0)
		usleep(1000);
	ag_get(app, "/", answer);
}
