#include "nginx.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const struct nginx_gate nginx_gates[NGINX_GATES] = {
	{ "fastcgi_pass", "fastcgi", false },
	{ "fastcgi_pass with fastcgi_keep_conn", "fastcgi", false },
	{ "scgi_pass", "scgi", true },
	{ "uwsgi_pass", "uwsgi", false },
	{ "proxy_pass with HTTP/1.0", "http", false },
	{ "proxy_pass with HTTP/1.1 and keep-alive", "http", false },
};

/* What a location of each gate says, besides "PREFIX_pass". */
static const struct {
	const char *prefix, *scheme, *lines;
} locations[NGINX_GATES] = {
	{ "fastcgi", "", "include /etc/nginx/fastcgi_params;" },
	{ "fastcgi", "", "include /etc/nginx/fastcgi_params; fastcgi_keep_conn on;" },
	{ "scgi", "", "include /etc/nginx/scgi_params;" },
	{ "uwsgi", "", "include /etc/nginx/uwsgi_params;" },
	{ "proxy", "http://", "proxy_http_version 1.0; proxy_set_header Host $http_host;" },
	{ "proxy", "http://",
	        "proxy_http_version 1.1; proxy_set_header Host $http_host; "
	        "proxy_set_header Connection \"\";" },
};

static const char head[] = "daemon off;\n"
                           "%s" /* user */
                           "worker_processes 1;\n"
                           "pid %s/nginx.pid;\n"
                           "error_log %s/nginx.log info;\n"
                           "events { worker_connections 1024; }\n"
                           "http {\n"
                           "access_log off;\n"
                           "client_max_body_size 64m;\n"
                           "client_body_temp_path %s/body;\n"
                           "proxy_temp_path %s/proxy;\n"
                           "fastcgi_temp_path %s/fastcgi;\n"
                           "scgi_temp_path %s/scgi;\n"
                           "uwsgi_temp_path %s/uwsgi;\n";

static void write_location(FILE *file, size_t gate, const char *path, const char *more)
{
	const char *prefix = locations[gate].prefix;

	fprintf(file, "location %s { %s %s_pass %sgate%zu; %s_read_timeout 55s; ", path,
	        locations[gate].lines, prefix, locations[gate].scheme, gate, prefix);
	if (*more)
		fprintf(file, "%s_request_buffering off; %s_buffering off; ", prefix, prefix);
	fprintf(file, "}\n");
}

/* A WebSocket's: what nginx says over HTTP only if told to, the CGI gates pass on by themselves. */
static void write_upgrade(FILE *file, size_t gate)
{
	const char *prefix = locations[gate].prefix;
	bool http = *locations[gate].scheme;

	fprintf(file, "location /upgrade/ { %s %s_pass %sgate%zu; ",
	        http ? "" : locations[gate].lines, prefix, locations[gate].scheme, gate);
	if (http)
		fprintf(file, "proxy_http_version 1.1; proxy_set_header Host $http_host; "
		              "proxy_set_header Upgrade $http_upgrade; "
		              "proxy_set_header Connection upgrade; ");
	fprintf(file, "}\n");
}

static void write_server(FILE *file, size_t gate, const char *listen, const char *backend)
{
	if (backend) {
		fprintf(file, "upstream gate%zu { server %s max_fails=0; %s}\n", gate, backend,
		        gate == 1 || gate == 5 ? "keepalive 4; " : "");
	}
	fprintf(file, "server { listen %s; server_name gate.test;\n", listen);
	if (backend) {
		write_location(file, gate, "/", "");
		write_location(file, gate, "/stream/", "unbuffered");
		write_upgrade(file, gate);
	}
	fprintf(file, "}\n");
}

static void write_gates(FILE *file, const struct nginx *nginx)
{
	for (size_t i = 0; i < NGINX_GATES; i++)
		write_server(file, i, nginx->address[i], nginx->backends[i]);
}

static void write_config(const struct nginx *nginx, const char *path,
        void (*write)(FILE *file, const struct nginx *nginx))
{
	const char *directory = support_directory();
	FILE *file = fopen(path, "we");

	cr_assert(file, "%s: %s", path, strerror(errno));
	fprintf(file, head, geteuid() == 0 ? "user root;\n" : "", directory, directory, directory,
	        directory, directory, directory, directory);
	write(file, nginx);
	fprintf(file, "}\n");
	fclose(file);
}

void nginx_start_as(struct nginx *nginx, void (*write)(FILE *file, const struct nginx *nginx))
{
	const char *directory = support_directory(), *config = support_path("nginx.conf");
	int sockets[NGINX_GATES];

	for (size_t i = 0; i < NGINX_GATES; i++)
		sockets[i] = support_listen(nginx->address[i]);
	write_config(nginx, config, write);
	process_start(&nginx->process,
	        &(struct process_options){
	                .arguments = (const char *const[]){ "/usr/sbin/nginx", "-p", directory,
	                        "-c", config, "-e", support_path("nginx.log"), NULL },
	                .environment = (const char *const[]){ "NGINX=3;4;5;6;7;8;", NULL },
	                .pass = sockets,
	                .pass_count = NGINX_GATES,
	        });
	for (size_t i = 0; i < NGINX_GATES; i++)
		close(sockets[i]);
}

void nginx_start(struct nginx *nginx, const char *const backends[NGINX_GATES])
{
	nginx->backends = backends;
	nginx_start_as(nginx, write_gates);
	nginx->backends = NULL;
}

void nginx_start_all(struct nginx *nginx, const char *backend)
{
	const char *backends[NGINX_GATES];

	for (size_t i = 0; i < NGINX_GATES; i++)
		backends[i] = backend;
	nginx_start(nginx, backends);
}

char *nginx_log(void)
{
	struct bytes text = { 0 };
	FILE *file = fopen(support_path("nginx.log"), "re");
	char piece[4096];
	size_t size;

	bytes_text(&text, "");
	while (file && (size = fread(piece, 1, sizeof piece, file)) > 0)
		bytes_add(&text, piece, size);
	if (file)
		fclose(file);
	return text.data;
}

void nginx_stop(struct nginx *nginx)
{
	kill(nginx->process.pid, SIGTERM);
	cr_expect_eq(process_wait(&nginx->process), 0, "nginx: %s", nginx->process.err.data);
	process_free(&nginx->process);
}
