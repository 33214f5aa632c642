#include "affinity.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static bool read_cpu(const char **text, unsigned *cpu)
{
	const char *begin = *text;

	for (*cpu = 0; isdigit((unsigned char)**text) && *cpu < CPU_SETSIZE; (*text)++)
		*cpu = *cpu * 10 + (unsigned)(**text - '0');
	return *text > begin && *cpu < CPU_SETSIZE;
}

/* One "N" or "N-M", and the comma behind it if something follows. */
static bool read_range(const char **text, cpu_set_t *cpus)
{
	unsigned first, last;

	if (!read_cpu(text, &first))
		return false;
	last = first;
	if (**text == '-') {
		(*text)++;
		if (!read_cpu(text, &last) || last < first)
			return false;
	}
	for (unsigned cpu = first; cpu <= last; cpu++)
		CPU_SET(cpu, cpus);
	if (**text == ',')
		return *++*text != '\0';
	return **text == '\0';
}

static bool read_list(const char *text, cpu_set_t *cpus)
{
	CPU_ZERO(cpus);
	do {
		if (!read_range(&text, cpus))
			return false;
	} while (*text);
	return true;
}

bool affinity_check(const char *text, char *error, size_t size)
{
	cpu_set_t cpus;

	if (strcmp(text, "auto") == 0 || read_list(text, &cpus))
		return true;
	snprintf(error, size, "expected off, auto, or CPUs up to %d such as 0,2,4-7",
	        CPU_SETSIZE - 1);
	return false;
}

bool affinity_bind(const char *text, unsigned worker)
{
	cpu_set_t cpus, one;
	unsigned cpu = 0;

	if (strcmp(text, "auto") == 0) {
		if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
			return false;
	} else if (!read_list(text, &cpus)) {
		errno = EINVAL;
		return false;
	}
	for (unsigned left = (worker - 1) % (unsigned)CPU_COUNT(&cpus);; cpu++)
		if (CPU_ISSET(cpu, &cpus) && left-- == 0)
			break;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one) == 0;
}
