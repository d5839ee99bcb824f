/*
 * pauses - which models operators have paused in the database.  Workers find out, each with its own
 * session, before they take a model: when a notification says that something has changed, and
 * otherwise every poll interval.  Any thread.
 */
#ifndef SIGNALBUS_PAUSES_H
#define SIGNALBUS_PAUSES_H

#include "config/config.h"
#include "daemon/metrics.h"
#include "daemon/model_status.h"
#include "daemon/run_queue.h"
#include "store/store.h"

#include <stdbool.h>

struct pauses;

/* For the models of a configuration.  Borrows all; each is notified of changes. */
struct pauses *pauses_new(const struct config *config, struct run_queue *queue,
	struct model_status *status, struct metrics *metrics);
void pauses_free(struct pauses *p);

/* Something may have changed: a worker finds out soon. */
void pauses_announce(struct pauses *p);

/* Find out with the store, if it is time, and log changes; a failure is logged when it begins and
 * when it ends, and leaves all as it was.  Blocks for some statements, and may lose the session.
 * Returns false while it is not known yet what is paused, but may be known soon: nothing may be
 * sent then. */
bool pauses_look(struct pauses *p, struct store *s);

#endif
