#include "store_own.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/* The deletions of a burst: one statement for each table that its rows are from, which are several
 * only where the signal table is partitioned. */
struct deletion {
	const char *oid; /* borrowed from the claim */
	struct text ctids;
	const char *values[2];
	size_t affected;
};

struct deletions {
	struct deletion *items;
	size_t count;
	size_t rows;
};

static struct deletion *deletion_from(struct deletions *d, const char *oid)
{
	for (size_t i = d->count; i > 0; i--)
		if (strcmp(d->items[i - 1].oid, oid) == 0)
			return &d->items[i - 1];
	d->items = memory_resize(d->items, d->count + 1, sizeof *d->items);
	d->items[d->count] = (struct deletion){ .oid = oid };
	return &d->items[d->count++];
}

static struct deletions deletions_of(const struct claim *claim, const bool *deletable)
{
	struct deletions d = { 0 };
	for (size_t i = 0; i < claim->count; i++) {
		if (!deletable[i])
			continue;
		struct deletion *from = deletion_from(&d, rows_value(claim->rows, i, ROW_TABLEOID));
		sql_array_add(&from->ctids, rows_value(claim->rows, i, ROW_CTID));
		d.rows++;
	}
	for (size_t i = 0; i < d.count; i++)
		sql_array_end(&d.items[i].ctids);
	return d;
}

static void deletions_free(struct deletions *d)
{
	for (size_t i = 0; i < d->count; i++)
		text_free(&d->items[i].ctids);
	free(d->items);
}

static bool delete_and_commit(
	struct store *s, struct deletions *d, const char *statement, struct error *e)
{
	struct db_call *calls = memory_new(d->count + 1, sizeof *calls);
	for (size_t i = 0; i < d->count; i++) {
		struct deletion *item = &d->items[i];
		item->values[0] = item->ctids.text;
		item->values[1] = item->oid;
		calls[i] = (struct db_call){ .prepared = statement,
			.values = item->values,
			.value_count = 2,
			.affected = &item->affected };
	}
	calls[d->count] = (struct db_call){ .sql = "COMMIT" };
	bool ok = db_run(s->db, calls, d->count + 1, store_deadline(s), e);
	free(calls);
	return ok;
}

/* A trigger, a rule or a policy that keeps rows would have them sent again and again. */
static bool check_deleted(const struct model *m, const struct deletions *d, struct error *e)
{
	size_t gone = 0;
	for (size_t i = 0; i < d->count; i++)
		gone += d->items[i].affected;
	if (gone == d->rows)
		return true;
	return error_set(e, ERROR_DATABASE,
		"deleting %zu sent signals from table %s removed %zu; does a trigger or a rule "
		"keep rows?",
		d->rows, m->relation, gone);
}

bool store_settle(struct store *s, const struct model *m, const struct claim *claim,
	const bool *deletable, struct error *e)
{
	char *name = store_prepare(s, m,
		(struct statement){ "delete", sql_delete(m), &s->models[m->index].prepared_delete },
		e);
	struct deletions d = deletions_of(claim, deletable);
	bool ok = name != NULL && delete_and_commit(s, &d, name, e) && check_deleted(m, &d, e);
	deletions_free(&d);
	free(name);
	if (ok && claim->in_order)
		ordering_note_sent(&s->models[m->index].ordering, m, claim, deletable);
	if (!ok)
		store_abandon(s);
	return ok;
}
