/*
 * The end of a burst.  Usually all of its rows are deleted, in one round trip with the commit or
 * before it.  If some stay, the others are deleted in parts that the server accepts: a row that
 * stays may refer to others, which then have to stay as well, although they were sent.
 */
#include "base/text.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

/* Rows are small if they fill at most an eighth of burst_bytes. */
#define SMALL_PART 8

static bool last_burst_clean(const struct model *m, const struct claim *claim, size_t left)
{
	return left == rows_count(claim->rows) &&
	       rows_bytes(claim->rows) <= (size_t)m->settings->burst_bytes / SMALL_PART;
}

/* Whether each row that was not refused goes. */
static bool all_go(const struct claim *claim, const struct row_outcome *outcomes)
{
	for (size_t i = 0; i < claim->count; i++)
		if (outcomes[i].outcome !=
			(claim_refuses(claim, i) ? OUTCOME_KEEP : OUTCOME_DELETE))
			return false;
	return true;
}

/* What the trial of a settling is about. */
struct settling {
	char *move; /* the name of the statement that copies a dead letter; NULL: there is none */
	bool is_moving; /* a row is being copied: what fails now does not concern the other rows */
};

/* A row was not copied.  Always returns false. */
static bool not_copied(const struct model *m, struct error *e)
{
	for (size_t i = 0; i < m->column_count; i++)
		if (m->columns[i].has_inner_xml)
			return error_set(e, ERROR_DATABASE,
				"does XML within column \"%s\" have a declaration, which would be "
				"lost, or does a trigger or a rule prevent the INSERT?",
				m->columns[i].name);
	return error_set(e, ERROR_DATABASE, "does a trigger or a rule prevent the INSERT?");
}

static bool move_row(struct trial *t, size_t row, const char *statement, struct error *e)
{
	const struct rows *rows = t->claim->rows;
	const char *const values[] = { t->model->settings->name, t->outcomes[row].reason,
		rows_value(rows, row, ROW_CTID), rows_value(rows, row, ROW_TABLEOID) };
	size_t copied = 0;
	const struct db_call call = {
		.prepared = statement, .values = values, .value_count = 4, .affected = &copied
	};
	if (store_query(t->store, call, e))
		return copied == 1 || not_copied(t->model, e);
	if (strcmp(e->sqlstate, "42501") == 0 && t->model->dead_letter_grant != NULL) {
		error_suffix(e, "; ");
		error_suffix(e, t->model->dead_letter_grant);
	}
	return false;
}

static bool try_rows(struct trial *t, size_t first, size_t count, struct error *e)
{
	struct settling *own = t->arg;
	own->is_moving = true;
	for (size_t row = first; row < first + count; row++)
		if (t->outcomes[row].outcome == OUTCOME_DEAD_LETTER &&
			!move_row(t, row, own->move, e))
			return false;
	own->is_moving = false;
	return trial_delete(t, first, count, e);
}

/* In order, what comes after the row stays as well. */
static bool keep_row(struct trial *t, size_t row, const struct error *why, struct error *e)
{
	*e = *why;
	if (!outcome_leaves(t->outcomes[row].outcome))
		return false; /* uncovered: nothing was done with it */
	bool is_dead_letter = t->outcomes[row].outcome == OUTCOME_DEAD_LETTER;
	trial_refuse(t, row,
		(struct refusal){ .reason = text_copy(why->text),
			.what = is_dead_letter ? REFUSED_MOVING : REFUSED_DELETION,
			.kind = why->kind });
	do
		t->outcomes[row].outcome = OUTCOME_KEEP;
	while (t->claim->in_order && ++row < t->claim->count);
	return true;
}

/* Find the dead letters, and prepare to move them. */
static bool prepare_moving(struct trial *t, struct error *e)
{
	struct store *s = t->store;
	struct settling *own = t->arg;
	bool any = false;
	for (size_t row = 0; row < t->claim->count; row++)
		any = any || t->outcomes[row].outcome == OUTCOME_DEAD_LETTER;
	if (!any)
		return true;
	bool *done = &s->models[t->model->index].prepared_dead_letter;
	const struct statement st = { "dead_letter",
		*done ? NULL : sql_copy_to_dead_letters(t->model), done };
	own->is_moving = true;
	own->move = store_prepare(s, t->model, st, e);
	return own->move != NULL && store_query(s, db_role_path(s->db), e);
}

/* No row can be moved, for a reason that concerns none of them.  They stay, and the others are
 * settled nevertheless, so that they are not sent again and again. */
