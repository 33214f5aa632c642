/* The configuration: every kind of value, listeners, networks, and the files that must agree with
 * the table of keys. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "config_load.h"
#include "daemon/config_keys.h"

SUITE(config);

/* ---- values ---- */

static const struct value_row {
	const char *set, *line; /* as --print-config shows it */
} values[] = {
	{ "daemon.workers=3", "workers = 3" },
	{ "daemon.user=www-data", "user = www-data" },
	{ "daemon.user=", "user =" },
	{ "daemon.daemonize=ON", "daemonize = on" },
	{ "daemon.daemonize=true", "daemonize = on" },
	{ "daemon.daemonize=yes", "daemonize = on" },
	{ "daemon.daemonize=1", "daemonize = on" },
	{ "daemon.daemonize=no", "daemonize = off" },
	{ "daemon.daemonize=false", "daemonize = off" },
	{ "daemon.daemonize=0", "daemonize = off" },
	{ "daemon.open_files=64", "open_files = 64" },
	{ "daemon.graceful_timeout=0", "graceful_timeout = 0" },
	{ "daemon.threads=0", "threads = 0" },
	{ "daemon.stack_size=65536", "stack_size = 64K" },
	{ "daemon.stack_size=1g", "stack_size = 1G" },
	{ "daemon.programs=0", "programs = 0" },
	{ "daemon.programs=3", "programs = 3" },
	{ "daemon.fetches=0", "fetches = 0" },
	{ "listen.mode=600", "mode = 0600" },
	{ "listen.protocol=http", "protocol = http" },
	{ "listen.allowed_clients=10.0.0.0/8 fd00::/8,::1",
	        "allowed_clients = 10.0.0.0/8, fd00::/8, ::1/128" },
	{ "listen.trusted_proxies=unix,10.0.0.0/8", "trusted_proxies = unix" },
	{ "listen.trusted_proxies=unix,10.0.0.0/8", "trusted_proxies = 10.0.0.0/8" },
	{ "listen.trusted_proxies=", "trusted_proxies =" },
	{ "listen.trusted_proxies=user:root,::1", "trusted_proxies = user:root" },
	{ "listen.trusted_proxies=user:root,::1", "trusted_proxies = ::1/128" },
	{ "listen.allowed_clients=group:4294967294 unix", "allowed_clients = group:4294967294" },
	{ "listen.allowed_clients=group:4294967294 unix", "allowed_clients = unix" },
	{ "admin.listen=off", "[admin]\nlisten = off" },
	{ "admin.listen=unix:/run/a.sock", "[admin]\nlisten = unix:/run/a.sock" },
	{ "admin.listen=[::1]:9180", "listen = [::1]:9180" },
	{ "admin.listen=localhost:9180", "listen = localhost:9180" },
	{ "admin.mode=0660", "listen = off\nmode = 0660" },
	{ "admin.owner=root", "owner = root" },
	{ "admin.group=daemon", "group = daemon" },
	{ "admin.allowed_clients=user:root", "allowed_clients = user:root" },
	{ "listen.underscores=on", "underscores = on" },
	{ "listen.proxy_protocol=on", "proxy_protocol = on" },
	{ "limits.body_size=0", "body_size = 0" },
	{ "limits.body_size=1048577", "body_size = 1048577" },
	{ "limits.body_size=2048K", "body_size = 2M" },
	{ "limits.body_size=1024G", "body_size = 1024G" },
	{ "limits.header_timeout=5", "header_timeout = 5s" },
	{ "limits.header_timeout=1500ms", "header_timeout = 1500ms" },
	{ "limits.header_timeout=90s", "header_timeout = 90s" },
	{ "limits.header_timeout=120s", "header_timeout = 2m" },
	{ "limits.header_timeout=24h", "header_timeout = 24h" },
	{ "log.level=Debug", "level = debug" },
	{ "bus.password=hunter2", "password = ***" },
	{ "bus.password=", "password =" },
	{ "log.error=/var/log/a;b", "error = /var/log/a;b" },
	{ "app.host=WWW.Example.org", "host = www.example.org" },
	{ "app.host=any", "host = any" },
	{ "app.mount=/blog/", "mount = /blog/" },
	{ "app.main.debug=on", "debug = on" },
	{ "app.main.db.url=a=b", "db.url = a=b" },
	{ "app.root= /srv/www ", "root = /srv/www" },
	{ "app.empty=", "empty =" },
};

