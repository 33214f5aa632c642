/* What `make install` puts in place: a program with ag_main and a shared object are made of it. */
#include "../support/client.h"
#include "../support/daemon.h"
#include "../support/program.h"
#include "../support/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXAMPLE SOURCE_DIR "/app/examples/standalone.c"

/* An installation below a directory, and a program made of it. */
struct site {
	const char *root;
	char program[128], file[128];
	const char *load; /* a line of [app main], or "" */
	struct daemon daemon;
};

/* A command line of the shell, with $ROOT and pkg-config's variables for the installation. */
static void run(const struct site *site, const char *command)
{
	char root[128], sysroot[128], search[160], library[160];
	const char *arguments[] = { "sh", "-ec", command, NULL };
	const char *environment[] = { root, sysroot, search, library, "MAKEFLAGS=", NULL };
	struct process process;

	snprintf(root, sizeof(root), "ROOT=%s", site->root);
	snprintf(sysroot, sizeof(sysroot), "PKG_CONFIG_SYSROOT_DIR=%s", site->root);
	snprintf(search, sizeof(search), "PKG_CONFIG_LIBDIR=%s/usr/lib/pkgconfig", site->root);
	snprintf(library, sizeof(library), "LD_LIBRARY_PATH=%s/usr/lib", site->root);
	const struct process_options options = { .arguments = arguments,
		.environment = environment };
	process_succeed(&process, &options);
	process_free(&process);
}

static void site_make(struct site *site)
{
	site->root = support_directory();
	snprintf(site->program, sizeof(site->program), "%s/standalone", site->root);
	site->load = "";
	snprintf(site->file, sizeof(site->file), "%s/site.ini", site->root);
	/* tests run side by side: one of them builds what is missing */
	run(site, "flock " SOURCE_DIR "/build make -s -C " SOURCE_DIR
	          " install DESTDIR=$ROOT PREFIX=/usr");
}

static void configure(const struct site *site, const char *greeting)
{
	FILE *file = fopen(site->file, "w");

	cr_assert(file);
	fprintf(file,
	        "[daemon]\nworkers = 1\ndirectory = %s\npidfile = pid\nreload_watch = 0\n"
	        "[listen main]\naddress = 127.0.0.1:0\n"
	        "[admin]\nlisten = unix:admin.sock\n"
	        "[app main]\n%sgreeting = %s\n"
	        "[app other]\nload = hello\nmount = /other\n",
	        site->root, site->load, greeting);
	fclose(file);
}

static void start(struct site *site)
{
	char command[512];
	const char *arguments[] = { "sh", "-c", command, NULL };
	const struct process_options options = { .arguments = arguments };

	snprintf(command, sizeof(command), "LD_LIBRARY_PATH=%s/usr/lib exec %s -c %s", site->root,
	        site->program, site->file);
	daemon_start_with(&site->daemon, 1, &options);
}

static void expect_body(struct response *response, const char *body, const char *what)
{
	cr_expect_eq(response->status, 200, "%s: %d", what, response->status);
	cr_expect_eq(response->body.length, strlen(body), "%s: %.*s", what,
	        (int)response->body.length, response->body.data);
	cr_expect(memcmp(response->body.data, body, response->body.length) == 0, "%s: %.*s", what,
	        (int)response->body.length, response->body.data);
	response_free(response);
}

/* By two gates, and another application beside it. */
static void expect_greeting(const struct site *site, const char *body)
{
	gate_variables variables = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/?name=you",
		"QUERY_STRING", "name=you", "SERVER_PROTOCOL", "HTTP/1.1", NULL };
	const char *address = daemon_address(&site->daemon);
	struct response response;

	http_get(address, "/?name=you", &response);
	expect_body(&response, body, "http");
	gate_request("scgi", address, variables, NULL, 0, &response);
	expect_body(&response, body, "scgi");
	http_get(address, "/other/", &response);
	expect_body(&response, "Hello, world\n", "other");
}

static void reload(struct site *site)
{
	configure(site, "Salut");
	kill(site->daemon.process.pid, SIGHUP);
	daemon_expect(&site->daemon, "generation 2 serves");
	expect_greeting(site, "Salut, you\n");
}

#define PROGRAM "${ROOT}/standalone"
#define FLAGS   "-Wall -Wextra -Werror "

