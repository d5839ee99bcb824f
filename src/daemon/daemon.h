/*
 * daemon - workers that send the signals of all models as soon as they are committed, under one
 * configuration, until stopped.
 *
 * Never gives up: whatever the database or the broker refuses is retried with back-off.  A model
 * that fails is logged, and does not delay others.
 */
#ifndef SIGNALBUS_DAEMON_H
#define SIGNALBUS_DAEMON_H

#include "base/text.h"
#include "config/config.h"
#include "daemon/metrics.h"
#include "kafka/broker.h"

#include <stdbool.h>
#include <stddef.h>

struct daemon;

/* Start the workers.  Borrows all arguments; metrics know the configuration already. */
struct daemon *daemon_start(
	const struct config *config, struct broker *broker, struct metrics *metrics);

/* Settle the bursts in flight, and stop.  Blocks meanwhile, for at most `timeout` per burst. */
void daemon_stop(struct daemon *d);

/* What has happened since the last report, for a single caller. */
struct daemon_report {
	size_t sent;        /* since the last report */
	double worst_ack;   /* seconds, since the last report */
	bool is_ready;      /* database and broker answer */
	bool has_database;  /* the database answers, so pending signals can be counted */
	bool lost_database; /* it cannot be reached: an attempt failed */
	bool is_alive;      /* every worker makes progress */
};

struct daemon_report daemon_report(struct daemon *d);

/* The current problems, in words; each text is empty if there is none. */
struct daemon_view {
	char alive[128];     /* a worker makes no progress */
	char database[1024]; /* the database cannot be reached */
	char broker[1100];   /* the broker does not answer */
	double alive_limit;  /* seconds without progress after which a thread counts as stuck */
};

/* Any thread, at any time between start and stop. */
void daemon_view(struct daemon *d, struct daemon_view *view);

/* Add to t the failing models, and how long they have been failing, and the paused ones, such as
 * "; stopped: Mail (broker, 75 s); paused: Order"; nothing if there are none. */
void daemon_describe(struct daemon *d, struct text *t);

/* The number of pending signals of all models, up to a limit per model.  Blocks for at most some
 * seconds.  Returns false if it is not available now; *more says that there are more. */
bool daemon_count(struct daemon *d, size_t *pending, bool *more);

#endif
