/*
 * Ending what does not end by itself: a statement, and the server process of an abandoned session.
 *
 * The server's own time-outs do not apply to everything: a commit that waits for a synchronous
 * standby ends only by a cancel request (it is committed then, although perhaps not replicated),
 * and a waiting process does not detect that its client is gone.  If sessions were just closed and
 * replaced, such processes would accumulate on the server.
 */
#include "postgres/db_internal.h"

#include "base/log.h"
#include "base/stop.h"
#include "base/text.h"

#include <stdio.h>

#define PROBE_S 1.0  /* for a server to answer a new connection */
#define GRACE_S 2.0  /* for a cancelled statement, or a terminated process, to end */
#define LOOK_S  0.05 /* between checks whether it has ended */

void db_cancel(struct db *db)
{
	char reason[256];
	PGcancel *cancel = PQgetCancel(db->conn);
	if (cancel == NULL || !PQcancel(cancel, reason, sizeof reason))
		log_debug("database: cannot cancel a statement: %s",
			cancel != NULL ? reason : "not connected");
	PQfreeCancel(cancel);
}

bool db_cancel_late(struct db *db)
{
	/* PQcancel() has no time-out: do not use it on a server that does not answer others. */
	if (db->is_late || !db_answers(db, instant_after(clock_now(), PROBE_S)))
		return false;
	db->is_late = true;
	db_cancel(db);
	db->late_until = instant_after(clock_now(), GRACE_S);
	return true;
}

/* Say in e that the run was cancelled, and what the server says of that. */
static void say_late(const struct db *db, enum error_kind kind, const char *reason, struct error *e)
{
	struct text t = { 0 };
	db_add_place(db, &t);
	text_addf(&t, ": no answer within %.1f s, and cancelled: ",
		instant_seconds(db->run_since, db->late_until) - GRACE_S);
	text_add_short(&t, reason, sizeof db->notice);
	error_set(e, kind, "%s", t.text);
	text_free(&t);
}

bool db_say_late(const struct db *db, struct error *e)
{
	const struct error own = *e;
	say_late(db, ERROR_TEMPORARY, own.text, e);
	return false;
}

bool db_was_late(const struct db *db, struct error *e)
{
	if (db->is_late)
		say_late(db, ERROR_UNCONFIRMED,
			db->notice[0] != '\0' ? db->notice : "it had finished by then", e);
	return db->is_late;
}

void db_leave(struct db *db)
{
	db->left_pid = db->server_pid;
	db->left = clock_now();
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
	bool ok = db_call(db, call, instant_after(clock_now(), GRACE_S), e);
	*is_there = ok && rows_count(rows) > 0;
	rows_free(rows);
	return ok;
}

bool db_end_left(struct db *db, struct instant deadline, struct error *e)
{
	struct instant until = instant_earlier(deadline, instant_after(clock_now(), GRACE_S));
	bool is_there = db->left_pid != 0;
	while (is_there) {
		if (!terminate_left(db, &is_there, e))
			return false;
		if (is_there && !instant_before(clock_now(), until))
			return error_set(e, ERROR_CONNECTION,
				"database: server process %d, which did not answer and was "
				"abandoned, is still running",
				db->left_pid);
		if (is_there && stop_wait(instant_after(clock_now(), LOOK_S)))
			return error_set(e, ERROR_STOPPED, "asked to stop");
	}
	db->left_pid = 0;
	return true;
}