/* How the example becomes something to run. */
static const struct {
	const char *command, *program, *load;
} forms[] = {
	{ "cc " FLAGS EXAMPLE " -o " PROGRAM " $(pkg-config --cflags --libs anygate) &&"
	  "readelf -d " PROGRAM " | grep -q 'NEEDED.*libanygate\\.so\\.[0-9]'",
	        "standalone", "" },
	{ "cc " FLAGS "-Wl,--as-needed " EXAMPLE " -o " PROGRAM " -l:libanygate.a"
	  " $(pkg-config --cflags --static --libs anygate) &&"
	  "! readelf -d " PROGRAM " | grep libanygate",
	        "standalone", "" },
	{ "cc " FLAGS "-shared -fPIC " EXAMPLE " -o " PROGRAM ".so"
	  " $(pkg-config --cflags anygate)",
	        "usr/bin/anygate", "load = standalone.so\n" },
};

Test(install, an_application_of_each_form, .timeout = 300)
{
	struct site site;

	site_make(&site);
	for (size_t i = 0; i < COUNT(forms); i++) {
		run(&site, forms[i].command);
		snprintf(site.program, sizeof(site.program), "%s/%s", site.root, forms[i].program);
		site.load = forms[i].load;
		configure(&site, "Hello");
		start(&site);
		expect_greeting(&site, "Hello, you\n");
		reload(&site);
		daemon_stop(&site.daemon);
	}
}

/* Like the daemon's own commands. */
static const struct {
	const char *command;
} commands[] = {
	{ PROGRAM " -t -c ${ROOT}/site.ini" },
	{ PROGRAM " -V | grep -x 'standalone (anygate [0-9.]*)'" },
	{ PROGRAM " -h | head -1 | grep -x 'usage: standalone \\[options\\] \\[-c FILE\\]'" },
	{ PROGRAM " --print-config | grep -x 'load = self'" },
	{ PROGRAM " status --once -c ${ROOT}/site.ini | grep -q 'generation 1'" },
	{ PROGRAM " reload -c ${ROOT}/site.ini | grep -x 'reloaded: generation 2 serves'" },
	{ PROGRAM " ./other.so 2>&1 | grep -x 'anygate: unexpected argument \"./other.so\":"
	          " standalone serves its own application; others go into -c FILE'" },
};

Test(install, the_whole_command_line, .timeout = 300)
{
	struct site site;

	site_make(&site);
	run(&site, forms[0].command);
	configure(&site, "Hello");
	start(&site);
	for (size_t i = 0; i < COUNT(commands); i++)
		run(&site, commands[i].command);
	run(&site,
	        "sed s/Hello/Moin/ " EXAMPLE " >${ROOT}/new.c; sed -i /greeting/d ${ROOT}/site.ini;"
	        "cc ${ROOT}/new.c -o ${ROOT}/new $(pkg-config --cflags --libs anygate);"
	        "mv ${ROOT}/new " PROGRAM);
	kill(site.daemon.process.pid, SIGUSR2);
	daemon_expect(&site.daemon, "upgraded to ");
	daemon_expect(&site.daemon, "generation 3 serves"); /* no worker before accepts now */
	expect_greeting(&site, "Moin, you\n");
	run(&site, PROGRAM " stop -c ${ROOT}/site.ini");
	daemon_end(&site.daemon, 0, false);
}

Test(install, nothing_but_the_interface_and_no_leftovers, .timeout = 120)
{
	struct site site;

	site_make(&site);
	run(&site,
	        "nm -D --defined-only ${ROOT}/usr/lib/libanygate.so >${ROOT}/symbols;"
	        "grep -q ' T ag_main$' ${ROOT}/symbols; ! grep -v ' [TDRBV] ag_' ${ROOT}/symbols");
	run(&site, "nm -g --defined-only ${ROOT}/usr/lib/libanygate.a >${ROOT}/symbols;"
	           "grep -q ' T ag_main$' ${ROOT}/symbols;"
	           "! grep -vE ' [TDRBV] ag_|^$|:$' ${ROOT}/symbols");
	run(&site, "touch ${ROOT}/usr/include/other.h;"
	           "make -s -C " SOURCE_DIR " uninstall DESTDIR=$ROOT PREFIX=/usr;"
	           "test \"$(find ${ROOT}/usr ! -type d)\" = ${ROOT}/usr/include/other.h");
}
