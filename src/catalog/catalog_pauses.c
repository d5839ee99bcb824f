#include "catalog/catalog.h"

#include <stddef.h>

#define TABLE "signalbus_paused"

/* Others may create tables in the schema of a signal table, and have triggers and policies execute
 * code as whoever uses them.  Who can do so already by the signal table may. */
static const char sql[] =
	"SELECT f.name, f.paused IS NOT NULL, CASE"
	" WHEN NOT f.is_trusted THEN pg_catalog.format('table %s belongs to user %s, who may not"
	" create triggers on the signal tables; DROP it', f.name,"
	" p.relowner::pg_catalog.regrole)"
	" WHEN p.relkind <> 'r' OR p.relrowsecurity"
	" THEN pg_catalog.format('%s is not a plain table; rename it', f.name)"
	" WHEN NOT pg_catalog.has_table_privilege(f.paused, 'SELECT') THEN pg_catalog.format("
	"'user %1$I may not SELECT from table %2$s; GRANT SELECT ON %2$s TO %1$I', CURRENT_USER,"
	" f.name)"
	" WHEN $2::pg_catalog.text <> 'read' AND NOT ("
	"pg_catalog.has_table_privilege(f.paused, 'INSERT')"
	" AND pg_catalog.has_table_privilege(f.paused, 'UPDATE')) THEN pg_catalog.format("
	"'user %1$I may not change table %2$s; GRANT INSERT, UPDATE ON %2$s TO %1$I',"
	" CURRENT_USER, f.name)"
	" WHEN $2::pg_catalog.text = 'pause' AND f.paused IS NULL"
	" AND NOT pg_catalog.has_schema_privilege(f.schema, 'CREATE') THEN pg_catalog.format("
	"'user %1$I may not create table %2$s; execute as the owner of its schema: "
	"CREATE TABLE %2$s " SQL_PAUSE_COLUMNS "; GRANT SELECT ON %2$s TO PUBLIC; "
	"GRANT INSERT, UPDATE ON %2$s TO %1$I', CURRENT_USER, f.name) END FROM ("
	"SELECT n.oid AS schema, pg_catalog.format('%I." TABLE "', n.nspname) AS name,"
	" p.oid AS paused, pg_catalog.bool_or(r.oid = p.relowner"
	" OR " TRIGGERS_ALLOWED("p.relowner",
		"c.oid") ") AS is_trusted"
			 " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
			 "c.relnamespace"
			 " JOIN pg_catalog.pg_roles r ON r.rolname = CURRENT_USER"
			 " LEFT JOIN pg_catalog.pg_class p ON p.relnamespace = n.oid AND p.relname "
			 "= '" TABLE "'"
			 " WHERE c.oid = ANY ($1::pg_catalog.oid[]) GROUP BY n.oid, n.nspname, "
			 "p.oid) AS f"
			 " LEFT JOIN pg_catalog.pg_class p ON p.oid = f.paused ORDER BY f.name";

struct rows *catalog_pause_tables(
	struct db *db, const char *oids, const char *use, struct instant deadline, struct error *e)
{
	struct rows *rows = NULL;
	const char *const values[] = { oids, use };
	struct db_call call = { .sql = sql,
		.values = values,
		.value_count = 2,
		.rows = &rows,
		.never_null = PAUSE_TABLE_PROBLEM };
	if (!db_call(db, call, deadline, e))
		return NULL;
	for (size_t i = 0; i < rows_count(rows); i++)
		if (rows_value(rows, i, PAUSE_TABLE_PROBLEM) != NULL) {
			error_set(
				e, ERROR_DATABASE, "%s", rows_value(rows, i, PAUSE_TABLE_PROBLEM));
			rows_free(rows);
			return NULL;
		}
	return rows;
}
