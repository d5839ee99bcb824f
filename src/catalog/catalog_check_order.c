#include "catalog/catalog_check_internal.h"

#include "base/text.h"
#include "model/sql.h"

#include <stdlib.h>

/* The columns of the model's order, the first count of them, as an array literal. */
static char *columns_of(const struct model *m, size_t count)
{
	struct text columns = { 0 };
	for (size_t i = 0; i < m->order_count && i < count; i++)
		sql_array_add(&columns, m->columns[m->order[i].column].name);
	sql_array_end(&columns);
	return columns.text;
}

/* The default of a column a, which may be that of its domain, and whether a sequence numbers the
 * column. */
#define DEFAULT_OF                                                                                 \
	"(SELECT f.adrelid, f.adnum, pg_catalog.pg_get_expr(f.adbin, f.adrelid)"                   \
	" FROM pg_catalog.pg_attrdef f UNION ALL SELECT o.attrelid, o.attnum, t.typdefault"        \
	" FROM pg_catalog.pg_attribute o JOIN pg_catalog.pg_type t ON t.oid = o.atttypid"          \
	" WHERE t.typtype = 'd' AND NOT o.atthasdef AND t.typdefault IS NOT NULL) AS d "           \
	"(relation, number, expression)"                                                           \
	" ON d.relation = a.attrelid AND d.number = a.attnum"
#define IS_NUMBERED "(a.attidentity <> '' OR COALESCE(d.expression LIKE 'nextval(%', false))"

/* The columns of the order, one after another.  $2: their names. */
#define ORDER_COLUMNS                                                                              \
	"SELECT k.place, a.attnum, a.attname, a.attnotnull, a.attgenerated <> '' AS is_generated," \
	" a.atttypid IN (1082, 1083, 1114, 1184, 1266) AS is_time, " IS_NUMBERED                   \
	" AS is_numbered, d.expression FROM pg_catalog.unnest($2::pg_catalog.text[])"              \
	" WITH ORDINALITY AS k (name, place) JOIN pg_catalog.pg_attribute a"                       \
	" ON a.attrelid = $1::pg_catalog.oid AND a.attname = k.name LEFT JOIN " DEFAULT_OF

/* The place after which further columns order nothing: up to there are the columns of a unique key.
 */
#define UNIQUE_UP_TO                                                                               \
	"SELECT pg_catalog.min(u.place) FROM (SELECT CASE WHEN pg_catalog.bool_and("               \
	"c.attnotnull IS TRUE) THEN pg_catalog.max(c.place) END"                                   \
	" FROM pg_catalog.pg_index i CROSS JOIN LATERAL pg_catalog.unnest("                        \
	"(i.indkey::pg_catalog.int2[])[0:i.indnkeyatts - 1]) AS k (attnum)"                        \
	" LEFT JOIN c ON c.attnum = k.attnum WHERE i.indrelid = $1::pg_catalog.oid"                \
	" AND i.indisunique AND i.indisvalid AND i.indpred IS NULL"                                \
	" GROUP BY i.indexrelid) AS u (place)"

/* What the default of a column means for the order: a pattern, and what to say of such values.  The
 * first one that matches applies. */
#define DEFAULTS                                                                                   \
	"(VALUES (1, '(^|\\W)(now|transaction_timestamp)\\(|CURRENT_|LOCALTIME',"                  \
	" 'is the time at which its transaction began'),"                                          \
	" (2, 'statement_timestamp\\(', 'is the time at which its statement arrived'),"            \
	" (3, 'clock_timestamp\\(|timeofday\\(|uuidv7|uuid_v7|uuid_generate_v[17]|ulid',"          \
	" 'is the time of a clock, which may be set back'),"                                       \
	" (4, 'gen_random_uuid\\(|uuid_generate_v4\\(|uuidv4\\(|random\\(', 'is random'))"

/* A column to be made.  A partition has those of its partitioned table; inherited tables have no
 * identity, partitioned ones since PostgreSQL 17. */
