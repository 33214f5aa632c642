/* The short form of tests/bench/waits: a word reaches everybody who waits, once. No times. */
#include <string.h>

#include "tests/support/process.h"

SUITE(crowd);

Test(crowd, hears_every_word_once, .timeout = 120)
{
	struct process process;
	int status = process_run(&process,
	        &(struct process_options){
	                .arguments = (const char *[]){ SOURCE_DIR "/tests/bench/waits", "crowd",
	                        NULL },
	                .environment = (const char *[]){ "CLIENTS=500", "ROUNDS=3",
	                        "BUILD=" SOURCE_DIR "/build", "ANYGATE=" BUILD_DIR "/anygate",
	                        "APPS=" BUILD_DIR "/apps", NULL },
	        });
	static const char *const lines[] = { "ws: 500 clients heard 3 messages each, once",
		"poll: 500 clients heard 3 messages each, once" };

	cr_expect_eq(status, 0, "status %d\n%s", status, process.err.data);
	for (size_t i = 0; i < COUNT(lines); i++)
		cr_expect(strstr(process.out.data, lines[i]), "%s: %s", lines[i], process.out.data);
	process_free(&process);
}
