#include "store/held_rows.h"

#define LOOK_S 1.0 /* between reads of a row */

void hold_suspect(struct hold *h)
{
	h->is_suspected = true;
}

bool hold_watches(const struct hold *h)
{
	return h->has_row || h->is_suspected;
}

bool hold_is_due(const struct hold *h, bool swept, struct instant now)
{
	if (h->has_row)
		return instant_seconds(h->seen, now) >= LOOK_S;
	return h->is_suspected && swept;
}

static enum hold_news saw_none(struct hold *h)
{
	bool was_told = h->is_told;
	/* If the row is gone there may be others. */
	*h = (struct hold){ .is_suspected = h->has_row, .since = h->since };
	return was_told ? HOLD_ENDS : HOLD_NO_NEWS;
}

enum hold_news hold_saw(
	struct hold *h, const struct sighting *row, bool swept, double timeout, struct instant now)
{
	if (row == NULL)
		return saw_none(h);
	if (!h->has_row)
		*h = (struct hold){ .has_row = true, .since = now };
	else if (swept)
		h->is_held = true;
	h->row = *row;
	h->seen = now;
	if (!h->is_held || h->is_told || instant_seconds(h->since, now) < timeout)
		return HOLD_NO_NEWS;
	h->is_told = true;
	return HOLD_BEGINS;
}
