#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "background.h"
#include "config.h"
#include "log.h"
#include "master.h"
#include "options.h"
#include "pidfile.h"
#include "privileges.h"
#include "socket.h"
#include "worker.h"

/* What main hands to the steps: all of it lives as long as the process. */
struct daemon {
	struct options options;
	struct config *config;
	struct bound *bound;
	size_t bound_count;
	struct pidfile pidfile;
	int announce; /* when daemonized: for background_announce; else -1 */
};

enum {
	EXIT_USAGE = 2,
};

static int fail(int status, const char *line)
{
	fprintf(stderr, "anygate: %s\n", line);
	return status;
}

/* Without listeners of its own: descriptor 0, then systemd's sockets, then the default. */
static bool find_listeners(struct config *config, char *error, size_t size)
{
	char address[32];

	if (config->listen_count)
		return true;
	if (socket_listens(STDIN_FILENO))
		return config_add_listener(config, "fd:0", error, size);
	int inherited = socket_from_systemd();

	for (int fd = 3; fd < 3 + inherited; fd++) {
		snprintf(address, sizeof(address), "fd:%d", fd);
		if (!config_add_listener(config, address, error, size))
			return false;
	}
	return inherited || config_add_listener(config, "127.0.0.1:8888", error, size);
}

static bool open_sockets(struct daemon *daemon, char *error, size_t size)
{
	struct config *config = daemon->config;

	daemon->bound = calloc(config->listen_count, sizeof(*daemon->bound));
	if (!daemon->bound) {
		snprintf(error, size, "no memory");
		return false;
	}
	for (size_t i = 0; i < config->listen_count; i++) {
		daemon->bound[i].listener = i;
		if (!socket_open(&daemon->bound[i], &config->listen[i], error, size))
			return false;
		daemon->bound_count++;
	}
	return true;
}

static void close_sockets(struct daemon *daemon)
{
	for (size_t i = 0; i < daemon->bound_count; i++)
		socket_close(&daemon->bound[i]);
	free(daemon->bound);
}

/* -t: everything but the sockets. */
static int check(const struct config *config)
{
	char error[512];
	struct host *host = host_load(config, error, sizeof(error));

	if (!host)
		return fail(EXIT_USAGE, error);
	host_free(host);
	return 0;
}

static void on_ready(void *data)
{
	struct daemon *daemon = data;

	if (!pidfile_write(&daemon->pidfile))
		log_line(LOG_LEVEL_WARNING, "can't write %s: %s", daemon->pidfile.path,
		        strerror(errno));
	for (size_t i = 0; i < daemon->bound_count; i++) {
		const struct protocol *protocol = daemon->config->listen[i].protocol;

		fprintf(stderr, "anygate: listening on %s (%s)\n", daemon->bound[i].name,
		        protocol ? protocol->name : "auto");
	}
	if (daemon->announce >= 0)
		background_announce(daemon->announce);
	daemon->announce = -1;
}

static bool daemonize(struct daemon *daemon)
{
	if (daemon->config->daemon.daemonize)
		daemon->announce = background_enter();
	return !daemon->config->daemon.daemonize || daemon->announce >= 0;
}

static bool enter_directory(const struct config *config, char *error, size_t size)
{
	const char *directory = config->daemon.directory;

	if (!directory || chdir(directory) == 0)
		return true;
	snprintf(error, size, "daemon.directory: can't enter %s: %s", directory, strerror(errno));
	return false;
}

static bool open_log(const struct config *config, char *error, size_t size)
{
	unsigned level = config->debug ? LOG_LEVEL_DEBUG : config->log.level;

	if (log_open(config->log.error, level))
		return true;
	snprintf(error, size, "log.error: can't open %s: %s", config->log.error, strerror(errno));
	return false;
}

static int serve(struct daemon *daemon)
{
	struct config *config = daemon->config;
	char error[CONFIG_ERROR_MAX];
	pid_t own;
	int status = 1;

	master_block_signals(); /* one that comes before the workers are up is acted on then */
	if (!find_listeners(config, error, sizeof(error)))
		return fail(EXIT_USAGE, error);
	privileges_open_files(config->daemon.open_files);
	if (!open_log(config, error, sizeof(error)) ||
	        !enter_directory(config, error, sizeof(error)) ||
	        !open_sockets(daemon, error, sizeof(error)) ||
	        !pidfile_take(&daemon->pidfile, config->daemon.pidfile, error, sizeof(error)))
		fail(status, error);
	else if (!daemonize(daemon))
		fail(status, "can't fork");
	else {
		own = getpid();
		status = master_run(config, daemon->bound, daemon->bound_count, on_ready, daemon);
		if (getpid() != own) { /* a worker: what is the master's is left alone */
			free(daemon->bound);
			return status;
		}
	}
	close_sockets(daemon);
	pidfile_remove(&daemon->pidfile);
	return status;
}

static int run(struct daemon *daemon)
{
	char error[CONFIG_ERROR_MAX];

	if (options_answer(&daemon->options, stdout))
		return 0;
	daemon->config = config_load(&daemon->options, error, sizeof(error));
	if (!daemon->config)
		return fail(EXIT_USAGE, error);
	if (daemon->options.action == OPTIONS_PRINT_CONFIG) {
		config_print(daemon->config, stdout);
		return 0;
	}
	if (daemon->options.action == OPTIONS_CHECK)
		return check(daemon->config);
	return serve(daemon);
}

int main(int argc, char **argv)
{
	struct daemon daemon = { .pidfile = PIDFILE_NONE, .announce = -1 };
	char error[CONFIG_ERROR_MAX];
	int status = EXIT_USAGE;

	if (!background_open_standard())
		return 1;
	if (options_parse(&daemon.options, argc, argv, error, sizeof(error)))
		status = run(&daemon);
	else
		fail(status, error);
	config_free(daemon.config);
	options_free(&daemon.options);
	return status;
}
