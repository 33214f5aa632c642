/*
 * Several workers at one listener: one is woken for each connection, and when it can't take it
 * another one does.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/client.h"
#include "tests/support/daemon.h"

SUITE(sharing);

#define LOCAL(workers) "-w", workers, "-l", "http=127.0.0.1:0"

/* Fails the test unless an answer comes, whatever comes after it. */
static void expect_answer(struct client *client)
{
	struct response response;

	client_response(client, "GET", &response);
	cr_assert_eq(response.status, 200, "%d", response.status);
	response_free(&response);
}

static void keep(struct client *client, const char *address)
{
	client_open(client, address);
	http_ask(client, "/");
	expect_answer(client);
}

static void close_all(struct client *clients, size_t count)
{
	for (size_t i = 0; i < count; i++)
		client_close(&clients[i]);
}

/* One of its epolls has an entry with EPOLLEXCLUSIVE: it waits for clients. */
static bool waits_alone(pid_t pid)
{
	bool found = false;
	char line[256];

	for (int fd = 0; fd < 64 && !found; fd++) {
		snprintf(line, sizeof line, "/proc/%d/fdinfo/%d", pid, fd);

		FILE *file = fopen(line, "re");
		unsigned events;

		while (file && fgets(line, sizeof line, file))
			found |= sscanf(line, "tfd: %*d events: %x", &events) == 1 &&
			         (events & EPOLLEXCLUSIVE);
		if (file)
			fclose(file);
	}
	return found;
}

/* As ps(1) shows it: S, T, t, R. */
static char state_of(pid_t pid)
{
	char path[64], state = '?';

	snprintf(path, sizeof path, "/proc/%d/stat", pid);

	FILE *file = fopen(path, "re");

	if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	if (file)
		fclose(file);
	return state;
}

static bool all_wait(struct daemon *daemon, pid_t *workers, size_t count)
{
	bool all = process_children(daemon->process.pid, workers, count) == count;

	for (size_t i = 0; all && i < count; i++)
		all = waits_alone(workers[i]) && state_of(workers[i]) == 'S';
	return all;
}

/* All of them, once they sleep. */
static void find_workers(struct daemon *daemon, pid_t *workers, size_t count)
{
	int64_t deadline = deadline_in(PATIENCE);

	while (!all_wait(daemon, workers, count)) {
		cr_assert_gt(deadline_left(deadline), 0, "not all of %zu workers wait", count);
		poll(NULL, 0, 1);
	}
}

static void await_state(pid_t pid, char state)
{
	int64_t deadline = deadline_in(PATIENCE);

	while (state_of(pid) != state) {
		cr_assert_gt(deadline_left(deadline), 0, "%c, not %c", state_of(pid), state);
		poll(NULL, 0, 1);
	}
}

/* ---- one is woken ---- */

static bool is_stopped_in(pid_t pid, struct __ptrace_syscall_info *info)
{
	int status;

	cr_assert_eq(waitpid(pid, &status, __WALL), pid);
	cr_assert(WIFSTOPPED(status), "%x", status);
	memset(info, 0, sizeof *info);
	ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof *info, info);
	return info->op == PTRACE_SYSCALL_INFO_ENTRY &&
	       (info->entry.nr == SYS_epoll_wait || info->entry.nr == SYS_epoll_pwait);
}

/* Has it sleep in epoll_wait, and stop when that ends. */
static void follow(pid_t pid)
{
	struct __ptrace_syscall_info info;

	cr_assert_eq(ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD), 0, "may not trace");
	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	while (!is_stopped_in(pid, &info))
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	await_state(pid, 'S');
}

