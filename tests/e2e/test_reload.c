/* HUP: one generation follows another, or nothing has happened but a line in the log. */
#include "../support/client.h"
#include "../support/daemon.h"
#include "../support/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKERS 2

#define AT_ONCE "reload_watch = 0\n"
#define PROBED  DAEMON_APPS "probed.so"

/* A daemon with a configuration file in a directory of its own. */
struct site {
	unsigned workers; /* 0: WORKERS; one takes connections in the order in which they came */
	char directory[64], file[96];
	struct daemon daemon;
};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert(file, "%s", path);
	fputs(text, file);
	fclose(file);
}

/* What all tests share, then `more`: it begins in the section [daemon]. */
static void configure(const struct site *site, const char *more)
{
	char text[2048];

	snprintf(text, sizeof(text),
	        "[listen main]\naddress = unix:%s/main.sock\n[daemon]\nworkers = %u\n%s",
	        site->directory, site->workers ? site->workers : WORKERS, more);
	write_file(site->file, text);
}

static void site_start(struct site *site, const char *more)
{
	snprintf(site->directory, sizeof(site->directory), "%s/XXXXXX", support_directory());
	cr_assert(mkdtemp(site->directory));
	snprintf(site->file, sizeof(site->file), "%s/anygate.ini", site->directory);
	configure(site, more);
	daemon_start(&site->daemon, 1, "-c", site->file, NULL);
}

static void site_stop(struct site *site)
{
	daemon_stop(&site->daemon);
	unlink(site->file);
	cr_expect_eq(rmdir(site->directory), 0, "something is left in %s", site->directory);
}

static void check_body(const struct site *site, const char *target, const char *expected)
{
	struct response response;

	http_get(daemon_address(&site->daemon), target, &response);
	cr_expect_eq(response.status, 200, "%s: %d", target, response.status);
	cr_expect(strstr(response.body.data, expected), "%s: no %s in %s", target, expected,
	        response.body.data);
	response_free(&response);
}

static void check_status(const struct site *site, const char *target, int expected)
{
	http_check(daemon_address(&site->daemon), target, expected, NULL);
}

static void reload(struct site *site, const char *expected)
{
	kill(site->daemon.process.pid, SIGHUP);
	daemon_expect(&site->daemon, expected);
}

Test(reload, changes_the_application, .timeout = 60)
{
	struct site site = { 0 };

	site_start(&site, AT_ONCE "[app main]\nload = hello\n");
	check_body(&site, "/", "Hello, world");
	configure(&site, AT_ONCE "[app main]\nload = env\n");
	reload(&site, "reloaded: generation 2 serves");
	check_body(&site, "/", "\"protocol\":\"http\"");
	site_stop(&site);
}

/* Faults that leave all as it was; %s is the site's directory. */
static const struct {
	const char *name, *more, *message;
} faults[] = {
	{ "unknown key", "wrokers = 1\n[app main]\nload = hello\n", "wrokers" },
	{ "unknown application", AT_ONCE "[app main]\nload = nothing\n", "nothing" },
	{ "missing object", AT_ONCE "[app main]\nload = /nowhere/app.so\n", "/nowhere/app.so" },
	{ "load fails", AT_ONCE "[app main]\nload = " DAEMON_APPS "fails.so\n", "fails.so" },
	{ "a probe", AT_ONCE "[app main]\nload = " PROBED "\nprobe = /broken\n",
	        "probe /broken of [app main]: status 500" },
	{ "a probe below its mount",
	        AT_ONCE "[app main]\nload = " PROBED "\nmount = /a/\nprobe = /none\n",
	        "probe /a/none of [app main]: status 404" },
	{ "a probe of something else",
	        AT_ONCE "[app main]\nload = " PROBED "\nprobe = /a/ready\n"
	                "[app a]\nload = hello\nmount = /a\n",
	        "probe /a/ready of [app main]: another application answers there" },
	{ "a probe that never answers",
	        AT_ONCE "start_timeout = 1s\n[app main]\nload = " PROBED "\nprobe = /never\n",
	        "probe /never of [app main]: no answer within daemon.start_timeout" },
	{ "address in use",
	        AT_ONCE "[listen other]\naddress = unix:/proc/none.sock\n"
	                "[app main]\nload = hello\n",
	        "/proc/none.sock" },
};

