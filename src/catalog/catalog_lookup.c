#include "catalog/catalog.h"

#include "base/text.h"
#include "model/sql.h"

#include <stdlib.h>

struct rows *catalog_query(
	struct db *db, struct instant deadline, const char *sql, const char *value, struct error *e)
{
	struct rows *rows = NULL;
	const struct db_call call = {
		.sql = sql, .values = &value, .value_count = 1, .rows = &rows
	};
	return db_call(db, call, deadline, e) ? rows : NULL;
}

bool catalog_find_table(
	struct db *db, const char *name, struct instant deadline, char **oid, struct error *e)
{
	struct rows *rows = NULL;
	const char *const values[] = { name };
	const struct db_call call = { .sql = "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid",
		.values = values,
		.value_count = 1,
		.rows = &rows };
	*oid = NULL;
	if (!db_call_as_role(db, call, deadline, e))
		return false;
	if (rows_value(rows, 0, 0) != NULL)
		*oid = text_copy(rows_value(rows, 0, 0));
	rows_free(rows);
	return true;
}

char *catalog_signal_tables(const struct config *config)
{
	struct text names = { 0 };
	for (size_t i = 0; i < config->model_count; i++)
		sql_array_add(&names, config->models[i].table);
	sql_array_end(&names);
	return names.text;
}

/* One after another: a name that cannot be looked up at all is left out. */
static char *find_each(
	struct db *db, const struct config *config, struct instant deadline, struct error *e)
{
	struct text oids = { 0 };
	for (size_t i = 0; i < config->model_count && db_connected(db); i++) {
		char *oid = NULL;
		if (catalog_find_table(db, config->models[i].table, deadline, &oid, e) &&
			oid != NULL)
			sql_array_add(&oids, oid);
		free(oid);
	}
	sql_array_end(&oids);
	if (db_connected(db))
		return oids.text;
	text_free(&oids);
	return NULL;
}

char *catalog_find_signal_tables(
	struct db *db, const struct config *config, struct instant deadline, struct error *e)
{
	struct rows *rows = NULL;
	char *names = catalog_signal_tables(config);
	const char *const values[] = { names };
	const struct db_call call = {
		.sql = "SELECT pg_catalog.array_agg(pg_catalog.to_regclass(t)::pg_catalog.oid)"
		       " FROM pg_catalog.unnest($1::pg_catalog.text[]) AS t",
		.values = values,
		.value_count = 1,
		.rows = &rows,
		.never_null = 1
	};
	char *oids = db_call_as_role(db, call, deadline, e) ? text_copy(rows_value(rows, 0, 0))
							    : find_each(db, config, deadline, e);
	rows_free(rows);
	free(names);
	return oids;
}
