/* workers_min to workers_max: more workers while handlers keep the processor, fewer later. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"

SUITE(scaling_daemon);

#define MOST 4

static void write_config(const char *more)
{
	FILE *file = fopen(support_path("anygate.ini"), "w");

	cr_assert(file);
	fprintf(file,
	        "[daemon]\nworkers = 1\nreload_watch = 0\nrequest_timeout = 0\n%s"
	        "[listen main]\naddress = http=127.0.0.1:0\n[app main]\nload = " DAEMON_APPS
	        "hold.so\n",
	        more);
	fclose(file);
}

static void hold(struct client *client, const char *address)
{
	char target[300];

	snprintf(target, sizeof target, "/hold?file=%s", support_path("go"));
	gate_ask_for("http", address, target, client);
}

static void expect_workers(struct daemon *daemon, size_t *from, unsigned count)
{
	char text[40];

	snprintf(text, sizeof text, "%u workers from now on: ", count);
	*from = process_expect(&daemon->process, text, *from);
}

static void let_go(struct client *clients, size_t count)
{
	struct response response;

	close(open(support_path("go"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	for (size_t i = 0; i < count; i++) {
		client_response(&clients[i], "GET", &response);
		cr_expect_eq(response.status, 200);
		response_free(&response);
		client_close(&clients[i]);
	}
}

/* Each request holds up one worker; who is to take the next one is started meanwhile. */
Test(scaling_daemon, grows_and_shrinks, .timeout = 120)
{
	struct client clients[MOST];
	struct daemon daemon;
	pid_t children[16];
	size_t from = 0;

	write_config("workers_min = 1\nworkers_max = 4\nspare_max = 1\n");
	daemon_start(&daemon, 1, "-c", support_path("anygate.ini"), NULL);
	for (unsigned i = 0; i < MOST; i++) {
		hold(&clients[i], daemon_address(&daemon));
		if (i < MOST - 1)
			expect_workers(&daemon, &from, i + 2);
	}
	while (process_children(daemon.process.pid, children, 16) != MOST)
		usleep(1000);
	let_go(clients, MOST);
	for (unsigned count = MOST - 1; count >= 1; count--)
		expect_workers(&daemon, &from, count);
	while (process_children(daemon.process.pid, children, 16) != 1)
		usleep(1000);
	http_check(daemon_address(&daemon), "/", 200, NULL);
	daemon_stop(&daemon);
}

/* A reload goes on with as many workers as there are, within the bounds of what it reads. */
Test(scaling_daemon, reload_has_other_bounds, .timeout = 120)
{
	struct client client;
	struct daemon daemon;
	pid_t children[16];
	size_t from = 0;

	write_config("workers_min = 1\nworkers_max = 2\nspare_max = 2\n");
	daemon_start(&daemon, 1, "-c", support_path("anygate.ini"), NULL);
	hold(&client, daemon_address(&daemon));
	expect_workers(&daemon, &from, 2);
	let_go(&client, 1);
	write_config("workers_min = 3\nworkers_max = 5\nspare_max = 5\n");
	kill(daemon.process.pid, SIGHUP);
	daemon_expect(&daemon, "reloaded: generation 2 serves");
	while (process_children(daemon.process.pid, children, 16) != 3)
		usleep(1000);
	write_config("");
	kill(daemon.process.pid, SIGHUP);
	daemon_expect(&daemon, "reloaded: generation 3 serves");
	while (process_children(daemon.process.pid, children, 16) != 1)
		usleep(1000);
	daemon_stop(&daemon);
}
