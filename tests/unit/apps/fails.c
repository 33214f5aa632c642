/* Does not load: it says itself why. */
#include <anygate.h>

AG_APP(app)
{
	ag_fail(app, "key %s is missing", "root");
	ag_fail(app, "this comes too late");
}
