/* Answers 403 at once, whatever body there is: nothing of it is read. */
#include <anygate.h>

static int early(struct ag_request *req)
{
	ag_puts(req, "not you\n");
	return 403;
}

AG_APP(app)
{
	ag_route(app, NULL, "/*path", early);
}
