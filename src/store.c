#include "store.h"

#include "catalog.h"
#include "store_own.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/* The server's limits (see db.c) come first, so that what is heard is its reason. */
#define GRACE_S 1.0

struct store *store_new(const struct config *config)
{
	struct store *s = memory_new(1, sizeof *s);
	s->config = config;
	s->db = db_new(config->database, config->timeout);
	s->models = memory_new(config->model_count, sizeof *s->models);
	return s;
}

void store_free(struct store *s)
{
	if (s == NULL)
		return;
	db_free(s->db);
	for (size_t i = 0; i < s->config->model_count; i++) {
		ordering_reset(&s->models[i].ordering);
		model_free(s->models[i].model);
	}
	free(s->models);
	free(s);
}

struct instant store_deadline(const struct store *s)
{
	return instant_after(clock_now(), s->config->timeout + GRACE_S);
}

bool store_connect(struct store *s, struct instant deadline, struct error *e)
{
	store_disconnect(s);
	return db_connect(s->db, deadline, e);
}

bool store_connected(const struct store *s)
{
	return db_connected(s->db);
}

void store_forget(struct store *s, size_t index)
{
	s->models[index].is_stale = true;
}

void store_disconnect(struct store *s)
{
	for (size_t i = 0; i < s->config->model_count; i++) {
		store_forget(s, i);
		s->models[i].noted = s->models[i].locked = false;
	}
	db_disconnect(s->db);
}

void store_abandon(struct store *s)
{
	struct error ignored;
	if (db_in_transaction(s->db) &&
		!db_call(s->db, (struct db_call){ .sql = "ROLLBACK" }, store_deadline(s), &ignored))
		store_disconnect(s);
}

bool store_query(struct store *s, struct db_call call, struct error *e)
{
	return db_call(s->db, call, store_deadline(s), e);
}

const struct model *store_model(struct store *s, size_t index, struct error *e)
{
	struct described *d = &s->models[index];
	if (d->model != NULL && !d->is_stale)
		return d->model;
	ordering_reset(&d->ordering);
	model_free(d->model);
	*d = (struct described){ .noted = d->noted,
		.locked = d->locked,
		.generation = d->generation + 1,
		.model = catalog_read(s->db, s->config, index, store_deadline(s), e) };
	return d->model;
}

/* Run a statement that counts, which is freed. */
static bool run_count(struct store *s, char *sql, size_t *count, struct error *e)
{
	struct rows *rows;
	bool ok = store_query(s, (struct db_call){ .sql = sql, .rows = &rows }, e);
	if (ok)
		*count = strtoul(rows_value(rows, 0, 0), NULL, 10);
	rows_free(rows);
	free(sql);
	return ok;
}

bool store_count(struct store *s, const struct model *m, size_t *count, struct error *e)
{
	return run_count(s, sql_count(m), count, e);
}

bool store_count_some(
	struct store *s, const struct model *m, size_t bound, size_t *count, struct error *e)
{
	return run_count(s, sql_count_some(m, bound), count, e);
}

static bool close_note(struct store *s, const struct model *m, struct error *e)
{
	char *sql = text_format("CLOSE noted_%zu", m->index);
	s->models[m->index].noted = false;
	bool ok = store_query(s, (struct db_call){ .sql = sql }, e);
	free(sql);
	return ok;
}

bool store_note(struct store *s, const struct model *m, struct error *e)
{
	if (store_has_note(s, m->index) && !close_note(s, m, e))
		return false;
	char *sql = sql_note(m);
	bool ok = store_query(s, (struct db_call){ .sql = sql }, e);
	s->models[m->index].noted = ok;
	free(sql);
	return ok;
}

bool store_has_note(const struct store *s, size_t index)
{
	return s->models[index].noted;
}

bool store_noted(
	struct store *s, const struct model *m, size_t count, struct rows **keys, struct error *e)
{
	char *sql = sql_noted(m, count);
	bool ok = store_query(s, (struct db_call){ .sql = sql, .rows = keys }, e);
	free(sql);
	return ok && (rows_count(*keys) > 0 || close_note(s, m, e));
}