/* Whether `text` has the line. */
static bool has_line(const char *text, const char *line)
{
	size_t length = strlen(line);

	for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
		if ((at == text || at[-1] == '\n') && at[length] == '\n')
			return true;
	}
	return false;
}

Test(config, values)
{
	char arguments[256];

	for (size_t i = 0; i < COUNT(values); i++) {
		struct config *config;
		char *text;

		snprintf(arguments, sizeof(arguments), "hello|-s|%s", values[i].set);
		config = load_good(arguments);
		text = print(config);
		cr_expect(has_line(text, values[i].line), "%s: no line \"%s\"", values[i].set,
		        values[i].line);
		free(text);
		config_free(config);
	}
}

Test(config, defaults)
{
	struct config *config = load_good("hello");

	cr_expect_geq(config->daemon.workers, 1);
	cr_expect_null(config->daemon.user);
	cr_expect_eq(config->daemon.open_files, 50000);
	cr_expect_eq(config->daemon.graceful_timeout, 30000);
	cr_expect_eq(config->daemon.stack_size, 262144);
	cr_expect_eq(config->listen_count, 0);
	cr_expect_eq(config->listen_default.backlog, 4096);
	cr_expect_eq(config->listen_default.mode, 0660);
	cr_expect_eq(config->listen_default.keepalive_timeout, 75000);
	cr_expect_null(config->listen_default.protocol);
	cr_expect_eq(config->limits.body_size, 50 * 1048576);
	cr_expect_eq(config->limits.header_timeout, 10000);
	cr_expect_str_eq(config->log.error, "stderr");
	cr_expect_eq(config->log.level, 2);
	cr_expect_eq(config->app_count, 1);
	cr_expect_str_eq(config->app[0].name, "main");
	cr_expect_str_eq(config->app[0].load, "hello");
	cr_expect_str_eq(config->app[0].mount, "/");
	cr_expect_null(config->app[0].host);
	cr_expect(!config->debug);
	config_free(config);
}

Test(config, short_options)
{
	struct config *config = load_good("-dDw3|-p|/run/a.pid|hello|-uwww:adm|-Pscgi");

	cr_expect(config->debug);
	cr_expect(config->daemon.daemonize);
	cr_expect_eq(config->daemon.workers, 3);
	cr_expect_str_eq(config->daemon.pidfile, "/run/a.pid");
	cr_expect_str_eq(config->daemon.user, "www");
	cr_expect_str_eq(config->daemon.group, "adm");
	cr_expect_str_eq(config->listen_default.protocol->name, "scgi");
	config_free(config);
}

/* ---- listeners ---- */

static const struct address_row {
	const char *text;
	enum address_kind kind;
	const char *host, *path;
	unsigned port;
	int fd;
} addresses[] = {
	{ "127.0.0.1:9000", ADDRESS_TCP, "127.0.0.1", "", 9000, -1 },
	{ "127.9.9.9:0", ADDRESS_TCP, "127.9.9.9", "", 0, -1 },
	{ "localhost:65535", ADDRESS_TCP, "127.0.0.1", "", 65535, -1 },
	{ "LocalHost:1", ADDRESS_TCP, "127.0.0.1", "", 1, -1 },
	{ "[::1]:80", ADDRESS_TCP, "::1", "", 80, -1 },
	{ "[0:0:0:0:0:0:0:1]:80", ADDRESS_TCP, "::1", "", 80, -1 },
	{ "[::ffff:127.0.0.1]:80", ADDRESS_TCP, "::ffff:127.0.0.1", "", 80, -1 },
	{ "http=:80", ADDRESS_TCP, "", "", 80, -1 },
	{ "http=*:80", ADDRESS_TCP, "", "", 80, -1 },
	{ "http=[::]:80", ADDRESS_TCP, "::", "", 80, -1 },
	{ "http=8.8.8.8:80", ADDRESS_TCP, "8.8.8.8", "", 80, -1 },
	{ "unix:/run/a=b.sock", ADDRESS_UNIX, "", "/run/a=b.sock", 0, -1 },
	{ "fastcgi=unix:x", ADDRESS_UNIX, "", "x", 0, -1 },
	{ "fd:0", ADDRESS_FD, "", "", 0, 0 },
	{ "fd:33", ADDRESS_FD, "", "", 0, 33 },
};

