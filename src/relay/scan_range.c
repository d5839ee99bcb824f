#include "relay/scan_range.h"

#include "model/sql.h"

#include <stdlib.h>
#include <string.h>

struct scan_range range_take(
	struct position *p, const struct model *m, bool from_start, bool is_shared)
{
	struct scan_range s = { .position = p };
	if (p == NULL || from_start)
		return s;
	if (is_shared)
		s.span = position_take(p, (size_t)m->settings->burst_count, m->table_state);
	else
		s.span.from = position_get(p, m->table_state);
	return s;
}

bool range_has_end(const struct scan_range *s)
{
	return s->span.to.count > 0 && !s->is_vain;
}

enum claim_kind range_kind(const struct scan_range *s, enum claim_kind other)
{
	if (s->position == NULL)
		return other;
	if (s->span.from.count == 0)
		return CLAIM_FIRST;
	return range_has_end(s) ? CLAIM_RANGE : CLAIM_NEXT;
}

bool range_go_on(struct scan_range *s)
{
	bool had_end = range_has_end(s);
	s->is_vain = s->is_vain || had_end;
	return had_end;
}

static struct row_position place_of(const struct model *m, const struct claim *claim, size_t row)
{
	struct row_position place = { 0 };
	for (size_t i = 0; i < sql_position_count(m); i++)
		place_add(&place, rows_value(claim->rows, row, sql_position_field(m, i)));
	place_set_state(&place, m->table_state);
	return place;
}

/* The number of rows per page: the highest row number in the pages before the last one.  0: they
 * are all in one page. */
static unsigned long rows_per_page(const struct claim *claim)
{
	unsigned long most = 0, most_before = 0;
	const char *page = "";
	size_t length = 0;
	for (size_t i = 0; i < claim->count; i++) {
		const char *ctid = rows_value(claim->rows, i, ROW_CTID);
		if (strncmp(ctid, page, length) != 0 || length == 0) {
			page = ctid;
			length = strcspn(ctid, ",") + 1;
			most_before = most;
		}
		unsigned long row = strtoul(ctid + length, NULL, 10);
		most = row > most ? row : most;
	}
	return most_before;
}

/* Whether the rows are all that the range had, and fill a good part of the claim. */
static bool is_used_up(const struct scan_range *s, const struct claim *claim, size_t rows)
{
	const char *last = rows_value(claim->rows, claim->count - 1, ROW_CTID);
	return strcmp(last, s->span.to.values[0]) == 0 ||
	       (!claim->more && claim->count >= rows / 2);
}

static void move_on(
	struct scan_range *s, const struct model *m, const struct claim *claim, size_t rows)
{
	bool has_end = range_has_end(s);
	if (has_end && is_used_up(s, claim, rows))
		return;
	struct row_position last = place_of(m, claim, claim->count - 1);
	position_set(s->position, &last);
	/* Only in a backlog do several workers claim at the same time. */
	if (!has_end && claim->more && !m->has_children)
		position_learn(s->position, rows_per_page(claim));
}

void range_end(struct scan_range *s, const struct model *m, const struct claim *claim, size_t rows)
{
	if (s->position != NULL && claim->count > 0)
		move_on(s, m, claim, rows);
	else if (s->is_vain)
		position_put_back(s->position, &s->span);
	span_free(&s->span);
}