static bool settle_without_moving(struct trial *t, const struct error *why, struct error *e)
{
	for (size_t row = 0; row < t->claim->count; row++)
		if (t->outcomes[row].outcome == OUTCOME_DEAD_LETTER && !keep_row(t, row, why, e))
			return false;
	t->any = false;
	const struct db_call back = { .sql = "ROLLBACK TO SAVEPOINT settling" };
	return store_query(t->store, back, e) && trial_run(t, e);
}

/* Some of the rows stay, or become dead letters. */
static bool settle_parts(struct store *s, const struct model *m, struct claim *claim,
	struct row_outcome *outcomes, struct error *e)
{
	struct settling own = { 0 };
	struct trial t = { .store = s,
		.model = m,
		.claim = claim,
		.outcomes = outcomes,
		.arg = &own,
		.try_rows = try_rows,
		.refuse = keep_row };
	bool ok = store_query(s, (struct db_call){ .sql = s->longer_lock_wait }, e) &&
		  store_query(s, (struct db_call){ .sql = "SAVEPOINT settling" }, e) &&
		  prepare_moving(&t, e) && trial_run(&t, e);
	if (!ok && own.is_moving && store_connected(s)) {
		const struct error why = *e;
		ok = settle_without_moving(&t, &why, e);
	}
	free(own.move);
	if (ok)
		deletions_done(s);
	s->models[m->index].is_careful = s->models[m->index].is_careful || t.any;
	return ok;
}

/* What a server says when it cannot prepare a transaction, and what to do about it. */
static const struct {
	const char *state;
	const char *remedy;
} unprepared[] = {
	/* Not ERROR_PLAN: preparing the statements again does not help. */
	{ "0A000", "delivery = \"exactly-once\" prepares the deletion, so no trigger of the table "
		   "may do that" },
	{ "53200", "raise max_prepared_transactions, or end what is in pg_prepared_xacts" },
	{ "55000", "raise max_prepared_transactions, which delivery = \"exactly-once\" needs" },
};

/* Add what to do if the end of a burst failed because it cannot be prepared.  Always returns
 * false. */
static bool explain_unprepared(const struct store *s, struct error *e)
{
	for (size_t i = 0; s->prepare != NULL && i < sizeof unprepared / sizeof *unprepared; i++) {
		if (strcmp(e->sqlstate, unprepared[i].state) != 0)
			continue;
		if (e->kind == ERROR_PLAN)
			e->kind = ERROR_DATABASE;
		error_suffix(e, "; ");
		error_suffix(e, unprepared[i].remedy);
	}
	return false;
}

/* Delete and commit; what is deleted already is only committed. */
static bool finish(struct store *s, const struct model *m, struct claim *claim,
	const struct settle_request *request, struct error *e)
{
	struct row_outcome *outcomes = request->outcomes;
	struct deletions *d = &s->deletions;
	size_t done = 0;
	if (!all_go(claim, outcomes)) {
		if (!settle_parts(s, m, claim, outcomes, e))
			return false;
	} else if (s->early != EARLY_NOT) {
		if (!store_await_deletion(s, e))
			return false;
		done = d->first + d->count;
	} else if (!deletions_prepare(s, m, claim, outcomes, e)) {
		return false;
	}
	const struct db_call *calls = d->calls + done;
	size_t count = d->all_calls - done;
	if (!db_send(s->db, calls, count, e))
		return false;
	s->models[m->index].last_burst_clean =
		last_burst_clean(m, claim, d->rows); /* if everything succeeds */
	if (request->next != NULL)
		store_prefetch(s, m, request->next);
	if (request->meanwhile != NULL)
		request->meanwhile(request->arg);
	return db_receive(s->db, calls, count, store_deadline(s), e) || explain_unprepared(s, e);
}

/* Stored messages must be sent again.  First find out whether their rows can be deleted. */
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

bool store_settle(struct store *s, const struct model *m, struct claim *claim,
	const struct settle_request *request, struct error *e)
{
	struct row_outcome *outcomes = request->outcomes;
	if (!all_go(claim, outcomes) && !store_undo_early_delete(s, m, claim, e))
		return false;
	bool ok = finish(s, m, claim, request, e) && deletions_check(m, &s->deletions, e);
	s->models[m->index].last_burst_clean = ok && s->models[m->index].last_burst_clean;
	deletions_free(&s->deletions);
	if (ok && claim->in_order)
		ordering_note_left(&s->models[m->index].ordering, m, claim, outcomes);
	if (!ok)
		be_careful(s, m);
	return ok;
}
