/*
 * monitor - the HTTP pages of the daemon: /metrics, /healthz and /readyz.
 *
 * It outlives configurations.  During a reload the pages show the last known values.  All calls are
 * from the main thread.
 */
#ifndef SIGNALBUS_MONITOR_H
#define SIGNALBUS_MONITOR_H

#include "base/error.h"
#include "config/config.h"
#include "daemon/daemon.h"
#include "daemon/metrics.h"

#include <stdbool.h>

struct monitor;

struct monitor *monitor_new(void);
void monitor_free(struct monitor *m);

/* The metrics on the pages, for the daemon to fill. */
struct metrics *monitor_metrics(const struct monitor *m);

/* Listen at the configured address, or not at all.  If the address is the same text as before,
 * connections are kept.  Returns false with e if it cannot listen there, with nothing changed. */
bool monitor_listen(struct monitor *m, const struct config *config, struct error *e);

/* Show this daemon from now on; none. */
void monitor_attach(struct monitor *m, struct daemon *d);
void monitor_detach(struct monitor *m);

/* The main thread makes progress. */
void monitor_show_alive(struct monitor *m);

#endif
