/*
 * Rows that the server may refuse to delete, because of a trigger, a foreign key or a rule, are
 * deleted before they are sent: rows that are sent and cannot be deleted would be sent again and
 * again.  If the server refuses some of them, they are isolated in halves, and the others are sent
 * without them.
 *
 * All of that comes after a savepoint, so that it can be undone with the rows still locked: the
 * broker may refuse some, too.
 */
#include "base/text.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

static bool query(struct trial *t, const char *sql, struct error *e)
{
	return store_query(t->store, (struct db_call){ .sql = sql }, e);
}

void trial_refuse(struct trial *t, size_t row, struct refusal refusal)
{
	struct claim *claim = t->claim;
	if (claim->refusals == NULL)
		claim->refusals = memory_new(claim->count, sizeof *claim->refusals);
	free(claim->refusals[row].reason);
	claim->refusals[row] = refusal;
	t->any = true;
}

/* Whether the server has waited in vain for a lock, which would block another row as well; a
 * trigger may raise this, too. */
static bool is_lock(const struct trial *t, const struct error *e, struct instant start)
{
	return strcmp(e->sqlstate, "55P03") == 0 &&
	       instant_seconds(start, clock_now()) >= t->store->lock_wait;
}

/* Whether the server refused because of some rows, as far as that can be determined. */
static bool is_for_rows(const struct trial *t, const struct error *e, struct instant start)
{
	bool may_be = t->is_for_row != NULL ? t->is_for_row(e)
					    : e->kind != ERROR_CONFLICT && e->kind != ERROR_PLAN &&
						      e->kind != ERROR_STOPPED;
	return may_be && store_connected(t->store) && !is_lock(t, e, start) &&
	       instant_before(clock_now(), t->deadline);
}

static bool try_part(struct trial *t, size_t first, size_t count, struct error *e)
{
	struct instant start = clock_now();
	if (query(t, "SAVEPOINT part", e) && t->try_rows(t, first, count, e))
		return true;
	struct error own = *e;
	if (!is_for_rows(t, &own, start) || !query(t, "ROLLBACK TO SAVEPOINT part", e))
		return false;
	if (count == 1)
		return t->refuse(t, first, &own, e);
	size_t half = count / 2;
	if (!try_part(t, first, half, e))
		return false;
	return (t->any && t->claim->in_order) || try_part(t, first + half, count - half, e);
}

void trial_cut_order(struct claim *claim)
{
	for (size_t row = 0; claim->in_order && row < claim->count; row++)
		if (claim_refuses(claim, row))
			claim->count = row + 1;
}

bool trial_run(struct trial *t, struct error *e)
{
	t->deadline = instant_after(clock_now(), t->store->config->timeout);
	return try_part(t, 0, t->claim->count, e);
}

/* In a trial, those that are not refused are deleted; later, those that the outcomes name. */
static enum outcome outcome_of(const struct trial *t, size_t row)
{
	if (t->outcomes != NULL)
		return t->outcomes[row].outcome;
	return claim_refuses(t->claim, row) ? OUTCOME_KEEP : OUTCOME_DELETE;
}

bool trial_delete(struct trial *t, size_t first, size_t count, struct error *e)
{
	struct store *s = t->store;
	struct error ignored;
	struct row_outcome *part = memory_new(t->claim->count, sizeof *part);
	for (size_t i = first; i < first + count; i++)
		part[i].outcome = outcome_of(t, i);
	bool ok = deletions_prepare(s, t->model, t->claim, part, e) &&
		  (s->deletions.count == 0 || db_run(s->db, s->deletions.calls + s->deletions.first,
						      s->deletions.count, store_deadline(s), e)) &&
		  query(t, "SET CONSTRAINTS ALL IMMEDIATE", e);
	if (ok && !deletions_check(t->model, &s->deletions, &ignored))
		ok = error_set(
			e, ERROR_DATABASE, "does a trigger, a rule or a policy prevent that?");
	deletions_free(&s->deletions);
	free(part);
	return ok && query(t, "RELEASE SAVEPOINT part", e);
}

static bool refuse(struct trial *t, size_t row, const struct error *why, struct error *e)
{
	(void)e;
	trial_refuse(t, row,
		(struct refusal){ .reason = text_copy(why->text),
			.what = REFUSED_DELETION,
			.kind = ERROR_DATABASE });
	return true;
}

bool store_delete_first(
	struct store *s, const struct model *m, struct claim *claim, struct error *e)
{
	struct trial t = {
		.store = s, .model = m, .claim = claim, .try_rows = trial_delete, .refuse = refuse
	};
	if (!query(&t, "SAVEPOINT first", e) || !trial_run(&t, e))
		return false;
	trial_cut_order(claim);
	deletions_done(s);
	s->early = EARLY_FIRST;
	return true;
}
