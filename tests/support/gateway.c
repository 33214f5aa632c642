#include "gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const struct gateway_kind gateway_kinds[GATEWAYS] = {
	{ "nginx", "1.22.1",
	        { { "fastcgi", "fastcgi" }, { "fastcgi keep_conn", "fastcgi" }, { "scgi", "scgi" },
	                { "uwsgi", "uwsgi" }, { "http 1.0", "http" }, { "http 1.1", "http" } } },
	{ "Apache", "2.4.71",
	        { { "proxy_fcgi", "fastcgi" }, { "proxy_scgi", "scgi" }, { "proxy_uwsgi", "uwsgi" },
	                { "proxy_http", "http" } } },
	{ "lighttpd", "1.4.69",
	        { { "fastcgi", "fastcgi" }, { "scgi", "scgi" }, { "uwsgi", "uwsgi" },
	                { "proxy", "http" } } },
	{ "HAProxy", "2.6.12", { { "fcgi-app mpxs", "fastcgi" }, { "http", "http" } } },
	{ "Caddy", "2.6.2", { { "fastcgi", "fastcgi" }, { "http", "http" } } },
};

/* ---- configurations ---- */

void gateway_apache_head(FILE *file, const char *const *modules, size_t count)
{
	const char *directory = support_directory();

	fprintf(file, "ServerRoot %s\nServerName gate.test\nPidFile %s/apache.pid\n", directory,
	        directory);
	fprintf(file, "ErrorLog %s/apache.log\nDefaultRuntimeDir %s\nDocumentRoot %s\n", directory,
	        directory, directory);
	for (size_t i = 0; i < count; i++)
		fprintf(file, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n",
		        modules[i], modules[i]);
	if (geteuid() == 0)
		fprintf(file, "User www-data\nGroup www-data\n");
}

static void apache_config(FILE *file, const struct gateway *gateway, const char *backend)
{
	static const char *const modules[] = { "mpm_event", "authz_core", "proxy", "proxy_fcgi",
		"proxy_scgi", "proxy_uwsgi", "proxy_http" };
	static const char *const schemes[] = { "fcgi", "scgi", "uwsgi", "http" };

	gateway_apache_head(file, modules, COUNT(modules));
	for (size_t i = 0; i < gateway->count; i++) {
		const char *address = gateway->address[i];

		fprintf(file, "Listen %s\n<VirtualHost %s>\nProxyPass / %s://%s/\n</VirtualHost>\n",
		        address, address, schemes[i], backend);
	}
}

static void lighttpd_config(FILE *file, const struct gateway *gateway, const char *backend)
{
	/* an application at the root needs the option (lighttpd wiki, Docs_ModFastCGI) */
#define AT_ROOT "\"check-local\" => \"disable\", \"fix-root-scriptname\" => \"enable\""
	static const char *const lines[] = {
		"fastcgi.server = (\"/\" => ((%s, " AT_ROOT ")))",
		"scgi.server = (\"/\" => ((%s, " AT_ROOT ")))",
		"scgi.protocol = \"uwsgi\"\nscgi.server = (\"/\" => ((%s, " AT_ROOT ")))",
		"proxy.server = (\"\" => ((%s)))",
	};
	const char *directory = support_directory(), *colon = strchr(backend, ':');
	char to[96];

	snprintf(to, sizeof to, "\"host\" => \"%.*s\", \"port\" => %s", (int)(colon - backend),
	        backend, colon + 1);
	fprintf(file, "server.modules = (\"mod_fastcgi\", \"mod_scgi\", \"mod_proxy\")\n"
	              /* /etc/lighttpd/lighttpd.conf */
	              "server.http-parseopts = (\"header-strict\" => \"enable\", "
	              "\"host-strict\" => \"enable\", \"host-normalize\" => \"enable\", "
	              "\"url-normalize-unreserved\" => \"enable\", "
	              "\"url-normalize-required\" => \"enable\", "
	              "\"url-ctrls-reject\" => \"enable\", \"url-path-2f-decode\" => \"enable\", "
	              "\"url-path-dotseg-remove\" => \"enable\")\n");
	fprintf(file, "server.document-root = \"%s\"\nserver.upload-dirs = (\"%s\")\n", directory,
	        directory);
	fprintf(file, "server.errorlog = \"%s/lighttpd.log\"\nserver.pid-file = \"%s/pid\"\n",
	        directory, directory);
	fprintf(file, "server.bind = \"127.0.0.1\"\nserver.port = %s\n",
	        strchr(gateway->address[0], ':') + 1);
	for (size_t i = 0; i < gateway->count; i++) {
		fprintf(file, "$SERVER[\"socket\"] == \"%s\" {\n", gateway->address[i]);
		fprintf(file, lines[i], to);
		fprintf(file, "\n}\n");
	}
}

static void haproxy_config(FILE *file, const struct gateway *gateway, const char *backend)
{
	/* the timeouts and the mode are of /etc/haproxy/haproxy.cfg */
	fprintf(file, "defaults\nmode http\ntimeout connect 5000\ntimeout client 50000\n"
	              "timeout server 50000\n"
	              "fcgi-app anygate\ndocroot /srv\noption mpxs-conns\noption max-reqs 50\n");
	for (size_t i = 0; i < gateway->count; i++) {
		fprintf(file, "frontend f%zu\nbind %s\ndefault_backend b%zu\n", i,
		        gateway->address[i], i);
		fprintf(file, "backend b%zu\n%sserver s %s%s\n", i,
		        i ? "" : "use-fcgi-app anygate\n", backend, i ? "" : " proto fcgi");
	}
}

