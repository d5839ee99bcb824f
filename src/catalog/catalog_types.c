#include "catalog/catalog.h"

#include "base/text.h"

#include <stdlib.h>

static char *copy_or_null(const char *s)
{
	return s != NULL ? text_copy(s) : NULL;
}

static unsigned number(const char *s)
{
	return (unsigned)strtoul(s, NULL, 10);
}

static bool read_comment(struct db *db, struct instant deadline, const struct model *m,
	struct facts *f, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.obj_description($1::pg_catalog.regclass, 'pg_class')";
	struct rows *rows = catalog_query(db, deadline, sql, m->relation, e);
	if (rows == NULL)
		return false;
	f->comment = copy_or_null(rows_value(rows, 0, 0));
	rows_free(rows);
	return true;
}

/* Those of the model's columns in order; the constraints of a domain apply to its columns, too. */
static bool read_columns(struct db *db, struct instant deadline, const struct model *m,
	struct facts *f, struct error *e)
{
	static const char sql[] =
		"WITH RECURSIVE base AS ("
		" SELECT a.attnum, a.atttypid AS oid, a.atttypmod AS typmod,"
		"  a.attnotnull AS not_null"
		" FROM pg_catalog.pg_attribute a"
		" WHERE a.attrelid = $1::pg_catalog.regclass AND a.attnum > 0 AND NOT "
		"a.attisdropped"
		" UNION ALL SELECT base.attnum, t.typbasetype,"
		"  CASE WHEN base.typmod < 0 THEN t.typtypmod ELSE base.typmod END,"
		"  base.not_null OR t.typnotnull"
		" FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid WHERE t.typtype = 'd')"
		" SELECT base.not_null,"
		"  CASE WHEN t.oid IN (1042, 1043) AND base.typmod > 4" /* bpchar, varchar */
		"   THEN base.typmod - 4 ELSE 0 END,"
		"  pg_catalog.col_description($1::pg_catalog.regclass, base.attnum)"
		" FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid"
		" WHERE t.typtype <> 'd' ORDER BY base.attnum";
	struct rows *rows = catalog_query(db, deadline, sql, m->relation, e);
	if (rows == NULL)
		return false;
	f->column_count = rows_count(rows);
	f->columns = memory_new(f->column_count, sizeof *f->columns);
	for (size_t i = 0; i < f->column_count; i++)
		f->columns[i] = (struct column_facts){
			.not_null = rows_value(rows, i, 0)[0] == 't',
			.max_length = number(rows_value(rows, i, 1)),
			.comment = copy_or_null(rows_value(rows, i, 2)),
		};
	rows_free(rows);
	return true;
}

/* The members' types as an array literal, to be freed. */
static char *member_types(const struct model *m)
{
	struct text array = { 0 };
	for (size_t i = 0; i < m->member_count; i++)
		text_addf(&array, "%s%u", i > 0 ? "," : "{", m->members[i].type_oid);
	text_addf(&array, m->member_count > 0 ? "}" : "{}");
	return array.text;
}

/* Casts to json count only for types that are not built in: json_categorize_type() in PostgreSQL's
 * json.c, which recognizes the latter by their oid (FirstNormalObjectId). */
static const char types_sql[] =
	"WITH RECURSIVE reached AS ("
	" SELECT pg_catalog.unnest($1::pg_catalog.oid[]) AS oid"
	" UNION SELECT n.oid FROM reached r JOIN pg_catalog.pg_type t ON t.oid = r.oid"
	" CROSS JOIN LATERAL ("
	"  SELECT t.typbasetype WHERE t.typtype = 'd'"
	"  UNION ALL SELECT t.typelem WHERE t.typtype = 'b' AND t.typcategory = 'A'"
	"  UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a"
	"  WHERE t.typtype = 'c' AND a.attrelid = t.typrelid"
	"  AND a.attnum > 0 AND NOT a.attisdropped) AS n (oid))"
	" SELECT t.oid, t.typtype, t.typbasetype,"
	" CASE WHEN t.typtype = 'b' AND t.typcategory = 'A' THEN t.typelem ELSE 0 END,"
	" t.oid >= 16384 AND EXISTS (SELECT FROM pg_catalog.pg_cast c"
	"  WHERE c.castsource = t.oid AND c.casttarget = 114 AND c.castmethod = 'f'),"
	" (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder)"
	"  FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),"
	" CASE WHEN t.typtype = 'c' THEN COALESCE("
	"  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, "
	"a.atttypid::pg_catalog.int8) ORDER BY a.attnum)"
	"  FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid"
	"  AND a.attnum > 0 AND NOT a.attisdropped), '[]') END"
	" FROM reached JOIN pg_catalog.pg_type t ON t.oid = reached.oid";

static bool read_types(struct db *db, struct instant deadline, const struct model *m,
	struct facts *f, struct error *e)
{
	char *oids = member_types(m);
	struct rows *rows = catalog_query(db, deadline, types_sql, oids, e);
	free(oids);
	if (rows == NULL)
		return false;
	f->type_count = rows_count(rows);
	f->types = memory_new(f->type_count, sizeof *f->types);
	for (size_t i = 0; i < f->type_count; i++)
		f->types[i] = (struct type_facts){
			.oid = number(rows_value(rows, i, 0)),
			.kind = rows_value(rows, i, 1)[0],
			.base = number(rows_value(rows, i, 2)),
			.element = number(rows_value(rows, i, 3)),
			.is_any_json = rows_value(rows, i, 4)[0] == 't',
			.labels = copy_or_null(rows_value(rows, i, 5)),
			.attributes = copy_or_null(rows_value(rows, i, 6)),
		};
	rows_free(rows);
	return true;
}

bool catalog_facts(struct db *db, const struct model *m, struct facts *f, struct instant deadline,
	struct error *e)
{
	*f = (struct facts){ 0 };
	if (read_comment(db, deadline, m, f, e) && read_columns(db, deadline, m, f, e) &&
		read_types(db, deadline, m, f, e))
		return true;
	facts_free(f);
	return false;
}