#define NEW_COLUMN                                                                                 \
	"(SELECT CASE WHEN t.relkind NOT IN ('r', 'p') THEN"                                       \
	" 'order_by needs a column that a sequence numbers' ELSE pg_catalog.format("               \
	"CASE WHEN t.relhassubclass AND t.relkind = 'r' OR t.relkind = 'p'"                        \
	" AND pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 170000"          \
	" THEN 'ALTER TABLE %1$s ADD %2$s bigserial; order_by = ( \"%2$s\" ); roles that insert"   \
	" need USAGE on its sequence'"                                                             \
	" ELSE 'ALTER TABLE %1$s ADD %2$s bigint GENERATED ALWAYS AS IDENTITY%3$s;"                \
	" order_by = ( \"%2$s\" )' END, t.oid::pg_catalog.regclass,"                               \
	" (SELECT n.name FROM (SELECT i, CASE i WHEN 1 THEN 'position' ELSE 'position_' || i END"  \
	" FROM pg_catalog.generate_series(1, 1700) AS i) AS n (i, name)"                           \
	" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute o"                                 \
	" WHERE o.attrelid = t.oid AND o.attname = n.name) ORDER BY n.i LIMIT 1),"                 \
	" CASE t.relkind WHEN 'r' THEN ' UNIQUE' ELSE '' END) END"                                 \
	" FROM pg_catalog.pg_class t WHERE t.oid = COALESCE(pg_catalog.pg_partition_root("         \
	"$1::pg_catalog.oid::pg_catalog.regclass), $1::pg_catalog.oid))"

