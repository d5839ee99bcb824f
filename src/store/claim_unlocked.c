/*
 * In a backlog that several sessions share, each has its own range of the table, and no other
 * session is expected to need its rows.  They are read without being locked, and deleted at once,
 * before anything is sent: a lock costs the server as much as a deletion, because it changes the
 * row and is written to the WAL.
 *
 * The guarantees of locks must hold nevertheless.  The transaction uses one snapshot (REPEATABLE
 * READ), so the deletion fails if a row was changed or deleted since it was read: exactly what was
 * read is deleted.  If another session has a row locked, the deletion waits for one millisecond and
 * fails, too.  Then the range is claimed with locks, which skips such rows, and so are the
 * following ones, for a while.  A table that may refuse to delete rows is always claimed with
 * locks: its refusals do not indicate other sessions.  So is one whose text may not be UTF-8: such
 * rows stay.
 */
#include "base/log.h"
#include "store/store_internal.h"

/* How long locks are used after a conflict with another session. */
#define LOCKS_S 1.0

bool store_may_take(
	const struct store *s, const struct model *m, const struct claim_request *request)
{
	const struct session_model *d = &s->models[m->index];
	return request->kind == CLAIM_RANGE && request->on_row == NULL &&
	       request->passed_over == NULL && d->last_burst_clean && db_is_utf8(s->db) &&
	       m->settings->burst_count >= EARLY_DELETE_MIN && !m->has_children && !m->may_refuse &&
	       !instant_before(clock_now(), d->locks_until);
}

/* Delete the rows, and verify that all are gone: by then no other session can have them. */
static bool delete_rows(
	struct store *s, const struct model *m, const struct claim *claim, struct error *e)
{
	return deletions_prepare(s, m, claim, NULL, e) &&
	       db_run(s->db, s->deletions.calls, s->deletions.count, store_deadline(s), e) &&
	       deletions_check(m, &s->deletions, e);
}

bool store_take(struct store *s, const struct model *m, const struct claim *claim, struct error *e)
{
	if (claim->count == 0)
		return true;
	bool ok = delete_rows(s, m, claim, e);
	if (ok)
		s->early = EARLY_DONE;
	else
		deletions_free(&s->deletions);
	return ok;
}

void store_require_locks(struct store *s, const struct model *m, bool was_sent)
{
	struct session_model *d = &s->models[m->index];
	log_debug("model \"%s\": other sessions have signals of this range: locking signals again",
		m->settings->name);
	d->locks_until = was_sent ? INSTANT_NEVER : instant_after(clock_now(), LOCKS_S);
}
