#include "postgres/db_internal.h"

#include "base/log.h"
#include "base/stop.h"
#include "base/text.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The error kind for the SQLSTATE of a statement that failed while the session is intact; the first
 * row that is a prefix of the state.  Some states usually mean that the server is unavailable, but
 * any trigger may raise them, too.  An unknown state is ERROR_DATABASE: nothing was deleted, and
 * people must examine it. */
static const struct {
	const char *state;
	enum error_kind kind;
} states[] = {
	{ "08", ERROR_TEMPORARY },    /* connection exception, of a foreign table's server */
	{ "25006", ERROR_TEMPORARY }, /* read-only, although the server accepts writes */
	{ "26000", ERROR_PLAN },      /* no such prepared statement */
	{ "0A000", ERROR_PLAN },      /* cached plan must not change result type */
	{ "40001", ERROR_CONFLICT },  /* serialization failure */
	{ "40P01", ERROR_CONFLICT },  /* deadlock */
	{ "42703", ERROR_PLAN },      /* no such column: renamed or dropped */
	{ "42P01", ERROR_PLAN },      /* no such table: likewise */
	{ "53", ERROR_TEMPORARY },    /* out of disk or memory */
	{ "55P03", ERROR_TEMPORARY }, /* lock not available within lock_timeout */
	{ "57014", ERROR_TEMPORARY }, /* canceled, by statement_timeout or by hand */
	{ "57P", ERROR_TEMPORARY },   /* shutdowns, if a trigger raises them */
	{ "58", ERROR_TEMPORARY },    /* system error, such as an I/O error */
};

/* Before a row that is larger than that is taken, there has to be memory for several copies of
 * it: the row, the message, its JSON, and librdkafka's. */
#define LARGE_ROW_BYTES ((size_t)1024 * 1024)
#define ROW_COPIES      8

/* An answer that nobody wants is cancelled when it is larger than that. */
#define DISCARD_BYTES ((size_t)1024 * 1024)

/* A shared session has no statements of its own: to prepare one only lets the server check it. */
static bool send_preparation(struct db *db, const struct db_call *c)
{
	if (db->is_shared)
		db_keep_statement(db, c->prepared, c->sql);
	return PQsendPrepare(db->conn, db->is_shared ? "" : c->prepared, c->sql, 0, NULL);
}

static bool send_call(struct db *db, const struct db_call *c)
{
	if (c->prepared != NULL && c->sql != NULL)
		return send_preparation(db, c);
	if (c->prepared != NULL && !db->is_shared)
		return PQsendQueryPrepared(db->conn, c->prepared, c->value_count, c->values,
			c->lengths, c->formats, 0);
	const char *sql = c->prepared != NULL ? db_kept_statement(db, c->prepared) : c->sql;
	return PQsendQueryParams(
		db->conn, sql, c->value_count, NULL, c->values, c->lengths, c->formats, 0);
}

static bool send_calls(struct db *db, const struct db_call *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!send_call(db, &calls[i]))
			return false;
	return PQpipelineSync(db->conn);
}

/* Wait for the server; a late statement is cancelled.  Returns false with e if that is not answered
 * either. */
static bool await(struct db *db, short events, struct instant deadline, struct error *e)
{
	if (db_wait(db, events, db->is_late ? db->late_until : deadline, db->run_heeds_stop))
		return true;
	if (db->run_heeds_stop && stop_requested()) {
		db->run_heeds_stop = false;
		db->is_stopped = true;
		db_cancel(db);
		return true;
	}
	if (db->is_set_up && db_cancel_late(db))
		return true;
	if (db->is_set_up)
		db_leave(db);
	return db_silent(db, db->run_since, e);
}

/* The next complete result; NULL ends the results of a call.  False: connection lost. */
static bool next_result(struct db *db, struct instant deadline, PGresult **result, struct error *e)
{
	int unsent = PQflush(db->conn);
	while (unsent > 0 || PQisBusy(db->conn)) {
		if (unsent < 0)
			return db_lost(db, e);
		if (!await(db, unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline, e))
			return false;
		if (!db_consume(db))
			return db_lost(db, e);
		unsent = PQflush(db->conn);
	}
	*result = PQgetResult(db->conn);
	if (*result == NULL && PQstatus(db->conn) == CONNECTION_BAD)
		return db_lost(db, e);
	return true;
}

