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
