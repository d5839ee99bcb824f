#include "catalog/catalog.h"

#include "base/text.h"
#include "model/sql.h"

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
