/* Every key of the configuration in one table, and what is made from it. */
#include <assert.h>
#include <string.h>

#include "config_keys.h"

#define KIB     1024ull
#define MIB     (1024 * KIB)
#define GIB     (1024 * MIB)
#define SECONDS 1000ull
#define HOURS   (3600 * SECONDS)

const struct section config_sections[SECTION_COUNT] = {
	[SECTION_DAEMON] = { "daemon", false, "The processes." },
	[SECTION_LISTEN] = { "listen", true,
	        "[listen] holds the defaults of all listeners, each [listen NAME] is one." },
	[SECTION_LIMITS] = { "limits", false, "What one client may use." },
	[SECTION_LOG] = { "log", false, "The log." },
	[SECTION_BUS] = { "bus", false, "What carries the messages of channels to other daemons." },
	[SECTION_ADMIN] = { "admin", false, "What tells how the daemon is." },
	[SECTION_APP] = { "app", true,
	        "One [app NAME] for each application; keys not listed here are its own." },
};

#define FIELD(type, field) offsetof(struct type, field), sizeof(((struct type *)0)->field)
#define DAEMON(name)       SECTION_DAEMON, #name, FIELD(daemon_config, name)
#define LISTEN(name)       SECTION_LISTEN, #name, FIELD(listen_config, name)
#define LIMITS(name)       SECTION_LIMITS, #name, FIELD(limits, name)
#define LOG(name)          SECTION_LOG, #name, FIELD(log_config, name)
#define BUS(name)          SECTION_BUS, #name, FIELD(bus_config, name)
#define ADMIN(name)        SECTION_ADMIN, #name, FIELD(listen_config, name)
#define APP(name)          SECTION_APP, #name, FIELD(app_config, name)

