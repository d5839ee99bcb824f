/*
 * census - counts the pending signals of each model, for people.  One thread, with its own database
 * session, whose time-outs are shorter than those of senders, because nobody waits for it.
 */
#ifndef SIGNALBUS_CENSUS_H
#define SIGNALBUS_CENSUS_H

#include "config/config.h"
#include "daemon/health.h"
#include "daemon/metrics.h"
#include "daemon/standing.h"

#include <stddef.h>

struct census;

/* For the models of a configuration.  It borrows all arguments: health knows whether the database
 * is reachable, metrics receive each count, and standing is notified of counts other than 0. */
struct census *census_new(const struct config *config, struct health *health,
	struct metrics *metrics, struct standing *standing);
void census_free(struct census *c);

/* Count the pending signals of all models, up to a limit per model; beyond that metrics receive
 * an estimate.  Blocks for at most some seconds; if they are not enough, the next call continues
 * with the next model.  Returns false if the count is not available now; *more says that there
 * are more. */
bool census_take(struct census *c, size_t *pending, bool *more);

#endif