char *store_prepare(struct store *s, const struct model *m, struct statement st, struct error *e)
{
	char *name = text_format("%s_%zu_%u", st.what, m->index, s->models[m->index].generation);
	if (!*st.done)
		*st.done = store_query(s, (struct db_call){ .prepared = name, .sql = st.sql }, e);
	free(st.sql);
	if (*st.done)
		return name;
	free(name);
	return NULL;
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

static bool claim_ordered(
	struct store *s, const struct model *m, bool sweep, struct claim *claim, struct error *e)
{
	bool ok = store_claim_ordered(s, m, sweep, claim, e);
	claim->more = ok && claim->count > 0 && rows_count(claim->rows) > claim->count;
	if (ok && claim->count > 0)
		return true;
	rows_free(claim->rows);
	claim->rows = NULL;
	claim->count = 0;
	store_abandon(s);
	return ok;
}

/* Whether the model knows all columns, as the answer to sql_attributes has it. */
static bool check_fits(const struct model *m, const struct rows *attributes, struct error *e)
{
	if (rows_count(attributes) == 1 &&
		strtoul(rows_value(attributes, 0, 0), NULL, 10) == m->attributes)
		return true;
	return error_set(e, ERROR_PLAN, "table %s has changed", m->relation);
}

static bool fits(struct store *s, const struct model *m, struct error *e)
{
	const char *const table[] = { m->relation };
	struct rows *attributes;
	struct db_call call = {
		.sql = sql_attributes, .values = table, .value_count = 1, .rows = &attributes
	};
	if (!store_query(s, call, e))
		return false;
	bool ok = check_fits(m, attributes, e);
	rows_free(attributes);
	return ok;
}

bool store_claim(struct store *s, const struct model *m, const struct claim_request *request,
	struct claim *claim, struct error *e)
{
	static const char *const names[] = { "claim_first", "claim_next", "claim_noted" };
	*claim = (struct claim){ 0 };
	if (request->kind == CLAIM_ORDERED)
		return (!request->from_start || fits(s, m, e)) &&
		       claim_ordered(s, m, request->from_start, claim, e);
	char *name = store_prepare(s, m,
		(struct statement){ names[request->kind], sql_claim(m, request->kind),
			&s->models[m->index].prepared[request->kind] },
		e);
	if (name == NULL)
		return false;
	const char *const table[] = { m->relation };
	struct rows *attributes = NULL;
	struct db_call calls[] = { { .sql = "BEGIN" }, { .prepared = name, .rows = &claim->rows },
		{ .sql = sql_attributes, .values = table, .value_count = 1, .rows = &attributes } };
	char **arrays = NULL;
	if (request->kind == CLAIM_NOTED) {
		arrays = key_arrays(m, request);
		calls[1].values = (const char *const *)arrays;
		calls[1].value_count = (int)m->primary_key_count;
	} else if (request->kind == CLAIM_NEXT) {
		calls[1].values = (const char *const *)request->from->values;
		calls[1].value_count = (int)request->from->count;
	}
	bool sweep = request->kind == CLAIM_FIRST;
	bool ok = db_run(s->db, calls, sweep ? 3 : 2, store_deadline(s), e) &&
		  (!sweep || check_fits(m, attributes, e));
	rows_free(attributes);
	free_arrays(arrays, arrays != NULL ? m->primary_key_count : 0);
	free(name);
	if (ok)
		claim->count = rows_count(claim->rows);
	if (claim->count == 0) {
		claim_free(claim);
		store_abandon(s);
	}
	return ok;
}

void claim_free(struct claim *claim)
{
	rows_free(claim->rows);
	*claim = (struct claim){ 0 };
}

/* The deletions of a burst: one statement for each table that its rows are from, which are several
 * only where the signal table is partitioned. */
struct deletion {
	const char *oid; /* borrowed from the claim */
	struct text ctids;
	const char *values[2];
	size_t affected;
};

struct deletions {
	struct deletion *items;
	size_t count;
	size_t rows;
};

static struct deletion *deletion_from(struct deletions *d, const char *oid)
{
	for (size_t i = d->count; i > 0; i--)
		if (strcmp(d->items[i - 1].oid, oid) == 0)
			return &d->items[i - 1];
	d->items = memory_resize(d->items, d->count + 1, sizeof *d->items);
	d->items[d->count] = (struct deletion){ .oid = oid };
	return &d->items[d->count++];
}

static struct deletions deletions_of(const struct claim *claim, const bool *deletable)
{
	struct deletions d = { 0 };
	for (size_t i = 0; i < claim->count; i++) {
		if (!deletable[i])
			continue;
		struct deletion *from = deletion_from(&d, rows_value(claim->rows, i, ROW_TABLEOID));
		sql_array_add(&from->ctids, rows_value(claim->rows, i, ROW_CTID));
		d.rows++;
	}
	for (size_t i = 0; i < d.count; i++)
		sql_array_end(&d.items[i].ctids);
	return d;
}

static void deletions_free(struct deletions *d)
{
	for (size_t i = 0; i < d->count; i++)
		text_free(&d->items[i].ctids);
	free(d->items);
}

static bool delete_and_commit(
	struct store *s, struct deletions *d, const char *statement, struct error *e)
{
	struct db_call *calls = memory_new(d->count + 1, sizeof *calls);
	for (size_t i = 0; i < d->count; i++) {
		struct deletion *item = &d->items[i];
		item->values[0] = item->ctids.text;
		item->values[1] = item->oid;
		calls[i] = (struct db_call){ .prepared = statement,
			.values = item->values,
			.value_count = 2,
			.affected = &item->affected };
	}
	calls[d->count] = (struct db_call){ .sql = "COMMIT" };
	bool ok = db_run(s->db, calls, d->count + 1, store_deadline(s), e);
	free(calls);
	return ok;
}

/* A trigger, a rule or a policy that keeps rows would have them sent again and again. */
static bool check_deleted(const struct model *m, const struct deletions *d, struct error *e)
{
	size_t gone = 0;
	for (size_t i = 0; i < d->count; i++)
		gone += d->items[i].affected;
	if (gone == d->rows)
		return true;
	return error_set(e, ERROR_DATABASE,
		"deleting %zu sent signals from table %s removed %zu; does a trigger or a rule "
		"keep rows?",
		d->rows, m->relation, gone);
}

bool store_settle(struct store *s, const struct model *m, const struct claim *claim,
	const bool *deletable, struct error *e)
{
	char *name = store_prepare(s, m,
		(struct statement){ "delete", sql_delete(m), &s->models[m->index].prepared_delete },
		e);
	struct deletions d = deletions_of(claim, deletable);
	bool ok = name != NULL && delete_and_commit(s, &d, name, e) && check_deleted(m, &d, e);
	deletions_free(&d);
	free(name);
	if (ok && claim->in_order)
		ordering_note_sent(&s->models[m->index].ordering, m, claim, deletable);
	if (!ok)
		store_abandon(s);
	return ok;
}