const struct key config_keys[] = {
	{ DAEMON(workers), KEY_COUNT, 0, WORKERS_MAX, "auto",
	        "Worker processes; auto is one per usable CPU." },
	{ DAEMON(workers_min), KEY_NUMBER, 1, WORKERS_MAX, "1",
	        "Fewest workers, where workers_max is set." },
	{ DAEMON(workers_max), KEY_NUMBER, 0, WORKERS_MAX, "0",
	        "Most workers: as many as spare_min and spare_max ask for; 0: always as many as "
	        "workers says." },
	{ DAEMON(spare_min), KEY_NUMBER, 1, WORKERS_MAX, "1",
	        "More workers are started when fewer than this are spare." },
	{ DAEMON(spare_max), KEY_NUMBER, 1, WORKERS_MAX, "3",
	        "Workers end, one by one, when more than this are spare for several seconds." },
	{ DAEMON(user), KEY_TEXT, 0, 0, "",
	        "User to run as when started by root; empty: unchanged." },
	{ DAEMON(group), KEY_TEXT, 0, 0, "",
	        "Group to run as when started by root; empty: the user's." },
	{ DAEMON(pidfile), KEY_TEXT, 0, 0, "", "File that gets the process id; empty: none." },
	{ DAEMON(daemonize), KEY_SWITCH, 0, 1, "off", "Go to the background once ready." },
	{ DAEMON(open_files), KEY_NUMBER, 64, 10000000, "50000",
	        "Open descriptors wanted for each worker." },
	{ DAEMON(directory), KEY_TEXT, 0, 0, "",
	        "Directory to work in; empty: where it was started." },
	{ DAEMON(graceful_timeout), KEY_TIME, 0, 24 * HOURS, "30s",
	        "Longest wait for requests in flight at a graceful stop." },
	{ DAEMON(request_timeout), KEY_TIME, 0, 24 * HOURS, "30s",
	        "Longest time for a handler to begin its answer, once it has the body; 0: none." },
	{ DAEMON(max_requests), KEY_NUMBER, 0, 4000000000, "0",
	        "Requests after which, or up to a tenth more, a worker is replaced; 0: none." },
	{ DAEMON(max_lifetime), KEY_TIME, 0, 1000 * HOURS, "0",
	        "Time after which, or up to a tenth more, a worker is replaced; 0: none." },
	{ DAEMON(rss_limit), KEY_SIZE, 0, 1024 * GIB, "0",
	        "Resident bytes above which a worker is replaced; 0: none." },
	{ DAEMON(start_timeout), KEY_TIME, SECONDS, 24 * HOURS, "60s",
	        "Longest wait for a new worker to load its applications." },
	{ DAEMON(reload_watch), KEY_TIME, 0, HOURS, "3s",
	        "How long the workers of a reload must live beside the old ones, which then end." },
	{ DAEMON(threads), KEY_NUMBER, 0, 256, "2",
	        "Threads of a worker for what ag_offload hands over, started when needed; 0: "
	        "none." },
	{ DAEMON(stack_size), KEY_SIZE, 64 * KIB, GIB, "256K",
	        "Address space of one request's stack; only touched pages cost memory." },
	{ DAEMON(programs), KEY_NUMBER, 0, 1000000, "64",
	        "Programs running at a time in each worker: CGI answers 503 above it, ag_run "
	        "waits; 0: no limit." },
	{ DAEMON(fetches), KEY_NUMBER, 0, 1000000, "512",
	        "Fetches (ag_fetch) on their way at a time in each worker, others wait; 0: no "
	        "limit." },
	{ DAEMON(chroot), KEY_TEXT, 0, 0, "",
	        "Root directory of the workers, in which applications are looked for; empty: "
	        "unchanged." },
	{ DAEMON(no_new_privileges), KEY_SWITCH, 0, 1, "on",
	        "Keep workers and their programs from gaining rights, by setuid files too." },
	{ DAEMON(umask), KEY_MODE, 0, 0777, "0027",
	        "Permissions that files made by workers do not get." },
	{ DAEMON(nice), KEY_NICE, 0, 0, "0",
	        "Nice value of the workers, from -20 to 19; 0: unchanged." },
	{ DAEMON(core_size), KEY_LIMIT, 0, 1024 * GIB, "unchanged",
	        "Bytes of a worker's core file; 0: none." },
	{ DAEMON(memory_limit), KEY_SIZE, 0, 1024 * GIB, "0",
	        "Address space of a worker, above which it gets no more memory; 0: no limit." },
	{ DAEMON(cpu_affinity), KEY_CPUS, 0, 0, "off",
	        "CPUs for the workers in turn: off, auto for all usable, or a list such as "
	        "0,2,4-7." },
	{ DAEMON(environment), KEY_ENVIRONMENT, 0, 0, "",
	        "NAME=value that workers have in their environment." },

	{ LISTEN(address), KEY_ADDRESS, 0, 0, "127.0.0.1:8888",
	        "HOST:PORT, :PORT, [V6]:PORT, unix:PATH or fd:N, with PROTOCOL= before it if "
	        "wanted." },
	{ LISTEN(protocol), KEY_PROTOCOL, 0, 0, "auto",
	        "fastcgi, scgi, uwsgi, http, or auto: told apart by a connection's first byte." },
	{ LISTEN(backlog), KEY_NUMBER, 1, 65535, "4096",
	        "Connections that may wait to be accepted." },
	{ LISTEN(mode), KEY_MODE, 0, 0777, "0660", "Permissions of a Unix socket." },
	{ LISTEN(owner), KEY_TEXT, 0, 0, "", "Owner of a Unix socket; empty: unchanged." },
	{ LISTEN(group), KEY_TEXT, 0, 0, "", "Group of a Unix socket; empty: unchanged." },
	{ LISTEN(allowed_clients), KEY_PEERS, 0, 0, "",
	        "Networks that may connect, such as 10.0.0.0/8, fd00::/8, and for Unix sockets "
	        "user:NAME, group:NAME; empty: all." },
	{ LISTEN(trusted_proxies), KEY_PEERS, 0, 0, "",
	        "Networks whose X-Forwarded-For and the like are believed, and unix, user:NAME, "
	        "group:NAME; empty: none." },
	{ LISTEN(proxy_protocol), KEY_SWITCH, 0, 1, "off",
	        "Require a PROXY header, version 1 or 2; taken from trusted_proxies only." },
	{ LISTEN(underscores), KEY_SWITCH, 0, 1, "off",
	        "Take header names with underscores by HTTP; off: dropped, as X_Foo would pass for "
	        "X-Foo." },
	{ LISTEN(keepalive_timeout), KEY_TIME, 1, 24 * HOURS, "75s",
	        "Longest wait for the next request on an open connection." },
	{ LISTEN(max_connections), KEY_NUMBER, 0, 1000000, "0",
	        "Connections open at a time in each worker, others wait to be accepted; 0: no "
	        "limit." },
	{ LISTEN(shed_after), KEY_TIME, 0, HOURS, "0",
	        "Connections that may have waited longer to be accepted are answered 503; 0: "
	        "none." },
	{ LISTEN(stale_after), KEY_TIME, 0, HOURS, "0",
	        "Requests that X-Request-Start or REQUEST_START says are older are answered 503; "
	        "0: none." },

	{ LIMITS(header_size), KEY_SIZE, KIB, 16 * MIB, "64K",
	        "Bytes of one request's variables or header section." },
	{ LIMITS(variables), KEY_NUMBER, 16, 65535, "256",
	        "Variables or header fields of one request." },
	{ LIMITS(body_size), KEY_SIZE, 0, 1024 * GIB, "50M", "Bytes of one request body." },
	{ LIMITS(body_memory), KEY_SIZE, 4 * KIB, GIB, "64K",
	        "Bytes of a body held before the application reads them." },
	{ LIMITS(header_timeout), KEY_TIME, 1, 24 * HOURS, "10s",
	        "Longest time from a request's first byte to the end of its head." },
	{ LIMITS(body_timeout), KEY_TIME, 1, 24 * HOURS, "30s",
	        "Longest wait for the next bytes of a body." },
	{ LIMITS(write_timeout), KEY_TIME, 1, 24 * HOURS, "30s",
	        "Longest wait for a client to take more of the answer." },
	{ LIMITS(body_rate), KEY_SIZE, 0, GIB, "500",
	        "Bytes a second that must come of a body, over body_timeout; 0: any byte will do, "
	        "for "
	        "long trickling uploads." },
	{ LIMITS(write_rate), KEY_SIZE, 0, GIB, "500",
	        "Bytes a second that must be taken of the answer, over write_timeout; 0: any byte "
	        "will do." },

	{ LOG(error), KEY_TEXT, 1, 0, "stderr",
	        "Where messages go: stderr, a file, syslog, or syslog:PATH of its socket." },
	{ LOG(level), KEY_LEVEL, 0, 3, "info",
	        "Least important messages to log: error, warning, info or debug." },
	{ LOG(access), KEY_TEXT, 1, 0, "off",
	        "Where a line for each request goes: off, stderr, a file, syslog, syslog:PATH." },
	{ LOG(format), KEY_TEMPLATE, 1, 0, "combined",
	        "Lines of the access log: combined, json, or a template such as {method} {uri}." },
	{ LOG(slow), KEY_TIME, 0, 24 * HOURS, "0",
	        "Requests that take longer are told in the error log; 0: none." },

	{ BUS(redis), KEY_REDIS, 0, 0, "off",
	        "Redis that carries messages between daemons: off, unix:PATH or HOST:PORT." },
	{ BUS(user), KEY_TEXT, 0, 0, "", "Name to log in there with; empty: the default user." },
	{ BUS(password), KEY_SECRET, 0, 0, "", "Password to log in with; empty: none." },
	{ BUS(prefix), KEY_TEXT, 0, 0, "anygate:",
	        "Stands there before the channels' names; daemons with the same share channels." },

	{ SECTION_ADMIN, "listen", FIELD(listen_config, address), KEY_ADMIN, 0, 0, "off",
	        "Where status, metrics and health are served: off, unix:PATH or a loopback "
	        "HOST:PORT." },
	{ ADMIN(mode), KEY_MODE, 0, 0777, "0600", "Permissions of its Unix socket." },
	{ ADMIN(owner), KEY_TEXT, 0, 0, "", "Owner of its Unix socket; empty: unchanged." },
	{ ADMIN(group), KEY_TEXT, 0, 0, "", "Group of its Unix socket; empty: unchanged." },
	{ ADMIN(allowed_clients), KEY_PEERS, 0, 0, "",
	        "Who of those may connect: networks, user:NAME, group:NAME; empty: all." },

	{ APP(load), KEY_TEXT, 1, 0, "hello",
	        "Path of a shared object, or the name of an application compiled in." },
	{ APP(mount), KEY_MOUNT, 1, 0, "/", "Path under which the application answers." },
	{ APP(host), KEY_HOST, 0, 0, "any",
	        "Server name for which the application answers, or any." },
	{ APP(probe), KEY_MOUNT, 0, 0, "",
	        "Path below the mount that must answer below 400 before a worker serves; empty: "
	        "none." },
	{ APP(debug), KEY_SWITCH, 0, 1, "off",
	        "Help in development: more is told in error pages." },
};

