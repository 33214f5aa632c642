/*
 * What the master and a worker tell each other, over a pair of Unix sockets that keep messages
 * apart: a kind and perhaps a line of text. Nobody waits for the other: a message that finds no
 * room is lost, and none is needed for correctness but READY.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

enum control {
	CONTROL_NONE = 0,       /* nothing there */
	CONTROL_CLOSED = 1,     /* the other side is gone */
	CONTROL_READY = 'r',    /* worker: it serves */
	CONTROL_FAILED = 'f',   /* worker: it can't start; the text says why */
	CONTROL_RECYCLE = 'c',  /* worker: wants a successor; the text says why */
	CONTROL_DRAINING = 'g', /* worker: takes no new connections */
	CONTROL_LOOK = 'l',     /* either: somebody may wait to be taken by another worker */
	CONTROL_OTHERS = 's',   /* master: other workers share the listeners now */
	CONTROL_DRAIN = 'd',    /* master: end, losing nothing: others go on in its place */
	CONTROL_REOPEN = 'o',   /* master: sends the logs, opened again: log_send_descriptors */
};

#define CONTROL_TEXT_MAX 1024

/* The two ends, close-on-exec and non-blocking. False with errno. */
bool control_pair(int *master, int *worker);

/* `text` may be NULL. False when it could not be sent. */
bool control_send(int fd, enum control kind, const char *text);

/* The next message; its text is in `text`, "" where there is none. REOPEN stays to be received. */
enum control control_receive(int fd, char text[CONTROL_TEXT_MAX]);

#endif
