#include "catalog/catalog_check_internal.h"

#include "base/text.h"
#include "model/sql.h"
#include "model/triggers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A backlog of this many signals takes long, one by one; and how fast they may go then. */
#define BACKLOG_MIN     1000
#define BACKLOG_COUNTED 1000000
#define BACKLOG_RATE    100

/* More dead rows than this slow claims down noticeably. */
#define DEAD_ROWS_MAX "100000"

/* Foreign keys that refer to the table, or to one that inherits from it, and prevent a signal from
 * being deleted while rows refer to it.  Rows of signal tables must not be deleted along with it.
 */
bool check_foreign_keys(struct examination *x, struct error *e)
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
	return check_warn(x, sql, catalog_signal_tables(x->config), e);
}

/* The trigger that wakes the daemon: $2 is the channel, NULL if it needs none. */
bool check_trigger(struct examination *x, struct error *e)
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
	if (!is_needed)
		channel = NULL;
	return check_ask(x, (struct question){ sql, channel, check_warning }, e);
}

/* Publications with which the server refuses to delete.  $2: whether signals can be claimed. */
bool check_replica_identity(struct examination *x, struct error *e)
{
	static const char sql[] = SQL_FAMILY_OF_1
		" SELECT pg_catalog.format('table %1$s: it has no replica identity, so signals"
		" cannot be deleted while publication %2$I publishes that; ALTER TABLE %1$s"
		" REPLICA IDENTITY DEFAULT', c.oid::pg_catalog.regclass, pg_catalog.min(p.pubname"
		"::pg_catalog.text)) FROM family JOIN pg_catalog.pg_class c ON c.oid = family.oid"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		" JOIN pg_catalog.pg_publication_tables t"
		" ON t.schemaname = n.nspname AND t.tablename = c.relname"
		" JOIN pg_catalog.pg_publication p ON p.pubname = t.pubname AND p.pubdelete"
		" WHERE c.relreplident = 'n' AND $2 GROUP BY c.oid ORDER BY c.oid";
	const char *can_claim = x->can_claim ? "t" : "f";
	return check_ask(x, (struct question){ sql, can_claim, check_problem }, e);
}