static void caddy_config(FILE *file, const struct gateway *gateway, const char *backend)
{
	fprintf(file, "{\nadmin off\nauto_https off\n}\n");
	for (size_t i = 0; i < gateway->count; i++) {
		fprintf(file, "http://:%s {\nbind 127.0.0.1\nreverse_proxy %s%s\n}\n",
		        strchr(gateway->address[i], ':') + 1, backend,
		        i ? "" : " {\ntransport fastcgi {\nroot /srv\n}\n}");
	}
}

/* How the kinds behind nginx are run; %s of the arguments is the configuration's path. */
static const struct program {
	gateway_config *config;
	const char *file;
	const char *arguments[8]; /* "" stands for the configuration's path */
	int signal, status;       /* told by the one to end, it ends with the other */
} programs[GATEWAYS] = {
	{ 0 },
	{ apache_config, "apache.conf", { "/usr/sbin/apache2", "-DFOREGROUND", "-f", "" }, SIGTERM,
	        0 },
	{ lighttpd_config, "lighttpd.conf", { "/usr/sbin/lighttpd", "-D", "-f", "" }, SIGINT, 0 },
	{ haproxy_config, "haproxy.cfg", { "/usr/sbin/haproxy", "-db", "-f", "" }, SIGTERM,
	        128 + SIGTERM },
	{ caddy_config, "Caddyfile",
	        { "/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", "" }, SIGTERM, 0 },
};

/* ---- ports ---- */

/* Binds a free loopback port without listening on it. */
static int hold_port(char address[32])
{
	struct sockaddr_in where = { .sin_family = AF_INET };
	socklen_t length = sizeof where;
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&where, length), 0, "%s", strerror(errno));
	/* behind bind: the port is then free of others that may be shared */
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	getsockname(fd, (struct sockaddr *)&where, &length);
	snprintf(address, 32, "127.0.0.1:%u", ntohs(where.sin_port));
	return fd;
}

static bool answers(const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)strtoul(strchr(address, ':') + 1, NULL, 10));
	result = connect(fd, (struct sockaddr *)&to, sizeof to);
	close(fd);
	return result == 0;
}

/* No event tells of a socket that another process listens on: tried until it answers. */
static void wait_ready(struct gateway *gateway)
{
	int64_t deadline = deadline_in(PATIENCE);

	for (size_t i = 0; i < gateway->count; i++) {
		while (!answers(gateway->address[i])) {
			struct pollfd end = { .fd = gateway->process.pidfd, .events = POLLIN };

			cr_assert(poll(&end, 1, 5) == 0 && deadline_left(deadline) > 0,
			        "%s does not start: %s", gateway->kind->name,
			        gateway->process.err.data);
			process_drain(&gateway->process);
		}
	}
}

/* ---- start and end ---- */

static const struct program *program_of(const struct gateway *gateway)
{
	return &programs[gateway->kind - gateway_kinds];
}

static void run(struct gateway *gateway, gateway_config *config_of, const char *backend)
{
	const struct program *program = program_of(gateway);
	const char *path = support_path(program->file), *arguments[COUNT(program->arguments)];
	char home[128], data[128], config[128];
	FILE *file = fopen(path, "we");

	cr_assert(file, "%s: %s", path, strerror(errno));
	config_of(file, gateway, backend);
	fclose(file);
	for (size_t i = 0; i < COUNT(arguments); i++) {
		const char *one = program->arguments[i];

		arguments[i] = one && !*one ? path : one;
	}
	snprintf(home, sizeof home, "HOME=%s", support_directory());
	snprintf(data, sizeof data, "XDG_DATA_HOME=%s", support_directory());
	snprintf(config, sizeof config, "XDG_CONFIG_HOME=%s", support_directory());
	process_start(&gateway->process,
	        &(struct process_options){
	                .arguments = arguments,
	                .environment = (const char *const[]){ home, data, config, NULL },
	        });
}

static void start_nginx(struct gateway *gateway, const char *backend)
{
	nginx_start_all(&gateway->nginx, backend);
	memcpy(gateway->address, gateway->nginx.address, sizeof gateway->address);
	gateway->count = NGINX_GATES;
}

void gateway_start_as(struct gateway *gateway, const struct gateway_kind *kind, size_t count,
        gateway_config *config, const char *backend)
{
	int held[GATEWAY_GATES];

	*gateway = (struct gateway){ .kind = kind, .count = count };
	for (size_t i = 0; i < count; i++)
		held[i] = hold_port(gateway->address[i]);
	run(gateway, config, backend);
	wait_ready(gateway);
	for (size_t i = 0; i < count; i++)
		close(held[i]);
}

void gateway_start(struct gateway *gateway, const struct gateway_kind *kind, const char *backend)
{
	gateway_config *config = programs[kind - gateway_kinds].config;
	size_t count = 0;

	*gateway = (struct gateway){ .kind = kind };
	if (!config) {
		start_nginx(gateway, backend);
		return;
	}
	while (count < GATEWAY_GATES && kind->gates[count].name)
		count++;
	gateway_start_as(gateway, kind, count, config, backend);
}

void gateway_stop(struct gateway *gateway)
{
	const struct program *program = program_of(gateway);
	int status;

	if (!program->config) {
		nginx_stop(&gateway->nginx);
		return;
	}
	kill(gateway->process.pid, program->signal);
	status = process_wait(&gateway->process);
	cr_expect_eq(status, program->status, "%s: exit status %d: %s", gateway->kind->name, status,
	        gateway->process.err.data);
	process_free(&gateway->process);
}
