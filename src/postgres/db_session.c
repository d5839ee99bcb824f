/*
 * How each session is set up, before anything else is done in it.
 */
#include "base/limits.h"
#include "base/stop.h"
#include "base/text.h"
#include "postgres/db_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Before the session is verified, no function, operator or type may be looked up by its
 * search_path: others may have created better matches in its schemas than those of pg_catalog, and
 * these would run as our user. */
#define READ_FIRST "SELECT pg_catalog.current_setting('search_path'), pg_catalog.pg_backend_pid()"
#define PIN_PATH   "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)"
#define READ_SHARED                                                                                \
	"SELECT reset_val FROM pg_catalog.pg_settings"                                             \
	" WHERE name OPERATOR(pg_catalog.=) 'search_path'"
#define ROLE_PATH "SELECT pg_catalog.set_config('search_path', $1, true)"

/* The limits of every session.  The server detects within timeout, not two hours, that we are gone
 * with our locks.  Locks are not held forever, and a session may be idle (if that is limited it
 * holds an ordered lock, see ordered_lock.c), and so may a transaction for as long as the broker
 * takes. */
static const char session_limits[] =
	DB_SET(" ('tcp_keepalives_idle', $3), ('tcp_keepalives_interval', $3),"
	       " ('tcp_keepalives_count', '3'), ('tcp_user_timeout', $1),"
	       " ('statement_timeout', $1), ('lock_timeout', $4),"
	       " ('idle_in_transaction_session_timeout', $2),"
	       " ('idle_session_timeout', '0'), ('transaction_timeout', '0')");

#define KEEPALIVES 6 /* by the server, within timeout */

/* The setting that only this session has. */
#define MARK   "'signalbus.session_%s'"
#define MARKED "SELECT pg_catalog.current_setting(" MARK ")"

/* How long a second connection may take, and wait for its own session. */
#define SECOND_S 1.0
#define LOOKS    8

#define END_S       2.0  /* for a terminated process to end */
#define END_CHECK_S 0.05 /* between checks whether it has ended */

static void make_token(struct db *db)
{
	unsigned char bytes[(sizeof db->token - 1) / 2];
	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		abort();
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(db->token + 2 * i, 3, "%02x", bytes[i]);
	snprintf(db->proof, sizeof db->proof, MARKED, db->token);
}

int db_server_process(const struct db *db)
{
	return db->server_pid;
}

const char *db_token(const struct db *db)
{
	return db->token;
}

bool db_prove(const struct db *db, struct db_call *call)
{
	if (db->is_pooled)
		*call = (struct db_call){ .sql = db->proof };
	return db->is_pooled;
}

/* Ask for the server process, after another statement, in one transaction; to be freed. */
static char *server_process(
	struct db *db, const char *before, struct instant deadline, struct error *e)
{
	struct rows *pid = NULL;
	const struct db_call calls[] = { { .sql = before },
		{ .sql = "SELECT pg_catalog.pg_backend_pid()", .rows = &pid, .never_null = 1 } };
	db_run(db, calls, 2, deadline, e);
	char *process = pid != NULL ? text_copy(rows_value(pid, 0, 0)) : NULL;
	rows_free(pid);
	return process;
}

/* Whether this connection still has the session.  Returns false with e if not. */
static bool is_here(struct db *db, const char *process, struct instant deadline, struct error *e)
{
	char *own = server_process(db, db->proof, deadline, e);
	bool ok = own != NULL && (strcmp(own, process) == 0 || db_pooled(e));
	free(own);
	return ok;
}

/* Another connection begins a transaction: it must get another session, if any, while this one
 * keeps its own, during and after that transaction.  Returns false with e if this is not so. */
static bool look_at_both(
	struct db *db, struct db *other, const char *process, struct instant soon, struct error *e)
{
	struct error ignored;
	struct instant later = instant_after(soon, SECOND_S);
	char *its = server_process(other, "BEGIN", soon, &ignored);
	bool ok = its == NULL || strcmp(its, process) != 0 || db_pooled(e);
	ok = ok && is_here(db, process, later, e);
	/* If this one has to wait while the other one is served, that is as good as a proof. */
	if (!ok && its != NULL)
		db_pooled(e);
	if (its != NULL) /* otherwise the pooler would close the session that it assigned */
		db_call(other, (struct db_call){ .sql = "ROLLBACK" }, later, &ignored);
	free(its);
	return ok && is_here(db, process, later, e);
}

/* Look once, by a connection of its own: one address may lead to several poolers. */
static bool look_once(struct db *db, const char *process, struct instant deadline, struct error *e)
{
	struct error refused;
	struct db *other = db_new(db->credentials, db->timeout);
	bool ok = db_connect_bare(other, &deadline, &refused);
	if (ok)
		ok = look_at_both(db, other, process,
			instant_earlier(deadline, instant_after(clock_now(), SECOND_S)), e);
	else
		error_set(e, refused.kind,
			"database: without another connection, a connection pooler does not show "
			"what it pools: %s",
			refused.text);
	db_free(other);
	return ok;
}

/* Find out whether the session is assigned to others between two transactions.  By chance a
 * connection may get the same session again, so check several times.  db_prove() detects most of
 * what this misses, and each transaction undoes what others set. */
static bool is_kept(struct db *db, const char *process, struct instant deadline, struct error *e)
{
	bool ok = look_once(db, process, deadline, e);
	struct instant soon = instant_after(clock_now(), SECOND_S);
	for (int i = 1; ok && i < LOOKS && instant_before(clock_now(), soon); i++)
		ok = look_once(db, process, deadline, e);
	return ok;
}

