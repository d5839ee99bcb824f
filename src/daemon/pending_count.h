/*
 * pending_count - counts the pending signals of each model, and examines the state of their tables,
 * for people.  One thread, with its own database session, whose time-outs are shorter than those of
 * senders, because nobody waits for it.
 */
#ifndef SIGNALBUS_PENDING_COUNT_H
#define SIGNALBUS_PENDING_COUNT_H

#include "config/config.h"
#include "daemon/health.h"
#include "daemon/metrics.h"
#include "daemon/model_status.h"

#include <stddef.h>

struct pending_count;

/* For the models of a configuration.  It borrows all arguments: health knows whether the database
 * is reachable, metrics receive each count, and the model status is notified of counts other than
 * 0. */
struct pending_count *pending_count_new(const struct config *config, struct health *health,
	struct metrics *metrics, struct model_status *status);
void pending_count_free(struct pending_count *c);

/* Count the pending signals of all models, up to a limit per model; beyond that metrics receive
 * an estimate.  Blocks for at most some seconds; if they are not enough, the next call continues
 * with the next model.  Returns false if the count is not available now; *more says that there
 * are more. */
bool pending_count_take(struct pending_count *c, size_t *pending, bool *more);

#endif
