/*
 * The deletion of claimed rows: one statement per table that contains them; there are several only
 * if the signal table is partitioned or inherited from.
 */
#include "base/text.h"
#include "postgres/tid_array.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

static struct deletion *deletion_from(struct deletions *d, const char *oid)
{
	for (size_t i = d->count; i > 0; i--)
		if (strcmp(d->items[i - 1].oid, oid) == 0)
			return &d->items[i - 1];
	d->items = memory_resize(d->items, d->count + 1, sizeof *d->items);
	d->items[d->count] = (struct deletion){ .oid = oid };
	return &d->items[d->count++];
}

static void collect(
	struct deletions *d, const struct claim *claim, const struct row_outcome *outcomes)
{
	for (size_t i = 0; i < claim->count; i++) {
		if (outcomes != NULL && !outcome_leaves(outcomes[i].outcome))
			continue;
		struct deletion *from = deletion_from(d, rows_value(claim->rows, i, ROW_TABLEOID));
		tid_array_add(&from->ctids, rows_value(claim->rows, i, ROW_CTID));
		d->rows++;
	}
}

bool deletions_plan(struct store *s, const struct model *m, struct error *e)
{
	static const char *const values[] = { "{}", "0" };
	struct session_model *d = &s->models[m->index];
	if (d->can_delete)
		return true;
	char *sql = sql_delete(m), *explained = text_format("EXPLAIN (COSTS OFF) %s", sql);
	const struct db_call call = { .sql = explained, .values = values, .value_count = 2 };
	d->can_delete = store_query_model(s, m, call, e);
	free(explained);
	free(sql);
	return d->can_delete;
}

static struct db_call end_of_burst(const struct store *s)
{
	return (struct db_call){ .sql = s->prepare != NULL ? s->prepare : "COMMIT" };
}

bool deletions_prepare(struct store *s, const struct model *m, const struct claim *claim,
	const struct row_outcome *outcomes, struct error *e)
{
	static const int formats[] = { 1, 0 };
	struct deletions *d = &s->deletions;
	bool *done = &s->models[m->index].prepared_delete;
	struct statement st = { "delete", *done ? NULL : sql_delete(m), done };
	*d = (struct deletions){ .statement = store_prepare(s, m, st, e) };
	if (d->statement == NULL)
		return false;
	collect(d, claim, outcomes);
	d->calls = memory_new(d->count + 2, sizeof *d->calls);
	/* What is sent has to go. */
	d->first = s->waits_longer && d->count > 0;
	if (d->first > 0)
		d->calls[0] = (struct db_call){ .sql = s->longer_lock_wait };
	for (size_t i = 0; i < d->count; i++) {
		struct deletion *item = &d->items[i];
		item->values[0] = item->ctids.text;
		item->values[1] = item->oid;
		item->lengths[0] = (int)item->ctids.length;
		d->calls[d->first + i] = (struct db_call){ .prepared = d->statement,
			.values = item->values,
			.value_count = 2,
			.formats = formats,
			.lengths = item->lengths,
			.affected = &item->affected };
	}
	d->all_calls = d->first + d->count;
	d->calls[d->all_calls++] = end_of_burst(s);
	return true;
}

void deletions_done(struct store *s)
{
	struct deletions *d = &s->deletions;
	*d = (struct deletions){ .calls = memory_new(2, sizeof *d->calls) };
	if (s->waits_longer)
		d->calls[d->all_calls++] = (struct db_call){ .sql = s->longer_lock_wait };
	d->calls[d->all_calls++] = end_of_burst(s);
}

bool deletions_check(const struct model *m, const struct deletions *d, struct error *e)
{
	size_t gone = 0;
	for (size_t i = 0; i < d->count; i++)
		gone += d->items[i].affected;
	if (gone == d->rows)
		return true;
	return error_set(e, ERROR_DATABASE,
		"deleting %zu sent signals from table %s removed %zu; does a trigger or a rule "
		"prevent that?",
		d->rows, m->relation, gone);
}
