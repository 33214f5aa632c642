/*
 * Going to the background: the process that was started stays until the daemon serves, so that who
 * started it learns how it went; then the daemon lets go of the terminal.
 */
#ifndef DAEMON_BACKGROUND_H
#define DAEMON_BACKGROUND_H

#include <stdbool.h>

/*
 * Opens /dev/null as those of the descriptors 0, 1 and 2 that are closed: what is opened next would
 * take their numbers, and get what is printed. False with errno.
 */
bool background_open_standard(void);

/*
 * Goes on in a child that leads a session of its own. Returns there, with a descriptor for
 * background_announce, or -1 with errno. The parent does not return: it exits with 0 after the
 * announcement, or as the child does without.
 */
int background_enter(void);

/* What is printed from now on is lost. A socket that was given as descriptor 0 stays. */
bool background_leave_terminal(void);

/* Tells the parent that all is well, closes `announce`, and leaves the terminal. False with errno.
 */
bool background_announce(int announce);

#endif
