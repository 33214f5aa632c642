/* [admin]: what the daemon tells of itself. */
#include "../support/admin.h"
#include "../support/client.h"
#include "../support/json.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NAPPER "[app main]\nload = " DAEMON_APPS "napper.so\n"
#define HELLO  "[app main]\nload = hello\n"

Test(admin, counts_what_happens, .timeout = 60)
{
	static const char *const scgi[] = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/?ms=0",
		"SERVER_PROTOCOL", "HTTP/1.1", NULL };
	struct admin_site site;
	struct response response;

	admin_start(&site, NAPPER);
	for (int i = 0; i < 3; i++)
		admin_check(site.daemon.listening[0].address, "/?ms=0", 200, "awake");
	free(admin_fetch(site.daemon.listening[0].address, "/none", 404));
	gate_request("scgi", site.daemon.listening[0].address, scgi, NULL, 0, &response);
	cr_expect_eq(response.status, 200);
	response_free(&response);
	admin_await(&site, "totals/latency_us/count", 5);
	cr_expect_eq(admin_figure(&site, "totals/by_gate/http"), 4);
	cr_expect_eq(admin_figure(&site, "totals/by_gate/scgi"), 1);
	cr_expect_eq(admin_figure(&site, "totals/by_class/2xx"), 4);
	cr_expect_eq(admin_figure(&site, "totals/by_class/4xx"), 1);
	admin_await(&site, "totals/connections", 0);
	cr_expect_eq(admin_figure(&site, "totals/accepted"), 5);
	cr_expect_eq(admin_figure(&site, "daemon/wanted"), 2);
	cr_expect_eq(admin_figure(&site, "workers/0/number"), 1);
	cr_expect_eq(admin_figure(&site, "workers/1/number"), 2);
	cr_expect_gt(admin_figure(&site, "workers/1/rss_bytes"), 4096);
	cr_expect_eq(admin_figure(&site, "workers/0/requests") +
	                     admin_figure(&site, "workers/1/requests"),
	        5);
	cr_expect_eq(admin_figure(&site, "daemon/pid"), site.daemon.process.pid);
	admin_stop(&site);
}

/* Runs the strict parser over files; returns its status. */
static int parse_metrics(const char *one, const char *other)
{
	const char *arguments[] = { SOURCE_DIR "/tests/support/openmetrics", one, other, NULL };
	struct process process;
	int status = process_run(&process, &(struct process_options){ .arguments = arguments });

	fprintf(stderr, "%s%s", process.out.data, process.err.data);
	process_free(&process);
	return status;
}

static void save_metrics(const struct admin_site *site, const char *path)
{
	char *text = admin_fetch(site->admin, "/metrics", 200);

	admin_write(path, text);
	free(text);
}

