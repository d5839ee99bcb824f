/*
 * stretch - the part of a table that a claim in no order looks into, and what it makes of the
 * position that the senders of the model share.  Pure, but for the position.  A stretch belongs to
 * one worker.
 *
 * Where several workers claim at the same time each has a stretch of its own, as long as rows lie
 * as densely as they did.  Whatever becomes of that, SKIP LOCKED sees to it that no row is claimed
 * twice, and a sweep to it that none is left.
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
	bool is_vain; /* up to its end there was nothing */
};

/* Take a stretch for a claim of a burst of the model's, at most.  is_shared: others claim from the
 * same position at the same time.  Without a position (NULL) it is no stretch: the claim is of
 * another kind. */
struct stretch stretch_take(
	struct position *p, const struct model *m, bool from_start, bool is_shared);

/* How to claim what is in it; other where it is none. */
enum claim_kind stretch_kind(const struct stretch *s, enum claim_kind other);

/* Whether it is not just all that is behind a place. */
bool stretch_has_end(const struct stretch *s);

/* Nothing was found.  Returns whether to look again, without an end. */
bool stretch_go_on(struct stretch *s);

/* What was claimed, of so many rows at most, decides where the next claim begins.  Frees s. */
void stretch_end(struct stretch *s, const struct model *m, const struct claim *claim, size_t rows);

#endif
