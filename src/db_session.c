/*
 * What each session is set up with, before anything else is done in it.
 */
#include "db_own.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Before the session is ours nothing may be looked up by its search_path, neither functions nor
 * operators nor types: in its schemas others may have put theirs, which match better than those of
 * pg_catalog, and would run as our user. */
#define READ_PATH "SELECT pg_catalog.current_setting('search_path')"
#define PIN_PATH  "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)"
#define ROLE_PATH "SELECT pg_catalog.set_config('search_path', $1, true)"

/* Settings of every session, so that text forms, and what our statements say, do not depend on the
 * environment, a server notices within timeout, not two hours, that we are gone with our locks,
 * rows that row level security hides are an error, locks are not held without end, and a session
 * may be idle (where that is limited it has an ordered lock, see store_lock.c), and a transaction
 * as long as the broker takes.  Older servers do not know all of them.
 * Each statement is planned once: it is short, always of one shape, and what the planner guesses
 * from a parameter's value (or would compile, with JIT) costs more than it gains. */
static const char session_settings[] =
	"SELECT pg_catalog.set_config(name, setting, false) FROM (VALUES"
	" ('TimeZone', 'UTC'), ('DateStyle', 'ISO, MDY'), ('IntervalStyle', 'postgres'),"
	" ('lc_monetary', 'C'), ('xmlbinary', 'base64'), ('xmloption', 'content'),"
	" ('bytea_output', 'hex'), ('extra_float_digits', '1'), ('quote_all_identifiers', 'off'),"
	" ('standard_conforming_strings', 'on'), ('array_nulls', 'on'), ('row_security', 'off'),"
	" ('default_transaction_isolation', 'read committed'),"
	" ('default_transaction_deferrable', 'off'),"
	" ('plan_cache_mode', 'force_generic_plan'), ('jit', 'off'),"
	" ('tcp_keepalives_idle', $3), ('tcp_keepalives_interval', $3),"
	" ('tcp_keepalives_count', '3'), ('tcp_user_timeout', $1), ('statement_timeout', $1),"
	" ('lock_timeout', $4), ('idle_in_transaction_session_timeout', $2),"
	" ('idle_session_timeout', '0'), ('transaction_timeout', '0')) AS s (name, setting)"
	" WHERE pg_catalog.current_setting(name, true) IS NOT NULL";

/* The server's own limit for an idle transaction: a burst waits for acknowledgements meanwhile. */
#define IDLE_TIMEOUT_FACTOR 2
#define KEEPALIVES          6 /* of the server, within timeout */

bool db_set_up(struct db *db, struct instant deadline, struct error *e)
{
	char limit[32], idle_limit[32], keepalive[32], lock_limit[32];
	snprintf(limit, sizeof limit, "%.0f", db->timeout * 1000);
	snprintf(idle_limit, sizeof idle_limit, "%.0f", db->timeout * IDLE_TIMEOUT_FACTOR * 1000);
	snprintf(keepalive, sizeof keepalive, "%.0f", ceil(db->timeout / KEEPALIVES));
	snprintf(lock_limit, sizeof lock_limit, "%.0f", ceil(db->lock_wait * 1000));
	const char *const values[] = { limit, idle_limit, keepalive, lock_limit };
	struct rows *path;
	struct db_call calls[] = { { .sql = READ_PATH, .rows = &path, .never_null = 1 },
		{ .sql = PIN_PATH },
		{ .sql = session_settings, .values = values, .value_count = 4 } };
	bool ok = db_run(db, calls, 3, deadline, e);
	/* cppcheck-suppress uninitvar ; it does not see who sets it */
	const char *value = ok ? rows_value(path, 0, 0) : NULL;
	if (value != NULL) {
		free(db->role_path);
		db->role_path = text_copy(value);
	}
	rows_free(path);
	return ok;
}

struct db_call db_role_path(const struct db *db)
{
	return (struct db_call){
		.sql = ROLE_PATH, .values = (const char *const *)&db->role_path, .value_count = 1
	};
}

bool db_call_as_role(struct db *db, struct db_call call, struct instant deadline, struct error *e)
{
	const struct db_call calls[] = { db_role_path(db), call };
	return db_run(db, calls, 2, deadline, e);
}