/* Columns of order_by that may be NULL: such signals do not have a place of their own. */
static bool check_order_nulls(struct examination *x, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.format('table %1$s: column %2$I of order_by may be NULL, and"
		" NULL sorts after all values; ALTER TABLE %1$s ALTER %2$I SET NOT NULL',"
		" $1::pg_catalog.regclass, c.attname) FROM (" ORDER_COLUMNS
		") AS c WHERE NOT c.attnotnull ORDER BY c.place";
	return check_warn(x, sql, columns_of(x->model, x->model->settings->order_by.count), e);
}

/* Orders that are none, since signals that sort first may be inserted last.  A sequence ends the
 * search: columns before it that the application sets are taken for groups, each of which is in
 * order, unless they are times. */
bool check_order(struct examination *x, struct error *e)
{
	static const char sql[] =
		"WITH c AS (" ORDER_COLUMNS "), numbered AS ("
		"SELECT pg_catalog.min(c.place) AS place FROM c"
		" WHERE c.is_numbered AND c.attnotnull), remedy AS (SELECT COALESCE("
		"(SELECT pg_catalog.format('order_by = ( \"%s\" )', a.attname)"
		" FROM pg_catalog.pg_attribute a LEFT JOIN " DEFAULT_OF
		" WHERE a.attrelid = $1::pg_catalog.oid AND a.attnotnull AND " IS_NUMBERED
		" ORDER BY a.attnum LIMIT 1)," NEW_COLUMN ") AS text),"
		" found AS (SELECT c.*, (SELECT k.says FROM " DEFAULTS
		" AS k (number, pattern, says) WHERE c.expression ~ k.pattern"
		" ORDER BY k.number LIMIT 1) AS says FROM c)"
		" SELECT pg_catalog.format('table %s: column %I of the order %s: a signal that is"
		" committed late is sent out of order; %s',"
		" $1::pg_catalog.regclass, f.attname, COALESCE(f.says || pg_catalog.format("
		"' (DEFAULT %s)', f.expression), 'has no default, so ' || CASE WHEN EXISTS (SELECT"
		" FROM pg_catalog.pg_trigger g WHERE g.tgrelid = $1::pg_catalog.oid AND NOT"
		" g.tgisinternal AND g.tgtype & 7 = 7) THEN 'a trigger or ' ELSE '' END ||"
		" 'the application sets it'),"
		" r.text) FROM found f CROSS JOIN remedy r CROSS JOIN numbered n"
		" WHERE NOT f.is_numbered AND NOT f.is_generated AND (f.says IS NOT NULL"
		"  OR f.expression IS NULL AND (n.place IS NULL OR f.is_time))"
		" AND f.place <= COALESCE(LEAST(n.place, (" UNIQUE_UP_TO ")), f.place)"
		" ORDER BY f.place";
	const struct model *m = x->model;
	if (!x->fits || m->settings->order_by.count == 0)
		return true;
	return check_warn(x, sql, columns_of(m, m->order_count), e) && check_order_nulls(x, e);
}

/* The sequences s that number columns a in the array $2. */
#define SEQUENCES                                                                                  \
	" FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef f"                        \
	" ON f.adrelid = a.attrelid AND f.adnum = a.attnum"                                        \
	" JOIN pg_catalog.pg_depend d ON d.classid = 'pg_class'::pg_catalog.regclass"              \
	"  AND d.refclassid = 'pg_class'::pg_catalog.regclass"                                     \
	"  AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'i'"           \
	" OR d.classid = 'pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid"                    \
	"  AND d.refclassid = 'pg_class'::pg_catalog.regclass"                                     \
	" JOIN pg_catalog.pg_sequence s ON s.seqrelid IN (d.objid, d.refobjid)"                    \
	" WHERE a.attrelid = $1::pg_catalog.oid AND a.attname = ANY ($2::pg_catalog.text[])"
#define A_SEQUENCE                                                                                 \
	"SELECT DISTINCT pg_catalog.format('table %1$s: sequence %2$s, which numbers the column"   \
	" %3$I of order_by, "
#define ITS_NAMES                                                                                  \
	"', $1::pg_catalog.regclass, s.seqrelid::pg_catalog.regclass, a.attname, s.seqcache)"

/* The columns of order_by that are ascending, or descending, as an array literal. */
static char *columns_in(const struct model *m, bool descending)
{
	struct text columns = { 0 };
	for (size_t i = 0; i < m->settings->order_by.count; i++)
		if (m->order[i].descending == descending)
			sql_array_add(&columns, m->columns[m->order[i].column].name);
	if (columns.length == 0)
		return text_copy("{}");
	sql_array_end(&columns);
	return columns.text;
}

/* Sequences that do not count in the order, or preallocate several numbers for a session: barrier.h
 * says why that matters. */
bool check_sequences(struct examination *x, struct error *e)
{
	static const char cache[] =
		A_SEQUENCE "has CACHE %4$s, so signals may be inserted in a different order than"
			   " they are numbered; ALTER SEQUENCE %2$s CACHE 1" ITS_NAMES SEQUENCES
			   " AND s.seqcache > 1";
	static const char cycle[] =
		A_SEQUENCE "has CYCLE, so signals are sent out of order when it starts again;"
			   " ALTER SEQUENCE %2$s NO CYCLE" ITS_NAMES SEQUENCES " AND s.seqcycle";
	static const char down[] = A_SEQUENCE "counts down, so later signals are sent first;"
					      " order_by = ( \"%3$s DESC\" )" ITS_NAMES SEQUENCES
					      " AND s.seqincrement < 0";
	static const char up[] =
		A_SEQUENCE "counts up, and with DESC later signals are sent first;"
			   " order_by = ( \"%3$s\" )" ITS_NAMES SEQUENCES " AND s.seqincrement > 0";
	if (!x->fits)
		return true;
	char *ascending = columns_in(x->model, false), *descending = columns_in(x->model, true);
	char *all = columns_of(x->model, x->model->settings->order_by.count);
	bool ok = check_ask(x, (struct question){ cache, all, check_warning }, e) &&
		  check_ask(x, (struct question){ cycle, all, check_warning }, e) &&
		  check_ask(x, (struct question){ down, ascending, check_warning }, e) &&
		  check_ask(x, (struct question){ up, descending, check_warning }, e);
	free(ascending);
	free(descending);
	free(all);
	return ok;
}

/* Somebody who has the lock of the order, without sending in order. */
bool check_order_lock(struct examination *x, struct error *e)
{
	if (!x->fits || x->model->settings->order_by.count == 0)
		return true;
	char *name = catalog_ordered_lock(x->config, x->model);
	char *what = text_format("table %s", x->model->relation);
	const struct advisory_lock lock = { name, what, x->model->relation };
	catalog_say_lock_holder(x->db, lock, check_deadline(x->config), e);
	if (e->kind == ERROR_LOCKED)
		check_problem(x, e->text);
	free(what);
	free(name);
	return e->kind != ERROR_CONNECTION;
}
