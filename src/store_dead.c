#include "catalog.h"
#include "store_own.h"
#include "text.h"

#include <stdlib.h>

/* Run a statement, which is freed, with text parameters. */
static bool query(struct store *s, char *sql, struct db_call call, struct error *e)
{
	call.sql = sql;
	bool ok = store_query(s, call, e);
	free(sql);
	return ok;
}

/* Set *name to the configured table's name, quoted for SQL, to be freed.  wanted: it has to exist.
 */
static bool find_table(struct store *s, bool wanted, char **name, struct error *e)
{
	static const char sql[] =
		"SELECT COALESCE((SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)"
		"  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
		"  ON n.oid = c.relnamespace WHERE c.oid = $2::pg_catalog.oid),"
		" (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(part), '.' ORDER BY place)"
		"  FROM pg_catalog.unnest(pg_catalog.parse_ident($1))"
		"  WITH ORDINALITY AS p (part, place)))";
	const struct place at = config_place(s->config, NULL, "dead_letter_table");
	const char *values[] = { s->config->dead_letter_table, NULL };
	struct rows *rows;
	struct db_call call = {
		.sql = sql, .values = values, .value_count = 2, .rows = &rows, .never_null = 1
	};
	char *oid = NULL;
	bool ok = catalog_find_table(s->db, values[0], store_deadline(s), &oid, e);
	values[1] = oid;
	ok = ok && store_query(s, call, e);
	bool exists = oid != NULL;
	free(oid);
	if (!ok) {
		/* uncovered: a name that parse_ident() refuses, or a session lost here */
		struct error own = *e;
		return own.kind == ERROR_DATABASE
			       ? error_set(e, ERROR_CONFIG, "%s:%u: %s", at.file, at.line, own.text)
			       : false;
	}
	if (exists || !wanted)
		*name = text_copy(rows_value(rows, 0, 0));
	rows_free(rows);
	return exists || !wanted ||
	       error_set(e, ERROR_CONFIG,
		       "%s:%u: table %s does not exist; \"signalbus triggers\" prints its "
		       "definition",
		       at.file, at.line, s->config->dead_letter_table);
}

bool store_define_dead_letters(struct store *s, struct text *t, struct error *e)
{
	char *name = NULL;
	if (!find_table(s, false, &name, e))
		/* uncovered: the session is lost at just this call */
		return false;
	sql_dead_letter_table(t, name);
	free(name);
	return true;
}

/* The primary key's columns as an array; of a model that cannot be read none. */
static char *key_columns(struct store *s, size_t index)
{
	struct error ignored;
	struct text array = { 0 };
	const struct model *m = store_model(s, index, &ignored);
	for (size_t i = 0; m != NULL && i < m->primary_key_count; i++)
		sql_array_add(&array, m->columns[m->primary_key[i]].name);
	sql_array_end(&array);
	return array.text;
}

bool store_dead_letters(struct store *s, size_t index, const struct dead_letter_page *page,
	struct rows **rows, struct error *e)
{
	char *table = NULL;
	if (!find_table(s, true, &table, e))
		return false;
	char *key = key_columns(s, index);
	const char *const values[] = { s->config->models[index].name, page->behind, key };
	char *sql = text_format(
		"SELECT d.id, d.model, pg_catalog.to_json(d.failed_at) #>> '{}', COALESCE(("
		"SELECT pg_catalog.json_object_agg(k, d.signal -> k)"
		" FROM pg_catalog.unnest($3::pg_catalog.text[]) AS k)::pg_catalog.text, '{}'),"
		" d.error FROM %s AS d WHERE d.model = $1 AND d.id > $2::pg_catalog.int8"
		" ORDER BY d.id LIMIT %zu",
		table, page->count);
	struct db_call call = { .values = values, .value_count = 3, .rows = rows };
	bool ok = query(s, sql, call, e);
	free(key);
	free(table);
	return ok;
}

