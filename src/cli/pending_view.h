/*
 * pending_view - what `pending --watch` shows on a terminal: for each model how many signals are
 * pending, how this changes, for how long at least the oldest one has been, and the time left.
 * Pure: no I/O, no clock.
 */
#ifndef SIGNALBUS_PENDING_VIEW_H
#define SIGNALBUS_PENDING_VIEW_H

#include "base/clock.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

struct pending_view;

/* For models 0 to count - 1, whose names are borrowed, to be freed. */
struct pending_view *pending_view_new(size_t count);
void pending_view_free(struct pending_view *v);

/* A model was counted; since: one of its signals has been there since then, if there are any. */
struct pending_count_of {
	size_t model;
	const char *name;
	size_t count;
	struct instant since;
	bool is_paused;
	bool is_unknown; /* it could not be counted */
};
void pending_view_note(
	struct pending_view *v, const struct pending_count_of *counted, struct instant now);

/* The place for it. */
struct pending_frame {
	size_t rows, columns;
	const char *time; /* of the day */
};

/* Add a screen to t: the models with the most signals first, as many as there is room for, and the
 * total, which lacks what is unknown ("?"); with the escape sequences that draw it in place. */
void pending_view_draw(struct pending_view *v, const struct pending_frame *frame,
	struct instant now, struct text *t);

#endif
