/*
 * Telling the service manager (sd_notify(3)): datagrams of VARIABLE=value lines to the socket that
 * $NOTIFY_SOCKET names, a path or, behind "@", an abstract name. Every function is fine, and does
 * nothing, without the variable; it keeps no descriptor and no state, so an exec in place goes on
 * with the same. Only the master tells: a worker calls notify_forget() first.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One datagram of `format`: lines, without one at the end. False: nobody was told. */
__attribute__((format(printf, 1, 2))) bool notify_send(const char *format, ...);

/* Start-up, or a reload, is over: READY=1 with MAINPID and STATUS. */
bool notify_ready(const char *status);

/* A reload begins: RELOADING=1 and MONOTONIC_USEC; notify_ready() ends it, however it went. */
bool notify_reloading(void);

/* The end begins. */
bool notify_stopping(void);

/* One line of text that `systemctl status` shows. */
bool notify_status(const char *status);

/* Another process becomes the master (a new binary that was forked). */
bool notify_main_pid(pid_t pid);

/* A sign of life, every notify_watchdog_interval(). */
bool notify_watchdog(void);

/* ms between signs of life, half of $WATCHDOG_USEC; 0: none are wanted from this process. */
uint64_t notify_watchdog_interval(void);

/* Removes what the manager said from the environment: applications are not to speak for us. */
void notify_forget(void);

#endif
