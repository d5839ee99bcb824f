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

static struct deletions deletions_of(const struct claim *claim, const struct disposal *disposals)
{
	struct deletions d = { 0 };
	for (size_t i = 0; i < claim->count; i++) {
		if (disposals[i].fate == FATE_STAYS)
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

static bool savepoint(struct store *s, const char *sql, struct error *e)
{
	return store_query(s, (struct db_call){ .sql = sql }, e);
}

/* Copy one row to the dead letters. */
static bool bury_row(struct store *s, const struct model *m, const char *const *values,
	const char *statement, struct error *e)
{
	size_t copied = 0;
	struct db_call call = {
		.prepared = statement, .values = values, .value_count = 4, .affected = &copied
	};
	if (!store_query(s, call, e))
		return error_prefix(e,
			"model \"%s\": a signal that was rejected cannot be moved to "
			"table %s",
			m->config->name, m->dead_letters);
	return copied == 1 || error_set(e, ERROR_DATABASE,
				      "table %s takes no dead letters; does a trigger or a rule "
				      "keep them away?",
				      m->dead_letters);
}

static bool bury_all(struct store *s, const struct model *m, const struct claim *claim,
	const struct disposal *disposals, struct error *e)
{
	bool *done = &s->models[m->index].prepared_bury;
	struct statement st = { "bury", *done ? NULL : sql_bury(m), done };
	char *name = store_prepare(s, m, st, e);
	bool ok = name != NULL;
	for (size_t i = 0; ok && i < claim->count; i++) {
		const char *const values[] = { m->config->name, disposals[i].reason,
			rows_value(claim->rows, i, ROW_CTID),
			rows_value(claim->rows, i, ROW_TABLEOID) };
		ok = disposals[i].fate != FATE_DIES || bury_row(s, m, values, name, e);
	}
	free(name);
	return ok;
}

bool store_bury(struct store *s, const struct model *m, const struct claim *claim,
	const struct disposal *disposals, struct error *e)
{
	struct error ignored;
	if (!savepoint(s, "SAVEPOINT bury", e))
		/* uncovered: the session is lost at just this call */
		return false;
	if (bury_all(s, m, claim, disposals, e))
		return true;
	if (store_connected(s) && !savepoint(s, "ROLLBACK TO SAVEPOINT bury", &ignored))
		/* uncovered: the session is lost at just this call */
		store_disconnect(s);
	return false;
}

/* Rows that fill but a part of what a burst may have are small. */
#define SMALL_PART 8

static bool is_smooth(const struct model *m, const struct claim *claim, size_t left)
{
	return left == rows_count(claim->rows) &&
	       rows_bytes(claim->rows) <= (size_t)m->config->burst_bytes / SMALL_PART;
}

bool store_settle(struct store *s, const struct model *m, const struct claim *claim,
	const struct disposal *disposals, struct error *e)
{
	bool *done = &s->models[m->index].prepared_delete;
	struct statement st = { "delete", *done ? NULL : sql_delete(m), done };
	char *name = store_prepare(s, m, st, e);
	struct deletions d = deletions_of(claim, disposals);
	bool ok = name != NULL && delete_and_commit(s, &d, name, e) && check_deleted(m, &d, e);
	s->models[m->index].is_smooth = ok && is_smooth(m, claim, d.rows);
	deletions_free(&d);
	free(name);
	if (ok && claim->in_order)
		ordering_note_left(&s->models[m->index].ordering, m, claim, disposals);
	if (!ok)
		store_abandon(s);
	return ok;
}
