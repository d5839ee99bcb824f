#include "store_own.h"

/* The ordered lock's key, from the instance and the model's scope: models that read one table, each
 * its own rows, are sent at the same time.  Advisory locks are a database's own, and
 * hashtextextended() is PostgreSQL's hash function of text to 64 bits. */
#define LOCK_KEY "hashtextextended('signalbus ordered ' || $1 || ' ' || $2, 0)"

/* Say who has the ordered lock that values name.  Always returns false. */
static bool say_holder(struct store *s, const char *const *values, struct error *e)
{
	static const char sql[] =
		"SELECT l.pid, a.application_name, coalesce(host(a.client_addr), 'this host')"
		" FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a USING (pid)"
		" WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted"
		" AND (l.classid::int8 << 32 | l.objid::int8) = " LOCK_KEY
		" AND l.database = (SELECT oid FROM pg_database WHERE datname = "
		"current_database())";
	struct rows *rows;
	struct db_call call = { .sql = sql, .values = values, .value_count = 2, .rows = &rows };
	if (!store_query(s, call, e))
		/* uncovered: the session is lost at just this call */
		return false;
	if (rows_count(rows) > 0)
		error_set(e, ERROR_BUSY,
			"table %s is being flushed in order by another process: server process %s, "
			"\"%s\" on %s; try later",
			values[1], rows_value(rows, 0, 0),
			rows_value(rows, 0, 1) != NULL ? rows_value(rows, 0, 1) : "unknown",
			rows_value(rows, 0, 2));
	else
		/* uncovered: the lock was given back since it was asked for */
		error_set(e, ERROR_BUSY,
			"table %s was being flushed in order by another process until now; try "
			"again",
			values[1]);
	rows_free(rows);
	return false;
}

bool store_lock(struct store *s, const struct model *m, struct error *e)
{
	struct rows *rows;
	bool *locked = &s->models[m->index].locked;
	const char *const values[] = { s->config->instance, m->scope };
	struct db_call call = { .sql = "SELECT pg_catalog.pg_try_advisory_lock(" LOCK_KEY ")",
		.values = values,
		.value_count = 2,
		.rows = &rows };
	if (*locked)
		return true;
	if (!store_query(s, call, e))
		return false;
	*locked = rows_value(rows, 0, 0)[0] == 't';
	rows_free(rows);
	/* What was listed before may have been sent since then, and may have come again. */
	ordering_reset(&s->models[m->index].ordering);
	return *locked || say_holder(s, values, e);
}

static bool unlock(struct store *s, const struct model *m)
{
	struct error ignored;
	const char *const values[] = { s->config->instance, m->scope };
	struct db_call call = { .sql = "SELECT pg_catalog.pg_advisory_unlock(" LOCK_KEY ")",
		.values = values,
		.value_count = 2 };
	return store_query(s, call, &ignored);
}

void store_unlock(struct store *s, size_t index)
{
	struct described *d = &s->models[index];
	if (!d->locked)
		return;
	d->locked = false;
	if (d->model == NULL || !unlock(s, d->model))
		/* uncovered: the session is lost at just this call */
		store_disconnect(s);
}
