/*
 * metrics - counters and measurements, and their output for Prometheus (text format 0.0.4).  Pure:
 * no I/O, no clock.  Any thread; no thread waits for a metric longer than it takes to copy all of
 * them.
 *
 * It outlives configurations: a model keeps its values if the next configuration has a model of the
 * same name.
 */
#ifndef SIGNALBUS_METRICS_H
#define SIGNALBUS_METRICS_H

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "daemon/process_use.h"
#include "relay/burst.h"

#include <stdbool.h>
#include <stddef.h>

#ifndef SIGNALBUS_VERSION
#define SIGNALBUS_VERSION "unknown"
#endif

struct metrics;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);

/* From now on the models are those of config, which is borrowed for the call, with its numbers.
 * Call it while no thread but metrics_print() uses the metrics. */
void metrics_configure(struct metrics *m, const struct config *config, struct instant now);

/* A model was served: the result, and the kind of the error, or ERROR_NONE. */
void metrics_served(struct metrics *m, size_t model, const struct burst_result *result,
	enum error_kind kind, struct instant now);

/* A worker (counted from 0) holds the ordered lock of a model; it has lost all its locks. */
void metrics_leads(struct metrics *m, size_t model, unsigned worker);
void metrics_lost(struct metrics *m, unsigned worker);

/* The configuration was loaded at this Unix time, or could not be. */
void metrics_reloaded(struct metrics *m, bool ok, double time);

/* A worker has released the ordered lock of a model. */
void metrics_unlocked(struct metrics *m, size_t model);

/* An operator has paused or resumed a model, which the configuration may pause, too. */
void metrics_pause(struct metrics *m, size_t model, bool is_paused);

/* Whether a model has failed and waits for its next attempt. */
void metrics_stopped(struct metrics *m, size_t model, bool is_stopped);

/* How many rows of a model were counted. */
void metrics_pending(struct metrics *m, size_t model, size_t count, struct instant now);

/* Whether no worker of this process serves a model: it is paused, or another process sends it. Then
 * metrics need to know of the rows that are seen (oldest_pending_seen()). */
bool metrics_is_unserved(struct metrics *m, size_t model);
void metrics_seen(struct metrics *m, size_t model, bool is_same, struct instant now);

/* The server's statistics of a model's table. */
void metrics_table(struct metrics *m, size_t model, const struct table_statistics *statistics);

/* Since when vacuum has been held back in the database; 0: it is not. */
void metrics_vacuum_held(struct metrics *m, struct instant since);

/* For how long the oldest transaction of the instance has been prepared; 0: none is.  It is not
 * counted further until the next call: each burst prepares one, which is gone after milliseconds.
 */
void metrics_prepared(struct metrics *m, double seconds);

/* Values that the metrics do not collect themselves. */
struct metrics_world {
	bool database_up;
	bool broker_up;
	const struct process_use *process; /* NULL: unknown */
	struct instant now;
};

/* Add all metrics to t. */
void metrics_print(struct metrics *m, const struct metrics_world *world, struct text *t);

#endif
