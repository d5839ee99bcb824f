/*
 * A claim from its beginning to rows that may be sent: by the kind of its rows, with another size
 * if they are large, and without those that cannot be read or deleted.
 */
#include "store/store_internal.h"

#include <stdlib.h>

/* Adapt the size of the next claim to the rows of this one, so that it is received whole.  It grows
 * again when twice as much would have fitted. */
static void adapt_size(struct store *s, const struct model *m, const struct claim *claim)
{
	struct session_model *d = &s->models[m->index];
	size_t size = store_claim_size(s, m);
	if (claim->cut_to > 0)
		while (store_claim_size(s, m) > claim->cut_to)
			d->size++;
	else if (d->size > 0 && claim->rows != NULL && rows_count(claim->rows) >= size &&
		 rows_bytes(claim->rows) * 2 <= (size_t)m->settings->burst_bytes)
		d->size--;
}

/* No key contains NULL, but the tables that inherit from the model's are examined only when it is
 * described. */
static bool check_keys(
	struct store *s, const struct model *m, const struct claim *claim, struct error *e)
{
	for (size_t row = 0; m->has_children && row < claim->count; row++)
		for (size_t i = 0; i < m->primary_key_count; i++) {
			if (rows_value(claim->rows, row, m->primary_key_fields[i]) != NULL)
				continue;
			store_forget(s, m->index);
			return error_set(e, ERROR_DATABASE,
				"model \"%s\": a row of a table that inherits from %s has NULL in "
				"its key",
				m->settings->name, m->relation);
		}
	return true;
}

static void free_rows(struct claim *claim)
{
	for (size_t i = 0; claim->refusals != NULL && i < claim->count; i++)
		free(claim->refusals[i].reason);
	free(claim->refusals);
	rows_free(claim->rows);
	claim->refusals = NULL;
	claim->rows = NULL;
	claim->count = 0;
}

/* Whether there may be more rows to claim at once. */
static bool has_more(const struct claim *claim, const struct claim_request *request, size_t size)
{
	size_t found = rows_count(claim->rows);
	if (claim->cut_to > 0 || found > claim->count)
		return true;
	return found >= size && (request->kind != CLAIM_BY_KEY || size < request->key_count);
}

static bool claim_rows(struct store *s, const struct model *m, const struct claim_request *request,
	struct claim *claim, struct error *e)
{
	if (request->kind != CLAIM_ORDERED)
		return store_claim_unordered(s, m, request, claim, e);
	return (!request->from_start || store_check_table(s, m, e)) &&
	       store_claim_ordered(s, m, request, claim, e);
}

/* Find the rows that cannot be read. */
static bool find_unreadable(
	struct store *s, const struct model *m, struct claim *claim, struct error *e)
{
	if (claim->count > 0 && s->models[m->index].reads_apart &&
		!store_read_apart(s, m, claim, e))
		return false;
	if (!db_is_utf8(s->db))
		store_check_text(m, claim);
	return true;
}

/* Whether a claim has failed because of the content of one of its rows.  Then its rows are locked
 * first, and read separately; from the next claim on, if some of them may be in flight to the
 * broker. */
static bool is_unreadable(
	struct store *s, const struct model *m, const struct claim *claim, struct error *e)
{
	struct session_model *d = &s->models[m->index];
	if (e->kind == ERROR_MEMORY && !d->reads_apart) {
		d->reads_apart = true;
		e->kind = ERROR_CONFLICT; /* again, at once, with another session */
	}
	if (!store_may_be_row(e) || !store_connected(s))
		return false;
	if (e->kind == ERROR_PLAN) /* if it is not a row, it is a prepared statement */
		store_forget(s, m->index);
	if (d->reads_apart) {
		d->reads_apart = false; /* it is not, or not for some rows only */
		return false;
	}
	d->reads_apart = true;
	if (claim->is_streamed)
		e->kind = ERROR_CONFLICT; /* again, at once */
	return !claim->is_streamed;
}

/* If rows may have to stay, they are deleted before they are sent. */
static bool delete_first(struct store *s, const struct model *m,
	const struct claim_request *request, struct claim *claim, struct error *e)
{
	struct session_model *d = &s->models[m->index];
	bool is_due = m->may_refuse || d->is_careful;
	if (claim->count == 0 && claim->from_start && request->passed_over == NULL)
		d->is_careful = false; /* no row is left that had to stay */
	return claim->count == 0 || !is_due || store_delete_first(s, m, claim, e);
}

static bool claim_once(struct store *s, const struct model *m, const struct claim_request *request,
	struct claim *claim, struct error *e)
{
	size_t size = store_claim_size(s, m);
	*claim = (struct claim){ .after_clean_burst = s->models[m->index].last_burst_clean,
		.since = clock_now() };
	db_heed_stop(s->db, true); /* nothing is sent yet, and it may wait for locks of others */
	bool ok = claim_rows(s, m, request, claim, e) && check_keys(s, m, claim, e) &&
		  find_unreadable(s, m, claim, e) && delete_first(s, m, request, claim, e);
	db_heed_stop(s->db, false);
	if (!ok)
		lock_session_explain(s->locks, m, e);
	adapt_size(s, m, claim);
	/* Finding nothing changes nothing; rows are still to be settled. */
	s->models[m->index].last_burst_clean =
		s->models[m->index].last_burst_clean && ok && claim->count == 0;
	if (ok && claim->count > 0) {
		claim->more = claim->more || has_more(claim, request, size);
		return true;
	}
	free_rows(claim);
	if (ok)
		return store_roll_back(s, e);
	store_abandon(s);
	/* A key or a condition may not match the changed table. */
	struct error changed;
	if ((e->kind == ERROR_DATABASE || store_may_be_row(e)) && store_connected(s) &&
		!store_check_table(s, m, &changed) && changed.kind == ERROR_PLAN)
		*e = changed;
	return false;
}

bool store_claim(struct store *s, const struct model *m, const struct claim_request *request,
	struct claim *claim, struct error *e)
{
	db_heed_stop(s->db, true); /* it may wait for locks of others, too */
	bool can_delete = deletions_plan(s, m, e);
	db_heed_stop(s->db, false);
	if (!can_delete)
		return false;
	/* If far more was found than fits in a burst, the claim was cancelled; a smaller one
	 * replaces it. */
	for (;;) {
		bool ok = claim_once(s, m, request, claim, e);
		bool is_to_repeat = (claim->cut_to > 0 && !claim->is_streamed) ||
				    (!ok && is_unreadable(s, m, claim, e));
		if (ok || !is_to_repeat || !store_connected(s))
			return ok;
	}
}

void claim_free(struct claim *claim)
{
	free_rows(claim);
	*claim = (struct claim){ 0 };
}
