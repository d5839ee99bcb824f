/*
 * due - which model a worker serves next.  Any thread.
 *
 * A model is due when a notification announced it, when it is known to have more rows than one
 * burst takes, and when its poll interval has passed.  Of all due models the one that was served
 * least recently comes first, so a huge backlog delays another model by one burst.
 */
#ifndef SIGNALBUS_DUE_H
#define SIGNALBUS_DUE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct due;

/* Why a model is served. */
enum due_reason {
	DUE_TIME,      /* scan the whole table: there was no notification */
	DUE_ANNOUNCED, /* a notification: look at the place of new rows */
	DUE_MORE,      /* continue after the last burst */
};

/* What a worker found. */
enum due_outcome {
	DUE_EMPTIED, /* nothing visible is left */
	DUE_FULL,    /* there is probably more */
	DUE_LATER,   /* not before the delay is over */
};

/* A queue for models 0 to count - 1, shared by workers; all are due at once.  poll_interval is in
 * seconds. */
struct due *due_new(size_t count, unsigned workers, double poll_interval);
void due_free(struct due *d);

/* A model that must be sent by one worker at a time, always the same one while it holds the
 * lock. */
void due_set_ordered(struct due *d, size_t model);

/* A model that is never due. */
void due_set_off(struct due *d, size_t model);

/* A notification arrived. */
void due_announce(struct due *d, size_t model);
void due_announce_all(struct due *d);

/* Wait until a model is due for this worker, at most until deadline.  Returns whether there is one,
 * which the worker returns with due_done(). */
bool due_take(struct due *d, unsigned worker, struct instant deadline, size_t *model,
	enum due_reason *reason);

/* Return a model.  delay (seconds) is for DUE_LATER; for DUE_EMPTIED it is the time until the next
 * scan of the whole table, 0: the poll interval. */
void due_done(struct due *d, size_t model, enum due_outcome outcome, double delay);

/* The worker holds the model's ordered lock: from now on only this worker may take the model. */
void due_keep(struct due *d, unsigned worker, size_t model);

/* The worker has lost its session, and with it all ordered locks. */
void due_lost(struct due *d, unsigned worker);

/* No model is due any more: workers that wait in due_take() return at once. */
void due_close(struct due *d);

/* Wait until the queue is closed, at most until deadline.  Returns whether it is. */
bool due_wait_closed(struct due *d, struct instant deadline);

#endif
