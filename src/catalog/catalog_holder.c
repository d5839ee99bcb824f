#include "catalog/catalog.h"
#include "model/sql.h"

#include <string.h>

/* Who has a table, or one of its children, locked so that nobody can write to it, or waits for such
 * a lock with us waiting for it. */
static bool ask_for_holder(
	struct db *db, const char *table, struct instant deadline, struct rows **rows)
{
	static const char sql[] = SQL_FAMILY_OF_1
		" SELECT l.pid, a.usename, a.application_name, l.mode, pg_catalog.round(EXTRACT("
		"epoch FROM pg_catalog.clock_timestamp() - a.xact_start))"
		" FROM pg_catalog.pg_locks l JOIN family ON family.oid = l.relation"
		" LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
		" WHERE l.locktype = 'relation' AND l.database ="
		" (SELECT d.oid FROM pg_catalog.pg_database d"
		" WHERE d.datname = pg_catalog.current_database())"
		" AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',"
		" 'AccessExclusiveLock') AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()"
		" ORDER BY l.granted DESC, 5 DESC NULLS LAST LIMIT 1";
	const char *const values[] = { table };
	struct db_call call = { .sql = sql, .values = values, .value_count = 1, .rows = rows };
	struct error ignored;
	return db_call(db, call, deadline, &ignored);
}

static const char *value_or(const struct rows *rows, size_t column, const char *otherwise)
{
	const char *value = rows_value(rows, 0, column);
	return value != NULL && value[0] != '\0' ? value : otherwise;
}

void catalog_say_holder(struct db *db, const char *table, struct instant deadline, struct error *e)
{
	struct rows *rows;
	bool waited = strcmp(e->sqlstate, "55P03") == 0 && db_connected(db);
	if (!waited || !ask_for_holder(db, table, deadline, &rows))
		return;
	const char *pid = rows_count(rows) > 0 ? rows_value(rows, 0, 0) : NULL;
	if (pid != NULL)
		error_prefix(e,
			"locked by server process %s (user %s, \"%s\", %s, for %s s; SELECT "
			"pg_terminate_backend(%s) ends it)",
			pid, value_or(rows, 1, "unknown"), value_or(rows, 2, ""),
			value_or(rows, 3, ""), value_or(rows, 4, "some"), pid);
	else if (rows_count(rows) > 0)
		error_prefix(e, "locked by a prepared transaction (see pg_prepared_xacts)");
	rows_free(rows);
}

char *catalog_ordered_lock(const struct config *config, const struct model *m)
{
	return text_format("signalbus ordered %s %s", config->instance, m->scope);
}

char *catalog_slot_lock(const struct config *config, unsigned slot)
{
	return text_format("signalbus slot %s %u", config->instance, slot);
}

/* Of other roles, only members of pg_read_all_stats see where they are, and since when. */
static const char lock_holder_sql[] =
	"SELECT h.is_foreign, h.mode, COALESCE(a.application_name, ''), h.host,"
	" CASE WHEN h.is_foreign THEN pg_catalog.format('an advisory lock of signalbus is %s %s,"
	" which is not a signalbus of this instance: those connect as user %I; %s',"
	" CASE WHEN l.granted THEN 'held by' ELSE 'waited for by' END, CASE WHEN l.pid IS NULL"
	" THEN pg_catalog.format('the prepared transaction %L of user %s', p.gid,"
	" pg_catalog.quote_ident(p.owner))"
	" ELSE pg_catalog.format('server process %s (user %s, \"%s\")', l.pid,"
	" pg_catalog.quote_ident(a.usename), a.application_name) END, SESSION_USER, CASE WHEN "
	"l.pid IS NULL"
	" THEN pg_catalog.format('ROLLBACK PREPARED %L ends it', p.gid)"
	" ELSE pg_catalog.format('SELECT pg_terminate_backend(%s) ends it', l.pid) END) END, l.pid"
	" FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
	" LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid"
	" LEFT JOIN pg_catalog.pg_locks x ON l.pid IS NULL AND x.pid IS NULL"
	"  AND x.virtualtransaction = l.virtualtransaction AND x.locktype = 'transactionid'"
	" LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid"
	" CROSS JOIN LATERAL (SELECT COALESCE(NOT l.granted OR l.pid IS NULL"
	"  OR (a.usename <> SESSION_USER AND NOT (a.application_name ="
	"  pg_catalog.current_setting('application_name') AND (r.rolsuper OR COALESCE("
	"  pg_catalog.has_table_privilege(a.usesysid, pg_catalog.to_regclass($2), 'DELETE'),"
	"  false)))), false) AS is_foreign, CASE WHEN l.mode = 'ShareLock' THEN 'in any order'"
	"  ELSE 'in order' END AS mode, CASE WHEN a.client_addr IS NOT NULL"
	"  THEN pg_catalog.host(a.client_addr) WHEN a.backend_start IS NULL THEN 'a hidden address'"
	"  ELSE 'this host' END AS host) AS h"
	" WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND (l.classid::pg_catalog.int8 << 32"
	" | l.objid::pg_catalog.int8) = " SQL_ADVISORY_KEY
	" AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d"
	" WHERE d.datname = pg_catalog.current_database())"
	" AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()"
	" ORDER BY h.is_foreign DESC, l.granted DESC LIMIT 1";

void catalog_say_lock_holder(
	struct db *db, struct advisory_lock lock, struct instant deadline, struct error *e)
{
	enum { IS_FOREIGN, MODE, APPLICATION, HOST, FOREIGN, PID };
	struct rows *rows = NULL;
	const char *const values[] = { lock.name, lock.table };
	struct db_call call = { .sql = lock_holder_sql,
		.values = values,
		.value_count = 2,
		.rows = &rows,
		.never_null = FOREIGN };
	if (!db_call(db, call, deadline, e))
		/* uncovered: the session is lost at just this call */
		return;
	*e = (struct error){ 0 };
	if (rows_count(rows) > 0 && rows_value(rows, 0, IS_FOREIGN)[0] == 't')
		error_set(e, ERROR_LOCKED, "%s: %s", lock.what, value_or(rows, FOREIGN, ""));
	else if (rows_count(rows) > 0)
		error_set(e, ERROR_BUSY,
			"%s is being flushed %s by another process: server process %s, \"%s\" on "
			"%s; try later",
			lock.what, value_or(rows, MODE, ""), value_or(rows, PID, "unknown"),
			value_or(rows, APPLICATION, "unknown"), value_or(rows, HOST, ""));
	rows_free(rows);
}
