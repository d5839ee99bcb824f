/*
 * health - how the daemon's workers do with the database: whether any of them is connected, and
 * whether all are.  Each change is logged once, however many threads find it.  Any thread.
 *
 * The database is up while one worker has a connection that works.  Where that is so and others are
 * refused (a role's or a server's limit), those that there are do the work.  That a worker is
 * refused may also be the first sign that the database is away, so it is told when another one has
 * found since then that its connection works.
 */
#ifndef SIGNALBUS_HEALTH_H
#define SIGNALBUS_HEALTH_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct health;

struct health *health_new(unsigned workers);
void health_free(struct health *h);

/* Whether a worker may try to connect now: not while one makes room for the listener.  It has begun
 * to try then, and says how that ended. */
bool health_try(struct health *h);

/* A worker has connected; has no connection any more; could not connect because of reason. */
void health_connected(struct health *h);
void health_lost(struct health *h);
void health_refused(struct health *h, const char *reason);

/* Whether those that are connected should find out whether their connections work, and that one
 * does: it was asked at start. */
bool health_is_doubtful(struct health *h);
void health_answered(struct health *h, struct instant start);

/* The listener has no connection, and workers have several: one may give up its own, and for a
 * second no worker takes another.  health_yield() returns true to one of them, once. */
void health_want_room(struct health *h);
bool health_yield(struct health *h);

/* Whether a worker is connected; and whether all of them are. */
bool health_has_worker(struct health *h);
bool health_is_complete(struct health *h);

/* Whether the database is up; false before the first try to connect. */
bool health_is_up(struct health *h);

/* Put into reason, which has room for size bytes, why it is not; an empty text where it is. */
void health_view(struct health *h, char *reason, size_t size);

#endif
