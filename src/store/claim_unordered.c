#include "base/text.h"
#include "model/size_guard.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

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

/* The calls of a claim in no order: BEGIN; if needed, those that prove the session, look at the
 * table and set the path; the claim, with a statement that send_claim() prepares.  A claim from the
 * beginning of a table also finds out whether the table still is as the model has it. */
static struct sent_claim *new_claim(
	const struct store *s, const struct model *m, const struct claim_request *request)
{
	struct sent_claim *c = memory_new(1, sizeof *c);
	c->kind = request->kind;
	c->since = clock_now();
	c->table[0] = m->relation;
	c->count = store_begin_bare(s, m, c->calls);
	if (c->kind == CLAIM_FIRST)
		c->calls[c->count++] = state_call(s, m, c->table, &c->state);
	if (m->as_role)
		c->calls[c->count++] = db_role_path(s->db);
	c->claim = &c->calls[c->count++];
	c->expected = store_claimed(m);
	*c->claim =
		(struct db_call){ .expected = s->models[m->index].reads_apart ? NULL : &c->expected,
			.row_max = size_guard_max(m),
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

bool store_claim_unordered(struct store *s, const struct model *m,
	const struct claim_request *request, struct claim *claim, struct error *e)
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
	sent_claim_free(c);
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
	if (d->prepared[c->kind][store_halvings(d)][0] && send_claim(s, m, c, 0, &e)) {
		s->prefetched = c;
		return;
	}
	free_values(c, m);
	sent_claim_free(c);
}
