/*
 * Each fuzzer for a few seconds from its seeds, as `make fuzz` runs it for longer: no finding, and
 * it does run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/process.h"

TestSuite(fuzz, .fini = support_check_leaks, .timeout = 120);

#define RUNS_MIN 1000

/* The number behind `text`, 0 where it does not stand there. */
static unsigned long number_behind(const char *said, const char *text)
{
	const char *at = strstr(said, text);

	return at ? strtoul(at + strlen(text), NULL, 10) : 0;
}

static void make_seeds(const char *directory, const char *name)
{
	struct process process;

	process_succeed(&process,
	        &(struct process_options){
	                .arguments = (const char *const[]){ SOURCE_DIR "/tests/fuzz/seeds",
	                        directory, name, NULL },
	        });
	process_free(&process);
}

static void run(const char *name)
{
	char program[256], findings[512], seeds[256];
	struct process process;

	snprintf(program, sizeof program, "%s/../fuzz/%s", BUILD_DIR, name);
	snprintf(findings, sizeof findings, "-artifact_prefix=%s/", support_directory());
	snprintf(seeds, sizeof seeds, "%s", support_path("seeds"));
	make_seeds(seeds, name);
	process_succeed(&process,
	        &(struct process_options){
	                .arguments = (const char *const[]){ program, "-max_total_time=3", "-seed=1",
	                        "-max_len=1024", "-print_final_stats=1", findings, seeds, NULL },
	                .environment = (const char *const[]){ "ASAN_OPTIONS=quarantine_size_mb=16",
	                        NULL },
	        });
	unsigned long runs = number_behind(process.err.data, "number_of_executed_units: ");

	cr_expect_gt(runs, RUNS_MIN, "%s: %lu executions", name, runs);
	process_free(&process);
}

Test(fuzz, http)
{
	run("http");
}

Test(fuzz, scgi)
{
	run("scgi");
}

Test(fuzz, uwsgi)
{
	run("uwsgi");
}

Test(fuzz, fastcgi)
{
	run("fastcgi");
}

Test(fuzz, fastcgi_records)
{
	run("fastcgi_records");
}

Test(fuzz, proxy)
{
	run("proxy");
}

Test(fuzz, forwarded)
{
	run("forwarded");
}

Test(fuzz, request)
{
	run("request");
}

Test(fuzz, cgi_head)
{
	run("cgi_head");
}

Test(fuzz, encode)
{
	run("encode");
}

Test(fuzz, config)
{
	run("config");
}

Test(fuzz, websocket)
{
	run("websocket");
}
