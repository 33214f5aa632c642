/* Logs that are moved away and opened again: by USR1, by logrotate, by a reload. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"

SUITE(logs_reopen);

/* The file's text; "" where there is none. To be freed. */
static char *read_whole(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!file || getdelim(&text, &size, '\0', file) < 0) {
		free(text);
		text = strdup("");
	}
	if (file)
		fclose(file);
	return text;
}

static bool holds(const char *path, const char *text)
{
	char *whole = read_whole(path);
	bool found = strstr(whole, text);

	free(whole);
	return found;
}

static void get(const char *address, const char *target)
{
	struct response response;

	http_get(address, target, &response);
	cr_assert_eq(response.status, 200, "%s: %d", target, response.status);
	response_free(&response);
}

/* Asks until the file holds such a line: workers learn of new files a little later than the master.
 */
static unsigned get_until_logged(
        const char *address, const char *target, const char *path, const char *line)
{
	int64_t deadline = deadline_in(PATIENCE);
	unsigned asked = 0;

	while (!holds(path, line)) {
		cr_assert_gt(deadline_left(deadline), 0, "no %s in %s", line, path);
		get(address, target);
		asked++;
		poll(NULL, 0, 10);
	}
	return asked;
}

static unsigned count(const char *path, const char *target)
{
	char *whole = read_whole(path);
	unsigned found = 0;

	for (const char *at = whole; (at = strstr(at, target)); at++)
		found++;
	free(whole);
	return found;
}

struct site {
	char access[200], moved[210], error[200], file[200], pidfile[200];
	struct daemon daemon;
};

/* Workers are not root, where the test is: nothing in the directory is theirs to open. */
static void write_configuration(const struct site *site, const char *access)
{
	FILE *file = fopen(site->file, "we");

	cr_assert(file);
	fprintf(file,
	        "[daemon]\nworkers = 2\npidfile = %s\nreload_watch = 0\n%s"
	        "[listen main]\naddress = http=127.0.0.1:0\n[app]\nload = hello\n"
	        "[log]\nerror = %s\nformat = {uri} {worker}\naccess = %s\n",
	        site->pidfile, geteuid() ? "" : "user = nobody\n", site->error, access);
	fclose(file);
}

static void start(struct site *site)
{
	snprintf(site->access, sizeof site->access, "%s", support_path("access.log"));
	snprintf(site->moved, sizeof site->moved, "%s.1", site->access);
	snprintf(site->error, sizeof site->error, "%s", support_path("error.log"));
	snprintf(site->file, sizeof site->file, "%s", support_path("anygate.ini"));
	snprintf(site->pidfile, sizeof site->pidfile, "%s", support_path("anygate.pid"));
	write_configuration(site, site->access);
	daemon_start(&site->daemon, 1, "-c", site->file, NULL);
}

Test(logs_reopen, usr1, .timeout = 60)
{
	struct site site;
	unsigned asked;

	start(&site);
	const char *address = daemon_address(&site.daemon);

	get(address, "/before");
	cr_assert_eq(rename(site.access, site.moved), 0);
	for (int i = 0; i < 20; i++)
		get(address, "/between");
	kill(site.daemon.process.pid, SIGUSR1);
	asked = get_until_logged(address, "/after", site.access, "/after ");
	daemon_stop(&site.daemon);
	cr_expect_eq(count(site.moved, "/before"), 1);
	cr_expect_eq(count(site.moved, "/between"), 20, "what was gathered is in the old file");
	cr_expect_eq(count(site.access, "/between"), 0);
	cr_expect_eq(count(site.moved, "/after") + count(site.access, "/after"), asked);
}

/* A worker that starts after it has the new file too. */
Test(logs_reopen, usr1_and_a_new_worker, .timeout = 60)
{
	struct site site;

	start(&site);
	get(daemon_address(&site.daemon), "/before");
	cr_assert_eq(rename(site.access, site.moved), 0);
	kill(site.daemon.process.pid, SIGUSR1);
	kill(site.daemon.process.pid, SIGTTIN);
	get_until_logged(daemon_address(&site.daemon), "/after", site.access, "/after 3\n");
	daemon_stop(&site.daemon);
}

/* The file can't be opened again: the old one goes on, and the log says why. */
Test(logs_reopen, in_vain, .timeout = 60)
{
	struct site site;

	start(&site);
	cr_assert_eq(rename(site.access, site.moved), 0);
	cr_assert_eq(mkdir(site.access, 0700), 0);
	kill(site.daemon.process.pid, SIGUSR1);
	get_until_logged(daemon_address(&site.daemon), "/after", site.moved, "/after ");
	daemon_stop(&site.daemon);
	cr_expect(holds(site.error, "access.log again: Is a directory; the old file goes on"));
}

/* The file of deploy/, with paths of ours, under the real program. */
static void write_rotation(const struct site *site, const char *to)
{
	char *text = read_whole(SOURCE_DIR "/deploy/logrotate/anygate"), *at;
	FILE *file = fopen(to, "we");

	cr_assert(file && *text);
	at = strstr(text, "/var/log/anygate/*.log {");
	cr_assert(at);
	fprintf(file, "%s", site->access);
	for (at += strlen("/var/log/anygate/*.log"); *at; at++) {
		if (strncmp(at, "/run/anygate.pid", 16) != 0) {
			fputc(*at, file);
			continue;
		}
		fputs(site->pidfile, file);
		at += 15;
	}
	fclose(file);
	free(text);
}

Test(logs_reopen, logrotate, .timeout = 60)
{
	char rotation[200], state[200];
	const char *const rotate[] = { "logrotate", "-f", "-s", state, rotation, NULL };
	struct process process;
	struct site site;

	snprintf(rotation, sizeof rotation, "%s", support_path("rotation"));
	snprintf(state, sizeof state, "%s", support_path("state"));
	start(&site);
	get_until_logged(daemon_address(&site.daemon), "/before", site.access, "/before ");
	write_rotation(&site, rotation);
	process_succeed(&process, &(struct process_options){ .arguments = rotate });
	process_free(&process);
	cr_expect(holds(site.moved, "/before"));
	get_until_logged(daemon_address(&site.daemon), "/after", site.access, "/after ");
	daemon_stop(&site.daemon);
}

/* ---- a reload ---- */

Test(logs_reopen, reload_to_another_file, .timeout = 60)
{
	struct site site;
	char other[200];

	start(&site);
	snprintf(other, sizeof other, "%s", support_path("other.log"));
	get(daemon_address(&site.daemon), "/before");
	write_configuration(&site, other);
	kill(site.daemon.process.pid, SIGHUP);
	get_until_logged(daemon_address(&site.daemon), "/after", other, "/after ");
	daemon_stop(&site.daemon);
	cr_expect_eq(count(site.access, "/before"), 1);
}

/* A log that can't be opened: the reload comes to nothing, and all goes on where it was. */
Test(logs_reopen, reload_in_vain, .timeout = 60)
{
	int64_t deadline = deadline_in(PATIENCE);
	struct site site;

	start(&site);
	write_configuration(&site, "/no/such/directory/access.log");
	kill(site.daemon.process.pid, SIGHUP);
	while (!holds(
	        site.error, "not reloaded: log.access: can't open /no/such/directory/access.log")) {
		cr_assert_gt(deadline_left(deadline), 0);
		poll(NULL, 0, 10);
	}
	get_until_logged(daemon_address(&site.daemon), "/after", site.access, "/after ");
	daemon_stop(&site.daemon);
}
