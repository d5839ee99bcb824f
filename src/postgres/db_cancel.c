/*
 * Ending a statement that does not end by itself.
 *
 * The server's own time-outs do not apply to everything: a commit that waits for a synchronous
 * standby ends only by a cancel request (it is committed then, although perhaps not replicated),
 * and a waiting process does not detect that its client is gone.  If sessions were just closed and
 * replaced, such processes would accumulate on the server: db_session.c ends them.
 */
#include "postgres/db_internal.h"

#include "base/log.h"
#include "base/text.h"

#define PROBE_S 1.0 /* for a server to answer a new connection */
#define GRACE_S 2.0 /* for a cancelled statement to end */

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
	else if (db->is_unconfirmed)
		error_set(e, ERROR_UNCONFIRMED, "database: cancelled by others: %s", db->notice);
	return db->is_late || db->is_unconfirmed;
}

void db_leave(struct db *db)
{
	db->left_pid = db->server_pid;
	db->left = clock_now();
}
