#include "catalog/catalog_check_internal.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

/* $1: how many connections the daemon opens.  Limits and settings are those of the role that logs
 * in, even if one of them is another role. */
static const char database_sql[] =
	"SELECT f.is_problem, f.line FROM pg_catalog.pg_roles r JOIN pg_catalog.pg_database d"
	" ON d.datname = pg_catalog.current_database() CROSS JOIN LATERAL (VALUES"
	" (true, pg_catalog.pg_is_in_recovery()"
	"  OR pg_catalog.current_setting('default_transaction_read_only') = 'on',"
	"  'database: the session is read-only; connect to the primary "
	"(target_session_attrs=read-write), as a user whose default_transaction_read_only is off'),"
	/* The versions of docs/versions.md. */
	" (false, pg_catalog.current_setting('server_version_num')::pg_catalog.int4"
	"  NOT BETWEEN 130000 AND 189999,"
	"  pg_catalog.format('database: signalbus is not tested with PostgreSQL %s, only with 13 to"
	" 18', pg_catalog.current_setting('server_version'))),"
	" (false, pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 140000,"
	"  pg_catalog.format('database: PostgreSQL %s reads past all signals that were sent since "
	"the"
	" last vacuum for each burst, so a backlog is sent at a third of the speed; upgrade it to "
	"14 or"
	" later', pg_catalog.current_setting('server_version'))),"
	" (false, pg_catalog.current_setting('autovacuum') = 'off'"
	"  OR pg_catalog.current_setting('track_counts') = 'off',"
	"  'database: autovacuum is off, so the space of sent signals is not reused, and claims get"
	" slower; ALTER SYSTEM SET autovacuum = on, and track_counts = on'),"
	" (false, NOT r.rolsuper AND r.rolconnlimit BETWEEN 0 AND $1::pg_catalog.int4 - 1,"
	"  pg_catalog.format('database: role %I has CONNECTION LIMIT %s, and the daemon opens %s "
	"connections (workers, and one each to listen and to count); "
	"ALTER ROLE %I CONNECTION LIMIT %s',"
	"  r.rolname, r.rolconnlimit, $1, r.rolname, $1)),"
	" (false, NOT r.rolsuper AND d.datconnlimit BETWEEN 0 AND $1::pg_catalog.int4 - 1,"
	"  pg_catalog.format('database: database %I has CONNECTION LIMIT %s, and the daemon opens "
	"%s connections (workers, and one each to listen and to count); "
	"ALTER DATABASE %I CONNECTION LIMIT %s',"
	"  d.datname, d.datconnlimit, $1, d.datname, $1)),"
	" (false, pg_catalog.current_setting('synchronous_commit') = 'off',"
	"  pg_catalog.format('database: synchronous_commit is off, so after a crash of the server "
	"sent"
	" signals may be there again; ALTER ROLE %I SET synchronous_commit = on', r.rolname)),"
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
	" AS f (is_problem, is_so, line) WHERE r.rolname = SESSION_USER AND f.is_so";

/* Of delivery = "exactly-once".  $1: how many senders the daemon has; $2: how the names of the
 * instance's prepared transactions begin. */
static const char exactly_once_sql[] =
	"SELECT f.is_problem, f.line FROM (VALUES"
	" (true, pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int4 = 0,"
	"  'database: delivery = \"exactly-once\" prepares transactions, and"
	" max_prepared_transactions is 0; ALTER SYSTEM SET max_prepared_transactions = ' ||"
	" GREATEST(2 * $1::pg_catalog.int4, 10) || ', and restart the server'),"
	" (false, pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int4"
	"  BETWEEN 1 AND $1::pg_catalog.int4 - 1,"
	"  pg_catalog.format('database: max_prepared_transactions is %s, and each of the daemon''s "
	"%s"
	" workers prepares one; ALTER SYSTEM SET max_prepared_transactions = %s, and restart the "
	"server',"
	"  pg_catalog.current_setting('max_prepared_transactions'), $1,"
	"  GREATEST(2 * $1::pg_catalog.int4, 10))),"
	" (true, EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts p"
	"  WHERE p.database = pg_catalog.current_database()"
	"  AND pg_catalog.starts_with(p.gid, $2) AND p.owner <> CURRENT_USER"
	"  AND NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER)),"
	"  'database: another role has prepared transactions of this instance, which this one "
	"cannot"
	" end; run \"signalbus recover\" as that role, or use another instance'),"
	" (false, EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts p"
	"  WHERE p.database = pg_catalog.current_database()"
	"  AND pg_catalog.starts_with(p.gid, $2)"
	"  AND p.prepared < pg_catalog.now() - '5 minutes'::pg_catalog.interval),"
	"  'database: transactions of this instance have been prepared for more than five minutes, "
	"and"
	" lock their signals; run \"signalbus recover\"'),"
	" (false, EXISTS (SELECT FROM pg_catalog.pg_proc f WHERE f.proname = 'pg_control_system'"
	"  AND f.pronamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n"
	"   WHERE n.nspname = 'pg_catalog')"
	"  AND NOT pg_catalog.has_function_privilege(f.oid, 'EXECUTE')),"
	"  pg_catalog.format('database: the system identifier of the server may not be read, so a "
	"database of another server with the same name and oid may not be recognized as another; "
	"GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO %I', CURRENT_USER)))"
	" AS f (is_problem, is_so, line) WHERE f.is_so";

/* What has kept vacuum from removing sent signals for an hour.  The times of other users' sessions
 * are visible to pg_read_all_stats only. */
