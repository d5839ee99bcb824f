/*
 * run_queue - which model a worker serves next.  Any thread.
 *
 * A model is due when a notification announced it, when it is known to have more rows than one
 * burst takes, and when its poll interval has passed.  Of all due models the one that was served
 * least recently comes first, so a huge backlog delays another model by one burst.
 */
#ifndef SIGNALBUS_RUN_QUEUE_H
#define SIGNALBUS_RUN_QUEUE_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct run_queue;

/* Why a model is served. */
enum queue_reason {
	QUEUE_TIME,      /* scan the whole table: there was no notification */
	QUEUE_ANNOUNCED, /* a notification: look at the place of new rows */
	QUEUE_MORE,      /* continue after the last burst */
	QUEUE_UNLOCK,    /* only release its ordered lock: it is paused */
};

/* What a worker found. */
enum queue_outcome {
	QUEUE_EMPTIED, /* nothing visible is left */
	QUEUE_QUIET,   /* the same, and it may be polled together with others next time */
	QUEUE_FULL,    /* there is probably more */
	QUEUE_LATER,   /* not before the delay is over */
};

/* A queue for models 0 to count - 1, shared by workers; all are due at once.  poll_interval is in
 * seconds. */
struct run_queue *queue_new(size_t count, unsigned workers, double poll_interval);
void queue_free(struct run_queue *q);

/* A model that must be sent by one worker at a time, always the same one while it holds the
 * lock. */
void queue_set_ordered(struct run_queue *q, size_t model);

/* A model that is never due. */
void queue_set_off(struct run_queue *q, size_t model);

/* Pause a model, or resume it, as often as needed: a paused one is due only for the worker that
 * holds its ordered lock, to release it; one that is resumed is due at once. */
void queue_pause(struct run_queue *q, size_t model, bool is_paused);

/* Whether it is paused, for a worker that took it earlier. */
bool queue_is_paused(struct run_queue *q, size_t model);

/* A worker that waits in queue_take() returns without a model, or the next one that calls it. */
void queue_wake(struct run_queue *q);

/* A notification arrived. */
void queue_announce(struct run_queue *q, size_t model);
void queue_announce_all(struct run_queue *q);

/* Wait until a model is due for this worker, at most until deadline.  Returns whether there is one,
 * which the worker returns with queue_done(). */
bool queue_take(struct run_queue *q, unsigned worker, struct instant deadline, size_t *model,
	enum queue_reason *reason);

/* Take other quiet models that are due soon, with one that was taken for QUEUE_TIME: models gets at
 * most QUEUE_TOGETHER, and that one is the first.  Returns how many; 0: it is not quiet, or too few
 * are, so that it is better served by itself. */
enum { QUEUE_TOGETHER = 50 };
size_t queue_take_quiet(struct run_queue *q, unsigned worker, size_t model, size_t *models);

/* Return a model.  delay (seconds) is for QUEUE_LATER; for QUEUE_EMPTIED it is the time until the
 * next scan of the whole table, 0: the poll interval. */
void queue_done(struct run_queue *q, size_t model, enum queue_outcome outcome, double delay);

/* The worker holds the model's ordered lock: from now on only this worker may take the model. */
void queue_keep(struct run_queue *q, unsigned worker, size_t model);

/* Return a model that was taken for QUEUE_UNLOCK: nobody holds its ordered lock. */
void queue_unlocked(struct run_queue *q, size_t model);

/* The worker has lost its session, and with it all ordered locks. */
void queue_lost(struct run_queue *q, unsigned worker);

/* No model is due any more: workers that wait in queue_take() return at once. */
void queue_close(struct run_queue *q);

/* Wait until the queue is closed, at most until deadline.  Returns whether it is. */
bool queue_wait_closed(struct run_queue *q, struct instant deadline);

#endif
