/*
 * systemd - notifications to systemd through sd_notify(3).  The only place that includes
 * libsystemd; without it, or if not started by systemd, the calls do nothing.  Main thread only.
 */
#ifndef SIGNALBUS_SYSTEMD_H
#define SIGNALBUS_SYSTEMD_H

#include "base/text.h"
#include <stddef.h>

void systemd_ready(void);
void systemd_reloading(void);
void systemd_stopping(void);
void systemd_status(const char *status);

/* Notify that the process makes progress. */
void systemd_alive(void);

/* The interval at which systemd_alive() is expected, in seconds; 0: not at all. */
double systemd_watchdog_interval(void);

/* Add the version of libsystemd that signalbus was built with, or "none". */
void systemd_add_library_version(struct text *t);

#endif
