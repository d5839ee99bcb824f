/*
 * Which privileges are missing, and the statements that grant them: for a check, and after a
 * refusal.
 */
#include "catalog/catalog_check_internal.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* A line for each object that lacks some: its name, what is missing, the remedy.  $1: the table;
 * $2: SELECT on some columns is enough. */
#define MISSING_PRIVILEGES                                                                         \
	"WITH o AS (SELECT c.oid AS oid, n.oid AS schema_oid,"                                     \
	" pg_catalog.format('%I', n.nspname) AS s,"                                                \
	" pg_catalog.format('%I.%I', n.nspname, c.relname) AS t,"                                  \
	" pg_catalog.format('%I', current_user) AS u,"                                             \
	" (SELECT pg_catalog.format('UPDATE (%I)', a.attname) FROM pg_catalog.pg_attribute a"      \
	" WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"                        \
	" ORDER BY a.attnum LIMIT 1) AS a FROM pg_catalog.pg_class c"                              \
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"                                \
	" WHERE c.oid = $1::pg_catalog.oid AND c.relkind IN ('r', 'p')),"                          \
	" missing (object, says, remedy) AS (SELECT 'schema ' || s,"                               \
	" pg_catalog.format('user %s may not use it', u),"                                         \
	" pg_catalog.format('GRANT USAGE ON SCHEMA %s TO %s', s, u) FROM o"                        \
	" WHERE NOT pg_catalog.has_schema_privilege(schema_oid, 'USAGE')"                          \
	" UNION ALL SELECT 'table ' || t, pg_catalog.format('user %s lacks %s', u,"                \
	" pg_catalog.string_agg(p.says, ', ' ORDER BY p.place)),"                                  \
	" pg_catalog.format('GRANT %s ON %s TO %s', pg_catalog.string_agg("                        \
	"p.remedy, ', ' ORDER BY p.place), t, u) FROM o CROSS JOIN LATERAL (VALUES"                \
	" (1, pg_catalog.has_table_privilege(o.oid, 'SELECT') OR $2 AND "                          \
	"pg_catalog.has_any_column_privilege(o.oid, 'SELECT'), 'SELECT', 'SELECT'),"               \
	" (2, pg_catalog.has_table_privilege(o.oid, 'DELETE'), 'DELETE', 'DELETE'),"               \
	" (3, pg_catalog.has_any_column_privilege(o.oid, 'UPDATE'),"                               \
	" 'UPDATE on a column (to lock rows)', a))"                                                \
	" AS p (place, is_there, says, remedy) WHERE NOT p.is_there GROUP BY t, u"                 \
	" UNION ALL SELECT 'table ' || t,"                                                         \
	" pg_catalog.format('row level security applies to user %s and may hide signals', u),"     \
	" pg_catalog.format('ALTER ROLE %s BYPASSRLS', u) FROM o"                                  \
	" WHERE pg_catalog.row_security_active(o.oid))"

bool catalog_find_hidden(struct db *db, const char *name, struct instant deadline,
	struct hidden_table *table, struct error *e)
{
	static const char sql[] = "SELECT c.oid, pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
				  " FROM pg_catalog.parse_ident($1) AS p (parts)"
				  " JOIN pg_catalog.pg_namespace n ON true"
				  " JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid"
				  " WHERE CASE WHEN pg_catalog.cardinality(parts) > 1"
				  " THEN n.nspname = parts[pg_catalog.cardinality(parts) - 1]"
				  "  AND c.relname = parts[pg_catalog.cardinality(parts)]"
				  " ELSE c.oid = $2::pg_catalog.oid END";
	struct rows *rows;
	char *found;
	*table = (struct hidden_table){ .is_visible = true };
	if (!catalog_find_table(db, name, deadline, &found, e) && e->kind == ERROR_CONNECTION)
		return false;
	const char *const values[] = { name, found };
	struct db_call call = { .sql = sql, .values = values, .value_count = 2, .rows = &rows };
	bool ok = db_call(db, call, deadline, e);
	free(found);
	if (!ok)
		return false;
	if (rows_count(rows) == 1) {
		table->oid = text_copy(rows_value(rows, 0, 0));
		table->is_visible = rows_value(rows, 0, 1)[0] == 't';
	}
	rows_free(rows);
	return true;
}

bool check_privileges(struct examination *x, struct error *e)
{
	static const char sql[] = MISSING_PRIVILEGES
		" SELECT pg_catalog.format('%s: %s; %s', object, says, remedy) FROM missing";
	const char *can_claim = x->can_claim ? "t" : "f";
	return check_ask(x, (struct question){ sql, can_claim, check_problem }, e);
}

void catalog_say_privileges(
	struct db *db, const char *table, struct instant deadline, struct error *e)
{
	static const char sql[] = MISSING_PRIVILEGES
		" SELECT pg_catalog.format('; %s; %s', says, remedy) FROM missing";
	struct hidden_table found;
	struct rows *rows;
	struct error ignored;
	if (strcmp(e->sqlstate, "42501") != 0 || !db_connected(db) ||
		!catalog_find_hidden(db, table, deadline, &found, &ignored))
		return;
	const char *const values[] = { found.oid, "t" };
	struct db_call call = { .sql = sql, .values = values, .value_count = 2, .rows = &rows };
	if (db_call(db, call, deadline, &ignored))
		for (size_t i = 0; i < rows_count(rows); i++)
			error_suffix(e, rows_value(rows, i, 0));
	rows_free(rows);
	free(found.oid);
}