/* If the server process is not the one reported when connecting, a pooler is between client and
 * server: find out what it pools. */
static bool check_pooler(
	struct db *db, const char *process, struct instant deadline, struct error *e)
{
	db->server_pid = (int)strtol(process, NULL, 10);
	if (db->server_pid == PQbackendPID(db->conn))
		return true;
	db_make_settings(db);
	db->is_pooled = true;
	char *mark =
		text_format("SELECT pg_catalog.set_config(" MARK ", 'ours', false)", db->token);
	bool ok = db_call(db, (struct db_call){ .sql = mark }, deadline, e);
	free(mark);
	return ok && is_kept(db, process, deadline, e);
}

/* Leave nothing of ours in a session that is not ours, or is shared: others may have changed the
 * current search_path of that one.  Their temporary tables come last. */
static bool look_first(struct db *db, struct instant deadline, struct error *e)
{
	struct rows *first;
	const struct db_call call = { .sql = db->is_shared ? READ_SHARED : READ_FIRST,
		.rows = &first,
		.never_null = db->is_shared ? 1 : 2 };
	if (!db_call(db, call, deadline, e))
		return false;
	free(db->role_path);
	/* cppcheck-suppress uninitvar ; it does not see who sets it */
	db->role_path = text_format("%s, pg_temp", rows_value(first, 0, 0));
	bool ok = db->is_shared || check_pooler(db, rows_value(first, 0, 1), deadline, e);
	rows_free(first);
	return ok;
}

static bool set_up(struct db *db, struct instant deadline, struct error *e)
{
	char limit[32], idle_limit[32], keepalive[32], lock_limit[32];
	snprintf(limit, sizeof limit, "%.0f", db->timeout * 1000);
	snprintf(idle_limit, sizeof idle_limit, "%.0f", limit_burst(db->timeout) * 1000);
	snprintf(keepalive, sizeof keepalive, "%.0f", ceil(db->timeout / KEEPALIVES));
	snprintf(lock_limit, sizeof lock_limit, "%.0f", ceil(db->lock_wait * 1000));
	const char *const values[] = { limit, idle_limit, keepalive, lock_limit };
	const struct db_call calls[] = { { .sql = PIN_PATH }, { .sql = DB_SET(DB_SETTINGS) },
		{ .sql = session_limits, .values = values, .value_count = 4 } };
	return look_first(db, deadline, e) && db_run(db, calls, 3, deadline, e);
}

static bool set_up_shared(struct db *db, struct instant deadline, struct error *e)
{
	db->server_pid = 0;
	db_make_settings(db);
	return look_first(db, deadline, e);
}

/* Ask the server to terminate the abandoned process; *is_there: it has not ended yet.  Its pid may
 * by now belong to another one, which began later. */
static bool terminate_left(struct db *db, bool *is_there, struct error *e)
{
	static const char sql[] =
		"SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a"
		" WHERE a.pid = $1 AND a.usename = CURRENT_USER AND a.backend_start <"
		" pg_catalog.clock_timestamp() - $2 * '1 s'::pg_catalog.interval";
	char pid[16], seconds[32];
	struct rows *rows;
	const char *const values[] = { pid, seconds };
	struct db_call call = { .sql = sql, .values = values, .value_count = 2, .rows = &rows };
	snprintf(pid, sizeof pid, "%d", db->left_pid);
	snprintf(seconds, sizeof seconds, "%.3f", instant_seconds(db->left, clock_now()));
	bool ok = db_call(db, call, instant_after(clock_now(), END_S), e);
	*is_there = ok && rows_count(rows) > 0;
	rows_free(rows);
	return ok;
}

/* End the server process of the session that this one replaces, if it was abandoned while it was
 * executing a statement. */
static bool end_left(struct db *db, struct instant deadline, struct error *e)
{
	struct instant until = instant_earlier(deadline, instant_after(clock_now(), END_S));
	bool is_there = db->left_pid != 0;
	while (is_there) {
		if (!terminate_left(db, &is_there, e))
			return false;
		if (is_there && !instant_before(clock_now(), until))
			return error_set(e, ERROR_CONNECTION,
				"database: server process %d, which did not answer and was "
				"abandoned, is still running",
				db->left_pid);
		if (is_there && stop_wait(instant_after(clock_now(), END_CHECK_S)))
			return error_set(e, ERROR_STOPPED, "asked to stop");
	}
	db->left_pid = 0;
	return true;
}

bool db_connect(struct db *db, struct instant deadline, struct error *e)
{
	if (!db_connect_bare(db, &deadline, e))
		return false;
	make_token(db);
	bool ok = db->is_shared ? set_up_shared(db, deadline, e) : set_up(db, deadline, e);
	db->is_set_up = ok && end_left(db, deadline, e);
	if (db->is_set_up)
		return true;
	db_disconnect(db);
	return false;
}

static struct db_call role_path(const struct db *db)
{
	return (struct db_call){
		.sql = ROLE_PATH, .values = (const char *const *)&db->role_path, .value_count = 1
	};
}

struct db_call db_role_path(struct db *db)
{
	db->has_run_users_code = true;
	return role_path(db);
}

bool db_call_as_role(struct db *db, struct db_call call, struct instant deadline, struct error *e)
{
	struct db_call calls[3];
	size_t count = db_restore_settings_first(db, &calls[0]) ? 1 : 0;
	calls[count++] = role_path(db);
	calls[count++] = call;
	return db_run(db, calls, count, deadline, e);
}
