#include "db_own.h"

#include "log.h"
#include "stop.h"
#include "text.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A lock is waited for somewhat shorter than for the statement. */
#define LOCK_PART 0.9

/* What is neither a list of settings nor a URI is the name of a database (expand_dbname of
 * PQconnectStartParams). */
bool db_check(const char *conninfo, struct error *e)
{
	if (strchr(conninfo, '=') == NULL && strstr(conninfo, "://") == NULL)
		return true;
	char *reason = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &reason);
	if (options == NULL)
		error_set(
			e, ERROR_CONFIG, "database: %s", reason != NULL ? reason : "out of memory");
	PQfreemem(reason);
	PQconninfoFree(options);
	return options != NULL;
}

struct db *db_new(const char *conninfo, double timeout)
{
	struct db *db = memory_new(1, sizeof *db);
	db->conninfo = text_copy(conninfo);
	db->timeout = timeout;
	db->lock_wait = timeout * LOCK_PART;
	return db;
}

void db_free(struct db *db)
{
	if (db == NULL)
		return;
	db_disconnect(db);
	free(db->conninfo);
	free(db->role_path);
	free(db);
}

void db_limit_locks(struct db *db, double seconds)
{
	if (seconds < db->lock_wait)
		db->lock_wait = seconds;
}

void db_heed_stop(struct db *db, bool heeds)
{
	db->heeds_stop = heeds;
}

void db_disconnect(struct db *db)
{
	PQfinish(db->conn);
	db->conn = NULL;
	db->in_doubt = false;
}

bool db_connected(const struct db *db)
{
	return db->conn != NULL;
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

bool db_lost(struct db *db, struct error *e)
{
	error_set(e, ERROR_CONNECTION, "database: %s", PQerrorMessage(db->conn));
	db_disconnect(db);
	return false;
}

/* Notices are for people who type SQL. */
static void ignore_notice(void *arg, const char *message)
{
	(void)arg;
	log_debug("database: %s", message);
}

static PGconn *connect_start(const struct db *db)
{
	char tcp_user_timeout[32];
	snprintf(tcp_user_timeout, sizeof tcp_user_timeout, "%.0f", db->timeout * 1000);
	/* What stands before dbname, the connection string, yields to it; what stands behind it
	 * does not.  A NULL leaves the setting to libpq. */
	const char *const keywords[] = { "keepalives_idle", "keepalives_interval",
		"keepalives_count", "tcp_user_timeout", "target_session_attrs", "dbname",
		"fallback_application_name", "client_encoding", NULL };
	const char *attrs = getenv("PGTARGETSESSIONATTRS") == NULL ? "read-write" : NULL;
	const char *const values[] = { "10", "5", "3", tcp_user_timeout, attrs, db->conninfo,
		"signalbus", "UTF8", NULL };
	return PQconnectStartParams(keywords, values, 1);
}

static bool connect_finish(struct db *db, struct instant deadline, struct error *e)
{
	PostgresPollingStatusType want = PGRES_POLLING_WRITING;
	while (want != PGRES_POLLING_OK) {
		if (want == PGRES_POLLING_FAILED)
			return db_lost(db, e);
		if (!db_wait(
			    db, want == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, true)) {
			db_disconnect(db);
			return stop_requested() ? error_set(e, ERROR_STOPPED, "asked to stop")
						: error_set(e, ERROR_CONNECTION,
							  "database: no answer in time");
		}
		want = PQconnectPoll(db->conn);
	}
	return true;
}

bool db_connect(struct db *db, struct instant deadline, struct error *e)
{
	db_disconnect(db);
	db->conn = connect_start(db);
	if (db->conn == NULL)
		abort();
	if (PQstatus(db->conn) == CONNECTION_BAD)
		return db_lost(db, e);
	if (!connect_finish(db, deadline, e))
		return false;
	PQsetNoticeProcessor(db->conn, ignore_notice, NULL);
	if (PQsetnonblocking(db->conn, 1) != 0 || !PQenterPipelineMode(db->conn))
		return db_lost(db, e);
	if (db_set_up(db, deadline, e))
		return true;
	db_disconnect(db);
	return false;
}

static void take_notifications(struct db *db, const struct db_listening *l)
{
	for (PGnotify *n; (n = PQnotifies(db->conn)) != NULL; PQfreemem(n))
		l->notify(l->arg, n->extra);
}

bool db_listen(struct db *db, const struct db_listening *l, struct error *e)
{
	struct pollfd fds[] = { { .fd = PQsocket(db->conn), .events = POLLIN },
		{ .fd = l->wake_fd, .events = POLLIN } };
	take_notifications(db, l); /* that came along with an answer */
	for (;;) {
		int ms = instant_poll_ms(l->deadline, clock_now());
		int ready = poll(fds, 2, ms);
		if (ms == 0 || fds[1].revents != 0)
			return true;
		if (ready <= 0)
			continue;
		if (!PQconsumeInput(db->conn))
			return db_lost(db, e);
		take_notifications(db, l);
	}
}