/* Whether the server has ended the session with it. */
static bool ends_session(const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	if (severity == NULL) /* possibly a pooler's own */
		severity = PQresultErrorField(result, PG_DIAG_SEVERITY);
	return severity != NULL &&
	       (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

/* Whether the server reports that it accepts writes; before PostgreSQL 14 it does not report
 * this. */
static bool takes_writes(PGconn *conn)
{
	static const char *const hindrances[] = { "in_hot_standby",
		"default_transaction_read_only" };
	for (size_t i = 0; i < sizeof hindrances / sizeof hindrances[0]; i++) {
		const char *value = PQparameterStatus(conn, hindrances[i]);
		if (value == NULL || strcmp(value, "off") != 0)
			return false;
	}
	return true;
}

static enum error_kind kind_of(PGconn *conn, const PGresult *result, const char *state)
{
	if (state == NULL)
		return db_failure_kind(PQresultErrorMessage(result));
	if (ends_session(result))
		return ERROR_CONNECTION;
	if (strcmp(state, "25006") == 0 && !takes_writes(conn))
		return ERROR_CONNECTION; /* after a failover this is a standby */
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		if (strncmp(state, states[i].state, strlen(states[i].state)) == 0)
			return states[i].kind;
	return ERROR_DATABASE;
}

/* Longer texts are shortened in the middle, so that all parts of an error fit. */
#define MESSAGE_MAX 300
#define PART_MAX    120

static bool is_wanted(const PGresult *result, int field, enum error_kind kind)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	if (field == PG_DIAG_CONTEXT)
		return kind == ERROR_TEMPORARY;
	/* 23502, 23514: the detail is the row, which is nobody's business and differs each time. */
	return field != PG_DIAG_MESSAGE_DETAIL || state == NULL ||
	       (strcmp(state, "23502") != 0 && strcmp(state, "23514") != 0);
}

/* Add what the server reports in addition to its message, unless the message contains it. */
static void add_details(struct text *t, const PGresult *result, enum error_kind kind)
{
	static const struct {
		int field;
		const char *what;
	} parts[] = { { PG_DIAG_MESSAGE_DETAIL, "" }, { PG_DIAG_TABLE_NAME, "table " },
		{ PG_DIAG_COLUMN_NAME, "column " }, { PG_DIAG_CONSTRAINT_NAME, "constraint " },
		{ PG_DIAG_CONTEXT, "" } };
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *before = " (";
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		const char *part = PQresultErrorField(result, parts[i].field);
		if (part == NULL || !is_wanted(result, parts[i].field, kind) ||
			(message != NULL && strstr(message, part)))
			continue;
		text_addf(t, "%s%s", before, parts[i].what);
		text_add_short(t, part, PART_MAX);
		before = "; ";
	}
	if (before[0] == ';')
		text_addf(t, ")");
}

static void set_server_error(const struct db *db, const PGresult *result, struct error *e)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	enum error_kind kind = kind_of(db->conn, result, state);
	struct text t = { 0 };
	if (kind == ERROR_CONNECTION)
		db_add_place(db, &t);
	else
		text_addf(&t, "database");
	text_addf(&t, ": ");
	text_add_short(&t, message != NULL ? message : PQresultErrorMessage(result), MESSAGE_MAX);
	add_details(&t, result, kind);
	error_set(e, kind, "%s%s%s", t.text, state != NULL ? " SQLSTATE " : "",
		state != NULL ? state : "");
	if (state != NULL)
		snprintf(e->sqlstate, sizeof e->sqlstate, "%s", state);
	text_free(&t);
}

/* The state of a call's answer. */
struct answer {
	const struct db_call *call;
	int columns;
	struct field *fields; /* of a row in transit */
	size_t left_out;      /* bytes of omitted rows */
	bool is_cancelled;
	bool has_failed;
	bool is_over; /* nothing more of it is to be received */
	struct error *error;
};

