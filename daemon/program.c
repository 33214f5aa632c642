/* A program of the daemon's, with or without an application of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps.h"
#include "background.h"
#include "command.h"
#include "config.h"
#include "log.h"
#include "master.h"
#include "notify.h"
#include "options.h"
#include "pidfile.h"
#include "privileges.h"
#include "socket.h"

/* What ag_main hands to the steps: all of it lives as long as the process. */
struct daemon {
	struct options options;
	char *pidfile_path; /* the configuration may change */
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

static const char *protocol_of(const struct listen_config *listen)
{
	return listen->protocol ? listen->protocol->name : "auto";
}

static void on_ready(void *data, const struct generation *generation)
{
	struct daemon *daemon = data;

	if (!pidfile_write(&daemon->pidfile))
		log_line(LOG_LEVEL_WARNING, "can't write %s: %s", daemon->pidfile.path,
		        strerror(errno));
	if (geteuid() == 0 && !generation->config->daemon.user)
		log_line(LOG_LEVEL_WARNING,
		        "running as root: applications may do anything; set daemon.user");
	for (size_t i = 0; i < generation->bound_count; i++) {
		const struct bound *bound = &generation->bound[i];

		fprintf(stderr, "anygate: listening on %s (%s)\n", bound->name,
		        bound == generation_admin(generation)
		                ? "admin"
		                : protocol_of(&generation->config->listen[i]));
	}
	if (daemon->announce >= 0)
		background_announce(daemon->announce);
	log_follow_stderr();
	daemon->announce = -1;
	notify_ready("Ready");
}

/* A worker holds neither the lock nor the parent: both go with the master. */
static void on_forked(void *data)
{
	struct daemon *daemon = data;

	pidfile_close(&daemon->pidfile);
	if (daemon->announce >= 0)
		close(daemon->announce);
	daemon->announce = -1;
	notify_forget();
}

static bool daemonize(struct daemon *daemon, const struct config *config)
{
	if (config->daemon.daemonize)
		daemon->announce = background_enter();
	return !config->daemon.daemonize || daemon->announce >= 0;
}

static bool take_pidfile(
        struct daemon *daemon, const struct config *config, char *error, size_t size)
{
	if (config->daemon.pidfile)
		daemon->pidfile_path = strdup(config->daemon.pidfile);
	return pidfile_take(&daemon->pidfile, daemon->pidfile_path, error, size);
}

/* What a start from nothing prepares; false with a line in `error`. */
static bool begin(struct daemon *daemon, struct generation *first, char *error, size_t size)
{
	privileges_open_files(first->config->daemon.open_files);
	if (!generation_open_logs(first, error, size) ||
	        !generation_open(first, NULL, error, size) ||
	        !take_pidfile(daemon, first->config, error, size))
		return false;
	if (daemonize(daemon, first->config))
		return true;
	snprintf(error, size, "can't fork: %s", strerror(errno));
	return false;
}

/* The same where a former program of this process has prepared it. */
static bool go_on(struct daemon *daemon, struct generation *first, struct handover *handover,
        char *error, size_t size)
{
	const struct generation before = { .bound = handover->bound,
		.bound_count = handover->bound_count };

	if (first->config->daemon.pidfile)
		daemon->pidfile_path = strdup(first->config->daemon.pidfile);
	return generation_open_logs(first, error, size) &&
	       generation_open(first, &before, error, size) &&
	       (handover->pidfile < 0 || pidfile_adopt(&daemon->pidfile, daemon->pidfile_path,
	                                         handover->pidfile, error, size));
}

/* The configuration in force, as the former program has left it. */
static struct generation *parse_former(
        const struct daemon *daemon, const struct handover *handover, char *error, size_t size)
{
	char path[64];
	struct options former = {
		.debug = daemon->options.debug,
		.start = daemon->options.start,
		.self = daemon->options.self,
		.config_file = path,
	};

	snprintf(path, sizeof(path), "/proc/self/fd/%d", handover->config);
	return generation_parse(&former, error, size);
}

static int serve(struct daemon *daemon)
{
	struct master_start start = {
		.options = &daemon->options, .on_ready = on_ready, .on_forked = on_forked
	};
	char error[CONFIG_ERROR_MAX];
	bool ready;

	master_block_signals(); /* one that comes before the workers are up is acted on then */
	start.data = daemon;
	start.handover = handover_read(error, sizeof(error));
	if (*error)
		return fail(1, error);
	start.first = start.handover ? parse_former(daemon, start.handover, error, sizeof(error))
	                             : generation_parse(&daemon->options, error, sizeof(error));
	ready = start.first &&
	        (start.handover ? go_on(daemon, start.first, start.handover, error, sizeof(error))
	                        : begin(daemon, start.first, error, sizeof(error)));
	int status = start.first ? 1 : EXIT_USAGE;

	start.pidfile = daemon->pidfile.fd;
	if (ready) {
		status = master_run(&start);
	} else {
		if (start.handover)
			handover_return(start.handover, error, daemon->options.argv);
		fail(status, error);
		generation_free(start.first, NULL);
	}
	pidfile_remove(&daemon->pidfile);
	free(daemon->pidfile_path);
	handover_free(start.handover);
	return status;
}

/* -t: everything but the sockets. */
static int check(const struct config *config)
{
	struct host *host;
	char error[512];

	if (!generation_enter(config, error, sizeof(error)))
		return fail(1, error);
	if (!environment_apply(&config->daemon.environment))
		return fail(1, "no memory");
	/* applications are looked for where workers do it, if we may */
	if (geteuid() == 0 && !privileges_enter_root(&config->daemon, error, sizeof(error)))
		return fail(1, error);
	host = host_load(config, error, sizeof(error));
	if (!host)
		return fail(EXIT_USAGE, error);
	host_free(host);
	return handover_confirm() ? 0 : 1;
}

/* What needs the configuration only. */
static int look(const struct options *options)
{
	char error[CONFIG_ERROR_MAX];
	struct config *config = config_load(options, error, sizeof(error));
	int status = 0;

	if (!config)
		return fail(EXIT_USAGE, error);
	if (options->action == OPTIONS_CHECK)
		status = check(config);
	else if (options->action == OPTIONS_PRINT_CONFIG)
		config_print(config, stdout);
	else
		status = command_run(options, config);
	config_free(config);
	return status;
}

static int run(struct daemon *daemon)
{
	if (options_answer(&daemon->options, stdout))
		return 0;
	return daemon->options.action == OPTIONS_RUN ? serve(daemon) : look(&daemon->options);
}

int ag_main(int argc, char **argv, ag_setup *setup)
{
	struct daemon daemon = { .pidfile = PIDFILE_NONE, .announce = -1 };
	char error[CONFIG_ERROR_MAX];
	int status = EXIT_USAGE;

	if (!background_open_standard())
		return 1;
	if (options_parse(&daemon.options, argc, argv, setup, error, sizeof(error)))
		status = run(&daemon);
	else
		fail(status, error);
	log_close();
	options_free(&daemon.options);
	return status;
}
