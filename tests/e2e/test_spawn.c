/* Started by the real spawn-fcgi, and asked by the real cgi-fcgi next to a program with libfcgi. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"
#include "tests/support/json.h"
#include "tests/support/nginx.h"

SUITE(spawn);

/* ---- spawn-fcgi ---- */

#define SPAWNED_MAX 4

struct spawned {
	char address[160];
	pid_t pids[SPAWNED_MAX];
	size_t count;
};

static int bind_any(struct sockaddr_in *where)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof *where;

	*where = (struct sockaddr_in){ .sin_family = AF_INET };
	where->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(fd, (struct sockaddr *)where, length), 0);
	getsockname(fd, (struct sockaddr *)where, &length);
	return fd;
}

static void read_pids(struct spawned *spawned, const char *path)
{
	FILE *file = fopen(path, "re");

	cr_assert(file, "%s: %s", path, strerror(errno));
	spawned->count = 0;
	while (spawned->count < SPAWNED_MAX &&
	        fscanf(file, "%d", &spawned->pids[spawned->count]) == 1)
		support_guard(spawned->pids[spawned->count++]); /* each leads a session */
	fclose(file);
	unlink(path);
}

/* spawn-fcgi does not tell when they are up: each is once it has a worker. */
static void await_workers(const struct spawned *spawned)
{
	int64_t deadline = deadline_in(PATIENCE);
	pid_t workers[64];

	for (size_t i = 0; i < spawned->count; i++)
		while (!process_children(spawned->pids[i], workers, COUNT(workers))) {
			cr_assert(deadline_left(deadline), "no worker came up");
			poll(NULL, 0, 10);
		}
}

/* One try; false: the port has become another's meanwhile. */
static bool try_spawn(struct spawned *spawned, const char *where, const char *at,
        const char *children, const char *protocol, const char *app)
{
	const char *pidfile = support_path("pids");
	struct process process;
	int status = process_run(&process,
	        &(struct process_options){
	                .arguments = (const char *const[]){ "spawn-fcgi",
	                        *where == 's' ? "-s" : "-p", at, "-F", children, "-P", pidfile,
	                        *where == 's' ? "-M" : "-a", *where == 's' ? "0600" : "127.0.0.1",
	                        "--", DAEMON_PROGRAM, "-P", protocol, app, NULL },
	        });
	bool in_use = strstr(process.err.data, "already in use");

	cr_assert(status == 0 || in_use, "spawn-fcgi: %d: %s%s", status, process.err.data,
	        process.out.data);
	if (status == 0) {
		read_pids(spawned, pidfile);
		await_workers(spawned);
	}
	/* by now what it started is in sessions of its own, so nothing of it ends here */
	process_free(&process);
	return status == 0;
}

/* spawn-fcgi takes no port 0: a free one is looked up, and another if it is gone by then. */
static void spawn_tcp(
        struct spawned *spawned, const char *children, const char *protocol, const char *app)
{
	struct sockaddr_in where;
	char port[8];

	for (int i = 0; i < 20; i++) {
		close(bind_any(&where));
		snprintf(port, sizeof port, "%u", ntohs(where.sin_port));
		snprintf(spawned->address, sizeof spawned->address, "127.0.0.1:%s", port);
		if (try_spawn(spawned, "port", port, children, protocol, app))
			return;
	}
	FAIL("no free port");
}

static void spawn_unix(
        struct spawned *spawned, const char *children, const char *protocol, const char *app)
{
	const char *path = support_path("spawned.socket");

	snprintf(spawned->address, sizeof spawned->address, "unix:%s", path);
	cr_assert(try_spawn(spawned, "socket", path, children, protocol, app));
}

static void spawned_stop(struct spawned *spawned, size_t i)
{
	kill(spawned->pids[i], SIGTERM);
	cr_expect_eq(process_wait_orphan(spawned->pids[i]), 0);
	support_forget(spawned->pids[i]);
}

/* Through every server of nginx that speaks the protocol. */
static void check_behind_nginx(const char *address, const char *protocol)
{
	struct nginx nginx;

	nginx_start_all(&nginx, address);
	for (size_t gate = 0; gate < NGINX_GATES; gate++) {
		struct response response;

		if (strcmp(nginx_gates[gate].protocol, protocol) != 0)
			continue;
		for (int i = 0; i < 4; i++) {
			http_get(nginx.address[gate], "/?name=you", &response);
			cr_expect_eq(response.status, 200, "%s: %d", nginx_gates[gate].name,
			        response.status);
			cr_expect_str_eq(response.body.data, "Hello, you\n");
			response_free(&response);
		}
	}
	nginx_stop(&nginx);
}