/* Omit a row, and all later ones: those in transit are skipped, unless they are many. */
static void leave_out(struct db *db, struct answer *a, size_t bytes)
{
	const struct db_call *c = a->call;
	*c->cut_to = rows_count(*c->rows);
	a->left_out += bytes;
	if (a->left_out <= c->max_bytes || a->is_cancelled || c->on_row != NULL)
		return;
	a->is_cancelled = true;
	log_debug("database: more than %zu surplus bytes: cancelling the statement", c->max_bytes);
	db_cancel(db);
}

/* Set the error for a missing value.  Always returns false. */
static bool missing(struct answer *a, const PGresult *result, int column)
{
	a->has_failed = true;
	return error_set(a->error, ERROR_DATABASE,
		"database: column \"%s\" is NULL, but must not be", PQfname(result, column));
}

/* The fields of a row.  Sets *bytes to their total length. */
static bool read_row(struct answer *a, const PGresult *result, int row, size_t *bytes)
{
	*bytes = 0;
	for (int i = 0; i < a->columns; i++) {
		struct field *f = &a->fields[i];
		bool is_null = PQgetisnull(result, row, i);
		f->text = is_null ? NULL : PQgetvalue(result, row, i);
		f->length = (size_t)PQgetlength(result, row, i);
		if (is_null && i < a->call->never_null)
			return missing(a, result, i);
		*bytes += f->length;
	}
	return true;
}

/* Whether a row has room in memory, with what is made of it.  If not, the session is closed. */
static bool has_room(struct db *db, struct answer *a, size_t bytes)
{
	size_t max = a->call->row_max;
	bool is_small = max == 0 || bytes <= max;
	if (is_small && (bytes <= LARGE_ROW_BYTES || memory_suffices(bytes * ROW_COPIES)))
		return true;
	a->has_failed = a->is_over = db->in_doubt = true;
	if (is_small)
		return error_set(a->error, ERROR_MEMORY,
			"database: not enough memory for a row of %zu bytes", bytes);
	return error_set(a->error, ERROR_MEMORY,
		"database: a row of %zu bytes is larger than any message", bytes);
}

static void take_row(struct db *db, struct answer *a, const PGresult *result, int row)
{
	const struct db_call *c = a->call;
	size_t bytes;
	if (a->has_failed || !read_row(a, result, row, &bytes) || !has_room(db, a, bytes))
		return;
	bool fits = c->max_bytes == 0 || rows_count(*c->rows) == 0 ||
		    rows_bytes(*c->rows) + bytes <= c->max_bytes;
	if (!fits || a->left_out > 0) {
		leave_out(db, a, bytes);
		return;
	}
	rows_add(*c->rows, a->fields);
	if (c->on_row == NULL)
		return;
	db->run_heeds_stop = false;
	c->on_row(c->arg);
}

/* A statement that is prepared, or planned again, after its table has changed may return other
 * columns than when the table was examined. */
static bool is_expected(const struct db_columns *expected, const PGresult *result)
{
	if (PQnfields(result) != expected->count)
		return false;
	for (int i = 0; i < expected->count; i++) {
		const struct row_column *c = &expected->columns[i];
		if (PQftype(result, i) != c->type_oid ||
			(c->table_oid != 0 && (PQftable(result, i) != c->table_oid ||
						      PQftablecol(result, i) != c->attnum)))
			return false;
	}
	return true;
}

/* Prepare for reading rows. */
static bool begin_rows(struct answer *a, const PGresult *result)
{
	const struct db_columns *expected = a->call->expected;
	if (expected != NULL && !is_expected(expected, result)) {
		a->has_failed = true;
		return error_set(a->error, ERROR_PLAN,
			"database: a table has changed since it was examined");
	}
	a->columns = expected != NULL ? expected->kept : PQnfields(result);
	size_t count = (size_t)a->columns;
	struct rows *rows = *a->call->rows = rows_new(count);
	a->fields = memory_new(count, sizeof *a->fields);
	for (int i = 0; i < a->columns; i++)
		rows_set_type(rows, (size_t)i, PQftype(result, i));
	return true;
}

/* Rows arrive one at a time, so that no more of them are in memory than needed. */
static void take_rows(struct db *db, struct answer *a, const PGresult *result)
{
	if (a->has_failed || (*a->call->rows == NULL && !begin_rows(a, result)))
		return;
	for (int i = 0; i < PQntuples(result); i++)
		take_row(db, a, result, i);
}