Test(config, addresses)
{
	char arguments[256];

	for (size_t i = 0; i < COUNT(addresses); i++) {
		const struct address_row *row = &addresses[i];
		const struct listen_address *where;
		struct config *config;

		snprintf(arguments, sizeof(arguments), "hello|-l|%s", row->text);
		config = load_good(arguments);
		where = &config->listen[0].where;
		cr_expect_eq(where->kind, row->kind, "%s", row->text);
		cr_expect_str_eq(where->host, row->host, "%s", row->text);
		cr_expect_str_eq(where->path, row->path, "%s", row->text);
		cr_expect_eq(where->port, row->port, "%s", row->text);
		cr_expect_eq(where->fd, row->fd, "%s", row->text);
		config_free(config);
	}
}

static const char listeners_file[] = "[listen web]\n"
                                     "address = http=127.0.0.1:1\n"
                                     "backlog = 7\n"
                                     "allowed_clients = 10.0.0.0/8   ; ours\n"
                                     "allowed_clients = 11.0.0.0/8\n"
                                     "[listen gate]\n"
                                     "  address: unix:/run/x\n"
                                     "  allowed_clients =\n"
                                     "# the defaults may come last\n"
                                     "[listen]\n"
                                     "protocol = uwsgi\n"
                                     "backlog = 99\n"
                                     "allowed_clients = fd00::/8\n"
                                     "owner = www\n"
                                     "[app]\n"
                                     "load = hello\n";

Test(config, listeners_take_defaults)
{
	char error[CONFIG_ERROR_MAX];
	struct config *config = load_text(listeners_file, sizeof(listeners_file) - 1,
	        "-s|listen.backlog=5|-s|listen.gate.mode=0600", error);
	const struct listen_config *web, *gate;

	cr_assert_not_null(config, "%s", error);
	cr_assert_eq(config->listen_count, 2);
	web = &config->listen[0];
	gate = &config->listen[1];
	cr_expect_str_eq(web->name, "web");
	cr_expect_str_eq(web->address, "127.0.0.1:1");
	cr_expect_str_eq(web->protocol->name, "http");
	cr_expect_str_eq(gate->protocol->name, "uwsgi");
	cr_expect_eq(web->backlog, 7);
	cr_expect_eq(gate->backlog, 5);
	cr_expect_eq(web->allowed_clients.count, 2);
	cr_expect_eq(gate->allowed_clients.count, 0);
	cr_expect_eq(gate->mode, 0600);
	cr_expect_str_eq(gate->owner, "www");
	config_free(config);
}

Test(config, command_line_replaces_listeners)
{
	char error[CONFIG_ERROR_MAX];
	struct config *config = load_text(listeners_file, sizeof(listeners_file) - 1,
	        "-l|:1|-l|http=:2|-P|scgi|-s|app.load=other", error);

	cr_assert_not_null(config, "%s", error);
	cr_assert_eq(config->listen_count, 2);
	cr_expect_str_eq(config->listen[0].name, "main");
	cr_expect_str_eq(config->listen[0].protocol->name, "scgi");
	cr_expect_str_eq(config->listen[0].origin, "--listen :1");
	cr_expect_eq(config->listen[0].allowed_clients.count, 1);
	cr_expect_str_eq(config->listen[1].name, "main2");
	cr_expect_str_eq(config->listen[1].protocol->name, "http");
	cr_expect_str_eq(config->app[0].load, "other");
	config_free(config);
}

