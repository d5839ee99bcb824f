/*
 * daemon - workers that send the signals of all models as soon as they are committed, under one
 * configuration, until stopped.
 *
 * Never gives up: what the database or the broker refuse is tried again with back-off.  A model
 * that cannot go on is logged, and does not hold up others.
 */
#ifndef SIGNALBUS_DAEMON_H
#define SIGNALBUS_DAEMON_H

#include "base/text.h"
#include "config/config.h"
#include "daemon/metrics.h"
#include "kafka/bus.h"

#include <stdbool.h>
#include <stddef.h>

struct daemon;

/* Start the workers.  Borrows all; metrics know the configuration already. */
struct daemon *daemon_start(const struct config *config, struct bus *bus, struct metrics *metrics);

/* Settle the bursts under way, and end.  Blocks meanwhile: until `timeout` at most for each. */
void daemon_stop(struct daemon *d);

/* What has happened since it was asked last, by one caller. */
struct daemon_report {
	size_t sent;       /* since the last report */
	double worst_ack;  /* seconds, since the last report */
	bool is_ready;     /* database and broker answer */
	bool has_database; /* the database answers: what is pending can be counted */
	bool is_alive;     /* every worker makes progress */
};

struct daemon_report daemon_report(struct daemon *d);

/* What is not as it should be, in words; each text is empty where it is. */
struct daemon_view {
	char alive[128];     /* a worker makes no progress */
	char database[1024]; /* the database cannot be reached */
	char broker[1100];   /* the broker does not answer */
	double patience;     /* seconds after which a thread that shows no progress has none */
};

/* Any thread, at any time between start and stop. */
void daemon_view(struct daemon *d, struct daemon_view *view);

/* Add to t which models fail, and since when, such as "Mail (broker, 75 s)"; nothing where none
 * does. */
void daemon_describe_stopped(struct daemon *d, struct text *t);

/* How many signals are pending, in all models, up to a bound for each.  Blocks for some seconds at
 * most.  Returns false where it cannot be found out now; *more says that there are more. */
bool daemon_count(struct daemon *d, size_t *pending, bool *more);

#endif
