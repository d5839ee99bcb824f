#include "catalog/catalog.h"

#include "base/suggest.h"
#include "base/text.h"

/* Tables that people may have meant: first those of the schema that they named, then those on the
 * search path.  $1: the name. */
static const char tables_sql[] =
	"SELECT pg_catalog.regexp_replace(pg_catalog.current_setting('search_path'),"
	" ', pg_temp$', ''), pg_catalog.cardinality(p.parts) > 1,"
	" p.parts[pg_catalog.cardinality(p.parts)], t.name, t.full_name"
	" FROM pg_catalog.parse_ident($1) AS p (parts) LEFT JOIN LATERAL ("
	"SELECT c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname),"
	" n.nspname OPERATOR(pg_catalog.=) p.parts[1], pg_catalog.pg_table_is_visible(c.oid)"
	" FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
	" WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}')"
	" AND n.nspname OPERATOR(pg_catalog.!~) '^pg_|^information_schema$')"
	" AS t (name, full_name, is_named, is_visible) ON true"
	" ORDER BY t.is_named DESC, t.is_visible DESC, t.full_name LIMIT 10000";

/* The number of the row whose table has nearly the wanted name; as many as there are rows if none
 * has. */
static size_t nearest_row(const struct rows *rows, const char *wanted)
{
	struct nearest nearest = nearest_to(wanted);
	size_t found = rows_count(rows);
	for (size_t i = 0; i < rows_count(rows); i++) {
		const char *best = nearest.best;
		if (rows_value(rows, i, 3) != NULL)
			nearest_offer(&nearest, rows_value(rows, i, 3));
		if (nearest.best != best)
			found = i;
	}
	return found;
}

char *catalog_missing(struct db *db, const char *name, struct instant deadline)
{
	enum { PATH, IS_QUALIFIED, WANTED, NAME, FULL_NAME };
	struct rows *rows;
	struct error ignored;
	struct text t = { 0 };
	const struct db_call call = { .sql = tables_sql,
		.values = &name,
		.value_count = 1,
		.rows = &rows,
		.never_null = NAME };
	text_add(&t, "", 0);
	if (!db_call_as_role(db, call, deadline, &ignored))
		return t.text;
	if (rows_count(rows) > 0) {
		size_t nearest = nearest_row(rows, rows_value(rows, 0, WANTED));
		if (rows_value(rows, 0, IS_QUALIFIED)[0] != 't')
			text_addf(&t, " in the search path (%s)", rows_value(rows, 0, PATH));
		if (nearest < rows_count(rows))
			text_addf(&t, "; did you mean %s?", rows_value(rows, nearest, FULL_NAME));
	}
	rows_free(rows);
	return t.text;
}
