#include "command.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "generation.h"
#include "pidfile.h"

/* What a stop or a reload may take beyond its own limits, in ms. */
#define PATIENCE 10000

/* ms between two looks at how a reload goes. */
#define LOOK 50

static int fail(const char *line)
{
	fprintf(stderr, "anygate: %s\n", line);
	return 1;
}

/* ---- who runs ---- */

/* The daemon's process; `fd` refers to it, whoever gets its id later. */
struct target {
	pid_t pid;
	int fd;
};

static bool find_target(
        struct target *target, const struct config *config, char *error, size_t size)
{
	const char *path = config->daemon.pidfile;

	if (!path) {
		snprintf(error, size,
		        "daemon.pidfile is not set: nothing says which process to signal");
		return false;
	}
	target->pid = pidfile_holder(path, error, size);
	if (target->pid < 0)
		return false;
	target->fd = pidfd_open(target->pid, 0);
	if (target->fd >= 0)
		return true;
	snprintf(error, size, "pid %ld, which %s names: %s", (long)target->pid, path,
	        strerror(errno));
	return false;
}

static bool send_signal(const struct target *target, int signal, char *error, size_t size)
{
	if (pidfd_send_signal(target->fd, signal, NULL, 0) == 0)
		return true;
	snprintf(error, size, "can't signal pid %ld: %s", (long)target->pid, strerror(errno));
	return false;
}

/* Whether the process ends within `ms`. */
static bool ends_within(const struct target *target, int ms)
{
	struct pollfd end = { .fd = target->fd, .events = POLLIN };

	return poll(&end, 1, ms) > 0;
}

/* ---- reload ---- */

/* The counts that a reload changes. */
struct progress {
	uint64_t reloads, failed, generation;
	char failure[256];
};

static bool look(struct progress *progress, const struct config *config, char *error, size_t size)
{
	char *text = command_fetch(config, error, size);
	const char *line = text ? command_line(text, "daemon") : NULL;

	if (line) {
		progress->reloads = command_number(line, "reloads");
		progress->failed = command_number(line, "failed_reloads");
		progress->generation = command_number(line, "generation");
		if (!command_field(line, "failure", progress->failure, sizeof(progress->failure)))
			*progress->failure = '\0';
	}
	free(text);
	return line;
}

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int await_reload(const struct target *target, const struct config *config,
        const struct progress *before, char *error, size_t size)
{
	uint64_t limit = clock_ms() + config->daemon.start_timeout + config->daemon.reload_watch +
	                 PATIENCE;
	struct progress now;

	while (clock_ms() < limit) {
		if (ends_within(target, LOOK))
			return fail("the daemon has ended");
		if (!look(&now, config, error, size))
			return fail(error);
		if (now.failed > before->failed) {
			fprintf(stderr, "anygate: not reloaded: %s\n", now.failure);
			return 1;
		}
		if (now.reloads > before->reloads) {
			printf("reloaded: generation %llu serves\n",
			        (unsigned long long)now.generation);
			return 0;
		}
	}
	return fail("the reload is still on its way; the log tells how it goes");
}

static int command_reload(const struct target *target, const struct config *config)
{
	char error[CONFIG_ERROR_MAX], why[CONFIG_ERROR_MAX] = "";
	struct progress before;
	bool watched = look(&before, config, why, sizeof(why));

	if (!send_signal(target, SIGHUP, error, sizeof(error)))
		return fail(error);
	if (watched)
		return await_reload(target, config, &before, error, sizeof(error));
	printf("pid %ld is asked to reload; the log tells how it goes, as %s\n", (long)target->pid,
	        why);
	return 0;
}

/* ---- stop, reopen ---- */

static int command_stop(const struct target *target, const struct config *config)
{
	char error[CONFIG_ERROR_MAX];

	if (!send_signal(target, SIGTERM, error, sizeof(error)))
		return fail(error);
	if (!ends_within(target, (int)config->daemon.graceful_timeout + PATIENCE))
		return fail("the daemon does not end; the log may tell why");
	printf("stopped\n");
	return 0;
}

static int command_reopen(const struct target *target, const struct config *config)
{
	char error[CONFIG_ERROR_MAX];

	(void)config;
	return send_signal(target, SIGUSR1, error, sizeof(error)) ? 0 : fail(error);
}

/* ---- all of them ---- */

int command_run(const struct options *options, const struct config *config)
{
	char error[CONFIG_ERROR_MAX];
	struct target target;
	int status;

	/* paths are as the daemon sees them */
	if (!generation_enter(config, error, sizeof(error)))
		return fail(error);
	if (options->action == OPTIONS_STATUS)
		return command_status(options, config);
	if (!find_target(&target, config, error, sizeof(error)))
		return fail(error);
	status = options->action == OPTIONS_RELOAD ? command_reload(&target, config)
	         : options->action == OPTIONS_STOP ? command_stop(&target, config)
	                                           : command_reopen(&target, config);
	close(target.fd);
	return status;
}
