#include "catalog/catalog.h"

#include "base/limits.h"
#include "base/stop.h"
#include "base/text.h"
#include "model/sql.h"
#include "model/triggers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A model that is being checked. */
struct examination {
	struct db *db;
	const struct config *config;
	struct check_report *findings;
	struct model *model;
	struct problems mistakes;
	char *oid;       /* of its table */
	bool is_visible; /* USAGE on its schema */
	bool fits;       /* the settings match the table */
	bool can_claim;
	struct error refusal; /* of a statement that sending needs; or ERROR_NONE */
	size_t problems;      /* that were found earlier */
};

static struct instant deadline_of(const struct config *config)
{
	return instant_after(clock_now(), limit_answer(config->timeout));
}

static bool query(struct examination *x, struct db_call call, struct error *e)
{
	return db_call(x->db, call, deadline_of(x->config), e);
}

static void problem(struct examination *x, const char *text)
{
	report_problem(x->findings, x->model->settings->name, text);
}

static void warning(struct examination *x, const char *text)
{
	report_warning(x->findings, x->model->settings->name, text);
}

/* Execute a statement about the table, $1, and something else, $2, that returns a line for each
 * problem. */
static bool report_lines(struct examination *x, const char *sql, const char *parameter,
	void (*report)(struct examination *, const char *), struct error *e)
{
	struct rows *rows;
	const char *const values[] = { x->oid, parameter };
	struct db_call call = { .sql = sql, .values = values, .value_count = 2, .rows = &rows };
	if (!query(x, call, e))
		return false;
	for (size_t i = 0; i < rows_count(rows); i++)
		report(x, rows_value(rows, i, 0));
	rows_free(rows);
	return true;
}

/* Find the table even if the user has no privilege on its schema, to name the schema.  This is only
 * possible for a qualified name; catalog_examine() validates the name. */
static bool find_table(struct examination *x, struct error *e)
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
	const char *name = x->model->settings->table;
	x->is_visible = true;
	if (!catalog_find_table(x->db, name, deadline_of(x->config), &x->oid, e) &&
		e->kind == ERROR_CONNECTION)
		return false;
	const char *const values[] = { name, x->oid };
	struct db_call call = { .sql = sql, .values = values, .value_count = 2, .rows = &rows };
	bool ok = query(x, call, e);
	free(x->oid);
	x->oid = NULL;
	if (!ok)
		return e->kind != ERROR_CONNECTION;
	if (rows_count(rows) == 1) {
		x->oid = text_copy(rows_value(rows, 0, 0));
		x->is_visible = rows_value(rows, 0, 1)[0] == 't';
	}
	rows_free(rows);
	return true;
}

/* Whether settings and table match. */
static bool check_settings(struct examination *x, struct error *e)
{
	if (!x->is_visible)
		return true;
	if (!catalog_examine(x->db, x->model, deadline_of(x->config), e))
		return false;
	for (size_t i = 0; i < x->mistakes.count; i++)
		problem(x, x->mistakes.lines[i]);
	x->fits = x->mistakes.count == 0;
	return true;
}

/* Whether the plan sorts rows.  An incremental sort does not count. */
static bool plan_sorts(const struct rows *plan)
{
	for (size_t i = 0; i < rows_count(plan); i++) {
		const char *line = rows_value(plan, i, 0);
		line += strspn(line, " ->");
		if (strcmp(line, "Sort") == 0)
			return true;
	}
	return false;
}

/* Plan a statement, which also shows whether the user may execute it.  A refusal goes to e.  The
 * planner only sorts if there is no other way. */
static bool explain(
	struct examination *x, char *sql, struct db_call call, bool *sorts, struct error *e)
{
	static const char planner[] = "SELECT pg_catalog.set_config(name, setting, true) FROM "
				      "(VALUES ('enable_sort', 'off'),"
				      " ('max_parallel_workers_per_gather', '0'))"
				      " AS s (name, setting)";
	struct rows *plan;
	char *explained = text_format("EXPLAIN (COSTS OFF) %s", sql);
	call.sql = explained;
	call.rows = &plan;
	const struct db_call calls[] = { { .sql = planner }, db_role_path(x->db), call };
	bool ok = db_run(x->db, calls, 3, deadline_of(x->config), e);
	if (ok && sorts != NULL)
		*sorts = plan_sorts(plan);
	rows_free(plan);
	free(explained);
	free(sql);
	return ok;
}

static void warn_of_sort(struct examination *x)
{
	char *remedy = sql_order_index(x->model);
	char *text = text_format("table %s: no index serves the order, so the server sorts the "
				 "table for every burst; %s",
		x->model->relation, remedy);
	warning(x, text);
	free(text);
	free(remedy);
}

