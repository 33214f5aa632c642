/* What /proc tells of a process; a check that fails names it. */
#ifndef TESTS_SUPPORT_PROC_H
#define TESTS_SUPPORT_PROC_H

#include "support.h"

/* A file of /proc/PID as text, until the next call. */
char *proc_read(pid_t pid, const char *name);

/* What stands behind "NAME:" in its status, without blanks around it. */
void proc_status(pid_t pid, const char *name, char value[256]);
void proc_check_status(pid_t pid, const char *name, const char *expected);

/* Both limits, named as in its limits. */
void proc_check_limit(pid_t pid, const char *name, unsigned long long expected);

/* Where a symbolic link such as "cwd" or "fd/0" leads. */
void proc_check_link(pid_t pid, const char *name, const char *expected);

/* Nothing above 2 goes on to a program, and no directory leads out of a root. */
void proc_check_descriptors(pid_t pid);

#endif
