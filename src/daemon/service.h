/*
 * service - notifications to systemd through sd_notify(3).  The only place that includes
 * libsystemd; without it, or if not started by systemd, the calls do nothing.  Main thread only.
 */
#ifndef SIGNALBUS_SERVICE_H
#define SIGNALBUS_SERVICE_H

#include <stddef.h>

void service_ready(void);
void service_reloading(void);
void service_stopping(void);
void service_status(const char *status);

/* Notify that the process makes progress. */
void service_alive(void);

/* The interval at which service_alive() is expected, in seconds; 0: not at all. */
double service_watchdog_interval(void);

#endif
