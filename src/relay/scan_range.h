/*
 * scan_range - the part of a table that an unordered claim scans, and its effect on the position
 * that the senders of the model share.  Pure, except for the position.  A range belongs to one
 * worker.
 *
 * If several workers claim at the same time, each has its own range, based on the row density
 * seen so far.  Whatever happens, SKIP LOCKED ensures that no row is claimed twice, and a sweep
 * that none is left.
 */
#ifndef SIGNALBUS_SCAN_RANGE_H
#define SIGNALBUS_SCAN_RANGE_H

#include "store/scan_position.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>

struct scan_range {
	struct position *position;
	struct span span;
	bool is_vain; /* there was nothing up to its end */
};

/* Take a range for a claim of at most a burst of the model.  is_shared: others claim from the
 * same position at the same time.  Without a position (NULL) there is no range: the claim is of
 * another kind. */
struct scan_range range_take(
	struct position *p, const struct model *m, bool from_start, bool is_shared);

/* How to claim its rows; other if there is no range. */
enum claim_kind range_kind(const struct scan_range *s, enum claim_kind other);

/* Whether it is more specific than everything after a place. */
bool range_has_end(const struct scan_range *s);

/* Nothing was found.  Returns whether to scan again, without an end. */
bool range_go_on(struct scan_range *s);

/* The rows that were claimed, of at most this many, determine where the next claim begins.  Frees
 * s. */
void range_end(struct scan_range *s, const struct model *m, const struct claim *claim, size_t rows);

#endif