Test(reload, broken_ones_change_nothing, .timeout = 120)
{
	struct site site = { 0 };

	site_start(&site, AT_ONCE "[app main]\nload = hello\n");
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		configure(&site, faults[i].more);
		reload(&site, "not reloaded: ");
		daemon_expect(&site.daemon, faults[i].message);
		daemon_expect(&site.daemon, "generation 1 goes on");
		check_body(&site, "/", "Hello, world");
	}
	configure(&site, AT_ONCE "[app main]\nload = env\n");
	reload(&site, "reloaded: generation ");
	check_body(&site, "/", "\"protocol\"");
	site_stop(&site);
}

/* "/" knows whether this worker was asked before. */
Test(reload, probes_come_first, .timeout = 60)
{
	struct site site = { 0 };

	site_start(&site, AT_ONCE "[app main]\nload = " PROBED "\n");
	check_status(&site, "/", 500);
	configure(&site, AT_ONCE "[app main]\nload = " PROBED "\nprobe = /ready?n=1\n");
	reload(&site, "reloaded: generation 2 serves");
	for (int i = 0; i < 4 * WORKERS; i++)
		check_body(&site, "/", "anygate-probe asked /ready?n=1");
	site_stop(&site);
}

/* The only word of a first start. */
Test(reload, probe_of_the_first_start, .timeout = 60)
{
	struct process process;

	cr_expect_eq(daemon_run(&process, "-w", "2", "-l", "127.0.0.1:0", "-s",
	                     "app.main.probe=/broken", PROBED, NULL),
	        1);
	cr_expect_str_eq(process.err.data, "anygate: probe /broken of [app main]: status 500\n");
	process_free(&process);
}

/* A generation that dies while it is watched is taken back. */
Test(reload, dying_ones_are_rolled_back, .timeout = 60)
{
	struct site site = { 0 };
	pid_t before[8], after[8];

	site_start(&site, AT_ONCE "[app main]\nload = hello\n");
	cr_assert_eq(process_children(site.daemon.process.pid, before, 8), WORKERS);
	configure(&site, "reload_watch = 1h\n[app main]\nload = env\n");
	reload(&site, "reloading: generation 2 follows 1");
	daemon_expect(&site.daemon, "generation 2 is ready");
	cr_assert_eq(process_children(site.daemon.process.pid, after, 8), 2 * WORKERS);
	for (size_t i = 0; i < 2 * WORKERS; i++)
		if (after[i] != before[0] && after[i] != before[1]) {
			kill(after[i], SIGKILL);
			break;
		}
	daemon_expect(&site.daemon, "died of signal 9");
	daemon_expect(&site.daemon, "generation 1 goes on");
	configure(&site, AT_ONCE "[app main]\nload = hello\n");
	reload(&site, "reloaded: generation 3 serves");
	check_body(&site, "/", "Hello, world");
	site_stop(&site);
}

/* Listeners come and go with their sockets' files; the one that stays keeps its queue. */
Test(reload, changes_listeners, .timeout = 60)
{
	struct site site = { 0 };
	char more[512], other[96], path[96];

	site_start(&site, AT_ONCE "[app main]\nload = hello\n");
	snprintf(other, sizeof(other), "unix:%s/other.sock", site.directory);
	snprintf(path, sizeof(path), "%s/other.sock", site.directory);
	snprintf(more, sizeof(more),
	        AT_ONCE "[listen other]\naddress = %s\n[app main]\nload = hello\n", other);
	configure(&site, more);
	reload(&site, "reloaded: generation 2 serves");
	http_check(other, "/", 200, NULL);
	configure(&site, AT_ONCE "[app main]\nload = hello\n");
	reload(&site, "reloaded: generation 3 serves");
	cr_expect_eq(access(path, F_OK), -1, "%s is still there", path);
	check_status(&site, "/", 200);
	site_stop(&site);
}

