/*
 * held_rows - whether signals of an unordered model stay locked by other sessions.  Pure: no I/O,
 * no clock.
 *
 * Claims skip locked rows, so a table whose rows are all locked looks empty.  If rows were counted,
 * one of them is read without a lock: if it stays while scans from the beginning of the table find
 * nothing, other sessions have it locked.
 */
#ifndef SIGNALBUS_HELD_ROWS_H
#define SIGNALBUS_HELD_ROWS_H

#include "base/clock.h"

#include <stdbool.h>

enum { SIGHTING_SIZE = 32 };

/* A version of a row, as it was read, and the transaction that has locked it, if any. */
struct sighting {
	char tableoid[SIGHTING_SIZE], ctid[SIGHTING_SIZE], xmin[SIGHTING_SIZE];
	char xmax[SIGHTING_SIZE];
};

/* All zero: nothing is known. */
struct hold {
	bool is_suspected; /* rows were counted since none was found */
	bool has_row;
	struct sighting row;
	struct instant since; /* when it was first read */
	struct instant seen;  /* when it was last read */
	bool is_held;         /* it was skipped since then */
	bool is_told;         /* it was logged */
};

/* Rows were counted. */
void hold_suspect(struct hold *h);

/* Whether a check is due, so that the table should soon be scanned. */
bool hold_watches(const struct hold *h);

/* Whether it is time to read the row, or any row if none is known.  swept: a claim from the
 * beginning of the table has just found nothing, and no other worker of this process is serving
 * it. */
bool hold_is_due(const struct hold *h, bool swept, struct instant now);

/* The result of a check, for the log. */
enum hold_news { HOLD_NO_NEWS, HOLD_BEGINS, HOLD_ENDS };

/* The row, if one is known, or else any row, was read; NULL: there is none.  It is news when the
 * row has been held for timeout (seconds), and when that is over. */
enum hold_news hold_saw(
	struct hold *h, const struct sighting *row, bool swept, double timeout, struct instant now);

#endif