/* $2: the dead letter table. */
bool check_dead_letters(struct examination *x, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.format('table %s: user %I lacks INSERT, which dead letters need;"
		" GRANT INSERT ON %s TO %I', d, current_user, d, current_user)"
		" FROM pg_catalog.to_regclass($2) AS d"
		" WHERE $1::pg_catalog.oid IS NOT NULL AND NOT pg_catalog.has_table_privilege(d, "
		"'INSERT')";
	static const char command_sql[] =
		"SELECT pg_catalog.format('table %s: user %I lacks %s, which"
		" \"signalbus dead-letters\" needs; GRANT %3$s ON %1$s TO %2$I', d, "
		"CURRENT_USER,"
		" pg_catalog.string_agg(p.name, ', ' ORDER BY p.name DESC))"
		" FROM pg_catalog.to_regclass($2) AS d, (VALUES ('SELECT'), ('DELETE')) AS p (name)"
		" WHERE $1::pg_catalog.oid IS NOT NULL"
		" AND NOT pg_catalog.has_table_privilege(d, p.name) GROUP BY d";
	if (x->model->dead_letters == NULL)
		return true;
	const char *table = x->model->dead_letters;
	return check_ask(x, (struct question){ sql, table, check_problem }, e) &&
	       check_ask(x, (struct question){ command_sql, table, check_warning }, e);
}

/* Whether two names of tables end alike, so that they may mean the same one. */
static bool ends_alike(const char *a, const char *b)
{
	const char *end_a = strrchr(a, '.'), *end_b = strrchr(b, '.');
	a = end_a != NULL ? end_a + 1 : a;
	b = end_b != NULL ? end_b + 1 : b;
	for (;; a++, b++) {
		a += strspn(a, "\"");
		b += strspn(b, "\"");
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (*a == '\0')
			return true;
	}
}

static bool is_same_table(struct examination *x, const struct model_config *other)
{
	char *oid = NULL;
	struct error ignored; /* what is wrong with the other model is reported with it */
	bool is_same = ends_alike(x->model->settings->table, other->table) &&
		       catalog_find_table(
			       x->db, other->table, check_deadline(x->config), &oid, &ignored) &&
		       oid != NULL && strcmp(oid, x->table.oid) == 0;
	free(oid);
	return is_same;
}

/* Whether another model reads rows of this one.  If two conditions differ, nobody can tell. */
static bool shares_rows(struct examination *x, const struct model_config *other)
{
	const char *where = x->model->settings->where;
	bool may_differ = where != NULL && other->where != NULL && strcmp(where, other->where) != 0;
	return !may_differ && is_same_table(x, other);
}

/* Later models that read the same rows: the first of them, and how many more. */
bool check_shared_rows(struct examination *x, struct error *e)
{
	const struct model_config *own = x->model->settings, *first = NULL;
	size_t more = 0;
	for (size_t i = x->model->index + 1; i < x->config->model_count; i++)
		if (shares_rows(x, &x->config->models[i])) {
			more += first != NULL;
			first = first != NULL ? first : &x->config->models[i];
		}
	const char *table = x->model->relation != NULL ? x->model->relation : own->table;
	char *text = NULL;
	if (more > 0)
		text = text_format("table %s: model \"%s\" and %zu more read the same rows, and "
				   "each of them is sent by only one of the models; set where in "
				   "all of them, or remove all but one",
			table, first->name, more);
	else if (first != NULL)
		text = text_format("table %s: model \"%s\" reads the same rows, and each of "
				   "them is sent by only one of the two models; set where in "
				   "both, or remove one",
			table, first->name);
	if (text != NULL)
		check_warning(x, text);
	free(text);
	(void)e; /* if the session is lost, the next check says so */
	return true;
}

/* Whoever owns the table decides, by its triggers, what the role that deletes signals executes, and
 * the role that logged in (SET ROLE NONE). */
bool check_owner(struct examination *x, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.format('table %s: its owner %s can execute any code as role %I,"
		" by a trigger, and that role owns %s%s; connect as a role that owns nothing else',"
		" c.oid::pg_catalog.regclass, c.relowner::pg_catalog.regrole, r.rolname,"
		" own.name, CASE WHEN own.owner <> r.oid THEN pg_catalog.format("
		"', as a member of %s', own.owner::pg_catalog.regrole) END)"
		" FROM pg_catalog.pg_class c"
		" JOIN pg_catalog.pg_roles r ON r.rolname IN (CURRENT_USER, SESSION_USER)"
		" CROSS JOIN LATERAL ("
		"SELECT o.oid::pg_catalog.regclass::pg_catalog.text AS name, o.relowner AS owner"
		" FROM pg_catalog.pg_class o JOIN pg_catalog.pg_roles w ON w.oid = o.relowner"
		" WHERE NOT w.rolsuper AND pg_catalog.pg_has_role(r.oid, w.oid, 'MEMBER')"
		" AND NOT pg_catalog.pg_has_role(c.relowner, w.oid, 'MEMBER')"
		" AND o.relkind IN ('r', 'p', 'v', 'm', 'f') AND o.relname <> 'signalbus_paused'"
		" AND NOT " SQL_IS_SIGNAL_TABLE(
			"o.oid") " ORDER BY o.relowner <> r.oid, name LIMIT 1) AS own"
				 " WHERE c.oid = $1::pg_catalog.oid AND NOT r.rolsuper"
				 " ORDER BY r.rolname <> CURRENT_USER LIMIT 1";
	return check_warn(x, sql, catalog_signal_tables(x->config), e);
}

/* Transactions of others that were prepared and forgotten; $2: how the names of those of the
 * instance begin, which catalog_check_database.c reports. */
bool check_prepared(struct examination *x, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.format('table %s: the prepared transaction %L, of role %I, of"
		" %s, has locks on it, so signals may wait for it; COMMIT PREPARED %2$L or"
		" ROLLBACK PREPARED %2$L', c.oid::pg_catalog.regclass, p.gid, p.owner,"
		" pg_catalog.date_trunc('second', p.prepared))"
		" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_prepared_xacts p"
		" ON p.database = pg_catalog.current_database()"
		" AND p.prepared < pg_catalog.now() - '5 minutes'::pg_catalog.interval"
		" AND NOT pg_catalog.starts_with(p.gid, $2)"
		" WHERE c.oid = $1::pg_catalog.oid AND EXISTS (SELECT"
		" FROM pg_catalog.pg_locks own JOIN pg_catalog.pg_locks l"
		" ON l.virtualtransaction = own.virtualtransaction AND l.pid IS NULL"
		" WHERE own.pid IS NULL AND own.locktype = 'transactionid'"
		" AND own.transactionid = p.transaction AND l.locktype = 'relation'"
		" AND l.mode <> 'AccessShareLock'"
		" AND l.relation IN (" SQL_FAMILY " SELECT family.oid FROM family))";
	return check_warn(x, sql, text_format("signalbus:%s:", x->config->instance), e);
}

/* A backlog that goes one signal a transaction. */
bool check_backlog(struct examination *x, struct error *e)
{
	struct rows *rows;
	if (!x->can_claim || x->model->settings->burst_count > 1)
		return true;
	char *sql = sql_count_some(x->model, BACKLOG_COUNTED);
	struct db_call call = { .sql = sql, .rows = &rows, .never_null = 1 };
	bool ok = db_call_as_role(x->db, call, check_deadline(x->config), e);
	free(sql);
	if (!ok)
		return e->kind != ERROR_CONNECTION; /* such as an expression that fails */
	unsigned long count = strtoul(rows_value(rows, 0, 0), NULL, 10);
	rows_free(rows);
	if (count < BACKLOG_MIN)
		return true;
	unsigned long seconds = count / BACKLOG_RATE;
	char *text = text_format(
		"table %s: %lu%s signals are pending and burst_count is 1, so each is a "
		"transaction of its own: at %d/s that takes %lu:%02lu:%02lu; set burst_count = 100",
		x->model->relation, count, count == BACKLOG_COUNTED ? " or more" : "", BACKLOG_RATE,
		seconds / 3600, seconds / 60 % 60, seconds % 60);
	check_warning(x, text);
	free(text);
	return true;
}

char *catalog_null_key(struct db *db, const struct model_config *m, struct instant deadline)
{
	static const char sql[] =
		"SELECT pg_catalog.format('column %1$I of table %2$s may be NULL; ALTER TABLE %2$s"
		" ALTER %1$I SET NOT NULL', a.attname, a.attrelid::pg_catalog.regclass)"
		" FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::pg_catalog.oid"
		" AND $2::pg_catalog.text IN (a.attname, pg_catalog.quote_ident(a.attname))"
		" AND NOT a.attnotnull";
	char *oid, *text = NULL;
	struct rows *rows;
	struct error ignored; /* catalog_check() reported it */
	if (m->key == NULL || !db_connected(db) ||
		!catalog_find_table(db, m->table, deadline, &oid, &ignored))
		return NULL;
	const char *const values[] = { oid, m->key };
	struct db_call call = { .sql = sql, .values = values, .value_count = 2, .rows = &rows };
	if (db_call(db, call, deadline, &ignored) && rows_count(rows) > 0)
		text = text_copy(rows_value(rows, 0, 0));
	rows_free(rows);
	free(oid);
	return text;
}

/* Tables from which autovacuum would remove sent signals too late: claims read past them. */
bool check_autovacuum(struct examination *x, struct error *e)
{
	static const char sql[] = SQL_FAMILY_OF_1
		", settings AS (SELECT c.oid, c.reltuples, o.enabled,"
		" COALESCE(o.threshold, pg_catalog.current_setting("
		"'autovacuum_vacuum_threshold'))::pg_catalog.float8"
		" + COALESCE(o.factor, pg_catalog.current_setting("
		"'autovacuum_vacuum_scale_factor'))::pg_catalog.float8"
		" * GREATEST(c.reltuples, 0) AS dead_rows"
		" FROM family JOIN pg_catalog.pg_class c ON c.oid = family.oid AND c.relkind = 'r'"
		" CROSS JOIN LATERAL (SELECT"
		"  pg_catalog.max(v.value) FILTER (WHERE v.name = 'autovacuum_enabled') AS enabled,"
		"  pg_catalog.max(v.value) FILTER (WHERE v.name = 'autovacuum_vacuum_threshold')"
		"   AS threshold,"
		"  pg_catalog.max(v.value) FILTER (WHERE v.name = 'autovacuum_vacuum_scale_factor')"
		"   AS factor FROM pg_catalog.pg_options_to_table(c.reloptions) AS v (name, value))"
		" AS o)"
		" SELECT CASE WHEN s.enabled::pg_catalog.bool IS FALSE THEN"
		" pg_catalog.format('table %1$s: autovacuum is off, so the space of sent signals is"
		" not reused, and claims get slower; ALTER TABLE %1$s RESET (autovacuum_enabled)',"
		" s.oid::pg_catalog.regclass) ELSE"
		" pg_catalog.format('table %1$s: autovacuum begins after %2$s dead rows, so claims"
		" read past as many sent signals; ALTER TABLE %1$s SET ("
		"autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)',"
		" s.oid::pg_catalog.regclass, pg_catalog.round(s.dead_rows)) END"
		" FROM settings s WHERE s.enabled::pg_catalog.bool IS FALSE OR s.dead_rows >"
		" $2::pg_catalog.float8 ORDER BY s.oid";
	return check_ask(x, (struct question){ sql, DEAD_ROWS_MAX, check_warning }, e);
}