/* Whether the server does not know an object with the session's token in its name. */
static bool is_other_session(const struct db *db, const PGresult *result)
{
	static const char *const unknown[] = { "26000", "34000", "42704" };
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	bool is_unknown = false;
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
		is_unknown = is_unknown || (state != NULL && strcmp(state, unknown[i]) == 0);
	return is_unknown && message != NULL && db->token[0] != '\0' &&
	       strstr(message, db->token) != NULL;
}

bool db_pooled(struct error *e)
{
	return error_set(e, ERROR_POOLED,
		"database: a connection pooler uses transaction pooling, but signalbus needs "
		"session pooling; connect to the server directly, or set the pooler to session "
		"pooling (PgBouncer: pool_mode = session), or database_listen to a direct "
		"connection");
}

static void take_error(struct db *db, struct answer *a, const PGresult *result)
{
	if (a->has_failed)
		return;
	a->has_failed = true;
	if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED)
		return; /* the call that failed has set the error */
	db->in_doubt |= PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL;
	set_server_error(db, result, a->error);
	if (is_other_session(db, result))
		db->in_doubt = !db_pooled(a->error);
	if (db->is_stopped && strcmp(a->error->sqlstate, "57014") == 0)
		a->error->kind = ERROR_STOPPED; /* as is to be expected */
}

/* Of a failed transaction these return ROLLBACK, which is not success. */
static bool was_rolled_back(const char *sql, const char *tag)
{
	static const char prepare[] = "PREPARE TRANSACTION";
	if (strncmp(sql, prepare, strlen(prepare)) == 0)
		return strcmp(tag, prepare) != 0;
	return strcmp(sql, "COMMIT") == 0 && strcmp(tag, "COMMIT") != 0;
}

/* Store the requested parts of a result. */
static void take_result(struct db *db, struct answer *a, const PGresult *result)
{
	const struct db_call *c = a->call;
	ExecStatusType status = PQresultStatus(result);
	bool has_rows = status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE;
	if (!has_rows && status != PGRES_COMMAND_OK) {
		take_error(db, a, result);
		return;
	}
	if (c->sql != NULL && was_rolled_back(c->sql, PQcmdStatus((PGresult *)result)))
		a->has_failed = !error_set(
			a->error, ERROR_CONFLICT, "database: the transaction was rolled back");
	if (c->affected != NULL)
		*c->affected = strtoul(PQcmdTuples((PGresult *)result), NULL, 10);
	if (has_rows && c->rows != NULL)
		take_rows(db, a, result);
}

/* The results of one call, then NULL.  Returns false if the session is lost meanwhile. */
static bool take_results(
	struct db *db, struct answer *a, struct instant deadline, struct error *lost)
{
	PGresult *result = NULL;
	if (a->call->rows != NULL)
		PQsetSingleRowMode(db->conn);
	while (next_result(db, deadline, &result, lost)) {
		if (result == NULL)
			return true;
		take_result(db, a, result);
		PQclear(result);
		if (a->is_over)
			break;
	}
	return false;
}

/* Returns false if the session is lost. */
static bool receive_call(struct db *db, const struct db_call *c, struct instant deadline,
	bool *failed, struct error *e)
{
	struct error own = { 0 }, lost;
	struct answer a = { .call = c, .error = &own };
	bool ok = take_results(db, &a, deadline, &lost);
	free(a.fields);
	if (!ok || a.has_failed) {
		if (!*failed)
			*e = a.has_failed ? own : lost;
		*failed = true;
		if (c->rows != NULL) {
			rows_free(*c->rows);
			*c->rows = NULL;
		}
	}
	return ok;
}

/* The result that answers the sync at the end of a run. */
static bool receive_sync(struct db *db, struct instant deadline, struct error *e)
{
	PGresult *result = NULL;
	if (!next_result(db, deadline, &result, e))
		return false;
	bool synced = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
	PQclear(result);
	return synced || db_lost(db, e);
}

