/*
 * In a backlog that several sessions share each has a stretch of the table for itself, and nobody
 * else is expected to want its rows.  They are read without being locked, and deleted at once,
 * before anything is sent: a lock costs the server as much as a deletion, since it changes the row
 * and is written to the log.
 *
 * What locks are good for must hold all the same.  The transaction sees one snapshot (REPEATABLE
 * READ), so the deletion fails where a row was changed or deleted since it was read: what was read
 * is what is deleted.  Where somebody else has a row locked the deletion waits for a millisecond
 * and fails, too.  Then the stretch is claimed with locks, which passes over such rows, and so is
 * what follows, for a while.  A table that may refuse to delete rows is claimed with locks, always:
 * what it refuses is no sign of others.  So is one whose text may not be UTF-8: such rows stay.
 */
#include "base/log.h"
#include "store/store_own.h"

/* Who meets others keeps out of their way for so long. */
#define WARY_S 1.0

bool store_may_take(
	const struct store *s, const struct model *m, const struct claim_request *request)
{
	const struct described *d = &s->models[m->index];
	return request->kind == CLAIM_STRETCH && request->on_row == NULL &&
	       request->passed_over == NULL && d->is_smooth && db_is_utf8(s->db) &&
	       m->config->burst_count >= AHEAD_MIN && !m->is_parent && !m->may_refuse &&
	       !instant_before(clock_now(), d->wary_until);
}

/* Delete the rows, and see that all have gone: by then they cannot be anybody else's. */
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
		s->ahead = AHEAD_DONE;
	else
		deletions_free(&s->deletions);
	return ok;
}

void store_be_wary(struct store *s, const struct model *m, bool was_sent)
{
	struct described *d = &s->models[m->index];
	log_debug("model \"%s\": other sessions have signals of this range: locking signals again",
		m->config->name);
	d->wary_until = was_sent ? INSTANT_NEVER : instant_after(clock_now(), WARY_S);
}
