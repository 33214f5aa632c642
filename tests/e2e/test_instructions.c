/* What a request costs in instructions: no gate more than its last row in tests/bench/history.tsv.
 */
#include <stdio.h>
#include <string.h>

#include "tests/support/process.h"
#include "tests/support/program.h"

TestSuite(instructions, .fini = support_check_leaks, .timeout = 180);

/* Runs tests/bench/instructions --check. */
static int check(struct process *process, const char *history, const char *gate)
{
	char setting[512];

	snprintf(setting, sizeof(setting), "HISTORY=%s", history ? history : "");
	return process_run(process,
	        &(struct process_options){
	                .arguments = (const char *[]){ SOURCE_DIR "/tests/bench/instructions",
	                        "--check", gate, NULL },
	                .environment = history ? (const char *[]){ setting, NULL } : NULL,
	        });
}

Test(instructions, every_gate)
{
	struct process process;
	int status = check(&process, NULL, NULL);

	cr_expect_eq(status, 0, "%s", process.err.data);
	process_free(&process);
}

Test(instructions, more_than_before)
{
	const char *history = program_file("history.tsv",
	        "# of another time\nthen\thttp+keep\t100000000\nnow\thttp+keep\t1000\n", 0644);
	struct process process;
	int status = check(&process, history, "http+keep");

	cr_expect_eq(status, 1, "%d: %s", status, process.err.data);
	cr_expect(strstr(process.err.data, "http+keep: ") &&
	                  strstr(process.err.data, ", 1000 before"),
	        "%s", process.err.data);
	cr_expect(strstr(process.err.data, "tests/bench/instructions --record"), "%s",
	        process.err.data);
	process_free(&process);
}

Test(instructions, never_counted)
{
	const char *history = program_file("history.tsv", "then\tscgi\t1\n", 0644);
	struct process process;
	int status = check(&process, history, "uwsgi");

	cr_expect_eq(status, 1, "%d: %s", status, process.err.data);
	cr_expect(
	        strstr(process.err.data, "uwsgi: history.tsv has no row"), "%s", process.err.data);
	process_free(&process);
}