bool db_send(struct db *db, const struct db_call *calls, size_t count, struct error *e)
{
	for (size_t i = 0; i < count; i++) {
		if (calls[i].rows != NULL)
			*calls[i].rows = NULL;
		if (calls[i].cut_to != NULL)
			*calls[i].cut_to = 0;
	}
	if (db->conn == NULL)
		return error_set(e, ERROR_CONNECTION, "database: not connected");
	if (db->heeds_stop && stop_requested())
		return error_set(e, ERROR_STOPPED, "asked to stop");
	if (db->run_count == DB_RUNS_MAX)
		abort();
	db->unanswered[db->run_count++] = count;
	db->notice[0] = '\0';
	return send_calls(db, calls, count) || db_lost(db, e);
}

/* The oldest run that is sent is answered next; those that do not fit each other would take one's
 * results for another's. */
static void begin_answers(struct db *db, size_t count)
{
	if (db->run_count == 0 || db->unanswered[0] != count)
		abort();
	db->run_count--;
	memmove(db->unanswered, db->unanswered + 1, db->run_count * sizeof *db->unanswered);
	db->run_heeds_stop = db->heeds_stop;
	db->is_stopped = false;
	db->is_late = false;
	db->is_unconfirmed = false;
	db->run_since = clock_now();
}

bool db_receive(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e)
{
	bool failed = false;
	if (db->conn == NULL)
		return error_set(e, ERROR_CONNECTION, "database: not connected");
	begin_answers(db, count);
	bool is_there = true;
	for (size_t i = 0; is_there && i < count; i++)
		is_there = receive_call(db, &calls[i], deadline, &failed, e);
	struct error lost;
	if (is_there && !receive_sync(db, deadline, &lost) && !failed) {
		*e = lost;
		failed = true;
	}
	if (db->in_doubt)
		db_disconnect(db);
	if (failed && db->is_late && db->conn != NULL)
		return db_say_late(db, e);
	if (failed && db->conn == NULL && e->kind == ERROR_TEMPORARY)
		e->kind = ERROR_CONNECTION; /* it was more than the statement's failure */
	return !failed;
}

void db_discard(struct db *db, struct instant deadline)
{
	bool heeded = db->heeds_stop;
	db->heeds_stop = true;
	while (db->conn != NULL && db->run_count > 0) {
		size_t count = db->unanswered[0], cut_to;
		struct rows **dropped = memory_new(count, sizeof *dropped);
		struct db_call *calls = memory_new(count, sizeof *calls);
		struct error ignored;
		for (size_t i = 0; i < count; i++)
			calls[i] = (struct db_call){
				.rows = &dropped[i], .max_bytes = DISCARD_BYTES, .cut_to = &cut_to
			};
		db_receive(db, calls, count, deadline, &ignored);
		for (size_t i = 0; i < count; i++)
			rows_free(dropped[i]);
		free(calls);
		free(dropped);
	}
	db->heeds_stop = heeded;
}

bool db_run(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e)
{
	return db_send(db, calls, count, e) && db_receive(db, calls, count, deadline, e);
}

bool db_restore_settings(const struct db *db, struct db_call *call)
{
	static const char session_settings[] = DB_SET(DB_SETTINGS);
	bool has_others = db->is_shared || db->is_pooled;
	if (has_others || db->has_run_users_code)
		*call = (struct db_call){ .sql = has_others ? db->settings : session_settings };
	return has_others || db->has_run_users_code;
}

bool db_restore_settings_first(const struct db *db, struct db_call *call)
{
	return !db_in_transaction(db) && db_restore_settings(db, call);
}

bool db_call(struct db *db, struct db_call call, struct instant deadline, struct error *e)
{
	struct db_call calls[2];
	size_t count = db_restore_settings_first(db, &calls[0]) ? 1 : 0;
	calls[count++] = call;
	bool ok = db_run(db, calls, count, deadline, e);
	if (!ok && call.rows != NULL) {
		rows_free(*call.rows);
		*call.rows = NULL;
	}
	return ok;
}

bool db_deallocate(struct db *db, struct instant deadline, struct error *e)
{
	db_forget_statements(db);
	return db->is_shared ||
	       db_call(db, (struct db_call){ .sql = "DEALLOCATE ALL" }, deadline, e);
}
