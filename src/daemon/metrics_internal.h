/*
 * metrics_internal - shared by the files of the metrics.  Private to metrics*.c.
 */
#ifndef SIGNALBUS_METRICS_INTERNAL_H
#define SIGNALBUS_METRICS_INTERNAL_H

#include "daemon/metrics.h"
#include "daemon/oldest_pending.h"

#include <pthread.h>
#include <stdint.h>

/* Upper bounds of the buckets, in seconds; one more bucket holds larger values.  With few buckets,
 * only HISTOGRAM_USUAL_BOUND is printed: each bound costs two series of each model. */
enum { HISTOGRAM_BOUNDS = 15 };
#define HISTOGRAM_USUAL_BOUND 1.0
extern const double histogram_bounds[HISTOGRAM_BOUNDS];

struct histogram {
	uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* per bucket, not cumulative */
	double sum;
};

/* The kinds that errors are counted by. */
enum error_class { CLASS_DATABASE, CLASS_BROKER, CLASS_REJECTED, CLASS_SERIALIZATION, CLASSES };
extern const char *const error_class_names[CLASSES];

/* The values of a model. */
struct series {
	char *name;
	char *label;     /* model="…", escaped */
	bool is_ordered; /* has order_by */
	bool is_off;     /* paused by the configuration */
	bool is_paused;  /* by an operator */
	bool is_stopped; /* it has failed, and waits */
	bool stands_by;  /* another process sends it */
	struct table_statistics table;
	uint64_t sent;
	uint64_t dead_letters;
	uint64_t errors[CLASSES];
	uint64_t transactions[TRANSACTION_OUTCOMES];
	size_t pending;
	struct oldest_pending lag;
	struct histogram burst, acknowledgement;
	unsigned leader;     /* the worker that holds its ordered lock, counted from 1; or 0 */
	double held_seconds; /* how long open transactions have been holding the order back */
};

/* How loading the configuration ended. */
struct reloads {
	bool is_successful; /* the last time */
	double success;     /* when it last succeeded: Unix time */
};

struct metrics {
	/* The set of models, held while printing.  The workers do not take it. */
	pthread_mutex_t shape;
	pthread_mutex_t lock; /* all that is in the series, and: */
	struct reloads reloads;
	struct instant vacuum_held_since; /* 0: it is not */
	bool has_all_buckets;             /* metrics_buckets = "all" */
	bool is_exact;                    /* delivery = "exactly-once" */
	double prepared_seconds;          /* the oldest of the instance; 0: nothing is */
	struct series *series;
	size_t count;
	double poll_interval;
};

/* Whether no worker of this process sends the model because of people. */
static inline bool series_is_paused(const struct series *s)
{
	return s->is_off || s->is_paused;
}

/* The label of a model's series, to be freed. */
char *metrics_label(const char *model);

#endif
