/*
 * daemon - workers that send the signals of all models as soon as they are committed, under one
 * configuration, until stopped.
 *
 * Never gives up: what the database or the broker refuse is tried again with back-off.  A model
 * that cannot go on is logged, and does not hold up others.
 */
#ifndef SIGNALBUS_DAEMON_H
#define SIGNALBUS_DAEMON_H

#include "bus.h"
#include "config.h"

#include <stdbool.h>
#include <stddef.h>

struct daemon;

/* Start the workers.  Borrows config and bus. */
struct daemon *daemon_start(const struct config *config, struct bus *bus);

/* Settle the bursts under way, and end.  Blocks meanwhile: until `timeout` at most for each. */
void daemon_stop(struct daemon *d);

/* What has happened since it was asked last, by one caller. */
struct daemon_report {
	size_t sent;      /* since the last report */
	double worst_ack; /* seconds, since the last report */
	bool is_ready;    /* database and broker answer */
	bool is_alive;    /* every worker makes progress */
};

struct daemon_report daemon_report(struct daemon *d);

/* How many signals are pending, in all models, up to a bound for each.  Blocks for some seconds at
 * most.  Returns false where it cannot be found out now; *more says that there are more. */
bool daemon_count(struct daemon *d, size_t *pending, bool *more);

#endif
