#include "db.h"

#include "log.h"
#include "stop.h"
#include "text.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct db {
	char *conninfo;
	double timeout;
	PGconn *conn; /* NULL: not connected */
};

/* What becomes of an SQLSTATE; the first row whose state it begins with.  An unknown state is
 * ERROR_DATABASE: nothing was deleted, and people have to look. */
static const struct {
	const char *state;
	enum error_kind kind;
} states[] = {
	{ "08", ERROR_CONNECTION },    /* connection exception */
	{ "25006", ERROR_CONNECTION }, /* read only: this is a standby now */
	{ "25P03", ERROR_CONNECTION }, /* idle in transaction for too long */
	{ "26000", ERROR_PLAN },       /* no such prepared statement */
	{ "0A000", ERROR_PLAN },       /* cached plan must not change result type */
	{ "40001", ERROR_CONFLICT },   /* serialization failure */
	{ "40P01", ERROR_CONFLICT },   /* deadlock */
	{ "42703", ERROR_PLAN },       /* no such column: renamed or dropped */
	{ "42P01", ERROR_PLAN },       /* no such table: likewise */
	{ "53", ERROR_CONNECTION },    /* out of disk, memory or connections */
	{ "55P03", ERROR_CONFLICT },   /* lock not available */
	{ "57014", ERROR_CONNECTION }, /* canceled, by statement_timeout or by hand */
	{ "57P01", ERROR_CONNECTION }, /* shut down by administrator */
	{ "57P02", ERROR_CONNECTION }, /* shut down by a crash */
	{ "57P03", ERROR_CONNECTION }, /* starting up or shutting down */
	{ "57P05", ERROR_CONNECTION }, /* idle for too long */
	{ "58", ERROR_CONNECTION },    /* system error, such as an I/O error */
};

/* Settings of every session, so that text forms do not depend on the environment, dead peers are
 * noticed, rows that row level security hides are an error, and locks are not held without end.
 * Each statement is planned once: it is short, always of one shape, and what the planner guesses
 * from a parameter's value (or would compile, with JIT) costs more than it gains. */
static const char session_settings[] =
	"SELECT set_config(name, setting, false) FROM (VALUES"
	" ('TimeZone', 'UTC'), ('DateStyle', 'ISO, MDY'), ('IntervalStyle', 'postgres'),"
	" ('bytea_output', 'hex'), ('extra_float_digits', '1'), ('quote_all_identifiers', 'off'),"
	" ('row_security', 'off'),"
	" ('default_transaction_isolation', 'read committed'),"
	" ('default_transaction_deferrable', 'off'),"
	" ('plan_cache_mode', 'force_generic_plan'), ('jit', 'off'),"
	" ('statement_timeout', $1), ('lock_timeout', $1),"
	" ('idle_in_transaction_session_timeout', $2)) AS s (name, setting)";

/* The server's own limit for an idle transaction: a burst waits for acknowledgements meanwhile. */
#define IDLE_TIMEOUT_FACTOR 2

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
	return db;
}

void db_free(struct db *db)
{
	if (db == NULL)
		return;
	db_disconnect(db);
	free(db->conninfo);
	free(db);
}

void db_disconnect(struct db *db)
{
	PQfinish(db->conn);
	db->conn = NULL;
}

bool db_connected(const struct db *db)
{
	return db->conn != NULL;
}

bool db_in_transaction(const struct db *db)
{
	return db->conn != NULL && PQtransactionStatus(db->conn) != PQTRANS_IDLE;
}

/* Wait until the socket is ready for events.  Returns false when the deadline has passed, or, with
 * or_stop, when the process is asked to stop. */
static bool wait_socket(struct db *db, short events, struct instant deadline, bool or_stop)
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

static bool connection_error(struct db *db, struct error *e)
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
			return connection_error(db, e);
		if (!wait_socket(
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
		return connection_error(db, e);
	if (!connect_finish(db, deadline, e))
		return false;
	PQsetNoticeProcessor(db->conn, ignore_notice, NULL);
	if (PQsetnonblocking(db->conn, 1) != 0 || !PQenterPipelineMode(db->conn))
		return connection_error(db, e);
	char limit[32], idle_limit[32];
	snprintf(limit, sizeof limit, "%.0f", db->timeout * 1000);
	snprintf(idle_limit, sizeof idle_limit, "%.0f", db->timeout * IDLE_TIMEOUT_FACTOR * 1000);
	const char *const values[] = { limit, idle_limit };
	struct db_call settings = { .sql = session_settings, .values = values, .value_count = 2 };
	if (db_call(db, settings, deadline, e))
		return true;
	db_disconnect(db);
	return false;
}

static bool send_call(PGconn *conn, const struct db_call *c)
{
	if (c->prepared != NULL && c->sql != NULL)
		return PQsendPrepare(conn, c->prepared, c->sql, 0, NULL);
	if (c->prepared != NULL)
		return PQsendQueryPrepared(
			conn, c->prepared, c->value_count, c->values, NULL, NULL, 0);
	return PQsendQueryParams(conn, c->sql, c->value_count, NULL, c->values, NULL, NULL, 0);
}

static bool send_calls(struct db *db, const struct db_call *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!send_call(db->conn, &calls[i]))
			return false;
	return PQpipelineSync(db->conn);
}

