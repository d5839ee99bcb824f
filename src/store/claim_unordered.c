#include "base/text.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

/* The current size of a claim, in rows. */
static size_t claim_size(const struct store *s, const struct model *m)
{
	size_t size = (size_t)m->settings->burst_count >> s->models[m->index].size;
	return size > 0 ? size : 1;
}

/* Adapt the size of the next claim to the rows of this one, so that it is received whole.  It grows
 * again when twice as much would have fitted. */
static void adapt_size(struct store *s, const struct model *m, const struct claim *claim)
{
	struct session_model *d = &s->models[m->index];
	size_t size = claim_size(s, m);
	if (claim->cut_to > 0)
		while (claim_size(s, m) > claim->cut_to)
			d->size++;
	else if (d->size > 0 && claim->rows != NULL && rows_count(claim->rows) >= size &&
		 rows_bytes(claim->rows) * 2 <= (size_t)m->settings->burst_bytes)
		d->size--;
}

char *store_prepare_claim(
	struct store *s, const struct model *m, enum claim_kind kind, unsigned how, struct error *e)
{
	static const char *const names[] = { "first", "next", "range", "by_key", "ordered",
		"ordered_from" };
	unsigned size = s->models[m->index].size;
	bool *done = &s->models[m->index].prepared[kind][size][how];
	char *what = text_format("claim_%s_%u_%u", names[kind], size, how);
	struct statement st = { what, *done ? NULL : sql_claim(m, kind, claim_size(s, m), how),
		done };
	char *name = store_prepare(s, m, st, e);
	free(what);
	return name;
}

/* The array literals of a slice of noted keys, one for each column of the key. */
static char **key_arrays(const struct model *m, const struct claim_request *r)
{
	char **arrays = memory_new(m->primary_key_count, sizeof *arrays);
	for (size_t column = 0; column < m->primary_key_count; column++) {
		struct text array = { 0 };
		for (size_t i = 0; i < r->key_count; i++)
			sql_array_add(&array, rows_value(r->keys, r->first_key + i, column));
		sql_array_end(&array);
		arrays[column] = array.text;
	}
	return arrays;
}

static void free_arrays(char **arrays, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(arrays[i]);
	free(arrays);
}

static struct db_call state_call(
	const struct store *s, const struct model *m, const char *const *table, struct rows **state)
{
	return (struct db_call){ .prepared = s->states[m->has_children],
		.values = table,
		.value_count = 1,
		.rows = state };
}

static bool prepare_state(struct store *s, const struct model *m, struct error *e)
{
	bool *done = &s->prepared_states[m->has_children];
	const struct db_call call = { .prepared = s->states[m->has_children],
		.sql = sql_table_state[m->has_children] };
	*done = *done || store_query(s, call, e);
	return *done;
}

/* Whether the table matches the model, by the answer to the state call. */
static bool is_same(const struct model *m, const struct rows *rows, struct error *e)
{
	char *state = rows_count(rows) == 1 ? rows_join(rows, 0) : NULL;
	bool same = state != NULL && strcmp(state, m->table_state) == 0;
	free(state);
	return same || error_set(e, ERROR_PLAN, "table %s has changed", m->relation);
}

bool store_check_table(struct store *s, const struct model *m, struct error *e)
{
	const char *const table[] = { m->relation };
	struct rows *state = NULL;
	if (!prepare_state(s, m, e) || !store_query(s, state_call(s, m, table, &state), e))
		return false;
	bool ok = is_same(m, state, e);
	rows_free(state);
	return ok;
}

static bool has_expressions(const struct model *m)
{
	bool has = m->settings->where != NULL;
	for (size_t i = 0; i < m->output_count; i++)
		has = has || m->outputs[i].sql != NULL;
	return has;
}

/* A claim that fails while its rows are being sent causes them to be sent again.  So this is done
 * for claims that only a fault can fail: they evaluate no user-defined expression and convert no
 * text, which may fail for some row, rows like the last ones fit easily, and the broker accepted
 * those.  Without this, flushordered with bursts of 1,000 is 0.94 times as fast. */
bool store_may_stream(
	const struct store *s, const struct model *m, const struct claim_request *request)
{
	return request->on_row != NULL && request->kind != CLAIM_FIRST &&
	       s->models[m->index].last_burst_clean && !s->models[m->index].reads_apart &&
	       !has_expressions(m) && db_is_utf8(s->db);
}

/* The callback for the rows of a claim. */
struct stream {
	const struct claim_request *request;
	struct claim *claim;
};

static void stream_row(void *arg)
{
	const struct stream *stream = arg;
	stream->claim->is_streamed = true;
	stream->request->on_row(stream->request->arg, rows_count(stream->claim->rows));
}

struct db_columns store_claimed(const struct model *m)
{
	return (struct db_columns){ m->claimed, (int)m->claimed_count,
		(int)(ROW_FIXED_FIELDS + m->output_count) };
}

/* The calls of a claim in no order: BEGIN; those that prove the session, look at the table and set
 * the path, where there is need; the claim. */
#define CLAIM_CALLS 5

/* A claim that is sent, or about to be. */
struct sent_claim {
	enum claim_kind kind;
	struct instant since;
	char *statement; /* the prepared one's name */
	const char *table[1];
	struct rows *state;
	struct db_columns expected;
	struct db_call calls[CLAIM_CALLS];
	struct db_call *claim; /* one of them */
	size_t count;
	/* Of the claim; until it is sent: */
	const char **values;
	char **arrays; /* of keys, or NULL */
};

