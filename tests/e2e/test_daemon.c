/* The daemon's own behaviour: how it starts, refuses to, and ends. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"

SUITE(daemon);

#define LOCAL "-l", "http=127.0.0.1:0"

/* ---- refusals: one line, and a status ---- */

/* Expects the status, and one line on standard error that holds `says`. Frees the process. */
static void check_refused(struct process *process, int ended, int status, const char *says)
{
	const char *text = process->err.data;
	const char *line_end = strchr(text, '\n');

	cr_expect_eq(ended, status, "status %d, not %d: %s", ended, status, text);
	cr_expect(strncmp(text, "anygate: ", 9) == 0 && strstr(text, says), "not \"%s\" in: %s",
	        says, text);
	cr_expect(line_end && line_end[1] == '\0', "not one line: %s", text);
	process_free(process);
}

static const struct refusal_row {
	const char *arguments[5];
	int status;
	const char *says;
} refusals[] = {
	{ { "--wrokers", "2", "hello" }, 2, "unknown option --wrokers; did you mean --workers?" },
	{ { "-l", ":0", "hello" }, 2, "allowed_clients" },
	{ { "-l", "scgi=0.0.0.0:0", "hello" }, 2, "allowed_clients" },
	{ { "-l", "127.0.0.1:99999", "hello" }, 2, "expected a port from 0 to 65535" },
	{ { "-P", "http3", "hello" }, 2, "bad value \"http3\"" },
	{ { NULL }, 2, "" },
	{ { LOCAL, "/no/such/app.so" }, 2, "/no/such/app.so: No such file" },
	{ { LOCAL, "helo" }, 2, "did you mean \"hello\"?" },
	{ { LOCAL, DAEMON_APPS "other_abi.so" }, 2, "rebuild it" },
	{ { LOCAL, DAEMON_APPS "no_entry.so" }, 2, "has no AG_APP(...)" },
	{ { "-l", "unix:/no/such/directory/socket", "hello" }, 1, "/no/such/directory/socket" },
	{ { "-c", "/no/such/anygate.ini" }, 2, "/no/such/anygate.ini" },
	{ { "-t", "-c", "/no/such/anygate.ini" }, 2, "/no/such/anygate.ini" },
	{ { "-t", "/no/such/app.so" }, 2, "/no/such/app.so" },
};

Test(daemon, refusals, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(refusals); i++) {
		const char *const *with = refusals[i].arguments;
		struct process process;
		int ended = daemon_run(&process, with[0], with[1], with[2], with[3], with[4], NULL);

		check_refused(&process, ended, refusals[i].status, refusals[i].says);
	}
}

Test(daemon, port_in_use, .timeout = 60)
{
	struct process process;
	struct daemon daemon;

	daemon_start(&daemon, 1, LOCAL, "hello", NULL);

	int ended = daemon_run(
	        &process, "-P", "http", "-l", daemon_address(&daemon), "hello", NULL);

	check_refused(&process, ended, 1, daemon_address(&daemon));
	daemon_stop(&daemon);
}

Test(daemon, check_and_print_config, .timeout = 60)
{
	const char *file = support_path("anygate.ini");
	FILE *out = fopen(file, "we");
	struct process process;

	cr_assert(out);
	fprintf(out, "[listen main]\naddress = http=127.0.0.1:0\nbacklog = 77\n"
	             "[app main]\nload = hello\n");
	fclose(out);
	cr_expect_eq(daemon_run(&process, "-t", "-c", file, NULL), 0, "%s", process.err.data);
	process_free(&process);
	cr_expect_eq(daemon_run(&process, "--print-config", "-c", file, "-w", "3", NULL), 0);
	cr_expect(strstr(process.out.data, "workers = 3\n"), "%s", process.out.data);
	cr_expect(strstr(process.out.data, "backlog = 77\n"), "%s", process.out.data);
	process_free(&process);
	cr_expect_eq(daemon_run(&process, "-V", NULL), 0);
	cr_expect(strncmp(process.out.data, "anygate ", 8) == 0, "%s", process.out.data);
	process_free(&process);
	cr_expect_eq(daemon_run(&process, "--help", NULL), 0);
	cr_expect(strncmp(process.out.data, "usage: anygate ", 15) == 0, "%s", process.out.data);
	process_free(&process);
}

/* ---- listeners ---- */

static void check_hello(const char *protocol, const char *address)
{
	static gate_variables variables = { "REQUEST_METHOD", "GET", "REQUEST_URI", "/",
		"SERVER_PROTOCOL", "HTTP/1.1", "HTTP_HOST", "gate.test", NULL };
	struct response response;

	gate_request(protocol, address, variables, NULL, 0, &response);
	cr_expect_eq(response.status, 200, "%s at %s", protocol, address);
	cr_expect(strcmp(response.body.data, "Hello, world\n") == 0);
	response_free(&response);
}