/* An answer that takes its time is finished by the generation that began it. */
Test(reload, finishes_what_is_in_flight, .timeout = 60)
{
	struct site site = { .workers = 1 };
	struct client client;
	struct response response;

	site_start(&site, AT_ONCE "[app main]\nload = " DAEMON_APPS "napper.so\n");
	client_open(&client, daemon_address(&site.daemon));
	http_ask(&client, "/?ms=700");
	check_status(&site, "/?ms=0", 200);
	check_status(&site, "/?ms=0", 200); /* so the first is in flight */
	reload(&site, "reloaded: generation 2 serves");
	client_response(&client, "GET", &response);
	cr_expect_eq(response.status, 200);
	cr_expect_str_eq(response_field(&response, "Connection"), "close");
	response_free(&response);
	client_close(&client);
	site_stop(&site);
}

/* An idle connection gets its next request answered, and learns that it is the last. */
Test(reload, idle_connections_get_one_more, .timeout = 60)
{
	struct site site = { 0 };
	struct client client;
	struct response response;

	site_start(&site, AT_ONCE "[app main]\nload = hello\n");
	client_open(&client, daemon_address(&site.daemon));
	for (int i = 0; i < 2; i++) {
		http_ask(&client, "/");
		client_response(&client, "GET", &response);
		cr_expect_eq(response.status, 200);
		cr_expect_str_eq(response_field(&response, "Connection"), i ? "close" : "");
		response_free(&response);
		if (!i)
			reload(&site, "reloaded: generation 2 serves");
	}
	client_close(&client);
	site_stop(&site);
}

/*
 * FastCGI can't say that a connection closes: what stands behind END_REQUEST keeps nginx from using
 * it again, and only nginx gets it.
 */
static void check_farewell(const char *software, const char *expected, size_t length)
{
	struct site site = { .workers = 1 };
	struct client client;
	struct response response;
	struct bytes request = { 0 };

	site_start(&site, AT_ONCE "[app main]\nload = hello\n");
	fastcgi_build(&request, 1, FASTCGI_KEEP,
	        (const char *const[]){ "REQUEST_METHOD", "GET", "REQUEST_URI", "/",
	                "SERVER_PROTOCOL", "HTTP/1.1", "SERVER_SOFTWARE", software, NULL },
	        NULL, 0);
	client_open(&client, daemon_address(&site.daemon));
	for (int i = 0; i < 2; i++) {
		client_send(&client, request.data, request.length);
		fastcgi_response(&client, 1, &response);
		cr_expect_eq(response.status, 200);
		response_free(&response);
		if (!i)
			reload(&site, "reloaded: generation 2 serves");
	}
	client_read_all(&client);
	cr_expect_eq(client.in.length, length, "%s: %zu bytes", software, client.in.length);
	cr_expect_eq(memcmp(client.in.data, expected, length), 0);
	bytes_free(&request);
	client_close(&client);
	site_stop(&site);
}

Test(reload, nginx_learns_that_a_kept_fastcgi_connection_closes, .timeout = 60)
{
	check_farewell("nginx/1.22.1", "\1\12\0\0\0\0\0\0", 8);
}

Test(reload, others_just_see_it_close, .timeout = 60)
{
	check_farewell("Apache", "", 0);
}

/* TTIN, TTOU: one worker more or less. */
Test(reload, ttin_and_ttou, .timeout = 60)
{
	struct site site = { 0 };
	pid_t children[8], master;

	site_start(&site, AT_ONCE "[app main]\nload = hello\n");
	master = site.daemon.process.pid;
	kill(master, SIGTTIN);
	daemon_expect(&site.daemon, "3 workers from now on");
	while (process_children(master, children, 8) != 3)
		usleep(1000);
	kill(master, SIGTTOU);
	daemon_expect(&site.daemon, "2 workers from now on");
	while (process_children(master, children, 8) != 2)
		usleep(1000);
	check_status(&site, "/", 200);
	site_stop(&site);
}