static const char *const protocols[] = { "scgi", "fastcgi", "uwsgi", "http" };

Test(spawn, tcp, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(protocols); i++) {
		struct spawned spawned;

		spawn_tcp(&spawned, "1", protocols[i], DAEMON_APPS "hello.so");
		check_behind_nginx(spawned.address, protocols[i]);
		spawned_stop(&spawned, 0);
	}
}

/* The socket is spawn-fcgi's: its name stays when anygate ends. */
Test(spawn, unix_socket, .timeout = 120)
{
	for (size_t i = 0; i < COUNT(protocols); i++) {
		struct spawned spawned;

		spawn_unix(&spawned, "1", protocols[i], DAEMON_APPS "hello.so");
		check_behind_nginx(spawned.address, protocols[i]);
		spawned_stop(&spawned, 0);
		cr_expect_eq(access(spawned.address + 5, F_OK), 0);
		unlink(spawned.address + 5);
	}
}

/* Two on one socket: when one ends the other goes on. */
Test(spawn, two_processes, .timeout = 120)
{
	struct spawned spawned;

	spawn_tcp(&spawned, "2", "scgi", DAEMON_APPS "hello.so");
	cr_assert_eq(spawned.count, 2);
	check_behind_nginx(spawned.address, "scgi");
	spawned_stop(&spawned, 0);
	check_behind_nginx(spawned.address, "scgi");
	spawned_stop(&spawned, 1);
}

/* -n: spawn-fcgi becomes anygate, as under daemontools, and what it says can be read. */
Test(spawn, no_fork, .timeout = 120)
{
	char address[128];
	struct daemon daemon;

	snprintf(address, sizeof address, "unix:%s", support_path("no-fork.socket"));
	daemon_start_with(&daemon, 1,
	        &(struct process_options){
	                .arguments = (const char *const[]){ "spawn-fcgi", "-n", "-s", address + 5,
	                        "--", DAEMON_PROGRAM, "-P", "uwsgi", DAEMON_APPS "hello.so", NULL },
	        });
	cr_expect_str_eq(daemon.listening[0].protocol, "uwsgi");
	cr_expect_str_eq(daemon.listening[0].address, address);
	check_behind_nginx(address, "uwsgi");
	daemon_stop(&daemon);
}

/* ---- cgi-fcgi ---- */

/* An environment as a web server gives it to a CGI program, and the body on standard input. */
static const struct cgi_row {
	const char *environment[10];
	const char *body;
} cgi_rows[] = {
	{ { "REQUEST_METHOD=GET", "REQUEST_URI=/x?y=1", "QUERY_STRING=y=1",
	          "SERVER_PROTOCOL=HTTP/1.1", "CONTENT_LENGTH=0", "REMOTE_ADDR=127.0.0.1" },
	        "" },
	{ { "REQUEST_METHOD=GET", "REQUEST_URI=/",
	          "EMPTY=", "CONTENT_LENGTH=", "HTTP_X_TEXT=a=b \xc3\xa9 \"c\"" },
	        "" },
	{ { "REQUEST_METHOD=POST", "REQUEST_URI=/p", "CONTENT_TYPE=text/plain", "CONTENT_LENGTH=12",
	          "SERVER_PROTOCOL=HTTP/1.1" },
	        "hello, hello" },
	{ { "REQUEST_METHOD=GET", "REQUEST_URI=/long",
	          "HTTP_COOKIE=0123456789012345678901234567890123456789012345678901234567890123456"
	          "7890123456789012345678901234567890123456789012345678901234567890123456789012"
	          "345678901234567890123456789" },
	        "" },
};

