/* [admin]: what the daemon tells of itself, and that it goes on telling. */
#include "../support/client.h"
#include "../support/daemon.h"
#include "../support/json.h"
#include "../support/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NAPPER  "[app main]\nload = " DAEMON_APPS "napper.so\n"
#define HELLO   "[app main]\nload = hello\n"
#define CHANGES 10000 /* looks at something that changes in its own time, 1 ms apart */

/* A daemon with [admin], in a directory of its own. */
struct site {
	char directory[64], file[96], admin[128];
	struct daemon daemon;
};

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert(file, "%s", path);
	fputs(text, file);
	fclose(file);
}

/* `more` begins in [admin]. */
static void configure(const struct site *site, const char *more)
{
	char text[2048];

	snprintf(text, sizeof(text),
	        "[daemon]\nworkers = 2\nreload_watch = 0\nrequest_timeout = 0\n"
	        "[listen main]\naddress = unix:%s/main.sock\n[admin]\n%s",
	        site->directory, more);
	write_text(site->file, text);
}

static void site_make(struct site *site)
{
	snprintf(site->directory, sizeof(site->directory), "/tmp/anygate-admin-XXXXXX");
	cr_assert(mkdtemp(site->directory));
	snprintf(site->file, sizeof(site->file), "%s/anygate.ini", site->directory);
	snprintf(site->admin, sizeof(site->admin), "unix:%s/admin.sock", site->directory);
}

/* The usual [admin], then `more`. */
static void configure_admin(const struct site *site, const char *more)
{
	char text[1024];

	snprintf(text, sizeof(text), "listen = %s\n%s", site->admin, more);
	configure(site, text);
}

static void site_start(struct site *site, const char *more)
{
	site_make(site);
	configure_admin(site, more);
	daemon_start(&site->daemon, 2, "-c", site->file, NULL);
	cr_assert_str_eq(site->daemon.listening[1].address, site->admin);
	cr_assert_str_eq(site->daemon.listening[1].protocol, "admin");
}

static void site_remove(struct site *site)
{
	unlink(site->file);
	cr_expect_eq(rmdir(site->directory), 0, "something is left in %s", site->directory);
}

static void site_stop(struct site *site)
{
	daemon_stop(&site->daemon);
	site_remove(site);
}

/* The body of an answer with this status; to be freed. */
static char *fetch(const char *address, const char *target, int status)
{
	struct response response;
	char *body;

	http_get(address, target, &response);
	cr_assert_eq(response.status, status, "%s: %d", target, response.status);
	body = strdup(response.body.data ? response.body.data : "");
	response_free(&response);
	return body;
}

static void check(const char *address, const char *target, int status, const char *expected)
{
	char *body = fetch(address, target, status);

	cr_expect(strstr(body, expected), "%s: no \"%s\" in %s", target, expected, body);
	free(body);
}

/* A number of /status.json. */
static long figure(const struct site *site, const char *path)
{
	char *text = fetch(site->admin, "/status.json", 200), *value = json_get(text, path);
	long number;

	cr_assert(value, "no %s in %s", path, text);
	number = strtol(value, NULL, 10);
	free(value);
	free(text);
	return number;
}

/* No event tells of a figure: looks until it is as expected. */
static void await_figure(const struct site *site, const char *path, long expected)
{
	for (int i = 0; i < CHANGES; i++) {
		if (figure(site, path) == expected)
			return;
		usleep(1000);
	}
	cr_assert_eq(figure(site, path), expected, "%s", path);
}

/* Whether it is a worker, as the scoreboard says. */
static bool is_worker(const struct site *site, pid_t pid)
{
	char *text = fetch(site->admin, "/status.txt", 200), field[32];
	bool found;

	snprintf(field, sizeof(field), "\tpid=%d\t", (int)pid);
	found = strstr(text, field);
	free(text);
	return found;
}

/* The process of [admin], other than `but`: the daemon's only child that is no worker. */
static pid_t admin_pid(struct site *site, pid_t but)
{
	pid_t children[16];

	for (int i = 0; i < CHANGES; i++, usleep(1000)) {
		size_t count = process_children(site->daemon.process.pid, children, 16);

		for (size_t j = 0; j < count && j < 16; j++)
			if (children[j] != but && !is_worker(site, children[j]))
				return children[j];
	}
	FAIL("there is no such process");
	return -1;
}

