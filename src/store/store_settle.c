#include "base/text.h"
#include "store/store_own.h"

#include <stdlib.h>

static bool savepoint(struct store *s, const char *sql, struct error *e)
{
	return store_query(s, (struct db_call){ .sql = sql }, e);
}

/* A row was not copied.  Always returns false. */
static bool not_copied(const struct model *m, struct error *e)
{
	for (size_t i = 0; i < m->column_count; i++)
		if (m->columns[i].has_inner_xml)
			return error_set(e, ERROR_DATABASE,
				"table %s did not accept them; does XML within column \"%s\" "
				"have a declaration, which would be lost, or does a trigger or a "
				"rule prevent the INSERT?",
				m->dead_letters, m->columns[i].name);
	return error_set(e, ERROR_DATABASE,
		"table %s did not accept them; does a trigger or a rule prevent the INSERT?",
		m->dead_letters);
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
	return copied == 1 || not_copied(m, e);
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
	if (!savepoint(s, "SAVEPOINT bury", e) || !savepoint(s, s->patience, e) ||
		!store_query(s, db_role_path(s->db), e))
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

/* Whatever is deleted ahead has to go: else store_keep() was not called. */
static void check_all_go(const struct claim *claim, const struct disposal *disposals)
{
	for (size_t i = 0; i < claim->count; i++)
		if (disposals[i].fate != (claim_refuses(claim, i) ? FATE_STAYS : FATE_GOES))
			abort();
}

/* Delete and commit; what is deleted ahead is only committed. */
static bool finish(struct store *s, const struct model *m, const struct claim *claim,
	const struct disposal *disposals, struct error *e)
{
	struct deletions *d = &s->deletions;
	size_t done = 0;
	if (s->ahead == AHEAD_RESTORED) {
		if (!store_delete_again(s, m, claim, disposals, e))
			return false;
	} else if (s->ahead != AHEAD_NOT) {
		check_all_go(claim, disposals);
		if (!store_await_deletion(s, e))
			return false;
		done = d->first + d->count;
	} else if (!deletions_prepare(s, m, claim, disposals, e)) {
		return false;
	}
	const struct db_call *calls = d->calls + done;
	size_t count = d->all_calls - done;
	if (!db_send(s->db, calls, count, e))
		return false;
	s->models[m->index].is_smooth = is_smooth(m, claim, d->rows); /* if all goes well */
	store_send_foreseen(s, m);
	return db_receive(s->db, calls, count, store_deadline(s), e);
}

/* Messages that are stored have to be sent again.  Before that, find out whether their rows can go.
 */
static void be_careful(struct store *s, const struct model *m)
{
	store_abandon(s);
	if (!store_connected(s))
		return;
	s->models[m->index].is_careful = true;
	store_forget(s, m->index);
}

bool store_is_unconfirmed(const struct store *s, struct error *e)
{
	return db_was_late(s->db, e);
}

bool store_settle(struct store *s, const struct model *m, const struct claim *claim,
	const struct disposal *disposals, struct error *e)
{
	bool ok = finish(s, m, claim, disposals, e) && deletions_check(m, &s->deletions, e);
	s->foreseen = NULL;
	s->models[m->index].is_smooth = ok && s->models[m->index].is_smooth;
	deletions_free(&s->deletions);
	if (ok && claim->in_order)
		ordering_note_left(&s->models[m->index].ordering, m, claim, disposals);
	if (!ok && claim->is_taken && (e->kind == ERROR_CONFLICT || e->kind == ERROR_TEMPORARY))
		store_be_wary(s, m, true);
	if (!ok)
		be_careful(s, m);
	return ok;
}