Test(daemon, several_listeners, .timeout = 60)
{
	static const char *const protocols[] = { "fastcgi", "scgi", "uwsgi", "http", "scgi" };
	char local[256];
	struct daemon daemon;

	snprintf(local, sizeof local, "unix:%s", support_path("socket"));
	daemon_start(&daemon, 5, "-P", "scgi", "-l", "fastcgi=127.0.0.1:0", "-l", "127.0.0.1:0",
	        "-l", "uwsgi=[::1]:0", "-l", "http=127.0.0.1:0", "-l", local, "hello", NULL);
	for (size_t i = 0; i < COUNT(protocols); i++) {
		cr_expect_str_eq(daemon.listening[i].protocol, protocols[i]);
		check_hello(protocols[i], daemon.listening[i].address);
	}
	daemon_stop(&daemon);
}

static const char *socket_address(const char *path)
{
	static char address[256];

	snprintf(address, sizeof address, "unix:%s", path);
	return address;
}

/* A socket file that nobody listens on. */
static void make_stale(const char *path)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(where.sun_path, path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&where, sizeof where), 0);
	close(fd);
}

Test(daemon, unix_socket, .timeout = 60)
{
	const char *path = support_path("socket"), *address = socket_address(path);
	struct process process;
	struct daemon daemon;
	struct stat status;

	make_stale(path);
	daemon_start(&daemon, 1, "-l", address, "hello", NULL);
	cr_assert_eq(stat(path, &status), 0);
	cr_expect_eq(status.st_mode, S_IFSOCK | 0660, "mode %o", status.st_mode);
	check_hello("scgi", address);

	int ended = daemon_run(&process, "-l", address, "hello", NULL);

	check_refused(&process, ended, 1, path);
	check_hello("scgi", address);
	daemon_stop(&daemon);
	cr_expect_neq(stat(path, &status), 0, "the socket is still there");
	daemon_start(&daemon, 1, "-l", address, "-s", "listen.mode=0600", "hello", NULL);
	cr_assert_eq(stat(path, &status), 0);
	cr_expect_eq(status.st_mode, S_IFSOCK | 0600, "mode %o", status.st_mode);
	daemon_stop(&daemon);
}

/* What is no socket is never replaced. */
Test(daemon, file_in_the_way, .timeout = 60)
{
	const char *path = support_path("file"), *address = socket_address(path);
	struct process process;

	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));

	int ended = daemon_run(&process, "-l", address, "hello", NULL);

	check_refused(&process, ended, 1, path);
	cr_expect_eq(access(path, F_OK), 0);
}

/* systemd.socket(5): LISTEN_PID is the daemon's own, so a shell that becomes it sets it. */
Test(daemon, systemd_sockets, .timeout = 60)
{
	char addresses[2][64];
	int sockets[] = { support_listen(addresses[0]), support_listen(addresses[1]) };
	struct daemon daemon;

	daemon_start_with(&daemon, 2,
	        &(struct process_options){
	                .arguments = (const char *const[]){ "/bin/sh", "-c",
	                        "LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" \"$@\"", DAEMON_PROGRAM,
	                        "-P", "uwsgi", "hello", NULL },
	                .pass = sockets,
	                .pass_count = 2,
	        });
	for (size_t i = 0; i < 2; i++) {
		close(sockets[i]);
		cr_expect_str_eq(daemon.listening[i].address, addresses[i]);
		cr_expect_str_eq(daemon.listening[i].protocol, "uwsgi");
		check_hello("uwsgi", addresses[i]);
	}
	daemon_stop(&daemon);
}

Test(daemon, descriptor_0, .timeout = 60)
{
	char address[64];
	int fd = support_listen(address);
	struct daemon daemon;

	daemon_start_with(&daemon, 1,
	        &(struct process_options){
	                .arguments = (const char *const[]){ DAEMON_PROGRAM, "hello", NULL },
	                .input = fd,
	        });
	close(fd);
	cr_expect_str_eq(daemon.listening[0].address, address);
	check_hello("fastcgi", address);
	daemon_stop(&daemon);
}

Test(daemon, descriptor_by_number, .timeout = 60)
{
	char address[64];
	int fd = support_listen(address);
	struct daemon daemon;

	daemon_start_with(&daemon, 1,
	        &(struct process_options){
	                .arguments = (const char *const[]){ DAEMON_PROGRAM, "-l", "http=fd:3",
	                        "hello", NULL },
	                .pass = &fd,
	                .pass_count = 1,
	        });
	close(fd);
	check_hello("http", address);
	daemon_stop(&daemon);
}
