#include "idle.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon.h"

#define WARM 10 /* before it counts */
#define IDLE 2000

void idle_check(const char *what, const char *application,
        void (*open)(struct client *client, const char *address))
{
	struct client *clients = calloc(WARM + IDLE, sizeof *clients);
	struct daemon daemon;
	char address[256];
	long before = 0;

	cr_assert(clients);
	support_allow_descriptors();
	snprintf(address, sizeof address, "unix:%s", support_path("sock"));
	daemon_start_with(&daemon, 1,
	        &(struct process_options){ .arguments = (const char *const[]){ DAEMON_PLAIN, "-w",
	                                           "1", "-l", address, application, NULL } });
	pid_t worker = daemon_worker(&daemon, 0);

	for (size_t i = 0; i < WARM + IDLE; i++) {
		if (i == WARM)
			before = process_memory(worker);
		open(&clients[i], address);
	}
	long kib = process_memory(worker) - before;

	printf("idle %s: %d take %ld KiB, %.1f KiB each\n", what, IDLE, kib, (double)kib / IDLE);
	cr_expect_leq(kib, 12L * IDLE);
	for (size_t i = 0; i < WARM + IDLE; i++)
		client_close(&clients[i]);
	free(clients);
	daemon_stop(&daemon);
}
