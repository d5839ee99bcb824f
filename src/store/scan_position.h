/*
 * scan_position - how far the senders of a model have advanced in its table.  Any thread.
 *
 * Rows before the position are gone, are being sent, were locked by others, were committed late, or
 * use space that VACUUM has freed.  So the position only avoids scanning dead rows: a sweep from
 * the beginning, now and then and before a table counts as empty, finds the rows before it.  If
 * VACUUM cannot remove the dead rows, because a snapshot is old, a sweep is expensive: then it is
 * rarer, and the position is kept even if the table was empty.
 */
#ifndef SIGNALBUS_SCAN_POSITION_H
#define SIGNALBUS_SCAN_POSITION_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>

struct position;

/* The place of a row in its table: the values of its position fields, as text.  count 0: the
 * beginning.  Zero-initialized is the beginning; freed by place_free(). */
struct row_position {
	char **values;
	size_t count;
	char *state; /* the state of the table for which they are valid (a model's table_state);
			NULL: any */
};

struct position *position_new(void);
void position_free(struct position *p);

/* A copy of the place, which the caller frees with place_free().  A place that is valid for another
 * state of the table is discarded. */
struct row_position position_get(struct position *p, const char *state);

/* Advance to a place, and take its ownership. */
void position_set(struct position *p, struct row_position *place);

/* The place is the ctid of a row, and a page holds about this many rows; 0, or after any other call
 * that moves the place: unknown. */
void position_learn(struct position *p, unsigned long rows_per_page);

/* A part of a table to claim from. */
struct span {
	struct row_position from; /* after it … */
	struct row_position to;   /* … up to and including it; count 0: to the end */
	struct row_position
		before; /* if to has a place: where the previous span begins, or a little earlier */
};

/* A span of about this many rows after the place.  If the number of rows per page is known, the
 * span has an end, and the position advances to it: the next caller, perhaps while the rows are
 * being claimed, does not scan them.  Freed by span_free(). */
struct span position_take(struct position *p, size_t rows, const char *state);
void span_free(struct span *span);

/* There was nothing in a span and after it: return to the start of the previous one, unless the
 * position is before that.  The existing rows may have ended within that span. */
void position_put_back(struct position *p, const struct span *span);

/* A sweep that began at start and ended at now has found nothing.  Resets the place, unless sweeps
 * are expensive. */
void position_swept(struct position *p, struct instant start, struct instant now);

/* How many seconds the next sweep should wait if only a notification asks for it; 0: it is cheap
 * enough by now. */
double position_rest(struct position *p, struct instant now);

/* Move a position that is a ctid some pages back, for another scan: each session that inserts has
 * its own page at the end of a table (RelationGetBufferForTuple in PostgreSQL), so new rows may
 * also come before the last one.  Returns false if this was done since the last position_set(), or
 * the position is the beginning, or is valid for another state of the table. */
bool position_step_back(struct position *p, const char *state);

void place_add(struct row_position *place, const char *value);
void place_set_state(struct row_position *place, const char *state); /* copies it */
void place_free(struct row_position *place);

#endif
