#include "base/limits.h"
#include "base/text.h"
#include "catalog/catalog.h"
#include "store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* A process that is frozen between two bursts must not keep the lock: the server ends a session
 * that has one and is silent for long, as it ends one that is silent in a transaction (limits.h).
 */

/* Limits the session's idle time to $2 milliseconds; 0: no limit.  Since PostgreSQL 14. */
#define LIMIT_SILENCE                                                                              \
	"CASE WHEN pg_catalog.current_setting('idle_session_timeout', true) IS NOT NULL"           \
	" THEN pg_catalog.set_config('idle_session_timeout', $2, false) END"

/* A session can take a lock twice: if it already holds it, another client took it, through a pooler
 * that shares the session.  Who gets the lock looks for the fence (lock_session.h). */
#define TAKE_LOCK(mode)                                                                            \
	"SELECT locked, CASE WHEN locked THEN pg_catalog.pg_try_advisory_xact_lock" mode           \
	"(" SQL_FENCE_KEY ") END, CASE WHEN locked THEN " LIMIT_SILENCE                            \
	" END FROM (SELECT CASE WHEN EXISTS"                                                       \
	" (SELECT FROM pg_catalog.pg_locks l WHERE l.pid = pg_catalog.pg_backend_pid()"            \
	" AND l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted"                            \
	" AND (l.classid::pg_catalog.int8 << 32 | l.objid::pg_catalog.int8) = " SQL_ADVISORY_KEY   \
	" AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d"                            \
	" WHERE d.datname = pg_catalog.current_database()))"                                       \
	" THEN false ELSE pg_catalog.pg_try_advisory_lock" mode "(" SQL_ADVISORY_KEY               \
	") END AS locked) AS l"

static const char *const take_lock[] = {
	[LOCK_EXCLUSIVE] = TAKE_LOCK(""),
	[LOCK_SHARED] = TAKE_LOCK("_shared"),
};

/* Set e to the holder of the ordered lock.  Always returns false. */
static bool say_holder(
	struct store *s, struct db *db, const struct model *m, const char *name, struct error *e)
{
	char *what = text_format("table %s", m->scope);
	const struct advisory_lock lock = { name, what, m->relation };
	catalog_say_lock_holder(db, lock, store_deadline(s), e);
	free(what);
	if (e->kind == ERROR_NONE)
		/* uncovered: the lock was given back since it was asked for */
		error_set(e, ERROR_BUSY,
			"table %s was being flushed by another process until now; try again",
			m->scope);
	return false;
}

/* The lock is got.  A transaction of whoever has lost it may still be open. */
static bool pass_fence(struct store *s, const struct model *m, bool is_free, struct error *e)
{
	/* Listed rows may have been sent since then, and inserted again. */
	ordering_reset(&s->models[m->index].ordering);
	if (is_free)
		return true;
	store_unlock(s, m->index);
	return error_set(e, ERROR_BUSY,
		"table %s: a process has lost the ordered lock, and its last transaction is still "
		"open; try later",
		m->scope);
}

static bool take(
	struct store *s, struct db *db, const struct model *m, enum lock_mode mode, struct error *e)
{
	struct session_model *d = &s->models[m->index];
	struct rows *rows;
	char limit[32];
	snprintf(limit, sizeof limit, "%.0f", 1000 * limit_silence(s->config->timeout));
	char *name = catalog_ordered_lock(s->config, m);
	const char *const values[] = { name, limit };
	struct db_call calls[2];
	size_t count = db_prove(db, &calls[0]) ? 1 : 0;
	calls[count++] = (struct db_call){ .sql = take_lock[mode],
		.values = values,
		.value_count = 2,
		.rows = &rows,
		.never_null = 1 };
	bool ok = db_run(db, calls, count, store_deadline(s), e);
	if (ok) {
		const char *is_free = rows_value(rows, 0, 1);
		d->locked = rows_value(rows, 0, 0)[0] == 't';
		d->lock_mode = mode;
		ok = d->locked ? pass_fence(s, m, is_free != NULL && is_free[0] == 't', e)
			       : say_holder(s, db, m, name, e);
		rows_free(rows);
	}
	free(name);
	return ok;
}

bool store_lock(struct store *s, const struct model *m, enum lock_mode mode, struct error *e)
{
	if (s->models[m->index].locked)
		return lock_session_keep(s->locks, store_deadline(s), e);
	struct db *db = store_lock_session(s, e);
	return db != NULL && take(s, db, m, mode, e);
}

static bool has_lock(const struct store *s)
{
	for (size_t i = 0; i < s->config->model_count; i++)
		if (s->models[i].locked)
			return true;
	return false;
}

/* Without locks the session has no limit: it may be idle until the next flush of a command. */
static bool unlock(struct store *s, const struct model *m)
{
	struct error ignored;
	struct db *db = store_lock_session(s, &ignored);
	if (db == NULL)
		return false;
	char *name = catalog_ordered_lock(s->config, m);
	const char *const values[] = { name, "0" };
	bool is_last = !has_lock(s);
	char *sql = text_format("SELECT pg_catalog.pg_advisory_unlock%s(" SQL_ADVISORY_KEY ")%s",
		s->models[m->index].lock_mode == LOCK_SHARED ? "_shared" : "",
		is_last ? ", " LIMIT_SILENCE : "");
	struct db_call call = { .sql = sql, .values = values, .value_count = is_last ? 2 : 1 };
	bool ok = db_call(db, call, store_deadline(s), &ignored);
	free(sql);
	free(name);
	return ok;
}

void store_unlock(struct store *s, size_t index)
{
	struct session_model *d = &s->models[index];
	if (!d->locked)
		return;
	d->locked = false;
	if (d->model == NULL || !unlock(s, d->model))
		/* uncovered: the session is lost at just this call */
		store_disconnect(s);
}
