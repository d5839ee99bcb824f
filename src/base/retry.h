/*
 * retry - whether and when to try again after an error, by the policy of its kind.  Pure.
 */
#ifndef SIGNALBUS_RETRY_H
#define SIGNALBUS_RETRY_H

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>

struct retry {
	double patience;      /* seconds without success after which waiting ends */
	struct instant since; /* the last success, or the start */
	unsigned waits;       /* for a database or a broker, since then */
	unsigned conflicts;   /* since then */
};

struct retry retry_new(double patience, struct instant now);

/* Something worked: all counting starts again. */
void retry_success(struct retry *r, struct instant now);

/* When a try that begins now has to be over: at the end of patience.  The last one begins then, and
 * has a second, so that a server that refuses can say why. */
struct instant retry_deadline(const struct retry *r, struct instant now);

/* Whether to try again after an error of this kind, and in how many seconds.  dice is from
 * [0, 1). */
bool retry_again(
	struct retry *r, enum error_kind kind, struct instant now, double dice, double *delay);

#endif