Test(admin, counts_what_happens, .timeout = 60)
{
	static const char *const scgi[] = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/?ms=0",
		"SERVER_PROTOCOL", "HTTP/1.1", NULL };
	struct site site;
	struct response response;

	site_start(&site, NAPPER);
	for (int i = 0; i < 3; i++)
		check(site.daemon.listening[0].address, "/?ms=0", 200, "awake");
	free(fetch(site.daemon.listening[0].address, "/none", 404));
	gate_request("scgi", site.daemon.listening[0].address, scgi, NULL, 0, &response);
	cr_expect_eq(response.status, 200);
	response_free(&response);
	await_figure(&site, "totals/latency_us/count", 5);
	cr_expect_eq(figure(&site, "totals/by_gate/http"), 4);
	cr_expect_eq(figure(&site, "totals/by_gate/scgi"), 1);
	cr_expect_eq(figure(&site, "totals/by_class/2xx"), 4);
	cr_expect_eq(figure(&site, "totals/by_class/4xx"), 1);
	await_figure(&site, "totals/connections", 0);
	cr_expect_eq(figure(&site, "totals/accepted"), 5);
	cr_expect_eq(figure(&site, "daemon/wanted"), 2);
	cr_expect_eq(figure(&site, "workers/0/number"), 1);
	cr_expect_eq(figure(&site, "workers/1/number"), 2);
	cr_expect_gt(figure(&site, "workers/1/rss_bytes"), 4096);
	cr_expect_eq(figure(&site, "workers/0/requests") + figure(&site, "workers/1/requests"), 5);
	cr_expect_eq(figure(&site, "daemon/pid"), site.daemon.process.pid);
	site_stop(&site);
}

/* Runs the strict parser over files; returns its status. */
static int parse_metrics(const char *one, const char *other)
{
	const char *arguments[] = { SOURCE_DIR "/tests/support/openmetrics", one, other, NULL };
	struct process process;
	int status = process_run(&process, &(struct process_options){ .arguments = arguments });

	fprintf(stderr, "%s%s", process.out.data ? process.out.data : "",
	        process.err.data ? process.err.data : "");
	process_free(&process);
	return status;
}

static void save_metrics(const struct site *site, const char *path)
{
	char *text = fetch(site->admin, "/metrics", 200);

	write_text(path, text);
	free(text);
}

/* The daemon's counters never fall, though the worker that counted is gone. */
Test(admin, metrics_are_strict_and_grow, .timeout = 60)
{
	struct site site;
	char before[128], after[128];
	pid_t worker;

	snprintf(before, sizeof(before), "%s", support_path("before"));
	snprintf(after, sizeof(after), "%s", support_path("after"));
	site_start(&site, HELLO);
	for (int i = 0; i < 20; i++)
		check(site.daemon.listening[0].address, "/", 200, "Hello");
	await_figure(&site, "totals/latency_us/count", 20);
	save_metrics(&site, before);
	worker = (pid_t)figure(&site, "workers/0/pid");
	kill(worker, SIGKILL);
	await_figure(&site, "daemon/deaths", 1);
	check(site.daemon.listening[0].address, "/", 200, "Hello");
	await_figure(&site, "totals/latency_us/count", 21);
	save_metrics(&site, after);
	cr_expect_eq(parse_metrics(before, after), 0);
	check(site.admin, "/metrics", 200, "\nanygate_requests_total{gate=\"http\"} 21\n");
	check(site.admin, "/metrics", 200, "\nanygate_request_duration_seconds_count 21\n");
	check(site.admin, "/metrics", 200, "\nanygate_worker_deaths_total 1\n");
	/* that it can fail */
	cr_expect_neq(parse_metrics(after, before), 0, "a counter fell");
	write_text(after, "# TYPE a counter\na 1\n# EOF\n");
	cr_expect_neq(parse_metrics(after, NULL), 0, "not OpenMetrics");
	site_stop(&site);
}

/* Waits until somebody listens there. */
static void await_socket(const char *address)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	strncpy(un.sun_path, address + 5, sizeof(un.sun_path) - 1);
	for (int i = 0; i < CHANGES; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int bad = connect(fd, (struct sockaddr *)&un, sizeof(un));

		close(fd);
		if (!bad)
			return;
		usleep(1000);
	}
	FAIL("nobody listens on %s", address);
}

