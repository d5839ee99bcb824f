/*
 * oldest_pending - for how long a signal table has not been empty.  Pure.
 *
 * The rows of a signal table need not contain their insertion time, so their age is not known.
 * What is known is when the table was last found empty: all its rows are younger than that.
 */
#ifndef SIGNALBUS_OLDEST_PENDING_H
#define SIGNALBUS_OLDEST_PENDING_H

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>

struct oldest_pending {
	struct instant emptied; /* when the table was last found empty */
	bool is_behind;         /* rows were found since then that are still there */
	bool is_stuck;          /* … and could not be sent: */
	struct instant failed;  /* the last time they could not be sent */
};

/* Nothing is known yet; or another process serves the table now. */
void oldest_pending_begin(struct oldest_pending *l, struct instant now);

/* A worker finished with the table; emptied: and found nothing more.  A worker skips rows that
 * another one has locked, so this proves nothing while a row is known that could not be sent. */
void oldest_pending_served(struct oldest_pending *l, bool emptied, struct instant now);

/* A worker failed. */
void oldest_pending_failed(struct oldest_pending *l, enum error_kind kind, struct instant now);

/* All committed rows were counted, and there were none: the table is empty. */
void oldest_pending_counted_none(struct oldest_pending *l, struct instant now);

/* No worker of this process serves the table, and one of its rows was read: the same one as the
 * last time, if there was one.  If that one is gone, somebody serves the table, and this row may be
 * new. */
void oldest_pending_seen(struct oldest_pending *l, bool is_same, struct instant now);

/* Seconds since the table was last found empty; 0 while it is, provided that it is checked often
 * enough: every interval, unless the database or the broker is unavailable. */
double oldest_pending_seconds(
	const struct oldest_pending *l, bool is_reachable, double interval, struct instant now);

#endif