/* Record a refusal for check_refusal(), and continue. */
static bool is_refused(struct examination *x, const struct error *e)
{
	x->refusal = *e;
	catalog_say_holder(x->db, x->model->settings->table, deadline_of(x->config), &x->refusal);
	return e->kind != ERROR_CONNECTION;
}

/* Whether the server accepts the claim statement. */
static bool check_claim(struct examination *x, struct error *e)
{
	if (!x->fits)
		return true;
	const struct model_config *c = x->model->settings;
	enum claim_kind kind = c->order_by.count > 0 ? CLAIM_ORDERED : CLAIM_FIRST;
	bool sorts = false;
	x->can_claim = explain(x, sql_claim(x->model, kind, (size_t)c->burst_count, false),
		(struct db_call){ 0 }, &sorts, e);
	if (sorts)
		warn_of_sort(x);
	return x->can_claim || is_refused(x, e);
}

static bool check_delete(struct examination *x, struct error *e)
{
	static const char *const values[] = { "{}", "0" };
	const struct db_call call = { .values = values, .value_count = 2 };
	if (!x->fits)
		return true;
	return explain(x, sql_delete(x->model), call, NULL, e) || is_refused(x, e);
}

/* Foreign keys that refer to the table, or to one that inherits from it, and prevent a signal from
 * being deleted while rows refer to it.  Rows of signal tables must not be deleted along with it.
 */