/* A file with the body, open at its beginning. */
static int open_body(const char *body)
{
	int fd = open(support_path("body"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, body, strlen(body)), (ssize_t)strlen(body));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* What cgi-fcgi wrote, parsed. */
static struct response run_cgi_fcgi(const char *address, const struct cgi_row *row)
{
	struct process process;
	struct response response = { 0 };
	int body = open_body(row->body);

	process_succeed(&process, &(struct process_options){
	                                  .arguments = (const char *const[]){ "/usr/bin/cgi-fcgi",
	                                          "-bind", "-connect", address, NULL },
	                                  .environment = row->environment,
	                                  .clean = true,
	                                  .input = body,
	                          });
	const char *end = strstr(process.out.data, "\r\n\r\n");

	close(body);
	cr_assert(end, "no answer: %s", process.out.data);
	response_head(&response, process.out.data, (size_t)(end + 2 - process.out.data));
	response.status = atoi(response_field(&response, "Status"));
	bytes_text(&response.body, end + 4);
	process_free(&process);
	return response;
}

/* The inspector's answer in the form of peers/fcgx_env.c. */
static void list_variables(struct bytes *list, const char *json)
{
	char *name, *value, *length, path[32];

	for (size_t i = 0;; i++) {
		snprintf(path, sizeof path, "env_list/%zu/0", i);
		name = json_get(json, path);
		snprintf(path, sizeof path, "env_list/%zu/1", i);
		value = json_get(json, path);
		if (!name || !value)
			break;
		bytes_printf(list, "%s=%s\n", name, value);
		free(name);
		free(value);
	}
	length = json_get(json, "body/bytes");
	bytes_printf(list, "body: %s\n", length ? length : "missing");
	free(length);
}

/* FCGX adds the role, and keeps no variable without a value. */
static void drop_line(char *text, const char *begin)
{
	char *line = strstr(text, begin), *end = line ? strchr(line, '\n') : NULL;

	if (line && end)
		memmove(line, end + 1, strlen(end + 1) + 1);
}

static void check_same(const char *address, const char *peer, const struct cgi_row *row)
{
	struct response ours = run_cgi_fcgi(address, row), theirs = run_cgi_fcgi(peer, row);
	struct bytes list = { 0 };

	cr_expect_eq(ours.status, 200);
	cr_expect_eq(theirs.status, 200);
	cr_expect_eq(ours.stderr.length, 0);
	list_variables(&list, ours.body.data);
	drop_line(theirs.body.data, "FCGI_ROLE=");
	cr_expect_str_eq(list.data, theirs.body.data);
	bytes_free(&list);
	response_free(&ours);
	response_free(&theirs);
}

static int start_listening(char address[32])
{
	struct sockaddr_in where;
	int fd = bind_any(&where);

	cr_assert_eq(listen(fd, 64), 0);
	snprintf(address, 32, "127.0.0.1:%u", ntohs(where.sin_port));
	return fd;
}

Test(spawn, cgi_fcgi_next_to_libfcgi, .timeout = 120)
{
	char peer_address[32];
	int fd = start_listening(peer_address);
	struct process peer;
	struct daemon daemon;

	process_start(&peer,
	        &(struct process_options){
	                .arguments = (const char *const[]){ BUILD_DIR "/peers/fcgx_env", NULL },
	                .input = fd,
	        });
	close(fd);
	daemon_start(&daemon, 1, "-P", "fastcgi", "-l", "127.0.0.1:0", "env", NULL);
	for (size_t i = 0; i < COUNT(cgi_rows); i++)
		check_same(daemon_address(&daemon), peer_address, &cgi_rows[i]);
	process_free(&peer);
	daemon_stop(&daemon);
}

/* A large answer and a large body through cgi-fcgi. */
Test(spawn, cgi_fcgi_echo, .timeout = 120)
{
	struct cgi_row row = { { "REQUEST_METHOD=POST", "REQUEST_URI=/", "CONTENT_LENGTH=300000" },
		NULL };
	char *body = malloc(300001);
	struct response response;
	struct daemon daemon;

	cr_assert(body);
	for (size_t i = 0; i < 300000; i++)
		body[i] = (char)('a' + i % 23);
	body[300000] = '\0';
	row.body = body;
	daemon_start(&daemon, 1, "-P", "fastcgi", "-l", "127.0.0.1:0", "echo", NULL);
	response = run_cgi_fcgi(daemon_address(&daemon), &row);
	cr_expect_eq(response.status, 200);
	cr_expect_eq(response.body.length, 300000);
	cr_expect_str_eq(response.body.data, body);
	response_free(&response);
	free(body);
	daemon_stop(&daemon);
}
