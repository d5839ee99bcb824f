#include "store_own.h"
#include "text.h"

#include <stdlib.h>

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
	struct rows *attributes = NULL;
	struct db_call call = {
		.sql = sql_attributes, .values = table, .value_count = 1, .rows = &attributes
	};
	if (!store_query(s, call, e))
		return false;
	bool ok = check_fits(m, attributes, e);
	rows_free(attributes);
	return ok;
}

/* Begin and claim with a prepared statement.  A claim from the beginning of a table also finds out
 * whether the table still is as the model has it. */
static bool begin_and_claim(struct store *s, const struct model *m, struct db_call statement,
	bool from_start, struct error *e)
{
	const char *const table[] = { m->relation };
	struct rows *attributes = NULL;
	const struct db_call calls[] = { { .sql = "BEGIN" }, statement,
		{ .sql = sql_attributes, .values = table, .value_count = 1, .rows = &attributes } };
	bool ok = db_run(s->db, calls, from_start ? 3 : 2, store_deadline(s), e) &&
		  (!from_start || check_fits(m, attributes, e));
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
	struct db_call call = { .prepared = name, .rows = &claim->rows };
	char **arrays = request->kind == CLAIM_NOTED ? key_arrays(m, request) : NULL;
	if (request->kind == CLAIM_NEXT) {
		call.values = (const char *const *)request->from->values;
		call.value_count = (int)request->from->count;
	} else if (arrays != NULL) {
		call.values = (const char *const *)arrays;
		call.value_count = (int)m->primary_key_count;
	}
	bool ok = begin_and_claim(s, m, call, request->kind == CLAIM_FIRST, e);
	free_arrays(arrays, arrays != NULL ? m->primary_key_count : 0);
	free(name);
	claim->count = ok ? rows_count(claim->rows) : 0;
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
