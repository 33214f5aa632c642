/* Its start hook says that it can't serve. */
#include <anygate.h>

static int begin(struct ag_request *req, void *argument)
{
	(void)argument;
	ag_log(req, "no database");
	return 5;
}

AG_APP(app)
{
	ag_on_start(app, begin, NULL);
}