static void set_values(struct sent_claim *c, const struct model *m, const struct claim_request *r)
{
	size_t count = 0;
	c->values = memory_new(m->primary_key_count + 2 + 2, sizeof *c->values);
	if (r->kind == CLAIM_BY_KEY)
		c->arrays = key_arrays(m, r);
	for (size_t i = 0; r->kind == CLAIM_BY_KEY && i < m->primary_key_count; i++)
		c->values[count++] = c->arrays[i];
	for (size_t i = 0; r->kind == CLAIM_NEXT && i < r->from->count; i++)
		c->values[count++] = r->from->values[i];
	if (r->kind == CLAIM_RANGE) {
		c->values[count++] = r->from->values[0];
		c->values[count++] = r->to->values[0];
	}
	for (size_t i = 0; r->passed_over != NULL && i < 2; i++)
		c->values[count++] = r->passed_over[i];
	c->claim->values = c->values;
	c->claim->value_count = (int)count;
}

/* Begin, and claim with a statement that send_claim() prepares.  A claim from the beginning of a
 * table also finds out whether the table still is as the model has it. */
static struct sent_claim *new_claim(
	const struct store *s, const struct model *m, const struct claim_request *request)
{
	struct sent_claim *c = memory_new(1, sizeof *c);
	c->kind = request->kind;
	c->since = clock_now();
	c->table[0] = m->relation;
	c->calls[c->count++] = (struct db_call){ .sql = "BEGIN" };
	if (db_prove(s->db, &c->calls[c->count]))
		c->count++;
	if (c->kind == CLAIM_FIRST)
		c->calls[c->count++] = state_call(s, m, c->table, &c->state);
	if (m->as_role)
		c->calls[c->count++] = db_role_path(s->db);
	c->claim = &c->calls[c->count++];
	c->expected = store_claimed(m);
	*c->claim =
		(struct db_call){ .expected = s->models[m->index].reads_apart ? NULL : &c->expected,
			.max_bytes = (size_t)m->settings->burst_bytes };
	set_values(c, m, request);
	return c;
}

static void free_values(struct sent_claim *c, const struct model *m)
{
	free_arrays(c->arrays, c->arrays != NULL ? m->primary_key_count : 0);
	free(c->values);
	c->arrays = NULL;
	c->values = NULL;
}

static void free_claim(struct sent_claim *c)
{
	if (c == NULL)
		return;
	rows_free(c->state);
	free(c->statement);
	free(c);
}

static bool send_claim(
	struct store *s, const struct model *m, struct sent_claim *c, unsigned how, struct error *e)
{
	bool ok = c->kind != CLAIM_FIRST || prepare_state(s, m, e);
	c->statement = ok ? store_prepare_claim(s, m, c->kind, how, e) : NULL;
	c->claim->prepared = c->statement;
	ok = c->statement != NULL && db_send(s->db, c->calls, c->count, e);
	free_values(c, m);
	return ok;
}

static unsigned how_to(
	const struct store *s, const struct model *m, const struct claim_request *request)
{
	return (request->passed_over != NULL ? CLAIM_PASSES_OVER : 0) |
	       (s->models[m->index].reads_apart ? CLAIM_BARE : 0);
}

/* Rows in any order. */
static bool claim_any(struct store *s, const struct model *m, const struct claim_request *request,
	struct claim *claim, struct error *e)
{
	struct stream stream = { request, claim };
	struct sent_claim *c = s->prefetched;
	bool ok = c != NULL;
	s->prefetched = NULL;
	if (!ok) {
		c = new_claim(s, m, request);
		ok = send_claim(s, m, c, how_to(s, m, request), e);
	}
	claim->since = c->since;
	claim->from_start = c->kind == CLAIM_FIRST;
	c->claim->rows = &claim->rows;
	c->claim->cut_to = &claim->cut_to;
	c->claim->on_row = store_may_stream(s, m, request) ? stream_row : NULL;
	c->claim->arg = &stream;
	ok = ok && db_receive(s->db, c->calls, c->count, store_deadline(s), e) &&
	     (c->state == NULL || is_same(m, c->state, e));
	free_claim(c);
	claim->count = ok ? rows_count(claim->rows) : 0;
	return ok;
}

void store_prefetch(struct store *s, const struct model *m, const struct claim_request *next)
{
	const struct session_model *d = &s->models[m->index];
	struct error e;
	if (d->reads_apart)
		return;
	struct sent_claim *c = new_claim(s, m, next);
	if (d->prepared[c->kind][d->size][0] && send_claim(s, m, c, 0, &e)) {
		s->prefetched = c;
		return;
	}
	free_values(c, m);
	free_claim(c);
}

void store_forget_prefetched(struct store *s)
{
	free_claim(s->prefetched);
	s->prefetched = NULL;
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
		return claim_any(s, m, request, claim, e);
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
	size_t size = claim_size(s, m);
	*claim = (struct claim){ .after_clean_burst = s->models[m->index].last_burst_clean,
		.since = clock_now() };
	db_heed_stop(s->db, true); /* nothing is sent yet, and it may wait for locks of others */
	bool ok = claim_rows(s, m, request, claim, e) && check_keys(s, m, claim, e) &&
		  find_unreadable(s, m, claim, e) && delete_first(s, m, request, claim, e);
	db_heed_stop(s->db, false);
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

bool claim_refuses(const struct claim *claim, size_t row)
{
	return claim->refusals != NULL && claim->refusals[row].reason != NULL;
}

void claim_free(struct claim *claim)
{
	free_rows(claim);
	*claim = (struct claim){ 0 };
}
