/*
 * status_pages - the HTTP pages of the daemon: /metrics, /healthz and /readyz.
 *
 * It outlives configurations.  During a reload the pages show the last known values.  All calls are
 * from the main thread.
 */
#ifndef SIGNALBUS_STATUS_PAGES_H
#define SIGNALBUS_STATUS_PAGES_H

#include "base/error.h"
#include "config/config.h"
#include "daemon/daemon.h"
#include "daemon/metrics.h"

#include <stdbool.h>

struct status_pages;

struct status_pages *status_pages_new(void);
void status_pages_free(struct status_pages *m);

/* The metrics on the pages, for the daemon to fill. */
struct metrics *status_pages_metrics(const struct status_pages *m);

/* Listen at the configured address, or not at all.  If the address is the same text as before,
 * connections are kept.  Returns false with e if it cannot listen there, with nothing changed. */
bool status_pages_listen(struct status_pages *m, const struct config *config, struct error *e);

/* Show the state of this daemon from now on, or of none. */
void status_pages_attach(struct status_pages *m, struct daemon *d);
void status_pages_detach(struct status_pages *m);

/* Note that the main thread makes progress; /healthz fails if it has not for too long. */
void status_pages_show_alive(struct status_pages *m);

#endif
