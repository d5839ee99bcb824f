/*
 * Rows are deleted early, while their messages are in flight, so that only the commit is left when
 * they are stored.  If not all are stored, the deletion is rolled back, which also releases the
 * locks on the rows: they are locked again, unless another session has touched them since.
 *
 * Without this, flushmany -j 1 with bursts of 1,000 is 0.84 times as fast, flushordered 0.90 times.
 * docs/performance.md says how that, and the like elsewhere, was measured.
 */
#include "base/text.h"
#include "postgres/tid_array.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

void store_delete_early(struct store *s, const struct model *m, const struct claim *claim)
{
	struct error e;
	if (s->early != EARLY_NOT || !claim->after_clean_burst || m->has_children ||
		claim->count < EARLY_DELETE_MIN || claim->refusals != NULL)
		return;
	if (!deletions_prepare(s, m, claim, NULL, &e))
		return; /* to be done, and reported, by a later call */
	if (db_send(s->db, s->deletions.calls, s->deletions.first + s->deletions.count, &e))
		s->early = EARLY_SENT;
	else /* the session is lost, which a later call reports, too */
		deletions_free(&s->deletions);
}

bool store_await_deletion(struct store *s, struct error *e)
{
	const struct deletions *d = &s->deletions;
	bool is_answered = s->early != EARLY_SENT;
	s->early = EARLY_NOT;
	return is_answered ||
	       db_receive(s->db, d->calls, d->first + d->count, store_deadline(s), e);
}

/* The transaction id of this session, which is freed; NULL with e. */
static char *transaction_number(struct store *s, struct error *e)
{
	/* As in xmax, without the epoch. */
	static const char sql[] = "SELECT (pg_catalog.txid_current() OPERATOR(pg_catalog.&)"
				  " 4294967295)::pg_catalog.text";
	struct rows *rows = NULL;
	if (!store_query(s, (struct db_call){ .sql = sql, .rows = &rows }, e))
		return NULL;
	char *number = text_copy(rows_value(rows, 0, 0));
	rows_free(rows);
	return number;
}

/* Prepared before the locks are released: in between other sessions may take the rows. */
static char *prepare_lock_again(struct store *s, const struct model *m, struct error *e)
{
	bool *done = &s->models[m->index].prepared_lock_again;
	struct statement st = { "lock_again", *done ? NULL : sql_lock_again(m), done };
	return store_prepare(s, m, st, e);
}

/* Roll back and lock the rows again: those that a transaction was the last one to lock or delete,
 * so that no other session can have had them since. */
static bool lock_again(struct store *s, const struct model *m, const struct claim *claim,
	const char *transaction, struct error *e)
{
	char *statement = prepare_lock_again(s, m, e);
	if (statement == NULL)
		return false;
	struct text ctids = { 0 };
	struct rows *locked = NULL;
	for (size_t i = 0; i < claim->count; i++)
		tid_array_add(&ctids, rows_value(claim->rows, i, ROW_CTID));
	const char *const values[] = { ctids.text, transaction };
	const int formats[] = { 1, 0 }, lengths[] = { (int)ctids.length, 0 };
	struct db_call calls[2 + STORE_BEGIN_CALLS] = { { .sql = "ROLLBACK" } };
	size_t count = 1 + store_begin(s, m, calls + 1);
	calls[count++] = (struct db_call){ .prepared = statement,
		.values = values,
		.value_count = 2,
		.formats = formats,
		.lengths = lengths,
		.rows = &locked };
	bool ok = db_run(s->db, calls, count, store_deadline(s), e);
	if (!ok)
		lock_session_explain(s->locks, m, e);
	if (ok && rows_count(locked) != claim->count)
		ok = error_set(e, ERROR_CONFLICT,
			"model \"%s\": other sessions have taken signals that should have stayed",
			m->settings->name);
	rows_free(locked);
	free(statement);
	text_free(&ctids);
	return ok;
}

bool store_undo_early_delete(
	struct store *s, const struct model *m, const struct claim *claim, struct error *e)
{
	enum early_delete was = s->early;
	if (was == EARLY_NOT)
		return true;
	bool ok = store_await_deletion(s, e);
	deletions_free(&s->deletions);
	if (was == EARLY_FIRST) {
		ok = store_query(s, (struct db_call){ .sql = "ROLLBACK TO SAVEPOINT first" }, e);
	} else {
		char *transaction = ok ? transaction_number(s, e) : NULL;
		ok = transaction != NULL && lock_again(s, m, claim, transaction, e);
		free(transaction);
	}
	if (!ok)
		store_abandon(s);
	return ok;
}
