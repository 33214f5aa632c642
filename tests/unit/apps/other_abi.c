/* Does not load: built for an ABI yet to come. Its setup must not run. */
#include <anygate.h>
#include <stdlib.h>

AG_EXTERN const unsigned ag_app_abi;
AG_EXTERN void ag_app_setup(struct ag_app *app);
AG_EXPORT const unsigned ag_app_abi = AG_ABI + 1;

AG_EXPORT void ag_app_setup(struct ag_app *app)
{
	(void)app;
	abort();
}
