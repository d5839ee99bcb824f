/*
 * Rows that the server may refuse to delete, for a trigger, a foreign key or a rule, are deleted
 * before they are sent: what is sent and cannot be deleted is sent again and again.  Where the
 * server refuses some of them, these are found by halves, and the others go without them.
 *
 * All of that is behind a savepoint, so that it can be taken back with the rows still locked: the
 * broker may refuse some, too.
 */
#include "store_own.h"
#include "text.h"

#include <stdlib.h>

/* A trial of a claim's rows. */
struct trial {
	struct store *store;
	const struct model *model;
	struct claim *claim;
	struct instant deadline; /* for what is refused; slow refusals are not the rows' */
	bool any;                /* is refused */
};

/* Delete some of the rows, and have the triggers run that would wait for the commit. */
static bool delete_part(struct trial *t, size_t first, size_t count, struct error *e)
{
	struct store *s = t->store;
	struct disposal *part = memory_new(t->claim->count, sizeof *part);
	for (size_t i = first; i < first + count; i++)
		part[i].fate = FATE_GOES;
	bool ok = store_query(s, (struct db_call){ .sql = "SAVEPOINT part" }, e) &&
		  deletions_prepare(s, t->model, t->claim, part, e) &&
		  db_run(s->db, s->deletions.calls, s->deletions.count, store_deadline(s), e) &&
		  store_query(s, (struct db_call){ .sql = "SET CONSTRAINTS ALL IMMEDIATE" }, e);
	struct error ignored;
	if (ok && !deletions_check(t->model, &s->deletions, &ignored))
		ok = error_set(e, ERROR_DATABASE, "does a trigger, a rule or a policy keep it?");
	deletions_free(&s->deletions);
	free(part);
	return ok && store_query(s, (struct db_call){ .sql = "RELEASE SAVEPOINT part" }, e);
}

/* Whether it is for some rows that the server refused, as far as that can be known. */
static bool is_for_rows(const struct trial *t, const struct error *e)
{
	return store_connected(t->store) && e->kind != ERROR_CONFLICT && e->kind != ERROR_PLAN &&
	       e->kind != ERROR_STOPPED && instant_before(clock_now(), t->deadline);
}

static void refuse(struct trial *t, size_t row, const struct error *e)
{
	struct claim *claim = t->claim;
	if (claim->refusals == NULL)
		claim->refusals = memory_new(claim->count, sizeof *claim->refusals);
	claim->refusals[row] = text_copy(e->text);
	t->any = true;
}

/* Delete what can be deleted; in order, what is before the first row that cannot. */
static bool try_part(struct trial *t, size_t first, size_t count, struct error *e)
{
	if (delete_part(t, first, count, e))
		return true;
	struct error own = *e;
	if (!is_for_rows(t, &own) ||
		!store_query(t->store, (struct db_call){ .sql = "ROLLBACK TO SAVEPOINT part" }, e))
		return false;
	if (count == 1) {
		refuse(t, first, &own);
		return true;
	}
	size_t half = count / 2;
	if (!try_part(t, first, half, e))
		return false;
	return (t->any && t->claim->in_order) || try_part(t, first + half, count - half, e);
}

/* In order, nothing behind a row that stays is sent. */
static void cut_order(struct trial *t)
{
	size_t row = 0;
	if (!t->any || !t->claim->in_order)
		return;
	while (!claim_refuses(t->claim, row))
		row++;
	t->claim->count = row + 1;
}

bool store_delete_first(
	struct store *s, const struct model *m, struct claim *claim, struct error *e)
{
	struct trial t = { .store = s,
		.model = m,
		.claim = claim,
		.deadline = instant_after(clock_now(), s->config->timeout) };
	if (!store_query(s, (struct db_call){ .sql = "SAVEPOINT first" }, e) ||
		!try_part(&t, 0, claim->count, e))
		return false;
	cut_order(&t);
	/* What is left to do is to commit. */
	struct disposal *none = memory_new(claim->count, sizeof *none);
	bool ok = deletions_prepare(s, m, claim, none, e);
	free(none);
	if (ok)
		s->ahead = AHEAD_FIRST;
	return ok;
}

bool store_restore(struct store *s, struct error *e)
{
	s->ahead = AHEAD_NOT;
	deletions_free(&s->deletions);
	if (store_query(s, (struct db_call){ .sql = "ROLLBACK TO SAVEPOINT first" }, e))
		return true;
	store_abandon(s);
	return false;
}
