/*
 * What the server's statistics say about vacuum: dead rows of the signal tables, and what keeps
 * them from being removed.
 */
#include "base/text.h"
#include "store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define IS " OPERATOR(pg_catalog.=) "

static double number(const struct rows *rows, size_t column)
{
	const char *value = rows_count(rows) > 0 ? rows_value(rows, 0, column) : NULL;
	return value != NULL ? strtod(value, NULL) : 0;
}

bool store_table_statistics(
	struct store *s, const struct model *m, struct table_statistics *st, struct error *e)
{
	static const char sql[] =
		SQL_FAMILY_OF_1 " SELECT pg_catalog.sum(pg_catalog.pg_stat_get_dead_tuples(oid)),"
				" pg_catalog.date_part('epoch', pg_catalog.max(GREATEST("
				"pg_catalog.pg_stat_get_last_vacuum_time(oid),"
				" pg_catalog.pg_stat_get_last_autovacuum_time(oid)))) FROM family";
	const char *const table[] = { m->relation };
	struct rows *rows;
	struct db_call call = { .sql = sql, .values = table, .value_count = 1, .rows = &rows };
	if (!store_query(s, call, e))
		/* uncovered: the session is lost at just this call */
		return false;
	*st = (struct table_statistics){ number(rows, 0), number(rows, 1) };
	rows_free(rows);
	return true;
}

/* Sessions without a database are those of standbys.  An autovacuum worker holds nothing back, and
 * the server does not show since when other users' transactions have been open, without
 * pg_read_all_stats; nor has a slot a time. */
bool store_vacuum_holder(struct store *s, struct vacuum_holder *holder, struct error *e)
{
	static const char sql[] =
		"SELECT h.oldest, pg_catalog.date_part('epoch',"
		" pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) h.since) FROM ("
		"SELECT x AS oldest, a.xact_start AS since FROM pg_catalog.pg_stat_activity AS a"
		" CROSS JOIN LATERAL (VALUES (a.backend_xid), (a.backend_xmin)) AS v (x)"
		" WHERE a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()"
		" AND a.backend_type OPERATOR(pg_catalog.<>) 'autovacuum worker'"
		" AND (a.datname IS NULL OR a.datname" IS "pg_catalog.current_database())"
		" UNION ALL SELECT p.transaction, p.prepared FROM pg_catalog.pg_prepared_xacts AS p"
		" WHERE p.database" IS "pg_catalog.current_database()"
		" UNION ALL SELECT r.xmin, NULL FROM pg_catalog.pg_replication_slots AS r) AS h"
		" WHERE h.oldest IS NOT NULL ORDER BY pg_catalog.age(h.oldest) DESC LIMIT 1";
	struct rows *rows;
	*holder = (struct vacuum_holder){ .seconds = 0 };
	if (!store_query(s, (struct db_call){ .sql = sql, .rows = &rows }, e))
		/* uncovered: the session is lost at just this call */
		return false;
	holder->seconds = number(rows, 1);
	if (rows_count(rows) > 0)
		snprintf(holder->xid, sizeof holder->xid, "%s", rows_value(rows, 0, 0));
	rows_free(rows);
	return true;
}