Test(admin, health_from_start_to_stop, .timeout = 60)
{
	struct site site;
	struct client client;
	struct response response;
	struct bytes request = { 0 };
	char more[512], when[128];

	site_make(&site);
	snprintf(when, sizeof(when), "%s", support_path("when"));
	snprintf(more, sizeof(more),
	        NAPPER "[app slow]\nload = " DAEMON_APPS "sluggish.so\nmount = /slow\nwhen = %s\n",
	        when);
	configure_admin(&site, more);
	const char *arguments[] = { DAEMON_PROGRAM, "-c", site.file, NULL };

	process_start(&site.daemon.process, &(struct process_options){ .arguments = arguments });
	await_socket(site.admin);
	check(site.admin, "/healthz", 503, "starting");
	check(site.admin, "/healthz/live", 200, "live");
	write_text(when, "");
	daemon_expect(&site.daemon, "(admin)\n");
	check(site.admin, "/healthz", 200, "ready");

	configure_admin(&site, "nonsense = 1\n");
	kill(site.daemon.process.pid, SIGHUP);
	daemon_expect(&site.daemon, "not reloaded: ");
	check(site.admin, "/healthz/ready", 200, "ready");
	cr_expect_eq(figure(&site, "daemon/failed_reloads"), 1);

	snprintf(more, sizeof(more), "unix:%s/main.sock", site.directory);
	client_open(&client, more);
	http_build(&request, "GET", "/?ms=1500", NULL, NULL, 0);
	client_send(&client, request.data, request.length);
	client_flush(&client);
	await_figure(&site, "totals/in_flight", 1);
	kill(site.daemon.process.pid, SIGTERM);
	for (int i = 0; i < CHANGES; i++) {
		http_get(site.admin, "/healthz", &response);
		if (response.status == 503)
			break;
		response_free(&response);
		usleep(1000);
	}
	cr_expect(strstr(response.body.data, "stopping"), "%s", response.body.data);
	response_free(&response);
	client_response(&client, "GET", &response);
	cr_expect_eq(response.status, 200);
	response_free(&response);
	bytes_free(&request);
	client_close(&client);
	daemon_end(&site.daemon, 0, false);
	site_remove(&site);
}

/* What a worker runs is the client's text: it must not break any of the forms. */
Test(admin, requests_are_only_text, .timeout = 60)
{
	static const char *const request[] = { "REQUEST_METHOD", "GET", "REQUEST_URI",
		"/?<script>\"\\&'\xff\x1b[1m\xe2\x82", "SERVER_PROTOCOL", "HTTP/1.1", NULL };
	struct site site;
	struct client client;
	struct bytes bytes = { 0 };
	char *text, *uri = NULL, path[32];
	int worker = 0;

	site_start(&site, "[app main]\nload = " DAEMON_APPS "spin.so\n");
	scgi_build(&bytes, request, NULL, 0);
	client_open(&client, site.daemon.listening[0].address);
	client_send(&client, bytes.data, bytes.length);
	client_flush(&client);
	await_figure(&site, "totals/in_flight", 1);
	for (int i = 0; i < CHANGES && !uri; i++) {
		worker = i % 2;
		snprintf(path, sizeof(path), "workers/%d/running/uri", worker);
		text = fetch(site.admin, "/status.json", 200);
		uri = json_get(text, path);
		free(text);
	}
	cr_assert(uri, "no worker runs it");
	cr_expect_str_eq(uri, request[3]);
	free(uri);
	text = fetch(site.admin, "/status", 200);
	cr_expect(strstr(text, "GET /?&lt;script&gt;&quot;"), "%s", text);
	cr_expect(!strstr(text, "<script"), "%s", text);
	free(text);
	text = fetch(site.admin, "/status.txt", 200);
	cr_expect(strstr(text, "running=GET /?<script>\"\\&'??[1m??\n"), "%s", text);
	free(text);
	snprintf(path, sizeof(path), "workers/%d/pid", worker);
	kill((pid_t)figure(&site, path), SIGKILL);
	await_figure(&site, "totals/in_flight", 0);
	client_close(&client);
	bytes_free(&bytes);
	site_stop(&site);
}

