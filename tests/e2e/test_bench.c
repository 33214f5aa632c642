/* The short form of tests/bench: that each part still runs. What it measures is not judged. */
#include <stdio.h>
#include <string.h>

#include "tests/support/process.h"

TestSuite(bench, .fini = support_check_leaks, .timeout = 180);

static void check_part(const char *part, const char *expected)
{
	char out[256];
	struct process process;

	snprintf(out, sizeof(out), "OUT=%s", support_directory());
	process_succeed(&process,
	        &(struct process_options){
	                .arguments = (const char *[]){ SOURCE_DIR "/tests/bench/run", part, NULL },
	                .environment = (const char *[]){ "SHORT=1", "PEERS=none",
	                        "SCALE=routes streams bodies", out, NULL },
	        });
	const char *said = process.out.data;

	cr_expect(strstr(said, expected), "%s: no %s in\n%s", part, expected, said);
	process_free(&process);
}

Test(bench, gates)
{
	check_part("gates", "\nuwsgi, behind nginx  ");
}

Test(bench, scale)
{
	check_part("scale", "\nin and out uwsgi ");
}

Test(bench, memory)
{
	check_part("memory", "\nwaiting task");
}
