/*
 * due - which model a worker is to serve next.  Any thread.
 *
 * A model is due when a notification announced it, when it is known to have more rows than one
 * burst takes, and when its time to be looked at has come.  Of all due models the one that was
 * served longest ago comes first, so that a huge backlog delays another model by one burst.
 */
#ifndef SIGNALBUS_DUE_H
#define SIGNALBUS_DUE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct due;

/* Why a model is served. */
enum due_reason {
	DUE_TIME,      /* look at all of the table: nothing announced it */
	DUE_ANNOUNCED, /* a notification: look where new rows are */
	DUE_MORE,      /* go on where the last burst ended */
};

/* What a worker found. */
enum due_outcome {
	DUE_EMPTIED, /* nothing is left that can be seen */
	DUE_FULL,    /* there is probably more */
	DUE_LATER,   /* not before the delay is over */
};

/* A board for models 0 to count - 1, served by workers; all are due at once.  poll_interval
 * (seconds) is how often each is looked at. */
struct due *due_new(size_t count, unsigned workers, double poll_interval);
void due_free(struct due *d);

/* A model that must be sent by one worker at a time, always the same while it holds its lock. */
void due_set_ordered(struct due *d, size_t model);

/* A model that is never due. */
void due_set_off(struct due *d, size_t model);

/* A notification came. */
void due_announce(struct due *d, size_t model);
void due_announce_all(struct due *d);

/* Wait until a model is due for this worker, until deadline at most.  Returns whether there is
 * one, which the worker gives back with due_done(). */
bool due_take(struct due *d, unsigned worker, struct instant deadline, size_t *model,
	enum due_reason *reason);

/* Give a model back.  delay (seconds) is for DUE_LATER; for DUE_EMPTIED it is after how long all of
 * the table is to be looked at again, 0: in its time. */
void due_done(struct due *d, size_t model, enum due_outcome outcome, double delay);

/* The worker has the model's ordered lock: none but it may take the model from now on. */
void due_keep(struct due *d, unsigned worker, size_t model);

/* The worker has lost its session, and all ordered locks with it. */
void due_lost(struct due *d, unsigned worker);

/* No model is due any more: workers that wait in due_take() return at once. */
void due_close(struct due *d);

/* Wait until the board is closed, until deadline at most.  Returns whether it is. */
bool due_wait_closed(struct due *d, struct instant deadline);

#endif