/* The columns that can be written, as a list for INSERT. */
static bool writable_columns(
	struct store *s, const struct model *m, char **columns, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.string_agg(pg_catalog.quote_ident(attname), ', ' ORDER BY "
		"attnum)"
		" FROM pg_catalog.pg_attribute"
		" WHERE attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)"
		" AND attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT attisdropped"
		" AND attgenerated OPERATOR(pg_catalog.=) ''";
	const char *const values[] = { m->relation };
	struct rows *rows;
	struct db_call call = { .sql = sql, .values = values, .value_count = 1, .rows = &rows };
	if (!store_query(s, call, e))
		/* uncovered: the session is lost at just this call */
		return false;
	*columns = text_copy(rows_value(rows, 0, 0));
	rows_free(rows);
	return true;
}

/* Within a transaction. */
static bool requeue_model(
	struct store *s, const char *table, size_t index, size_t *count, struct error *e)
{
	char *columns = NULL;
	const struct model *m = store_model(s, index, e);
	if (m == NULL || !writable_columns(s, m, &columns, e))
		/* uncovered: the table has gone since, or the session */
		return false;
	char *sql = text_format(
		"WITH taken AS (DELETE FROM %s AS d WHERE d.model OPERATOR(pg_catalog.=) $1"
		" RETURNING d.id, d.signal),"
		" back AS (INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM ("
		"SELECT t.id AS \" id\", r.* FROM taken AS t CROSS JOIN LATERAL"
		" pg_catalog.jsonb_populate_record(NULL::%s, t.signal) AS r) AS ordered"
		" ORDER BY \" id\" RETURNING 1)"
		" SELECT (SELECT pg_catalog.count(*) FROM taken),"
		" (SELECT pg_catalog.count(*) FROM back)",
		table, m->relation, columns, columns, m->relation);
	free(columns);
	const char *const values[] = { m->config->name };
	struct rows *rows = NULL;
	struct db_call call = { .values = values, .value_count = 1, .rows = &rows };
	if (!query(s, sql, call, e))
		return error_prefix(e, "model \"%s\"", s->config->models[index].name);
	*count = strtoul(rows_value(rows, 0, 1), NULL, 10);
	bool all = strtoul(rows_value(rows, 0, 0), NULL, 10) == *count;
	rows_free(rows);
	return all || error_set(e, ERROR_DATABASE,
			      "table %s does not take all dead letters back; does a trigger or a "
			      "rule keep them away?",
			      m->relation);
}

bool store_requeue(
	struct store *s, const size_t *models, size_t count, size_t *counts, struct error *e)
{
	char *table = NULL;
	if (!find_table(s, true, &table, e))
		return false;
	/* The models are read before, not by the search_path of the triggers that the rows meet. */
	bool ok = true;
	for (size_t i = 0; ok && i < count; i++)
		ok = store_model(s, models[i], e) != NULL;
	ok = ok && store_query(s, (struct db_call){ .sql = "BEGIN" }, e) &&
	     store_query(s, db_role_path(s->db), e);
	for (size_t i = 0; ok && i < count; i++)
		ok = requeue_model(s, table, models[i], &counts[i], e);
	ok = ok && store_query(s, (struct db_call){ .sql = "COMMIT" }, e);
	if (!ok)
		store_abandon(s);
	free(table);
	return ok;
}

bool store_discard(struct store *s, size_t index, size_t *count, struct error *e)
{
	char *table = NULL;
	if (!find_table(s, true, &table, e))
		return false;
	const char *const values[] = { s->config->models[index].name };
	size_t gone = 0;
	struct db_call call = { .values = values, .value_count = 1, .affected = &gone };
	char *sql =
		text_format("DELETE FROM %s AS d WHERE d.model OPERATOR(pg_catalog.=) $1", table);
	call.sql = sql;
	bool ok = db_call_as_role(s->db, call, store_deadline(s), e);
	*count = gone;
	free(sql);
	free(table);
	return ok;
}
