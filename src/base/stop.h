/*
 * stop - requests to end this process: SIGTERM and SIGINT.  Any thread may ask.
 *
 * The first signal is recorded and wakes every wait that listens; the second one terminates the
 * process at once, by that signal.
 */
#ifndef SIGNALBUS_STOP_H
#define SIGNALBUS_STOP_H

#include "base/clock.h"

#include <stdbool.h>

/* Install the handlers, and ignore SIGPIPE (writing to a closed pipe is an ordinary error).  Call
 * once, before other threads start.  Returns false, with errno, if no descriptor is available. */
bool stop_install(void);

/* True from the first signal on. */
bool stop_requested(void);

/* Record SIGHUP as well, as a request to reload the configuration.  Fails like stop_install(). */
bool stop_install_reload(void);

/* Whether SIGHUP came since the last call. */
bool stop_take_reload(void);

/* Wait until deadline, or for the first SIGTERM, SIGINT or SIGHUP. */
void stop_wait_reload(struct instant deadline);

/* If the process was asked to stop, terminate it by that signal, as shells and systemd expect of a
 * program that did not finish its work.  Otherwise return. */
void stop_by_signal(void);

/* A descriptor that is readable for poll(2) from the first signal on.  Never read from it. */
int stop_fd(void);

/* Wait until deadline, or until the first signal.  Returns stop_requested(). */
bool stop_wait(struct instant deadline);

#endif
