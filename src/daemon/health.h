/*
 * health - the state of the workers' database connections: whether any of them is connected, and
 * whether all are.  Each change is logged once, however many threads detect it, and so is another
 * reason why none is (outage.h).  Any thread.
 *
 * The database is up while one worker has a working connection.  If others are then refused (by a
 * limit of the role or the server), the connected ones do the work.  A refused worker may also be
 * the first sign that the database is unavailable, so this is logged only when another connection
 * has been verified since then.
 */
#ifndef SIGNALBUS_HEALTH_H
#define SIGNALBUS_HEALTH_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct health;

struct health *health_new(unsigned workers);
void health_free(struct health *h);

/* Whether a worker may try to connect now: not while one makes room for the listener.  If so, the
 * attempt has begun, and the worker reports its result. */
bool health_try(struct health *h);

/* A worker has connected; is no longer connected; could not connect because of reason. */
void health_connected(struct health *h);
void health_lost(struct health *h);
void health_refused(struct health *h, const char *reason);

/* Whether connected workers should verify their connections; and that one did: it was verified at
 * start. */
bool health_is_doubtful(struct health *h);
void health_answered(struct health *h, struct instant start);

/* The listener has no connection, and workers have several: one of them may give up its own, and
 * for one second no worker opens another.  health_yield() returns true to one of them, once.
 * health_want_room() returns whether that second lasts; it has no effect any more after five such
 * seconds in vain.  The listener says when it is connected. */
bool health_want_room(struct health *h);
bool health_yield(struct health *h);
void health_listens(struct health *h);

/* From now on write to this eventfd when the last worker loses its connection, because workers may
 * need the listener's, and when a worker has given up its own for the listener.  -1: no longer. */
void health_rouse(struct health *h, int fd);

/* Whether some workers are refused while others are connected, as was logged. */
bool health_is_short(struct health *h);

/* Whether a worker is connected; and whether all of them are. */
bool health_has_worker(struct health *h);
bool health_is_complete(struct health *h);

/* Whether the database is up; false before the first attempt to connect. */
bool health_is_up(struct health *h);

/* Whether it is down: an attempt to connect failed since it was up, as was logged. */
bool health_is_down(struct health *h);

/* Put into reason, which has room for size bytes, why it is not up; an empty text if it is. */
void health_view(struct health *h, char *reason, size_t size);

#endif
