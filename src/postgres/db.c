#include "postgres/db_internal.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/text.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct db *db_new(struct credentials *credentials, double timeout)
{
	struct db *db = memory_new(1, sizeof *db);
	db->credentials = credentials;
	db->timeout = timeout;
	db->lock_wait = limit_lock(timeout);
	return db;
}

void db_free(struct db *db)
{
	if (db == NULL)
		return;
	db_disconnect(db);
	free(db->role_path);
	free(db->settings);
	free(db);
}

void db_limit_locks(struct db *db, double seconds)
{
	if (seconds < db->lock_wait)
		db->lock_wait = seconds;
}

void db_share(struct db *db)
{
	db->is_shared = true;
}

void db_heed_stop(struct db *db, bool heeds)
{
	db->heeds_stop = heeds;
}

void db_disconnect(struct db *db)
{
	PQfinish(db->conn);
	db->conn = NULL;
	db->in_doubt = db->is_set_up = db->is_pooled = db->has_run_users_code = false;
	db->run_count = 0;
	db_forget_statements(db);
}

bool db_connected(const struct db *db)
{
	return db->conn != NULL;
}

bool db_is_utf8(const struct db *db)
{
	const char *encoding =
		db->conn != NULL ? PQparameterStatus(db->conn, "server_encoding") : NULL;
	return encoding != NULL && strcmp(encoding, "UTF8") == 0;
}

int db_server_version(const struct db *db)
{
	return db->conn != NULL ? PQserverVersion(db->conn) : 0;
}

bool db_in_transaction(const struct db *db)
{
	return db->conn != NULL && PQtransactionStatus(db->conn) != PQTRANS_IDLE;
}

bool db_wait(struct db *db, short events, struct instant deadline, bool or_stop)
{
	struct pollfd fds[] = { { .fd = PQsocket(db->conn), .events = events },
		{ .fd = or_stop ? stop_fd() : -1, .events = POLLIN } };
	for (;;) {
		struct instant now = clock_now();
		int ready = poll(fds, 2, instant_poll_ms(deadline, now));
		if (ready > 0)
			return fds[1].revents == 0;
		if (ready == 0 && !instant_before(clock_now(), deadline))
			return false;
	}
}

void db_add_place(const struct db *db, struct text *t)
{
	text_addf(t, "database at %s port %s", PQhost(db->conn), PQport(db->conn));
}

enum error_kind db_failure_kind(const char *message)
{
	bool is_of_memory = strstr(message, "out of memory") != NULL ||
			    strstr(message, "cannot allocate memory") != NULL;
	return is_of_memory ? ERROR_MEMORY : ERROR_CONNECTION;
}

/* Set e to why the session failed, and close it.  Always returns false. */
static bool give_up(struct db *db, const char *reason, struct error *e)
{
	struct text t = { 0 };
	db_add_place(db, &t);
	error_set(e, db_failure_kind(reason), "%s: %s", t.text, reason);
	text_free(&t);
	db_disconnect(db);
	return false;
}

bool db_lost(struct db *db, struct error *e)
{
	return give_up(db, PQerrorMessage(db->conn), e);
}

bool db_silent(struct db *db, struct instant since, struct error *e)
{
	char reason[64];
	snprintf(reason, sizeof reason, "timed out after %.1f s waiting for an answer",
		instant_seconds(since, clock_now()));
	return give_up(db, reason, e);
}

void db_set_ear(struct db *db, const struct db_ear *ear)
{
	db->ear = *ear;
}

/* Notices are for interactive users; one may explain why something took long.  But a transaction
 * whose wait for a standby was cancelled, by whomever, succeeds with a warning.  Its text is in the
 * server's language; the function that gives it has the same name in all versions. */
void db_note_notice(void *arg, const PGresult *notice)
{
	struct db *db = arg;
	const char *source = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
	snprintf(db->notice, sizeof db->notice, "%s", PQresultErrorMessage(notice));
	db->is_unconfirmed |= source != NULL && strcmp(source, "SyncRepWaitForLSN") == 0;
	log_debug("database: %s", db->notice);
}

static void take_notifications(struct db *db)
{
	for (PGnotify *n; (n = PQnotifies(db->conn)) != NULL; PQfreemem(n))
		if (db->ear.notify != NULL)
			db->ear.notify(db->ear.arg, n->extra);
}

bool db_consume(struct db *db)
{
	if (!PQconsumeInput(db->conn))
		return false;
	take_notifications(db);
	return true;
}

bool db_listen(struct db *db, int wake_fd, struct instant deadline, struct error *e)
{
	struct pollfd fds[] = { { .fd = PQsocket(db->conn), .events = POLLIN },
		{ .fd = wake_fd, .events = POLLIN } };
	take_notifications(db); /* that arrived with an answer */
	for (;;) {
		int ms = instant_poll_ms(deadline, clock_now());
		int ready = poll(fds, 2, ms);
		if (ms == 0 || fds[1].revents != 0)
			return true;
		if (ready > 0 && !db_consume(db))
			return db_lost(db, e);
	}
}

void db_add_library_version(struct text *t)
{
	int version = PQlibVersion();
	text_addf(t, "%d.%d", version / 10000, version % 10000);
}

void db_add_library_features(struct text *t)
{
	const char *tls = PQsslAttribute(NULL, "library"); /* NULL before libpq 15 */
	if (tls != NULL)
		text_addf(t, " (%s)", tls);
}