const size_t config_key_count = sizeof(config_keys) / sizeof(config_keys[0]);

uint64_t key_bit(const struct key *key)
{
	unsigned n = 0;

	while (key > config_keys && key[-1].section == key->section) {
		key--;
		n++;
	}
	assert(n < 64);
	return UINT64_C(1) << n;
}

const struct key *key_find(enum section_id section, const char *name)
{
	for (size_t i = 0; i < config_key_count; i++) {
		if (config_keys[i].section == section && strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	}
	return NULL;
}

void config_each_key(
        void (*call)(void *data, const char *section, const char *key, const char *standard),
        void *data)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct key *key = &config_keys[i];

		call(data, config_sections[key->section].name, key->name, key->standard);
	}
}

/* ---- misspelt names ---- */

#define NEAREST_MAX 32

static unsigned least(unsigned one, unsigned other)
{
	return one < other ? one : other;
}

/* Insertions, removals, changes and swaps of neighbours that make one name the other. */
static unsigned edit_distance(const char *one, const char *other)
{
	unsigned rows[3][NEAREST_MAX + 1];
	size_t height = strlen(one), width = strlen(other);

	for (unsigned x = 0; x <= width; x++)
		rows[0][x] = x;
	for (unsigned y = 1; y <= height; y++) {
		unsigned *row = rows[y % 3], *above = rows[(y - 1) % 3],
		         *before = rows[(y + 1) % 3];

		row[0] = y;
		for (unsigned x = 1; x <= width; x++) {
			row[x] = least(above[x], row[x - 1]) + 1;
			row[x] = least(row[x], above[x - 1] + (one[y - 1] != other[x - 1]));
			if (x > 1 && y > 1 && one[y - 1] == other[x - 2] &&
			        one[y - 2] == other[x - 1])
				row[x] = least(row[x], before[x - 2] + 1);
		}
	}
	return rows[height % 3][width];
}