/* The daemon's counters never fall, though the worker that counted is gone. */
Test(admin, metrics_are_strict_and_grow, .timeout = 60)
{
	struct admin_site site;
	char before[128], after[128];
	pid_t worker;

	snprintf(before, sizeof(before), "%s", support_path("before"));
	snprintf(after, sizeof(after), "%s", support_path("after"));
	admin_start(&site, HELLO);
	for (int i = 0; i < 20; i++)
		admin_check(site.daemon.listening[0].address, "/", 200, "Hello");
	admin_await(&site, "totals/latency_us/count", 20);
	save_metrics(&site, before);
	worker = (pid_t)admin_figure(&site, "workers/0/pid");
	kill(worker, SIGKILL);
	admin_await(&site, "daemon/deaths", 1);
	admin_check(site.daemon.listening[0].address, "/", 200, "Hello");
	admin_await(&site, "totals/latency_us/count", 21);
	save_metrics(&site, after);
	cr_expect_eq(parse_metrics(before, after), 0);
	admin_check(site.admin, "/metrics", 200, "\nanygate_requests_total{gate=\"http\"} 21\n");
	admin_check(site.admin, "/metrics", 200, "\nanygate_request_duration_seconds_count 21\n");
	admin_check(site.admin, "/metrics", 200, "\nanygate_worker_deaths_total 1\n");
	/* that it can fail */
	cr_expect_neq(parse_metrics(after, before), 0, "a counter fell");
	admin_write(after, "# TYPE a counter\na 1\n# EOF\n");
	cr_expect_neq(parse_metrics(after, NULL), 0, "not OpenMetrics");
	admin_stop(&site);
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

/* An application that loads when it is told to. */
Test(admin, health_at_start, .timeout = 60)
{
	struct admin_site site;
	char more[512], when[128];
	const char *arguments[] = { DAEMON_PROGRAM, "-c", site.file, NULL };

	admin_make(&site);
	snprintf(when, sizeof(when), "%s", support_path("when"));
	snprintf(more, sizeof(more), "[app slow]\nload = " DAEMON_APPS "sluggish.so\nwhen = %s\n",
	        when);
	admin_configure(&site, more);
	process_start(&site.daemon.process, &(struct process_options){ .arguments = arguments });
	await_socket(site.admin);
	admin_check(site.admin, "/healthz", 503, "starting");
	admin_check(site.admin, "/healthz/live", 200, "live");
	admin_write(when, "");
	daemon_expect(&site.daemon, "(admin)\n");
	admin_check(site.admin, "/healthz", 200, "ready");
	admin_stop(&site);
}

Test(admin, health_until_the_stop, .timeout = 60)
{
	struct admin_site site;
	struct client client;
	struct response response = { 0 };

	admin_start(&site, NAPPER);
	admin_configure(&site, "nonsense = 1\n");
	kill(site.daemon.process.pid, SIGHUP);
	daemon_expect(&site.daemon, "not reloaded: ");
	admin_check(site.admin, "/healthz/ready", 200, "ready");
	cr_expect_eq(admin_figure(&site, "daemon/failed_reloads"), 1);

	admin_begin(&site, &client, 1500);
	kill(site.daemon.process.pid, SIGTERM);
	for (int i = 0; i < CHANGES && response.status != 503; i++, usleep(1000)) {
		response_free(&response);
		http_get(site.admin, "/healthz", &response);
	}
	cr_expect(strstr(response.body.data, "stopping"), "%s", response.body.data);
	response_free(&response);
	admin_end(&client);
	daemon_end(&site.daemon, 0, false);
	admin_remove(&site);
}

/* What a worker runs is the client's text: it must not break any of the forms. */
Test(admin, requests_are_only_text, .timeout = 60)
{
	static const char *const request[] = { "REQUEST_METHOD", "GET", "REQUEST_URI",
		"/?<script>\"\\&'\xff\x1b[1m\xe2\x82", "SERVER_PROTOCOL", "HTTP/1.1", NULL };
	struct admin_site site;
	struct client client;
	struct bytes bytes = { 0 };
	char *text, *uri = NULL, path[32];
	int worker = 0;

	admin_start(&site, "[app main]\nload = " DAEMON_APPS "spin.so\n");
	scgi_build(&bytes, request, NULL, 0);
	client_open(&client, site.daemon.listening[0].address);
	client_send(&client, bytes.data, bytes.length);
	client_flush(&client);
	admin_await(&site, "totals/in_flight", 1);
	for (int i = 0; i < CHANGES && !uri; i++) {
		worker = i % 2;
		snprintf(path, sizeof(path), "workers/%d/running/uri", worker);
		text = admin_fetch(site.admin, "/status.json", 200);
		uri = json_get(text, path);
		free(text);
	}
	cr_assert(uri, "no worker runs it");
	cr_expect_str_eq(uri, request[3]);
	free(uri);
	text = admin_fetch(site.admin, "/status", 200);
	cr_expect(strstr(text, "GET /?&lt;script&gt;&quot;"), "%s", text);
	cr_expect(!strstr(text, "<script"), "%s", text);
	free(text);
	text = admin_fetch(site.admin, "/status.txt", 200);
	cr_expect(strstr(text, "running=GET /?<script>\"\\&'??[1m??\n"), "%s", text);
	free(text);
	snprintf(path, sizeof(path), "workers/%d/pid", worker);
	kill((pid_t)admin_figure(&site, path), SIGKILL);
	admin_await(&site, "totals/in_flight", 0);
	client_close(&client);
	bytes_free(&bytes);
	admin_stop(&site);
}

/* Without a word to those that may not come. */
Test(admin, knows_who_may_come, .timeout = 60)
{
	struct admin_site site;
	struct stat status;

	admin_start(&site, "allowed_clients = user:4000000000\n" HELLO);
	cr_assert_eq(stat(site.admin + 5, &status), 0);
	cr_expect_eq(status.st_mode & 0777, 0600, "the default mode");
	http_check(site.admin, "/healthz/live", 0, NULL);
	admin_stop(&site);
}

static const struct {
	const char *host;
	int status;
} hosts[] = {
	{ "Host: 127.0.0.1:9180\r\n", 200 },
	{ "Host: 127.0.0.1\r\n", 200 },
	{ "Host: [::1]:9180\r\n", 200 },
	{ "Host: LocalHost:9180\r\n", 200 },
	{ "Host: localhost\r\n", 200 },
	{ "Host: localhost.example\r\n", 403 },
	{ "Host: example:9180\r\n", 403 },
	{ "Host: 127.0.0.1.example\r\n", 403 },
};

/* A browser that was told another name for this host is not answered. */
Test(admin, by_tcp, .timeout = 60)
{
	struct daemon daemon;

	daemon_start(&daemon, 2, "-l", "127.0.0.1:0", "-w", "1", "-s", "admin.listen=127.0.0.1:0",
	        "hello", NULL);
	cr_expect(strstr(daemon.listening[1].address, "127.0.0.1:"));
	admin_check(daemon.listening[0].address, "/healthz", 200, "Hello");
	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct response response;

		http_request(daemon.listening[1].address, "GET", "/status.json", hosts[i].host,
		        NULL, 0, &response);
		cr_expect_eq(
		        response.status, hosts[i].status, "%s: %d", hosts[i].host, response.status);
		response_free(&response);
	}
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
