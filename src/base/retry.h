/*
 * retry - whether and when to retry after an error, by the policy of its kind.  Pure.
 */
#ifndef SIGNALBUS_RETRY_H
#define SIGNALBUS_RETRY_H

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>

struct retry {
	double time_limit;    /* seconds without success after which retrying ends */
	struct instant since; /* the last success, or the start */
	unsigned waits;       /* for a database or a broker, since then */
	unsigned conflicts;   /* since then */
};

struct retry retry_new(double time_limit, struct instant now);

/* Something succeeded: reset all counts. */
void retry_success(struct retry *r, struct instant now);

/* The deadline of an attempt that begins now: the time limit.  The last attempt begins then,
 * and has one second, so that a server that refuses can report the reason. */
struct instant retry_deadline(const struct retry *r, struct instant now);

/* Whether to retry after an error of this kind, and after how many seconds.  jitter is from [0,
 * 1). */
bool retry_again(
	struct retry *r, enum error_kind kind, struct instant now, double jitter, double *delay);

#endif
