/*
 * stop - the wish of the outside that this process ends: SIGTERM and SIGINT.  Any thread may ask.
 *
 * The first signal is noted and wakes every wait that listens; the second one ends the process at
 * once, by that signal.
 */
#ifndef SIGNALBUS_STOP_H
#define SIGNALBUS_STOP_H

#include "base/clock.h"

#include <stdbool.h>

/* Install the handlers, and ignore SIGPIPE (writing to a closed pipe is an error like others).
 * Call once, before other threads start.  Returns false, with errno, where there is no descriptor
 * for it. */
bool stop_install(void);

/* True from the first signal on. */
bool stop_requested(void);

/* Have SIGHUP noted too, as the wish to reload the configuration.  Fails as stop_install() does. */
bool stop_install_reload(void);

/* Whether SIGHUP came since the last call. */
bool stop_take_reload(void);

/* Wait until deadline, or for the first SIGTERM, SIGINT or SIGHUP. */
void stop_wait_reload(struct instant deadline);

/* Where the process is asked to stop, end it by that signal, as shells and systemd expect of a
 * program that did not finish its work.  Returns where it is not. */
void stop_by_signal(void);

/* A descriptor that poll(2) finds readable from the first signal on.  Never read from it. */
int stop_fd(void);

/* Wait until deadline, or until the first signal.  Returns stop_requested(). */
bool stop_wait(struct instant deadline);

#endif
