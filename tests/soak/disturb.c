#include "disturb.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 64

static const struct {
	const char *name;
	int number;
} signals[] = { { "HUP", SIGHUP }, { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "KILL", SIGKILL },
	{ "TTIN", SIGTTIN }, { "TTOU", SIGTTOU }, { "TERM", SIGTERM } };

bool disturb_parse(struct disturb *disturb, const char *text)
{
	size_t length = strcspn(text, "@");

	disturb->workers = strcmp(text + length, "@workers") == 0;
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (strlen(signals[i].name) == length &&
		        strncmp(text, signals[i].name, length) == 0)
			disturb->signal = signals[i].number;
	return disturb->signal && (disturb->workers || !text[length]);
}

static size_t find_workers(pid_t master, pid_t *workers)
{
	char path[64];
	size_t count = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", master, master);

	FILE *file = fopen(path, "re");

	while (file && count < WORKERS && fscanf(file, "%d", &workers[count]) == 1)
		count++;
	if (file)
		fclose(file);
	return count;
}

static unsigned count_sockets(pid_t pid)
{
	char path[320], target[64];
	unsigned count = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);

	DIR *directory = opendir(path);

	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, entry->d_name);
		ssize_t n = readlink(path, target, sizeof(target));

		count += n > 7 && memcmp(target, "socket:", 7) == 0;
	}
	if (directory)
		closedir(directory);
	return count;
}

static bool is_stopped(pid_t pid)
{
	char path[64], state = 'T';

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);

	FILE *file = fopen(path, "re");

	if (file && fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 'T';
	if (file)
		fclose(file);
	return state == 'T';
}

/* Stopped first: what it holds can be counted then, and no more comes. */
static bool kill_one(struct disturb *disturb)
{
	pid_t workers[WORKERS];
	size_t count = find_workers(disturb->master, workers);
	pid_t victim = count ? workers[(size_t)rand() % count] : 0;

	if (!victim || kill(victim, SIGSTOP) < 0)
		return false;
	while (!is_stopped(victim))
		poll(NULL, 0, 1);
	unsigned sockets = count_sockets(victim);

	disturb->held += sockets > disturb->sockets ? sockets - disturb->sockets : 0;
	return kill(victim, disturb->signal) == 0;
}

void disturb_prepare(struct disturb *disturb)
{
	pid_t workers[WORKERS];

	if (!disturb->workers)
		return;
	while (!find_workers(disturb->master, workers))
		poll(NULL, 0, 5);
	disturb->sockets = count_sockets(workers[0]);
}

void disturb_step(struct disturb *disturb, uint64_t now)
{
	if (!disturb->left || now < disturb->next)
		return;
	if (!disturb->next) { /* not before the load runs */
		disturb->next = now + disturb->every;
		return;
	}
	if (!(disturb->workers ? kill_one(disturb) : kill(disturb->master, disturb->signal) == 0))
		return; /* nobody there: tried again with the next turn */
	disturb->next = now + disturb->every;
	disturb->left--;
	disturb->done++;
}
