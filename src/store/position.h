/*
 * position - how far into a table the senders of a model have come.  Any thread.
 *
 * Rows before the position are gone, are being sent, were locked by others, or were committed
 * late, or use space that vacuum has freed.  So the position only saves the way over dead rows: a
 * sweep from the beginning, now and then and before a table counts as empty, finds what was left
 * behind it.  Where vacuum may not remove the dead rows, since some snapshot is old, a sweep is
 * dear: then it is rarer, and the position is kept though the table was empty.
 */
#ifndef SIGNALBUS_POSITION_H
#define SIGNALBUS_POSITION_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct position;

/* A row's place in its table: the values of its position fields, as text.  count 0: the beginning.
 * Zero-initialised is the beginning; emptied by place_free(). */
struct place_in_table {
	char **values;
	size_t count;
	char *state; /* of the table for which they are good (a model's table_state); NULL: any */
};

struct position *position_new(void);
void position_free(struct position *p);

/* A copy of the place, which the caller frees with place_free().  One that is good for another
 * state of the table is forgotten. */
struct place_in_table position_get(struct position *p, const char *state);

/* Move on to a place, and take its ownership. */
void position_set(struct position *p, struct place_in_table *place);

/* The place is a row's ctid, and a page holds so many rows, or a few less; 0, or after any other
 * call that moves the place: nobody knows. */
void position_learn(struct position *p, unsigned long rows_per_page);

/* A part of a table for somebody to claim. */
struct span {
	struct place_in_table from;   /* behind it … */
	struct place_in_table to;     /* … as far as it; count 0: as far as there are rows */
	struct place_in_table before; /* where to has a place: where the span before begins, or a
					 little before that */
};

/* A span of about so many rows from the place on.  Where it is known how many a page holds it has
 * an end, and the position is moved on to there: who comes next, maybe while the rows are being
 * claimed, need not walk over them.  Freed by span_free(). */
struct span position_take(struct position *p, size_t rows, const char *state);
void span_free(struct span *span);

/* There was nothing in a span and behind it: go back to where the one before it begins, unless the
 * position is before that.  The rows that there were may have ended within that one. */
void position_put_back(struct position *p, const struct span *span);

/* A sweep that began at start and ended at now has found nothing.  Forgets the place, unless sweeps
 * are dear. */
void position_swept(struct position *p, struct instant start, struct instant now);

/* For how many seconds the next sweep should wait, if only a notification asks for it; 0: it is
 * cheap enough by now. */
double position_rest(struct position *p, struct instant now);

/* Move a position that is a row's ctid some pages back, for another look at what is there: each
 * session that inserts has a page of its own at the end of a table (RelationGetBufferForTuple in
 * PostgreSQL), so that new rows come before the last one, too.  Returns false where that has been
 * done since the last position_set(), or the position is the beginning, or is good for another
 * state of the table. */
bool position_step_back(struct position *p, const char *state);

void place_add(struct place_in_table *place, const char *value);
void place_set_state(struct place_in_table *place, const char *state); /* copies it */
void place_free(struct place_in_table *place);

#endif