static bool check_foreign_keys(struct examination *x, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.format('table %1$s: rows of table %2$s may refer to a signal,"
		" which then cannot be deleted and is not sent, because of the foreign key %3$I;"
		" ALTER TABLE %2$s DROP CONSTRAINT %3$I' || CASE WHEN " SQL_IS_SIGNAL_TABLE(
			"k.conrelid") " OR k.conrelid IN (" SQL_FAMILY " SELECT family.oid FROM "
				      "family)"
				      " THEN '' ELSE ', ADD CONSTRAINT %3$I %4$s' END, "
				      "k.confrelid::"
				      "pg_catalog.regclass, k.conrelid::pg_catalog.regclass, "
				      "k.conname,"
				      " pg_catalog.regexp_replace(pg_catalog.replace(pg_catalog.pg_"
				      "get_constraintdef("
				      "k.oid), ' ON DELETE RESTRICT', ''),"
				      " '^(.*?)( DEFERRABLE)?( INITIALLY DEFERRED)?( NOT VALID)?$',"
				      " '\\1 ON DELETE CASCADE\\2\\3\\4'))"
				      " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_constraint k "
				      "ON k.confrelid IN "
				      "(" SQL_FAMILY " SELECT family.oid FROM family)"
				      " WHERE c.oid = $1::pg_catalog.oid AND k.contype = 'f'"
				      " AND k.confdeltype IN ('a', 'r') AND k.conparentid = 0 "
				      "ORDER BY k.oid";
	char *signals = catalog_signal_tables(x->config);
	bool ok = report_lines(x, sql, signals, warning, e);
	free(signals);
	return ok;
}

/* $2: claims work, so SELECT on some columns is enough. */
static bool check_privileges(struct examination *x, struct error *e)
{
	static const char sql[] =
		"WITH o AS (SELECT c.oid AS oid, n.oid AS schema_oid,"
		"  pg_catalog.format('%I', n.nspname) AS s, pg_catalog.format('%I.%I', n.nspname, "
		"c.relname) AS t,"
		"  pg_catalog.format('%I', current_user) AS u,"
		"  (SELECT pg_catalog.format('%I', a.attname) FROM pg_catalog.pg_attribute a"
		"  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
		"  ORDER BY a.attnum LIMIT 1) AS a"
		" FROM pg_catalog.pg_class c"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		" WHERE c.oid = $1::pg_catalog.oid AND c.relkind IN ('r', 'p'))"
		" SELECT line FROM o CROSS JOIN LATERAL (VALUES"
		" (1, pg_catalog.has_schema_privilege(schema_oid, 'USAGE'),"
		"  pg_catalog.format('schema %s: user %s may not use it;"
		" GRANT USAGE ON SCHEMA %s TO %s', s, u, s, u)),"
		" (2, $2 OR pg_catalog.has_table_privilege(o.oid, 'SELECT'),"
		"  pg_catalog.format('table %s: user %s may not SELECT; GRANT SELECT ON %s TO %s',"
		" t, u, t, u)),"
		" (3, pg_catalog.has_table_privilege(o.oid, 'DELETE'),"
		"  pg_catalog.format('table %s: user %s may not DELETE; GRANT DELETE ON %s TO %s',"
		" t, u, t, u)),"
		" (4, pg_catalog.has_any_column_privilege(o.oid, 'UPDATE'),"
		"  pg_catalog.format('table %s: user %s may not UPDATE any column, so it cannot "
		"lock rows;"
		" GRANT UPDATE (%s) ON %s TO %s', t, u, a, t, u)),"
		" (5, NOT pg_catalog.row_security_active(o.oid),"
		"  pg_catalog.format('table %s: row level security applies to user %s and may hide "
		"signals;"
		" ALTER ROLE %s BYPASSRLS', t, u, u)))"
		" AS privilege (place, is_there, line) WHERE NOT is_there ORDER BY place";
	return report_lines(x, sql, x->can_claim ? "t" : "f", problem, e);
}

/* Sequences that preallocate several numbers for a session: barrier.h says why that matters.  $2:
 * the columns of the order. */
static bool check_sequences(struct examination *x, struct error *e)
{
	static const char sql[] =
		"SELECT DISTINCT pg_catalog.format('table %s: sequence %s, which numbers the "
		"column %I of"
		" order_by, has CACHE %s, so signals may be inserted in a different order than "
		"they are numbered; ALTER SEQUENCE %s CACHE 1',"
		"  $1::pg_catalog.regclass, s.seqrelid::pg_catalog.regclass, a.attname, s.seqcache,"
		"  s.seqrelid::pg_catalog.regclass)"
		" FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef f"
		" ON f.adrelid = a.attrelid AND f.adnum = a.attnum"
		" JOIN pg_catalog.pg_depend d"
		" ON d.classid = 'pg_class'::pg_catalog.regclass AND d.refclassid = "
		"'pg_class'::pg_catalog.regclass"
		"  AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'i'"
		" OR d.classid = 'pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid"
		"  AND d.refclassid = 'pg_class'::pg_catalog.regclass"
		" JOIN pg_catalog.pg_sequence s ON s.seqrelid IN (d.objid, d.refobjid)"
		" WHERE a.attrelid = $1::pg_catalog.oid AND a.attname = ANY "
		"($2::pg_catalog.text[]) AND s.seqcache > 1";
	const struct model *m = x->model;
	if (!x->fits)
		return true;
	struct text columns = { 0 };
	for (size_t i = 0; i < m->order_count && i < m->settings->order_by.count; i++)
		sql_array_add(&columns, m->columns[m->order[i].column].name);
	sql_array_end(&columns);
	bool ok = report_lines(x, sql, columns.text, warning, e);
	text_free(&columns);
	return ok;
}

/* The trigger that wakes the daemon: $2 is the channel, NULL if it needs none. */
static bool check_trigger(struct examination *x, struct error *e)
{
	static const char sql[] =
		"WITH found AS (" TRIGGERS_FOUND ") SELECT foreign_owner FROM found"
		" WHERE foreign_owner IS NOT NULL UNION ALL"
		" SELECT pg_catalog.format(CASE WHEN EXISTS (SELECT FROM found)"
		"  THEN 'table %s: its trigger does not notify channel %L'"
		"  ELSE 'table %s: no trigger notifies channel %L' END"
		"  || ', so the daemon finds signals only by polling (poll_interval);"
		" signalbus triggers | psql', $1::pg_catalog.regclass, $2)"
		" WHERE $2 IS NOT NULL AND NOT EXISTS (SELECT FROM found WHERE is_heard)";
	const char *channel = x->config->notify_channel;
	bool is_needed =
		x->config->autoflush && x->model->settings->autoflush && channel[0] != '\0';
	return report_lines(x, sql, is_needed ? channel : NULL, warning, e);
}

/* $2: the dead letter table. */
static bool check_dead_letters(struct examination *x, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.format('table %s: user %I may not INSERT dead letters;"
		" GRANT INSERT ON %s TO %I', d, current_user, d, current_user)"
		" FROM pg_catalog.to_regclass($2) AS d"
		" WHERE $1::pg_catalog.oid IS NOT NULL AND NOT pg_catalog.has_table_privilege(d, "
		"'INSERT')";
	if (x->model->dead_letters == NULL)
		return true;
	return report_lines(x, sql, x->model->dead_letters, problem, e);
}

/* What the server refuses for reasons that check_privileges() does not report better. */
static bool check_refusal(struct examination *x, struct error *e)
{
	(void)e;
	if (x->refusal.kind != ERROR_NONE && x->findings->problems == x->problems)
		problem(x, x->refusal.text);
	return true;
}

/* The checks of each model, in this order.  A check with is_in is omitted if there is no table. */
static const struct {
	bool (*check)(struct examination *x, struct error *e);
	bool is_in;
} checks[] = {
	{ find_table, false },
	{ check_settings, false },
	{ check_claim, true },
	{ check_delete, true },
	{ check_foreign_keys, true },
	{ check_privileges, true },
	{ check_dead_letters, true },
	{ check_refusal, true },
	{ check_sequences, true },
	{ check_trigger, true },
};

bool catalog_check(struct db *db, const struct config *config, size_t index, struct check_report *f,
	struct error *e)
{
	struct examination x = {
		.db = db, .config = config, .findings = f, .problems = f->problems
	};
	bool ok = true;
	x.model = model_new(config, index);
	x.model->mistakes = &x.mistakes;
	for (size_t i = 0; ok && !stop_requested() && i < sizeof checks / sizeof checks[0]; i++)
		if (x.oid != NULL || !checks[i].is_in)
			ok = checks[i].check(&x, e);
	if (!ok)
		catalog_say_holder(db, x.model->settings->table, deadline_of(config), e);
	model_free(x.model);
	problems_free(&x.mistakes);
	free(x.oid);
	return ok;
}

/* $1: how many connections the daemon opens. */
static const char database_sql[] =
	"SELECT f.is_problem, f.line FROM pg_catalog.pg_roles r JOIN pg_catalog.pg_database d"
	" ON d.datname = pg_catalog.current_database() CROSS JOIN LATERAL (VALUES"
	" (true, pg_catalog.current_setting('transaction_read_only') = 'on',"
	"  'database: the session is read-only; connect to the primary "
	"(target_session_attrs=read-write), as a user whose default_transaction_read_only is off'),"
	" (false, NOT r.rolsuper AND r.rolconnlimit BETWEEN 0 AND $1::pg_catalog.int4 - 1,"
	"  pg_catalog.format('database: role %I may have %s connections, and the daemon opens %s "
	"(workers, and one each to listen and to count); ALTER ROLE %I CONNECTION LIMIT %s',"
	"  r.rolname, r.rolconnlimit, $1, r.rolname, $1)),"
	" (false, NOT r.rolsuper AND d.datconnlimit BETWEEN 0 AND $1::pg_catalog.int4 - 1,"
	"  pg_catalog.format('database: database %I allows %s connections, and the daemon opens %s "
	"(workers, and one each to listen and to count); ALTER DATABASE %I CONNECTION LIMIT %s',"
	"  d.datname, d.datconnlimit, $1, d.datname, $1)),"
	/* Whether a standby is synchronous only pg_monitor sees. */
	" (false, pg_catalog.current_setting('synchronous_standby_names') <> ''"
	"  AND pg_catalog.current_setting('synchronous_commit') NOT IN ('off', 'local')"
	"  AND (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication s"
	"   WHERE COALESCE(s.sync_state IN ('sync', 'quorum'), true)) < COALESCE("
	"   (SELECT m.number[1]::pg_catalog.int4 FROM pg_catalog.regexp_matches("
	"    pg_catalog.current_setting('synchronous_standby_names'),"
	"    '^\\s*(?:first\\s+|any\\s+)?(\\d+)\\s*\\(', 'i') AS m (number)), 1),"
	"  pg_catalog.format('database: too few standbys are connected for "
	"synchronous_standby_names"
	" = %L, so each commit waits until it is cancelled; start them, or ALTER ROLE %I SET"
	" synchronous_commit = local',"
	"  pg_catalog.current_setting('synchronous_standby_names'), r.rolname)))"
	" AS f (is_problem, is_so, line) WHERE r.rolname = CURRENT_USER AND f.is_so";

bool catalog_check_database(
	struct db *db, const struct config *config, struct check_report *f, struct error *e)
{
	char wanted[32];
	snprintf(wanted, sizeof wanted, "%lld",
		config->workers + (config->notify_channel[0] != '\0') + 1);
	const char *const values[] = { wanted };
	struct rows *rows;
	struct db_call call = {
		.sql = database_sql, .values = values, .value_count = 1, .rows = &rows
	};
	if (!db_call(db, call, deadline_of(config), e))
		return false;
	for (size_t i = 0; i < rows_count(rows); i++)
		(rows_value(rows, i, 0)[0] == 't' ? report_problem : report_warning)(
			f, NULL, rows_value(rows, i, 1));
	rows_free(rows);
	return true;
}