static const char vacuum_sql[] =
	"SELECT false, pg_catalog.format('database: %s holds back vacuum, so claims read past all"
	" signals that were sent since then; %s', h.who, h.remedy) FROM ("
	"SELECT pg_catalog.format('the prepared transaction %L, of %s,', p.gid,"
	" pg_catalog.date_trunc('second', p.prepared)),"
	" pg_catalog.format('COMMIT PREPARED %1$L or ROLLBACK PREPARED %1$L', p.gid)"
	" FROM pg_catalog.pg_prepared_xacts p WHERE p.database = pg_catalog.current_database()"
	" AND p.prepared < pg_catalog.now() - '1 hour'::pg_catalog.interval UNION ALL"
	" SELECT pg_catalog.format('the transaction of server process %s (user %s, \"%s\"), of"
	" %s,', a.pid, a.usename, a.application_name,"
	" pg_catalog.date_trunc('second', a.xact_start)),"
	" pg_catalog.format('SELECT pg_terminate_backend(%s)', a.pid)"
	" FROM pg_catalog.pg_stat_activity a WHERE a.datname = pg_catalog.current_database()"
	" AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL)"
	" AND a.xact_start < pg_catalog.now() - '1 hour'::pg_catalog.interval UNION ALL"
	" SELECT pg_catalog.format('the replication slot %L, which nobody uses,', s.slot_name),"
	" pg_catalog.format('SELECT pg_catalog.pg_drop_replication_slot(%L)', s.slot_name)"
	" FROM pg_catalog.pg_replication_slots s WHERE s.xmin IS NOT NULL AND NOT s.active)"
	" AS h (who, remedy)";

static bool report_rows(struct db *db, struct db_call call, const struct config *config,
	struct check_report *f, struct error *e)
{
	struct rows *rows = NULL;
	call.rows = &rows;
	if (!db_call(db, call, check_deadline(config), e))
		return false;
	for (size_t i = 0; i < rows_count(rows); i++)
		(rows_value(rows, i, 0)[0] == 't' ? report_problem : report_warning)(
			f, NULL, rows_value(rows, i, 1));
	rows_free(rows);
	return true;
}

/* Slots whose senders are gone, which had prepared something, and that somebody else keeps. */
static bool check_slots(
	struct db *db, const struct config *config, struct check_report *f, struct error *e)
{
	static const char sql[] =
		"SELECT DISTINCT m.slot[1] FROM pg_catalog.pg_prepared_xacts p CROSS JOIN LATERAL"
		" pg_catalog.regexp_match(pg_catalog.substr(p.gid, pg_catalog.length($1) + 1),"
		" '^(\\d{1,5}):\\d') AS m (slot) WHERE pg_catalog.starts_with(p.gid, $1)"
		" AND p.database = pg_catalog.current_database() AND m.slot IS NOT NULL";
	char *prefix = text_format("signalbus:%s:", config->instance);
	struct rows *rows = catalog_query(db, check_deadline(config), sql, prefix, e);
	for (size_t i = 0; rows != NULL && i < rows_count(rows) && db_connected(db); i++) {
		unsigned slot = (unsigned)strtoul(rows_value(rows, i, 0), NULL, 10);
		char *name = catalog_slot_lock(config, slot);
		char *what =
			text_format("database: slot %u of instance \"%s\"", slot, config->instance);
		const struct advisory_lock lock = { name, what, NULL };
		catalog_say_lock_holder(db, lock, check_deadline(config), e);
		if (e->kind == ERROR_LOCKED)
			report_problem(f, NULL, e->text);
		free(what);
		free(name);
	}
	rows_free(rows);
	free(prefix);
	return rows != NULL && db_connected(db);
}

/* Whether it can be read what is paused. */
static bool check_pauses(
	struct db *db, const struct config *config, struct check_report *f, struct error *e)
{
	char *oids = catalog_find_signal_tables(db, config, check_deadline(config), e);
	struct rows *tables = oids != NULL ? catalog_pause_tables(db, oids, PAUSES_READ,
						     check_deadline(config), e)
					   : NULL;
	if (tables == NULL && db_connected(db))
		report_problem(f, NULL, e->text);
	rows_free(tables);
	free(oids);
	return db_connected(db);
}

bool catalog_check_database(
	struct db *db, const struct config *config, struct check_report *f, struct error *e)
{
	char wanted[32];
	snprintf(wanted, sizeof wanted, "%lld",
		config->workers + (config->notify_channel[0] != '\0') + 1);
	const char *const values[] = { wanted };
	char *prefix = text_format("signalbus:%s:", config->instance);
	char senders[32];
	snprintf(senders, sizeof senders, "%lld", config->workers);
	const char *const once[] = { senders, prefix };
	struct db_call exactly = { .sql = exactly_once_sql, .values = once, .value_count = 2 };
	bool is_exact = config->delivery == DELIVERY_EXACTLY_ONCE;
	struct db_call facts = { .sql = database_sql, .values = values, .value_count = 1 };
	bool ok = report_rows(db, facts, config, f, e) &&
		  catalog_check_role(db, check_deadline(config), f, e) &&
		  (!is_exact || (report_rows(db, exactly, config, f, e) &&
					check_slots(db, config, f, e))) &&
		  report_rows(db, (struct db_call){ .sql = vacuum_sql }, config, f, e) &&
		  check_pauses(db, config, f, e);
	free(prefix);
	return ok;
}