Test(admin, lives_on, .timeout = 120)
{
	struct site site;
	pid_t before;
	char died[64];

	site_start(&site, HELLO);
	before = admin_pid(&site, -1);
	for (int i = 0; i < 3; i++) {
		kill(before, SIGKILL);
		snprintf(died, sizeof(died), "worker 0 (pid %d) died of signal 9", (int)before);
		daemon_expect(&site.daemon, died);
		before = admin_pid(&site, before);
	}
	cr_expect_eq(figure(&site, "daemon/deaths"), 0, "it is no worker");
	kill(site.daemon.process.pid, SIGHUP);
	daemon_expect(&site.daemon, "generation 2 serves");
	await_figure(&site, "workers/0/generation", 2);
	check(site.admin, "/healthz", 200, "ready");
	kill(site.daemon.process.pid, SIGUSR2);
	daemon_expect(&site.daemon, "generation 3 serves");
	await_figure(&site, "daemon/upgrades", 1);
	await_figure(&site, "workers/0/generation", 3);
	cr_expect_eq(figure(&site, "daemon/reloads"), 2);
	check(site.admin, "/healthz", 200, "ready");
	kill(site.daemon.process.pid, SIGHUP);
	daemon_expect(&site.daemon, "generation 4 serves");
	await_figure(&site, "daemon/reloads", 3);
	site_stop(&site);
}

static size_t children_of(struct site *site)
{
	pid_t children[16];

	return process_children(site->daemon.process.pid, children, 16);
}

static void await_children(struct site *site, size_t count)
{
	for (int i = 0; i < CHANGES && children_of(site) != count; i++)
		usleep(1000);
	cr_expect_eq(children_of(site), count);
}

/* Another address, none, and one again: a reload is all it takes. */
Test(admin, moves_with_a_reload, .timeout = 60)
{
	struct site site;
	char more[256], other[128], path[128];

	site_start(&site, HELLO);
	snprintf(other, sizeof(other), "unix:%s/other.sock", site.directory);
	snprintf(more, sizeof(more), "listen = %s\nmode = 0640\n" HELLO, other);
	configure(&site, more);
	kill(site.daemon.process.pid, SIGHUP);
	daemon_expect(&site.daemon, "generation 2 serves");
	check(other, "/healthz", 200, "ready");
	cr_expect_neq(access(site.admin + 5, F_OK), 0, "the old socket is there");

	struct stat status;

	cr_assert_eq(stat(other + 5, &status), 0);
	cr_expect_eq(status.st_mode & 0777, 0640);
	configure(&site, HELLO);
	kill(site.daemon.process.pid, SIGHUP);
	daemon_expect(&site.daemon, "generation 3 serves");
	await_children(&site, 2);
	snprintf(path, sizeof(path), "%s", other + 5);
	cr_expect_neq(access(path, F_OK), 0, "the old socket is there");
	configure_admin(&site, HELLO);
	kill(site.daemon.process.pid, SIGHUP);
	daemon_expect(&site.daemon, "generation 4 serves");
	check(site.admin, "/healthz", 200, "ready");
	site_stop(&site);
}

/* Without a word to those that may not come. */
Test(admin, knows_who_may_come, .timeout = 60)
{
	struct site site;
	struct response response;
	struct stat status;

	site_start(&site, "allowed_clients = user:4000000000\n" HELLO);
	cr_assert_eq(stat(site.admin + 5, &status), 0);
	cr_expect_eq(status.st_mode & 0777, 0600, "the default mode");
	http_get(site.admin, "/healthz/live", &response);
	cr_expect_eq(response.status, 0);
	response_free(&response);
	site_stop(&site);
}

Test(admin, by_tcp, .timeout = 60)
{
	struct daemon daemon;

	daemon_start(&daemon, 2, "-l", "127.0.0.1:0", "-w", "1", "-s", "admin.listen=127.0.0.1:0",
	        "hello", NULL);
	cr_expect(strstr(daemon.listening[1].address, "127.0.0.1:"));
	check(daemon.listening[1].address, "/healthz", 200, "ready");
	check(daemon.listening[0].address, "/healthz", 200, "Hello");
	daemon_stop(&daemon);
}

/* It shows what all clients ask for: not where any client can ask. */
Test(admin, is_no_ordinary_application)
{
	struct process process;

	cr_expect_eq(
	        daemon_run(&process, "-l", "127.0.0.1:0", "-s", "app.main.load=hello", "-s",
	                "app.other.mount=/status", "-s", "app.other.load=status", "hello", NULL),
	        2);
	cr_expect(strstr(process.err.data,
	                  "status: it is served where [admin] listen says, not by an [app]"),
	        "%s", process.err.data);
	process_free(&process);
}
