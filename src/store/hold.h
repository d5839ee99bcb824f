/*
 * hold - whether signals of a model in no order stay locked by others.  Pure: no I/O, no clock.
 *
 * Claims pass over locked rows, so a table whose rows all are locked looks like an empty one. Where
 * rows were counted, one of them is looked at without a lock: if it stays while looks from the
 * beginning of the table find nothing, others have it locked.
 */
#ifndef SIGNALBUS_HOLD_H
#define SIGNALBUS_HOLD_H

#include "base/clock.h"

#include <stdbool.h>

enum { SIGHTING_SIZE = 32 };

/* A version of a row, as it was seen, and the transaction that has locked it, if any. */
struct sighting {
	char tableoid[SIGHTING_SIZE], ctid[SIGHTING_SIZE], xmin[SIGHTING_SIZE];
	char xmax[SIGHTING_SIZE];
};

/* All zero: nothing is known. */
struct hold {
	bool is_suspected; /* rows were counted since none was seen */
	bool has_row;
	struct sighting row;
	struct instant since; /* it was first seen */
	struct instant seen;  /* it was last looked at */
	bool is_held;         /* it was passed over since then */
	bool is_told;         /* to people */
};

/* Rows were counted. */
void hold_suspect(struct hold *h);

/* Whether there is something to be found out, so that the table should soon be looked at. */
bool hold_watches(const struct hold *h);

/* Whether it is time to look at the row, or at any one where none is known.  swept: a claim from
 * the beginning of the table has just found nothing, and nobody else of this process is at it. */
bool hold_is_due(const struct hold *h, bool swept, struct instant now);

/* What came of a look, for people. */
enum hold_news { HOLD_NO_NEWS, HOLD_BEGINS, HOLD_ENDS };

/* The row, if one is known, else any one, was looked at; NULL: there is none.  It is news when it
 * is held for as long as timeout (seconds), and when that is over. */
enum hold_news hold_saw(
	struct hold *h, const struct sighting *row, bool swept, double timeout, struct instant now);

#endif
