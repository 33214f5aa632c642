/* The short form of tests/bench/waits: a word reaches everybody who waits, once. No times. */
#include <string.h>

#include "tests/support/process.h"

SUITE(crowd);

Test(crowd, hears_every_word_once, .timeout = 120)
{
	static const char *const lines[] = { "ws: 500 clients heard 3 messages each, once",
		"poll: 500 clients heard 3 messages each, once" };
	struct process process;

	process_succeed(&process,
	        &(struct process_options){
	                .arguments = (const char *[]){ SOURCE_DIR "/tests/bench/waits", "crowd",
	                        NULL },
	                .environment = (const char *[]){ "CLIENTS=500", "ROUNDS=3",
	                        "BUILD=" SOURCE_DIR "/build", "ANYGATE=" BUILD_DIR "/anygate",
	                        "APPS=" BUILD_DIR "/apps", NULL },
	        });
	for (size_t i = 0; i < COUNT(lines); i++)
		cr_expect(strstr(process.out.data, lines[i]), "%s: %s", lines[i], process.out.data);
	process_free(&process);
}
