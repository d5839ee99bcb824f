/*
 * lag - for how long a signal table has not been emptied.  Pure.
 *
 * The rows of a signal table need not say when they were inserted, so their age is not known.  What
 * is known is when the table was last found empty: everything in it is younger than that.
 */
#ifndef SIGNALBUS_LAG_H
#define SIGNALBUS_LAG_H

#include "base/clock.h"
#include "base/error.h"

#include <stdbool.h>

struct lag {
	struct instant emptied; /* when the table was found empty */
	bool is_behind;         /* something was found since then that is still there */
	bool is_stuck;          /* … and could not be sent: */
	struct instant failed;  /* the last time that was so */
};

/* Nothing is known yet; or the table is somebody else's now. */
void lag_begin(struct lag *l, struct instant now);

/* A worker did what it wanted with the table; emptied: and saw nothing more.  A worker passes over
 * rows that another one has locked, so while a row is known that could not be sent, that proves
 * nothing. */
void lag_served(struct lag *l, bool emptied, struct instant now);

/* A worker failed. */
void lag_failed(struct lag *l, enum error_kind kind, struct instant now);

/* All rows that are committed were counted, and there were none: the table is empty. */
void lag_counted_none(struct lag *l, struct instant now);

/* Seconds since the table was last found empty; 0 while it is, and it is looked at often enough:
 * every interval, unless the database or the broker is away. */
double lag_seconds(const struct lag *l, bool is_reachable, double interval, struct instant now);

#endif