Test(config, add_listener)
{
	struct config *config = load_good("-P|uwsgi|-s|listen.backlog=9|hello");
	char error[CONFIG_ERROR_MAX];
	struct listen_config *listen;

	listen = config_add_listener(config, "fd:0", error, sizeof(error));
	cr_assert_not_null(listen, "%s", error);
	cr_expect_str_eq(listen->name, "main");
	cr_expect_eq(listen->backlog, 9);
	cr_expect_str_eq(listen->protocol->name, "uwsgi");
	cr_expect_null(config_add_listener(config, ":80", error, sizeof(error)));
	cr_expect(strstr(error, "is open to other hosts"), "%s", error);
	cr_expect_null(config_add_listener(config, "x", error, sizeof(error)));
	cr_expect_eq(config->listen_count, 1);
	listen = config_add_listener(config, "127.0.0.1:8888", error, sizeof(error));
	cr_assert_not_null(listen, "%s", error);
	cr_expect_str_eq(listen->name, "main2");
	cr_expect_eq(config->listen_count, 2);
	config_free(config);
}

/* ---- networks ---- */

static const struct cidr_row {
	const char *network, *peer;
	bool match;
} networks[] = {
	{ "10.0.0.0/8", "10.1.2.3", true },
	{ "10.0.0.0/8", "11.0.0.0", false },
	{ "10.0.0.0/8", "::ffff:10.1.2.3", true },
	{ "10.0.0.0/8", "a00::", false },
	{ "192.168.4.0/22", "192.168.7.255", true },
	{ "192.168.4.0/22", "192.168.8.0", false },
	{ "1.2.3.4", "1.2.3.4", true },
	{ "1.2.3.4/32", "1.2.3.5", false },
	{ "0.0.0.0/0", "255.255.255.255", true },
	{ "0.0.0.0/0", "::1", false },
	{ "::/0", "2001:db8::1", true },
	{ "::/0", "10.0.0.1", false },
	{ "::/0", "::ffff:10.0.0.1", false },
	{ "::ffff:10.0.0.0/104", "10.9.9.9", true },
	{ "fd00::/8", "fdff::1", true },
	{ "fd00::/8", "fe00::1", false },
	{ "2001:db8::/33", "2001:db8:7fff::", true },
	{ "2001:db8::/33", "2001:db8:8000::", false },
	{ "::1", "::1", true },
	{ "::1/128", "::2", false },
};

static bool match(const struct cidr *cidr, const char *peer)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, peer, &v4.sin_addr) == 1)
		return cidr_match(cidr, 1, (struct sockaddr *)&v4);
	cr_assert_eq(inet_pton(AF_INET6, peer, &v6.sin6_addr), 1);
	return cidr_match(cidr, 1, (struct sockaddr *)&v6);
}

Test(config, networks)
{
	struct sockaddr_un unix_peer = { .sun_family = AF_UNIX };
	struct sockaddr_in any = { .sin_family = AF_INET };
	char error[CONFIG_ERROR_MAX];
	struct cidr cidr;

	for (size_t i = 0; i < COUNT(networks); i++) {
		const struct cidr_row *row = &networks[i];

		cr_assert(cidr_parse(&cidr, row->network, error, sizeof(error)), "%s", error);
		cr_expect_eq(match(&cidr, row->peer), row->match, "%s %s", row->network, row->peer);
	}
	cr_expect(!cidr_match(&cidr, 1, (struct sockaddr *)&unix_peer));
	cr_expect(!cidr_match(NULL, 0, (struct sockaddr *)&any));
}

/* ---- the effective configuration, and files made from the table ---- */

#define MANY "10.0.0.0/8,11.0.0.0/8,12.0.0.0/8,13.0.0.0/8,14.0.0.0/8,15.0.0.0/8,2001:db8::/32"