/* The next result, once it is whole; NULL ends the results of a call.  False: connection lost. */
static bool next_result(struct db *db, struct instant deadline, PGresult **result, struct error *e)
{
	int unsent = PQflush(db->conn);
	while (unsent > 0 || PQisBusy(db->conn)) {
		if (unsent < 0)
			return connection_error(db, e);
		if (!wait_socket(db, unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline, false)) {
			db_disconnect(db);
			return error_set(e, ERROR_CONNECTION, "database: no answer in time");
		}
		if (!PQconsumeInput(db->conn))
			return connection_error(db, e);
		unsent = PQflush(db->conn);
	}
	*result = PQgetResult(db->conn);
	if (*result == NULL && PQstatus(db->conn) == CONNECTION_BAD)
		return connection_error(db, e);
	return true;
}

static void set_server_error(const PGresult *result, struct error *e)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	enum error_kind kind = state == NULL ? ERROR_CONNECTION : ERROR_DATABASE;
	for (size_t i = 0; state != NULL && i < sizeof states / sizeof states[0]; i++)
		if (strncmp(state, states[i].state, strlen(states[i].state)) == 0) {
			kind = states[i].kind;
			break;
		}
	error_set(e, kind, "database: %s%s%s%s%s%s",
		message != NULL ? message : PQresultErrorMessage(result),
		detail != NULL ? " (" : "", detail != NULL ? detail : "", detail != NULL ? ")" : "",
		state != NULL ? " SQLSTATE " : "", state != NULL ? state : "");
}

/* Give the result to whom the call names, or free it.  Returns false where it is an error. */
static bool take_result(const struct db_call *c, PGresult *result, struct error *e)
{
	ExecStatusType status = PQresultStatus(result);
	bool ok = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
	/* COMMIT of a transaction that has failed says ROLLBACK, and that is no success. */
	if (ok && c->sql != NULL && strcmp(c->sql, "COMMIT") == 0 &&
		strcmp(PQcmdStatus(result), "COMMIT") != 0)
		ok = error_set(e, ERROR_CONFLICT, "database: the transaction was rolled back");
	else if (!ok && status != PGRES_PIPELINE_ABORTED)
		set_server_error(result, e);
	if (ok && c->affected != NULL)
		*c->affected = strtoul(PQcmdTuples(result), NULL, 10);
	if (ok && c->rows != NULL)
		*c->rows = (struct rows *)result;
	else
		PQclear(result);
	return ok;
}

/* The results of one call: one, then NULL. */
static bool receive_call(struct db *db, const struct db_call *c, struct instant deadline,
	bool *failed, struct error *e)
{
	PGresult *result = NULL;
	struct error own;
	if (!next_result(db, deadline, &result, e))
		return false;
	while (result != NULL) {
		if (!take_result(c, result, &own) && !*failed) {
			*failed = true;
			*e = own;
		}
		if (!next_result(db, deadline, &result, &own)) {
			if (!*failed)
				*e = own;
			return false;
		}
	}
	return true;
}

/* The result that answers the sync at the end of a run. */
static bool receive_sync(struct db *db, struct instant deadline, struct error *e)
{
	PGresult *result = NULL;
	if (!next_result(db, deadline, &result, e))
		return false;
	bool synced = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
	PQclear(result);
	return synced || connection_error(db, e);
}

bool db_run(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e)
{
	bool failed = false;
	for (size_t i = 0; i < count; i++)
		if (calls[i].rows != NULL)
			*calls[i].rows = NULL;
	if (db->conn == NULL)
		return error_set(e, ERROR_CONNECTION, "database: not connected");
	if (!send_calls(db, calls, count))
		return connection_error(db, e);
	for (size_t i = 0; i < count; i++)
		if (!receive_call(db, &calls[i], deadline, &failed, e))
			return false;
	struct error sync_error;
	if (!receive_sync(db, deadline, &sync_error)) {
		if (!failed)
			*e = sync_error;
		return false;
	}
	return !failed;
}

bool db_call(struct db *db, struct db_call call, struct instant deadline, struct error *e)
{
	return db_run(db, &call, 1, deadline, e);
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
			return connection_error(db, e);
		take_notifications(db, l);
	}
}

/* struct rows is never defined: it is libpq's result under a name that hides libpq. */
static const PGresult *result_of(const struct rows *r)
{
	return (const PGresult *)r;
}

size_t rows_count(const struct rows *r)
{
	return (size_t)PQntuples(result_of(r));
}

unsigned rows_type(const struct rows *r, size_t column)
{
	return PQftype(result_of(r), (int)column);
}

const char *rows_value(const struct rows *r, size_t row, size_t column)
{
	if (PQgetisnull(result_of(r), (int)row, (int)column))
		return NULL;
	return PQgetvalue(result_of(r), (int)row, (int)column);
}

void rows_fields(const struct rows *r, size_t row, struct field *fields, size_t count)
{
	const PGresult *result = result_of(r);
	for (size_t i = 0; i < count; i++) {
		fields[i].text = rows_value(r, row, i);
		fields[i].length = (size_t)PQgetlength(result, (int)row, (int)i);
	}
}

void rows_free(struct rows *r)
{
	PQclear((PGresult *)r);
}
