/*
 * monitor - what those are told over HTTP who watch the daemon: /metrics, /healthz and /readyz.
 *
 * It outlives the configurations.  While one takes the place of another the pages go on, with what
 * was known last.  All calls are the main thread's.
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

/* What the pages show; the daemon is to fill it. */
struct metrics *monitor_metrics(const struct monitor *m);

/* Listen where the configuration says, or not at all.  Where that is said in the same words as
 * before, connections stay as they are.  Returns false with e where one cannot listen there, with
 * all as it was. */
bool monitor_listen(struct monitor *m, const struct config *config, struct error *e);

/* Tell of this daemon from now on; of none. */
void monitor_attach(struct monitor *m, struct daemon *d);
void monitor_detach(struct monitor *m);

/* The main thread makes progress. */
void monitor_show_alive(struct monitor *m);

#endif
