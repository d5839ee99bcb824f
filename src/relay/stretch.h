/*
 * stretch - the part of a table that an unordered claim scans, and its effect on the position that
 * the senders of the model share.  Pure, except for the position.  A stretch belongs to one worker.
 *
 * If several workers claim at the same time, each has its own stretch, based on the row density
 * seen so far.  Whatever happens, SKIP LOCKED ensures that no row is claimed twice, and a sweep
 * that none is left.
 */
#ifndef SIGNALBUS_STRETCH_H
#define SIGNALBUS_STRETCH_H

#include "store/position.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>

struct stretch {
	struct position *position;
	struct span span;
	bool is_vain; /* there was nothing up to its end */
};

/* Take a stretch for a claim of at most a burst of the model.  is_shared: others claim from the
 * same position at the same time.  Without a position (NULL) there is no stretch: the claim is of
 * another kind. */
struct stretch stretch_take(
	struct position *p, const struct model *m, bool from_start, bool is_shared);

/* How to claim its rows; other if there is no stretch. */
enum claim_kind stretch_kind(const struct stretch *s, enum claim_kind other);

/* Whether it is more specific than everything after a place. */
bool stretch_has_end(const struct stretch *s);

/* Nothing was found.  Returns whether to scan again, without an end. */
bool stretch_go_on(struct stretch *s);

/* The rows that were claimed, of at most this many, determine where the next claim begins.  Frees
 * s. */
void stretch_end(struct stretch *s, const struct model *m, const struct claim *claim, size_t rows);

#endif
