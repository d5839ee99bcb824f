/*
 * Reading a pending row without locking it, and finding the holder of its lock: rows that claims
 * skip.
 */
#include "base/text.h"
#include "store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define IS " OPERATOR(pg_catalog.=) "

/* The rows to skip are $1 and $2, as in claims; the known row is $3 to $5. */
static char *make_sql(const struct model *m, bool is_known)
{
	struct text t = { 0 };
	text_addf(&t,
		"SELECT signal.tableoid, signal.ctid, signal.xmin, signal.xmax FROM %s AS signal"
		" WHERE NOT ((signal.tableoid, signal.ctid)" IS
		"ANY (SELECT p.t, p.c FROM ROWS FROM"
		" (pg_catalog.unnest($1::pg_catalog.oid[]),"
		" pg_catalog.unnest($2::pg_catalog.tid[])) AS p (t, c)))",
		m->relation);
	if (is_known)
		text_addf(&t, " AND signal.tableoid" IS "$3::pg_catalog.oid AND signal.ctid" IS
			      "$4::pg_catalog.tid AND signal.xmin" IS "$5::pg_catalog.xid");
	if (m->settings->where != NULL)
		text_addf(&t, " AND (%s\n)", m->settings->where);
	text_addf(&t, " LIMIT 1");
	return t.text;
}

static void copy(char value[SIGHTING_SIZE], const struct rows *rows, size_t column)
{
	snprintf(value, SIGHTING_SIZE, "%s", rows_value(rows, 0, column));
}

bool store_see(struct store *s, const struct model *m, const char *const *passed_over,
	struct sighting *row, struct error *e)
{
	bool is_known = row->ctid[0] != '\0';
	char *sql = make_sql(m, is_known);
	struct rows *rows = NULL;
	const char *const values[] = { passed_over != NULL ? passed_over[0] : "{}",
		passed_over != NULL ? passed_over[1] : "{}", row->tableoid, row->ctid, row->xmin };
	const struct db_call call = { .sql = sql,
		.values = values,
		.value_count = is_known ? 5 : 2,
		.rows = &rows,
		.never_null = 4 };
	db_heed_stop(s->db, true); /* there may be many dead rows */
	bool ok = store_query_model(s, m, call, e);
	db_heed_stop(s->db, false);
	free(sql);
	if (ok && rows_count(rows) > 0) {
		copy(row->tableoid, rows, 0);
		copy(row->ctid, rows, 1);
		copy(row->xmin, rows, 2);
		copy(row->xmax, rows, 3);
	} else if (ok) {
		*row = (struct sighting){ 0 };
	}
	rows_free(rows);
	return ok;
}

bool store_is_plain(const struct store *s, size_t index)
{
	const struct session_model *d = &s->models[index];
	return d->model != NULL && !d->is_stale && !d->model->as_role;
}

bool store_see_rows(struct store *s, const size_t *models, size_t count, bool *has, struct error *e)
{
	struct text sql = { 0 };
	struct rows *rows = NULL;
	for (size_t i = 0; i < count; i++)
		text_addf(&sql, "%s EXISTS (SELECT FROM %s)", i == 0 ? "SELECT" : ",",
			s->models[models[i]].model->relation);
	const struct db_call call = { .sql = sql.text, .rows = &rows, .never_null = (int)count };
	bool ok = store_query(s, call, e);
	for (size_t i = 0; ok && i < count; i++)
		has[i] = rows_value(rows, 0, i)[0] == 't';
	rows_free(rows);
	text_free(&sql);
	return ok;
}

/* A multixact id may equal the id of another transaction, but that one is unlikely to have locked
 * the table. */
static const char locker_sql[] =
	"SELECT x.pid, COALESCE(a.usename::pg_catalog.text, 'unknown'),"
	" COALESCE(a.application_name, ''), p.gid FROM pg_catalog.pg_locks x"
	" LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid" IS "x.pid"
	" LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction" IS "x.transactionid"
	" WHERE x.locktype" IS "'transactionid' AND x.granted AND x.mode" IS "'ExclusiveLock'"
	" AND x.transactionid" IS "$1::pg_catalog.xid AND EXISTS (SELECT FROM pg_catalog.pg_locks r"
	" WHERE r.locktype" IS "'relation' AND r.relation" IS "$2::pg_catalog.oid"
	" AND r.virtualtransaction" IS "x.virtualtransaction) LIMIT 1";

void store_describe_locker(struct store *s, const struct sighting *row, struct text *t)
{
	struct error ignored;
	struct rows *rows = NULL;
	const char *const values[] = { row->xmax, row->tableoid };
	const struct db_call call = {
		.sql = locker_sql, .values = values, .value_count = 2, .rows = &rows
	};
	bool found = store_query(s, call, &ignored) && rows_count(rows) > 0;
	const char *pid = found ? rows_value(rows, 0, 0) : NULL;
	const char *gid = found ? rows_value(rows, 0, 3) : NULL;
	if (pid != NULL)
		text_addf(t,
			"server process %s (user %s, \"%s\"; SELECT pg_terminate_backend(%s) ends "
			"it)",
			pid, rows_value(rows, 0, 1), rows_value(rows, 0, 2), pid);
	else if (gid != NULL)
		text_addf(t, "the prepared transaction \"%s\" (see pg_prepared_xacts)", gid);
	else
		text_addf(t, "other sessions (see pg_locks)");
	rows_free(rows);
}