static const char *const printed[] = {
	"hello",
	"--print-config",
	"-l|:0|-s|listen.allowed_clients=" MANY "|-P|uwsgi|x.so",
	"-l|:0|-s|listen.trusted_proxies=unix," MANY "|-s|listen.proxy_protocol=on|-P|http|x.so",
	"-l|unix:/x|-s|listen.trusted_proxies=unix|-s|listen.proxy_protocol=on|x.so",
	"-l|unix:/"
	"x|-s|listen.trusted_proxies=user:0,group:root,::1|-s|listen.proxy_protocol=on|x.so",
	"-l|http=:80|-l|unix:/run/x|-l|fd:3|-l|[::1]:80|-w|7|-u|a:b|-d|-s|app.k=v|x.so",
	"-s|bus.redis=unix:/r|-s|bus.password=hunter2|x.so",
	"-s|app.b.load=b|-s|app.b.mount=/b|-s|app.b.host=H|-s|app.b.x=1;2|-s|log.level=error|a",
};

Test(config, print_reads_back)
{
	for (size_t i = 0; i < COUNT(printed); i++) {
		struct config *config = load_good(printed[i]), *again;
		char *text = print(config), *second, error[CONFIG_ERROR_MAX];

		again = load_text(text, strlen(text), "--print-config", error);
		cr_assert_not_null(again, "%s: %s", printed[i], error);
		second = print(again);
		cr_expect_str_eq(text, second, "%s", printed[i]);
		free(text);
		free(second);
		config_free(config);
		config_free(again);
	}
}

/* Whatever is left of a file gives a configuration or a message, and nothing leaks. */
Test(config, truncated_files)
{
	for (size_t length = 0; length < sizeof(listeners_file); length++) {
		char error[CONFIG_ERROR_MAX];
		struct config *config = load_text(listeners_file, length, "", error);

		cr_expect(config != NULL || *error != '\0');
		config_free(config);
	}
}

static char *read_source(const char *path)
{
	char full[512], *text;
	FILE *file;
	long size;

	snprintf(full, sizeof(full), "%s/%s", SOURCE_DIR, path);
	file = fopen(full, "r");
	cr_assert_not_null(file, "%s", full);
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	text = calloc(1, (size_t)size + 1);
	cr_assert_eq(fread(text, 1, (size_t)size, file), (size_t)size);
	fclose(file);
	return text;
}

Test(config, template_is_committed)
{
	char *committed = read_source("etc/anygate.ini"), *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_write_template(out);
	fclose(out);
	cr_expect_str_eq(committed, text, "etc/anygate.ini is not what the table of keys says");
	free(committed);
	free(text);
}

/* Takes away the ";" before a key or a section. */
static void uncomment(char *text)
{
	char *to = text;

	for (char *at = text; *at; at++) {
		if (*at != ';' || at[1] == ' ' || at[1] == '\n' || (at > text && at[-1] != '\n'))
			*to++ = *at;
	}
	*to = '\0';
}

Test(config, template_is_the_default)
{
	char *text = read_source("etc/anygate.ini"), error[CONFIG_ERROR_MAX];
	struct config *config, *same = load_good("-l|127.0.0.1:8888|hello");
	char *one, *other;

	uncomment(text);
	config = load_text(text, strlen(text), "", error);
	cr_assert_not_null(config, "%s", error);
	one = print(config);
	other = print(same);
	cr_expect_str_eq(one, other);
	free(one);
	free(other);
	free(text);
	config_free(config);
	config_free(same);
}

static void find_in_manual(void *manual, const char *section, const char *key, const char *standard)
{
	char item[128];
	const char *at;

	snprintf(item, sizeof(item), "\n.Ss [%s", section);
	at = strstr(manual, item);
	cr_assert_not_null(at, "no [%s] in the manual page", section);
	snprintf(item, sizeof(item), "\n.It Cm %s", key);
	at = strstr(at, item);
	cr_assert_not_null(at, "[%s] %s is not in the manual page", section, key);
	at += strlen(item);
	cr_expect(*at == ' ' || *at == '\n');
	snprintf(item, sizeof(item), " Pq default Cm %s\n", standard);
	if (strncmp(at, " Pq default", 11) == 0)
		cr_expect(strncmp(at, item, strlen(item)) == 0, "[%s] %s: default", section, key);
	else
		cr_expect(*standard == '\0' || strncmp(at, " Pq required", 12) == 0, "%s", key);
}

Test(config, manual_names_every_key)
{
	char *manual = read_source("daemon/anygate.8");

	config_each_key(find_in_manual, manual);
	free(manual);
}
