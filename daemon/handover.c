#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* To be raised when a line changes its meaning. */
#define VERSION 1

/* Lines that can be told apart from a damaged file. */
#define ITEMS_MAX 100000

static void write_bound(FILE *file, const struct bound *bound)
{
	const struct listen_address *where = &bound->where;

	fprintf(file, "bound %d %d %d %u %d %s\n%s\n%s\n%s\n", bound->fd, bound->owned,
	        (int)where->kind, where->port, where->fd, *where->host ? where->host : "-",
	        where->path, bound->label, bound->name);
}

static void write_child(FILE *file, const struct handed_child *child)
{
	fprintf(file, "child %ld %u %u %d %d %zd %llu %llu\n", (long)child->pid, child->number,
	        child->generation, child->ending, child->control, (ssize_t)child->slot,
	        (unsigned long long)child->started, (unsigned long long)child->kill_at);
}

int handover_write(const struct handover *handover)
{
	int fd = memfd_create("anygate-handover", 0);
	FILE *file = fd < 0 ? NULL : fdopen(dup(fd), "w");

	if (!file)
		return -1;
	fprintf(file, "handover %d %ld\n%d %d %d %d %u %u %u %zu %zu\n%s\n", VERSION,
	        (long)getpid(), handover->config, handover->board, handover->pidfile,
	        handover->previous, handover->generation, handover->last_generation,
	        handover->wanted, handover->bound_count, handover->child_count, handover->why);
	for (size_t i = 0; i < handover->bound_count; i++)
		write_bound(file, &handover->bound[i]);
	for (size_t i = 0; i < handover->child_count; i++)
		write_child(file, &handover->children[i]);
	fprintf(file, "bus %d %d\n", handover->ring, handover->wake);
	if (fclose(file) == 0)
		return fd;
	close(fd);
	return -1;
}

/* One line without its end; false where it is missing or too long. */
static bool read_line(FILE *file, char *line, size_t size)
{
	if (!fgets(line, (int)size, file))
		return false;
	size_t length = strcspn(line, "\n");
	bool whole = line[length] == '\n';

	line[length] = '\0';
	return whole;
}

static bool read_bound(FILE *file, struct bound *bound)
{
	struct listen_address *where = &bound->where;
	char line[512];
	int owned, kind;

	if (!read_line(file, line, sizeof(line)) ||
	        sscanf(line, "bound %d %d %d %u %d %63s", &bound->fd, &owned, &kind, &where->port,
	                &where->fd, where->host) != 6)
		return false;
	bound->owned = owned;
	where->kind = (enum address_kind)kind;
	if (strcmp(where->host, "-") == 0)
		*where->host = '\0';
	return read_line(file, where->path, sizeof(where->path)) &&
	       read_line(file, bound->label, sizeof(bound->label)) &&
	       read_line(file, bound->name, sizeof(bound->name));
}

static bool read_child(FILE *file, struct handed_child *child)
{
	unsigned long long started, kill_at;
	char line[512];
	long pid;
	int ending;
	ssize_t slot;

	if (!read_line(file, line, sizeof(line)) ||
	        sscanf(line, "child %ld %u %u %d %d %zd %llu %llu", &pid, &child->number,
	                &child->generation, &ending, &child->control, &slot, &started,
	                &kill_at) != 8)
		return false;
	child->pid = (pid_t)pid;
	child->ending = ending;
	child->slot = (size_t)slot;
	child->started = started;
	child->kill_at = kill_at;
	return pid > 0;
}

/* Programs of old wrote none. */
static void read_bus(FILE *file, struct handover *handover)
{
	char line[64];

	handover->ring = handover->wake = -1;
	if (read_line(file, line, sizeof(line)) &&
	        sscanf(line, "bus %d %d", &handover->ring, &handover->wake) != 2)
		handover->ring = handover->wake = -1;
}

static bool read_all(FILE *file, struct handover *handover)
{
	char line[512];
	int version;
	long pid;

	if (!read_line(file, line, sizeof(line)) ||
	        sscanf(line, "handover %d %ld", &version, &pid) != 2 || version != VERSION ||
	        pid != (long)getpid())
		return false;
	if (!read_line(file, line, sizeof(line)) ||
	        sscanf(line, "%d %d %d %d %u %u %u %zu %zu", &handover->config, &handover->board,
	                &handover->pidfile, &handover->previous, &handover->generation,
	                &handover->last_generation, &handover->wanted, &handover->bound_count,
	                &handover->child_count) != 9 ||
	        !read_line(file, handover->why, sizeof(handover->why)) ||
	        handover->bound_count > ITEMS_MAX || handover->child_count > ITEMS_MAX)
		return false;
	handover->bound = calloc(handover->bound_count + 1, sizeof(*handover->bound));
	handover->children = calloc(handover->child_count + 1, sizeof(*handover->children));
	if (!handover->bound || !handover->children)
		return false;
	for (size_t i = 0; i < handover->bound_count; i++)
		if (!read_bound(file, &handover->bound[i]))
			return false;
	for (size_t i = 0; i < handover->child_count; i++)
		if (!read_child(file, &handover->children[i]))
			return false;
	read_bus(file, handover);
	return true;
}

struct handover *handover_read(char *error, size_t size)
{
	const char *variable = getenv(HANDOVER_VARIABLE);
	struct handover *handover = NULL;
	FILE *file;

	*error = '\0';
	if (!variable)
		return NULL;
	file = fdopen((int)strtol(variable, NULL, 10), "r");
	unsetenv(HANDOVER_VARIABLE);
	if (file && fseek(file, 0, SEEK_SET) == 0)
		handover = calloc(1, sizeof(*handover));
	if (!handover || !read_all(file, handover)) {
		snprintf(error, size, "%s names nothing that was handed over to this process",
		        HANDOVER_VARIABLE);
		handover_free(handover);
		handover = NULL;
	}
	if (file)
		fclose(file);
	return handover;
}

void handover_return(struct handover *handover, const char *why, char **argv)
{
	int previous = handover->previous;
	char number[16];

	if (previous < 0)
		return;
	handover->previous = -1;
	snprintf(handover->why, sizeof(handover->why), "%s", why);
	snprintf(number, sizeof(number), "%d", handover_write(handover));
	setenv(HANDOVER_VARIABLE, number, 1);
	fexecve(previous, argv, environ);
}

bool handover_confirm(void)
{
	const char *variable = getenv(TRIAL_VARIABLE);

	return !variable || dprintf((int)strtol(variable, NULL, 10), "%s\n", TRIAL_ANSWER) > 0;
}

void handover_free(struct handover *handover)
{
	if (!handover)
		return;
	if (handover->config > 0)
		close(handover->config);
	free(handover->bound);
	free(handover->children);
	free(handover);
}