static void leave(pid_t pid)
{
	struct __ptrace_syscall_info info;

	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	is_stopped_in(pid, &info);
	cr_assert_eq(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
}

/* The one that was woken, as the first of these, dies of it; the others must not be awake. */
static void kill_woken(pid_t *workers, size_t count)
{
	size_t woken = 0, awake = 0;
	int status;

	/* connect() has woken whom it wakes */
	for (size_t i = 0; i < count; i++)
		if (state_of(workers[i]) != 'S') {
			woken = i;
			awake++;
		}
	cr_assert_eq(awake, 1, "%zu are awake", awake);
	await_state(workers[woken], 't');
	for (size_t i = 0; i < count; i++)
		if (i != woken)
			leave(workers[i]);
	kill(workers[woken], SIGKILL);
	do
		cr_assert_eq(waitpid(workers[woken], &status, __WALL), workers[woken]);
	while (WIFSTOPPED(status));
}

/* Its successor waits for a file, so one of those that were not woken has to take the client. */
Test(sharing, killed_when_woken, .timeout = 120)
{
	const char *file = support_path("when"), *config = support_path("anygate.ini");
	struct daemon daemon;
	struct client client;
	pid_t workers[3];
	FILE *ini = fopen(config, "we");

	fprintf(ini, "[app slow]\nload = " DAEMON_APPS "sluggish.so\nwhen = %s\n", file);
	fclose(ini);
	fclose(fopen(file, "we"));
	daemon_start(&daemon, 1, LOCAL("3"), "-c", config, NULL);
	find_workers(&daemon, workers, COUNT(workers));
	unlink(file);
	for (size_t i = 0; i < COUNT(workers); i++)
		follow(workers[i]);
	client_open(&client, daemon_address(&daemon));
	http_ask(&client, "/");
	kill_woken(workers, COUNT(workers));
	expect_answer(&client);
	client_close(&client);
	fclose(fopen(file, "we"));
	daemon_stop(&daemon);
}

/* Who has begun alone shares with those that come later, and so do all successors. */
Test(sharing, more_workers, .timeout = 120)
{
	struct daemon daemon;
	struct client client;
	pid_t workers[3];

	daemon_start(&daemon, 1, LOCAL("1"), "hello", NULL);
	for (size_t i = 1; i < COUNT(workers); i++) {
		kill(daemon.process.pid, SIGTTIN);
		find_workers(&daemon, workers, i + 1);
	}
	for (int n = 0; n < 2; n++) {
		for (size_t i = 0; i < COUNT(workers); i++)
			follow(workers[i]);
		client_open(&client, daemon_address(&daemon));
		http_ask(&client, "/");
		kill_woken(workers, COUNT(workers));
		expect_answer(&client);
		client_close(&client);
		find_workers(&daemon, workers, COUNT(workers));
	}
	daemon_stop(&daemon);
}

/* ---- the next one takes it ---- */

/* A worker that does not run is not waited for. */
Test(sharing, stopped, .timeout = 120)
{
	struct client client;
	struct daemon daemon;
	pid_t workers[4];

	daemon_start(&daemon, 1, LOCAL("4"), "hello", NULL);
	find_workers(&daemon, workers, COUNT(workers));
	for (size_t i = 0; i < COUNT(workers); i++) {
		for (size_t other = 0; other < COUNT(workers); other++) {
			kill(workers[other], other == i ? SIGCONT : SIGSTOP);
			await_state(workers[other], other == i ? 'S' : 'T');
		}
		for (int n = 0; n < 3; n++) {
			keep(&client, daemon_address(&daemon));
			client_close(&client);
		}
	}
	for (size_t i = 0; i < COUNT(workers); i++)
		kill(workers[i], SIGCONT);
	daemon_stop(&daemon);
}

/* Those with as many connections as they may have do not keep others from being told. */
Test(sharing, full, .timeout = 120)
{
	struct client clients[6];
	struct daemon daemon;

	daemon_start(&daemon, 1, LOCAL("3"), "-s", "listen.max_connections=2", "hello", NULL);
	for (int n = 0; n < 5; n++) {
		for (size_t i = 0; i < COUNT(clients); i++)
			keep(&clients[i], daemon_address(&daemon));
		close_all(clients, COUNT(clients));
	}
	daemon_stop(&daemon);
}

/* One has no descriptors left and does not know: whoever it is woken for the other takes. */
Test(sharing, out_of_descriptors, .timeout = 120)
{
	struct client hog, clients[6];
	struct daemon daemon;
	pid_t workers[2];

	daemon_start(
	        &daemon, 1, LOCAL("2"), "-s", "daemon.open_files=64", DAEMON_APPS "hog.so", NULL);
	find_workers(&daemon, workers, COUNT(workers));
	kill(workers[0], SIGSTOP);
	await_state(workers[0], 'T');
	keep(&hog, daemon_address(&daemon));
	http_ask(&hog, "/hog");
	expect_answer(&hog);
	kill(workers[0], SIGCONT);
	await_state(workers[0], 'S');
	for (size_t i = 0; i < COUNT(clients); i++)
		keep(&clients[i], daemon_address(&daemon));
	daemon_expect(&daemon, "out of descriptors");
	http_ask(&hog, "/free");
	expect_answer(&hog);
	client_close(&hog);
	close_all(clients, COUNT(clients));
	daemon_stop(&daemon);
}

/* ---- what stays is shared ---- */

/* All sleep when somebody connects, as one that is awake may be faster than the one woken. */
Test(sharing, kept, .timeout = 120)
{
	size_t before[4], held;
	struct client clients[64];
	struct daemon daemon;
	pid_t workers[4];

	daemon_start(&daemon, 1, LOCAL("4"), "hello", NULL);
	find_workers(&daemon, workers, COUNT(workers));
	for (size_t i = 0; i < COUNT(workers); i++)
		before[i] = process_descriptors(workers[i]);
	for (size_t i = 0; i < COUNT(clients); i++) {
		for (size_t one = 0; one < COUNT(workers); one++)
			await_state(workers[one], 'S');
		keep(&clients[i], daemon_address(&daemon));
	}
	for (size_t i = 0; i < COUNT(workers); i++) {
		held = process_descriptors(workers[i]) - before[i];
		cr_expect(held >= 8 && held <= 24, "worker %zu has %zu of 64", i + 1, held);
	}
	close_all(clients, COUNT(clients));
	daemon_stop(&daemon);
}