void nearest_offer(struct nearest *nearest, const char *name)
{
	size_t length = strlen(nearest->wanted);
	unsigned distance;

	if (length > NEAREST_MAX || strlen(name) > NEAREST_MAX)
		return;
	distance = edit_distance(nearest->wanted, name);
	/* more changes than a third of the name are another name, not a slip */
	if (distance > 1 + length / 3 || (nearest->best && distance >= nearest->distance))
		return;
	nearest->best = name;
	nearest->distance = distance;
}

/* ---- files ---- */

static void print_section(enum section_id section, const char *name, const void *base, FILE *out)
{
	const char *title = config_sections[section].name;
	bool defaults = section == SECTION_LISTEN && name == NULL;

	fprintf(out, "%s[%s%s%s]\n", section == SECTION_DAEMON ? "" : "\n", title, name ? " " : "",
	        name ? name : "");
	for (size_t i = 0; i < config_key_count; i++) {
		const struct key *key = &config_keys[i];

		if (key->section == section && !(defaults && key->type == KEY_ADDRESS))
			key_print(key, base, out);
	}
}

/* For looks; but inih takes a semicolon behind a blank for a comment. */
static const char *blank_before(const char *value)
{
	return *value && *value != ';' ? " " : "";
}

void config_print(const struct config *config, FILE *out)
{
	print_section(SECTION_DAEMON, NULL, &config->daemon, out);
	print_section(SECTION_LISTEN, NULL, &config->listen_default, out);
	for (size_t i = 0; i < config->listen_count; i++)
		print_section(SECTION_LISTEN, config->listen[i].name, &config->listen[i], out);
	print_section(SECTION_LIMITS, NULL, &config->limits, out);
	print_section(SECTION_LOG, NULL, &config->log, out);
	print_section(SECTION_BUS, NULL, &config->bus, out);
	print_section(SECTION_ADMIN, NULL, &config->admin, out);
	for (size_t i = 0; i < config->app_count; i++) {
		const struct app_config *app = &config->app[i];

		print_section(SECTION_APP, app->name, app, out);
		for (size_t j = 0; j < app->setting_count; j++)
			fprintf(out, "%s =%s%s\n", app->settings[j].key,
			        blank_before(app->settings[j].value), app->settings[j].value);
	}
}

static void write_key(const struct key *key, FILE *out)
{
	fprintf(out, "\n; %s\n;%s =%s%s\n", key->help, key->name, *key->standard ? " " : "",
	        key->standard);
}

static void write_section(enum section_id id, FILE *out)
{
	const struct section *section = &config_sections[id];

	/* an application must say what to load, so its header is a comment too */
	fprintf(out, "\n\n; %s\n%s[%s%s]\n", section->help, id == SECTION_APP ? ";" : "",
	        section->name, id == SECTION_APP ? " main" : "");
	for (size_t i = 0; i < config_key_count; i++) {
		if (config_keys[i].section == id && config_keys[i].type != KEY_ADDRESS)
			write_key(&config_keys[i], out);
	}
	if (id == SECTION_LISTEN) {
		fputs("\n;[listen main]\n", out);
		write_key(key_find(SECTION_LISTEN, "address"), out);
	}
}

void config_write_template(FILE *out)
{
	fputs("; anygate.ini: every key of anygate(8), commented out, at its default.\n"
	      ";\n"
	      "; Sizes take K, M or G; times take ms, s, m or h and are seconds without one. A "
	      "line is\n"
	      "; at most 199 bytes long. \" ;\" begins a comment. allowed_clients, "
	      "trusted_proxies\n; and environment may be repeated.\n",
	        out);
	for (unsigned id = 0; id < SECTION_COUNT; id++)
		write_section(id, out);
}
