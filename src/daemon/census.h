/*
 * census - how many signals are pending, counted model by model for people to see.  One thread,
 * with a database session of its own, which has less patience than those that send: nobody waits
 * for it.
 */
#ifndef SIGNALBUS_CENSUS_H
#define SIGNALBUS_CENSUS_H

#include "config/config.h"
#include "daemon/health.h"
#include "daemon/metrics.h"
#include "daemon/standing.h"

#include <stddef.h>

struct census;

/* For the models of a configuration.  It borrows all: health says whether the database can be
 * reached at all, metrics are told each count, and standing where it is not 0. */
struct census *census_new(const struct config *config, struct health *health,
	struct metrics *metrics, struct standing *standing);
void census_free(struct census *c);

/* Count what is pending, in all models, up to a bound for each; beyond that metrics are told an
 * estimate.  Blocks for some seconds at most;
 * where they do not suffice the next call goes on with the next model.  Returns false where it
 * cannot be found out now; *more says that there are more. */
bool census_take(struct census *c, size_t *pending, bool *more);

#endif
