#include "store/lock_session.h"

#include "base/limits.h"
#include "base/text.h"
#include "catalog/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lock_session {
	const struct config *config;
	struct db *db;
	bool is_used; /* it was connected */
	struct instant used;
	char *mark; /* the name of that lock */
	char process[16];
	char *lock; /* the name of the ordered lock of the last fence */
	const char *fence_values[1], *proof_values[4];
};

/* The statement fails by asking for a setting that nobody has. */
static const char proof[] =
	"SELECT CASE WHEN (SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks l"
	" WHERE l.pid = $3::pg_catalog.int4 AND l.locktype = 'advisory' AND l.objsubid = 1"
	" AND l.granted AND (l.classid::pg_catalog.int8 << 32 | l.objid::pg_catalog.int8)"
	" IN (" SQL_ADVISORY_KEY ", pg_catalog.hashtextextended($2, 0))"
	" AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d"
	" WHERE d.datname = pg_catalog.current_database())) <> 2"
	" THEN pg_catalog.current_setting(pg_catalog.concat('signalbus.lost_',"
	" $4::pg_catalog.text)) END";

#define UNKNOWN_SETTING "42704"

struct lock_session *lock_session_new(const struct config *config)
{
	if (config->listen_login == NULL)
		return NULL;
	struct lock_session *l = memory_new(1, sizeof *l);
	l->config = config;
	l->db = db_new(config->listen_login, config->timeout);
	return l;
}

void lock_session_free(struct lock_session *l)
{
	if (l == NULL)
		return;
	db_free(l->db);
	free(l->mark);
	free(l->lock);
	free(l);
}

void lock_session_close(struct lock_session *l)
{
	if (l == NULL)
		return;
	db_disconnect(l->db);
	l->is_used = false;
}

bool lock_session_is_lost(const struct lock_session *l)
{
	return l != NULL && l->is_used && !db_connected(l->db);
}

void lock_session_limit_locks(struct lock_session *l, double seconds)
{
	if (l != NULL)
		db_limit_locks(l->db, seconds);
}

/* Take the mark, and look from the other session whether it is taken. */
static bool is_same_database(
	struct lock_session *l, struct db *shared, struct instant deadline, struct error *e)
{
	const char *const values[] = { l->mark };
	struct rows *rows = NULL;
	const struct db_call take = { .sql = "SELECT pg_catalog.pg_advisory_lock(" SQL_ADVISORY_KEY
					     ")",
		.values = values,
		.value_count = 1 };
	const struct db_call look = {
		.sql = "SELECT pg_catalog.pg_try_advisory_xact_lock_shared(" SQL_ADVISORY_KEY ")",
		.values = values,
		.value_count = 1,
		.rows = &rows,
		.never_null = 1
	};
	if (!db_call(l->db, take, deadline, e) || !db_call(shared, look, deadline, e))
		return false;
	bool is_taken = rows_value(rows, 0, 0)[0] == 'f';
	rows_free(rows);
	return is_taken ||
	       error_set(e, ERROR_DATABASE,
		       "database_listen: it leads to another database than \"database\"");
}

static bool connect(
	struct lock_session *l, struct db *shared, struct instant deadline, struct error *e)
{
	if (!db_connect(l->db, deadline, e)) {
		if (e->kind == ERROR_CONNECTION)
			e->kind = ERROR_TEMPORARY; /* what needs no locks can still be sent */
		return e->kind == ERROR_STOPPED ? false : error_prefix(e, "database_listen");
	}
	free(l->mark);
	l->mark = text_format("signalbus session %s", db_token(l->db));
	snprintf(l->process, sizeof l->process, "%d", db_server_process(l->db));
	l->is_used = is_same_database(l, shared, deadline, e);
	if (!l->is_used)
		db_disconnect(l->db);
	return l->is_used;
}

struct db *lock_session_get(
	struct lock_session *l, struct db *shared, struct instant deadline, struct error *e)
{
	if (l == NULL)
		return shared;
	if (lock_session_is_lost(l)) {
		error_set(e, ERROR_CONNECTION, "database_listen: the session has ended");
		return NULL;
	}
	if (!l->is_used && !connect(l, shared, deadline, e))
		return NULL;
	l->used = clock_now();
	return l->db;
}

bool lock_session_ping(struct lock_session *l, struct instant deadline, struct error *e)
{
	if (l == NULL || !l->is_used)
		return true;
	l->used = clock_now();
	return db_call(l->db, (struct db_call){ .sql = "SELECT" }, deadline, e) ||
	       error_prefix(e, "database_listen");
}

bool lock_session_keep(struct lock_session *l, struct instant deadline, struct error *e)
{
	return l == NULL || instant_before(clock_now(), instant_after(l->used, PING_S)) ||
	       lock_session_ping(l, deadline, e);
}

void lock_session_fence(struct lock_session *l, const struct model *m, bool is_exclusive,
	struct db_call calls[FENCE_CALLS])
{
	free(l->lock);
	l->lock = catalog_ordered_lock(l->config, m);
	l->fence_values[0] = l->proof_values[0] = l->lock;
	l->proof_values[1] = l->mark;
	l->proof_values[2] = l->process;
	l->proof_values[3] = db_token(l->db);
	calls[0] = (struct db_call){
		.sql = is_exclusive
			       ? "SELECT pg_catalog.pg_advisory_xact_lock(" SQL_FENCE_KEY ")"
			       : "SELECT pg_catalog.pg_advisory_xact_lock_shared(" SQL_FENCE_KEY
				 ")",
		.values = l->fence_values,
		.value_count = 1
	};
	calls[1] = (struct db_call){ .sql = proof, .values = l->proof_values, .value_count = 4 };
}

void lock_session_explain(struct lock_session *l, const struct model *m, struct error *e)
{
	if (l == NULL || strcmp(e->sqlstate, UNKNOWN_SETTING) != 0 ||
		strstr(e->text, db_token(l->db)) == NULL)
		return;
	db_disconnect(l->db);
	error_set(e, ERROR_CONNECTION,
		"database_listen: the session that had the ordered lock of table %s has ended",
		m->scope);
}
