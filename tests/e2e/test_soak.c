/* The short forms of tests/soak: what they judge are counts, not times. */
#include <string.h>

#include "tests/support/process.h"

SUITE(soak);

static void check_scenario(const char *name)
{
	struct process process;

	process_succeed(&process,
	        &(struct process_options){
	                .arguments = (const char *[]){ SOURCE_DIR "/tests/soak/run", name, NULL },
	                .environment = (const char *[]){ "SHORT=1", "ANYGATE=" BUILD_DIR "/anygate",
	                        NULL },
	        });
	process_free(&process);
}

Test(soak, slow, .timeout = 120)
{
	check_scenario("slow");
}

Test(soak, descriptors, .timeout = 120)
{
	check_scenario("descriptors");
}

Test(soak, kill, .timeout = 120)
{
	check_scenario("kill");
}

Test(soak, mixed, .timeout = 120)
{
	check_scenario("mixed");
}

Test(soak, reload, .timeout = 120)
{
	check_scenario("reload");
}

Test(soak, upgrade, .timeout = 120)
{
	check_scenario("upgrade");
}

Test(soak, recycle, .timeout = 120)
{
	check_scenario("recycle");
}

Test(soak, programs, .timeout = 120)
{
	check_scenario("programs");
}
