#include "postgres/db_internal.h"

#include "libpq_script.h"
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>

enum { INT8_OID = 20, TEXT_OID = 25, TIMEOUT_S = 5 };

static struct {
	struct db *db;
	struct error error;
	struct rows *rows;
	size_t affected, cut_to;
	unsigned told; /* of rows */
	size_t memory; /* that there is, in bytes; 0: enough */
} world;

bool scripted_memory_suffices(size_t bytes);
bool scripted_memory_suffices(size_t bytes)
{
	return world.memory == 0 || bytes <= world.memory;
}

/* The probe's connection is libpq's matter; it is tested with servers. */
bool db_answers(const struct db *db, struct instant deadline)
{
	ck_assert_ptr_eq(db, world.db);
	ck_assert_int_eq(deadline.ns, server.now_ns + INT64_C(1000000000));
	return !take_step(PROBE)->fails;
}

static void begin(const struct step *script)
{
	world.db = db_new(NULL, TIMEOUT_S);
	world.db->conn = &server;
	world.db->is_set_up = true;
	world.db->server_pid = 815;
	snprintf(world.db->token, sizeof world.db->token, "00112233");
	server.now_ns = INT64_C(1000000000000);
	server.db = world.db;
	server.next = script;
}

/* The script is over.  Whether the session is still there. */
static void end(bool is_connected)
{
	ck_assert(is_next(OVER));
	ck_assert_uint_eq(server.results, 0);
	ck_assert(db_connected(world.db) == is_connected);
	rows_free(world.rows);
	db_free(world.db);
}

static struct instant deadline(void)
{
	return instant_after(clock_now(), TIMEOUT_S);
}

static bool run(const struct db_call *calls, size_t count)
{
	return db_run(world.db, calls, count, deadline(), &world.error);
}

static void check_error(enum error_kind kind, const char *text)
{
	ck_assert_str_eq(world.error.text, text);
	ck_assert_int_eq(world.error.kind, kind);
}

static void check_value(size_t row, size_t column, const char *text)
{
	ck_assert_ptr_nonnull(world.rows);
	ck_assert_uint_lt(row, rows_count(world.rows));
	ck_assert_pstr_eq(rows_value(world.rows, row, column), text);
}

static const struct told columns[] = { { "id", INT8_OID, 16384, 1 },
	{ "body", TEXT_OID, 16384, 2 } };

#define PLACE "database at db port 5432: "
#define SENT(sql)                                                                                  \
	{                                                                                          \
		.kind = QUERY, .text = (sql)                                                       \
	}
#define LAST                                                                                       \
	{                                                                                          \
		.kind = SYNC                                                                       \
	}
#define AT_END                                                                                     \
	{                                                                                          \
		.kind = END                                                                        \
	}
#define AT_SYNC                                                                                    \
	{                                                                                          \
		.kind = SYNCED                                                                     \
	}
#define MEETS(what)                                                                                \
	{                                                                                          \
		.kind = (what)                                                                     \
	}
#define BREAKS(what)                                                                               \
	{                                                                                          \
		.kind = (what), .fails = true                                                      \
	}
#define SAYS(...)                                                                                  \
	{                                                                                          \
		.kind = RESULT, .result = { __VA_ARGS__ }                                          \
	}
#define DONE          SAYS(.status = PGRES_COMMAND_OK)
#define FAILS(code)   SAYS(.status = PGRES_FATAL_ERROR, .state = (code), .message = "no")
#define ABORTED       SAYS(.status = PGRES_PIPELINE_ABORTED)
#define IN_COLUMNS    .columns = columns, .column_count = COUNT(columns)
#define ROW(id, body) SAYS(.status = PGRES_SINGLE_TUPLE, IN_COLUMNS, .values = { (id), (body) })
#define ROWS_END      SAYS(.status = PGRES_TUPLES_OK, IN_COLUMNS)
/* A run of a single call, to its answer. */
#define ASKED SENT("SELECT"), LAST
#define ANSWERED                                                                                   \
	AT_END, AT_SYNC,                                                                           \
	{                                                                                          \
		0                                                                                  \
	}

static const struct db_call begins = { .sql = "BEGIN" };
static const struct db_call commits = { .sql = "COMMIT" };
static const struct db_call selects = { .sql = "SELECT", .rows = &world.rows };

START_TEST(calls_are_sent_together_and_answered_in_their_order)
{
	static const struct step script[] = { { .kind = PREPARE, .text = "DELETE" },
		{ .kind = EXECUTE, .text = "name" }, SENT("SELECT"), LAST, DONE, AT_END,
		SAYS(.status = PGRES_COMMAND_OK, .command = "DELETE 3", .affected = "3"), AT_END,
		ROW("1", "a"), ROW(NULL, ""), ROWS_END, ANSWERED };
	static const char *const values[] = { "4711" };
	static const int one[] = { 1 };
	const struct db_call calls[] = { { .sql = "DELETE", .prepared = "name" },
		{ .prepared = "name",
			.values = values,
			.value_count = 1,
			.formats = one,
			.lengths = one,
			.affected = &world.affected },
		{ .sql = "SELECT", .rows = &world.rows } };
	begin(script);
	ck_assert(run(calls, 3));
	ck_assert_uint_eq(server.single_rows, 1);
	ck_assert_uint_eq(world.affected, 3);
	ck_assert_uint_eq(rows_count(world.rows), 2);
	check_value(0, 0, "1");
	check_value(0, 1, "a");
	check_value(1, 0, NULL);
	check_value(1, 1, "");
	ck_assert_uint_eq(rows_type(world.rows, 0), INT8_OID);
	end(true);
}
END_TEST

START_TEST(a_run_that_is_sent_before_another_is_answered_comes_after_it)
{
	static const struct step script[] = { SENT("BEGIN"), LAST, ASKED, DONE, AT_END, AT_SYNC,
		ROW("1", "a"), ROWS_END, ANSWERED };
	begin(script);
	ck_assert(db_send(world.db, &begins, 1, &world.error));
	ck_assert(db_send(world.db, &selects, 1, &world.error));
	ck_assert(db_receive(world.db, &begins, 1, deadline(), &world.error));
	ck_assert_ptr_null(world.rows);
	ck_assert(db_receive(world.db, &selects, 1, deadline(), &world.error));
	check_value(0, 1, "a");
	end(true);
}
END_TEST

START_TEST(what_is_sent_and_not_received_is_dropped)
{
	static const struct step script[] = { SENT("BEGIN"), LAST, ASKED, DONE, AT_END, AT_SYNC,
		ROW("1", "a"), ROWS_END, AT_END, AT_SYNC, ASKED, ROWS_END, ANSWERED };
	begin(script);
	ck_assert(db_send(world.db, &begins, 1, &world.error));
	ck_assert(db_send(world.db, &selects, 1, &world.error));
	for (int i = 0; i < 2; i++)
		db_discard(world.db, deadline());
	ck_assert_ptr_null(world.rows);
	ck_assert(run(&selects, 1));
	end(true);
}
END_TEST

START_TEST(what_a_lost_session_has_not_answered_is_forgotten)
{
	static const struct step script[] = { SENT("BEGIN"), LAST, ASKED, MEETS(NO_INPUT), { 0 } };
	begin(script);
	ck_assert(db_send(world.db, &begins, 1, &world.error));
	ck_assert(db_send(world.db, &selects, 1, &world.error));
	db_discard(world.db, deadline());
	ck_assert_uint_eq(world.db->run_count, 0);
	end(false);
}
END_TEST

START_TEST(output_that_has_no_room_is_waited_for)
{
	static const struct step script[] = { ASKED, MEETS(UNSENT), MEETS(LATER), ROWS_END,
		MEETS(LATER), AT_END, MEETS(LATER), AT_SYNC, { 0 } };
	begin(script);
	ck_assert(run(&selects, 1));
	ck_assert_int_eq(server.events, POLLIN);
	end(true);
}
END_TEST

START_TEST(while_output_has_no_room_input_is_taken_too)
{
	static const struct step script[] = { ASKED, MEETS(UNSENT), MEETS(NO_INPUT), { 0 } };
	static const struct step silent[] = { ASKED, MEETS(UNSENT), MEETS(NO_OUTPUT), { 0 } };
	begin(_i == 0 ? script : silent);
	ck_assert(!run(&selects, 1));
	ck_assert_int_eq(server.events, POLLIN | POLLOUT);
	end(false);
}
END_TEST

static const struct {
	const char *state;
	enum error_kind kind;
} states[] = {
	{ "08006", ERROR_TEMPORARY },
	{ "0A000", ERROR_PLAN },
	{ "0A001", ERROR_DATABASE },
	{ "22P02", ERROR_DATABASE },
	{ "23503", ERROR_DATABASE },
	{ "25006", ERROR_TEMPORARY },
	{ "25P02", ERROR_DATABASE },
	{ "26000", ERROR_PLAN },
	{ "34000", ERROR_DATABASE },
	{ "40001", ERROR_CONFLICT },
	{ "40002", ERROR_DATABASE },
	{ "40P01", ERROR_CONFLICT },
	{ "42501", ERROR_DATABASE },
	{ "42703", ERROR_PLAN },
	{ "42P01", ERROR_PLAN },
	{ "42P02", ERROR_DATABASE },
	{ "53100", ERROR_TEMPORARY },
	{ "53300", ERROR_TEMPORARY },
	{ "54000", ERROR_DATABASE },
	{ "55P03", ERROR_TEMPORARY },
	{ "55006", ERROR_DATABASE },
	{ "57014", ERROR_TEMPORARY },
	{ "57P01", ERROR_TEMPORARY },
	{ "57P05", ERROR_TEMPORARY },
	{ "58030", ERROR_TEMPORARY },
	{ "P0001", ERROR_DATABASE },
	{ "XX000", ERROR_DATABASE },
};

START_TEST(each_sqlstate_is_of_a_kind)
{
	char text[64];
	const struct step script[] = { ASKED, FAILS(states[_i].state), ANSWERED };
	begin(script);
	server.in_hot_standby = server.read_only = "off";
	ck_assert(!run(&selects, 1));
	snprintf(text, sizeof text, "database: no SQLSTATE %s", states[_i].state);
	check_error(states[_i].kind, text);
	ck_assert_str_eq(world.error.sqlstate, states[_i].state);
	ck_assert_ptr_null(world.rows);
	end(true);
}
END_TEST

static const struct {
	const char *in_hot_standby, *read_only;
	bool takes_writes;
} servers[] = {
	{ "off", "off", true },
	{ "on", "off", false },
	{ "off", "on", false },
	{ NULL, "off", false },
	{ "off", NULL, false },
};

START_TEST(a_server_that_takes_no_writes_any_more_is_left)
{
	static const struct step script[] = { ASKED, FAILS("25006"), ANSWERED };
	begin(script);
	server.in_hot_standby = servers[_i].in_hot_standby;
	server.read_only = servers[_i].read_only;
	ck_assert(!run(&selects, 1));
	if (servers[_i].takes_writes)
		check_error(ERROR_TEMPORARY, "database: no SQLSTATE 25006");
	else
		check_error(ERROR_CONNECTION, PLACE "no SQLSTATE 25006");
	end(true);
}
END_TEST

static const struct {
	int field;
	const char *severity;
	bool ends;
} severities[] = {
	{ PG_DIAG_SEVERITY_NONLOCALIZED, "ERROR", false },
	{ PG_DIAG_SEVERITY_NONLOCALIZED, "FATAL", true },
	{ PG_DIAG_SEVERITY_NONLOCALIZED, "PANIC", true },
	{ PG_DIAG_SEVERITY, "ERROR", false },
	{ PG_DIAG_SEVERITY, "FATAL", true },
};

START_TEST(the_server_may_end_the_session_with_any_state)
{
	const struct step script[] = { ASKED,
		SAYS(.status = PGRES_FATAL_ERROR, .state = "57P01", .message = "no",
			.more = { { severities[_i].field, severities[_i].severity } }),
		ANSWERED };
	begin(script);
	ck_assert(!run(&selects, 1));
	if (severities[_i].ends)
		check_error(ERROR_CONNECTION, PLACE "no SQLSTATE 57P01");
	else
		check_error(ERROR_TEMPORARY, "database: no SQLSTATE 57P01");
	end(true);
}
END_TEST

START_TEST(a_session_in_which_libpq_failed_is_closed)
{
	static const struct step script[] = { ASKED, SAYS(.status = PGRES_FATAL_ERROR), ANSWERED };
	begin(script);
	ck_assert(!run(&selects, 1));
	check_error(ERROR_CONNECTION, PLACE "libpq says");
	ck_assert_str_eq(world.error.sqlstate, "");
	end(false);
}
END_TEST

static const struct {
	const char *state;
	enum error_kind kind;
	const char *text;
} where[] = {
	{ "23503", ERROR_DATABASE,
		"database: refused by \"fk\" (Key (id)=(1).; table line; column a) SQLSTATE "
		"23503" },
	{ "55P03", ERROR_TEMPORARY,
		"database: refused by \"fk\" (Key (id)=(1).; table line; column a; while deleting "
		"tuple) "
		"SQLSTATE 55P03" },
	/* The detail of these is the row. */
	{ "23502", ERROR_DATABASE,
		"database: refused by \"fk\" (table line; column a) SQLSTATE 23502" },
	{ "23514", ERROR_DATABASE,
		"database: refused by \"fk\" (table line; column a) SQLSTATE 23514" },
};

START_TEST(an_error_says_where)
{
	const struct step script[] = { ASKED,
		SAYS(.status = PGRES_FATAL_ERROR, .state = where[_i].state,
			.message = "refused by \"fk\"",
			.more = { { PG_DIAG_MESSAGE_DETAIL, "Key (id)=(1)." },
				{ PG_DIAG_TABLE_NAME, "line" }, { PG_DIAG_COLUMN_NAME, "a" },
				{ PG_DIAG_CONSTRAINT_NAME, "fk" },
				{ PG_DIAG_CONTEXT, "while deleting tuple" } }),
		ANSWERED };
	begin(script);
	ck_assert(!run(&selects, 1));
	check_error(where[_i].kind, where[_i].text);
	end(true);
}
END_TEST

START_TEST(the_first_error_counts_and_earlier_results_remain)
{
	static const struct step script[] = { SENT("SELECT"), SENT("DELETE"), SENT("SELECT"), LAST,
		ROW("1", "a"), ROWS_END, AT_END, FAILS("23503"), AT_END, ABORTED, ANSWERED };
	struct rows *after = (struct rows *)&world;
	const struct db_call calls[] = { selects, { .sql = "DELETE" },
		{ .sql = "SELECT", .rows = &after } };
	begin(script);
	ck_assert(!run(calls, 3));
	check_error(ERROR_DATABASE, "database: no SQLSTATE 23503");
	check_value(0, 1, "a");
	ck_assert_ptr_null(after);
	end(true);
}
END_TEST

START_TEST(an_error_within_rows_takes_them_back)
{
	static const struct step script[] = { ASKED, ROW("1", "a"), FAILS("22P02"), ANSWERED };
	begin(script);
	ck_assert(!run(&selects, 1));
	check_error(ERROR_DATABASE, "database: no SQLSTATE 22P02");
	ck_assert_ptr_null(world.rows);
	end(true);
}
END_TEST

#define LOST PLACE "connection to server was lost"

static const struct {
	const char *text;
	bool has_rows; /* of the first call */
	struct step script[16];
} losses[] = {
	{ LOST, false, { BREAKS(QUERY) } },
	{ LOST, false, { SENT("SELECT"), BREAKS(QUERY) } },
	{ LOST, false, { SENT("SELECT"), SENT("COMMIT"), BREAKS(SYNC) } },
	{ LOST, false, { SENT("SELECT"), SENT("COMMIT"), LAST, MEETS(NO_OUTPUT) } },
	{ LOST, false, { SENT("SELECT"), SENT("COMMIT"), LAST, MEETS(LATER), MEETS(NO_OUTPUT) } },
	{ LOST, false, { SENT("SELECT"), SENT("COMMIT"), LAST, MEETS(NO_INPUT) } },
	{ LOST, false, { SENT("SELECT"), SENT("COMMIT"), LAST, MEETS(CLOSED) } },
	{ LOST, false, { SENT("SELECT"), SENT("COMMIT"), LAST, ROW("1", "a"), MEETS(NO_INPUT) } },
	{ LOST, true, { SENT("SELECT"), SENT("COMMIT"), LAST, ROWS_END, AT_END, MEETS(NO_INPUT) } },
	{ LOST, true, { SENT("SELECT"), SENT("COMMIT"), LAST, ROWS_END, AT_END, MEETS(CLOSED) } },
	{ LOST, true,
		{ SENT("SELECT"), SENT("COMMIT"), LAST, ROWS_END, AT_END,
			SAYS(.status = PGRES_COMMAND_OK, .command = "COMMIT"), MEETS(NO_INPUT) } },
	{ LOST, true,
		{ SENT("SELECT"), SENT("COMMIT"), LAST, ROWS_END, AT_END,
			SAYS(.status = PGRES_COMMAND_OK, .command = "COMMIT"), AT_END,
			MEETS(NO_INPUT) } },
	{ LOST, true,
		{ SENT("SELECT"), SENT("COMMIT"), LAST, ROWS_END, AT_END,
			SAYS(.status = PGRES_COMMAND_OK, .command = "COMMIT"), AT_END, DONE } },
	/* What was said before it is the reason. */
	{ "database: no SQLSTATE 57014", false,
		{ SENT("SELECT"), SENT("COMMIT"), LAST, FAILS("57014"), MEETS(NO_INPUT) } },
	{ "database: no SQLSTATE 57014", false,
		{ SENT("SELECT"), SENT("COMMIT"), LAST, FAILS("57014"), AT_END, ABORTED, AT_END,
			MEETS(NO_INPUT) } },
};

START_TEST(a_connection_may_be_lost_anywhere)
{
	const struct db_call calls[] = { selects, commits };
	struct step script[COUNT(losses[0].script)];
	memcpy(script, losses[_i].script, sizeof script);
	for (size_t i = 0; i < COUNT(script); i++)
		if (script[i].kind == QUERY && script[i].fails)
			script[i].text = i == 0 ? "SELECT" : "COMMIT";
	begin(script);
	ck_assert(!run(calls, 2));
	check_error(ERROR_CONNECTION, losses[_i].text);
	ck_assert(losses[_i].has_rows == (world.rows != NULL));
	end(false);
}
END_TEST

START_TEST(a_session_that_is_not_connected_is_not_asked)
{
	static const struct step script[] = { { 0 } };
	begin(script);
	world.db->conn = NULL;
	world.rows = (struct rows *)&world;
	ck_assert(!run(&selects, 1));
	check_error(ERROR_CONNECTION, "database: not connected");
	ck_assert_ptr_null(world.rows);
	ck_assert(!db_receive(world.db, &selects, 1, deadline(), &world.error));
	check_error(ERROR_CONNECTION, "database: not connected");
	end(false);
}
END_TEST

#define CANCELLED   MEETS(SILENCE), MEETS(PROBE), MEETS(CANCEL)
#define LATE_TEXT   PLACE "no answer within 5.0 s, and cancelled: "
#define OTHERS_TEXT "database: cancelled by others: "
#define WARNS(what, function)                                                                      \
	{                                                                                          \
		.kind = NOTICE, .text = (what), .result.more = {                                   \
			{ PG_DIAG_SOURCE_FUNCTION, (function) }                                    \
		}                                                                                  \
	}

static const struct {
	const char *text;
	struct step script[16];
} late[] = {
	{ LATE_TEXT "database: no SQLSTATE 57014",
		{ ASKED, CANCELLED, MEETS(LATER), FAILS("57014"), ANSWERED } },
	{ LATE_TEXT "it had finished by then",
		{ ASKED, CANCELLED, MEETS(LATER), ROWS_END, ANSWERED } },
	{ LATE_TEXT "waits for a standby",
		{ ASKED, CANCELLED, { .kind = NOTICE, .text = "waits for a standby" }, ROWS_END,
			ANSWERED } },
	{ LATE_TEXT "database: no SQLSTATE 57014",
		{ ASKED, FAILS("57014"), AT_END, CANCELLED, MEETS(LATER), AT_SYNC } },
	/* That the request was refused shows by the silence. */
	{ PLACE "timed out after 7.0 s waiting for an answer",
		{ ASKED, MEETS(SILENCE), MEETS(PROBE), BREAKS(CANCEL), MEETS(SILENCE) } },
	{ PLACE "timed out after 7.0 s waiting for an answer",
		{ ASKED, CANCELLED, MEETS(LATER), ROW("1", "a"), MEETS(SILENCE) } },
	{ PLACE "timed out after 5.0 s waiting for an answer",
		{ ASKED, MEETS(SILENCE), BREAKS(PROBE) } },
	{ LOST, { ASKED, CANCELLED, MEETS(NO_INPUT) } },
	/* In any language. */
	{ OTHERS_TEXT "abgebrochen",
		{ ASKED, WARNS("abgebrochen", "SyncRepWaitForLSN"), ROWS_END, ANSWERED } },
};

/* What was done all the same, such as a commit that no standby confirms, is done. */
static void run_late(bool is_done)
{
	ck_assert_int_eq(run(&selects, 1), is_done);
	if (is_done)
		ck_assert(db_was_late(world.db, &world.error));
	rows_free(world.rows);
	world.rows = NULL;
}

START_TEST(what_is_late_is_cancelled)
{
	bool is_kept = strncmp(late[_i].text, LATE_TEXT, strlen(LATE_TEXT)) == 0 ||
		       strncmp(late[_i].text, OTHERS_TEXT, strlen(OTHERS_TEXT)) == 0;
	bool is_left = strstr(late[_i].text, "timed out") != NULL;
	bool is_done = is_kept && strstr(late[_i].text, "SQLSTATE") == NULL;
	begin(late[_i].script);
	run_late(is_done);
	check_error(is_done   ? ERROR_UNCONFIRMED
		    : is_kept ? ERROR_TEMPORARY
			      : ERROR_CONNECTION,
		late[_i].text);
	ck_assert_int_eq(world.db->left_pid, is_left ? 815 : 0);
	end(is_kept);
}
END_TEST

/* The next run begins as if nothing had been. */
START_TEST(lateness_and_its_reason_end_with_a_run)
{
	static const struct step script[] = { ASKED, CANCELLED, { .kind = NOTICE, .text = "why" },
		ROWS_END, AT_END, AT_SYNC, ASKED, MEETS(LATER), WARNS("truncated", "other"),
		ROWS_END, AT_END, AT_SYNC, ASKED, CANCELLED, MEETS(LATER), ROWS_END, ANSWERED };
	begin(script);
	run_late(true);
	check_error(ERROR_UNCONFIRMED, LATE_TEXT "why");
	ck_assert(run(&selects, 1));
	ck_assert(!db_was_late(world.db, &world.error));
	rows_free(world.rows);
	run_late(true);
	check_error(ERROR_UNCONFIRMED, LATE_TEXT "it had finished by then");
	end(true);
}
END_TEST

START_TEST(a_session_that_is_not_set_up_is_neither_cancelled_nor_left)
{
	static const struct step script[] = { ASKED, MEETS(SILENCE), { 0 } };
	begin(script);
	world.db->is_set_up = false;
	ck_assert(!run(&selects, 1));
	check_error(ERROR_CONNECTION, PLACE "timed out after 5.0 s waiting for an answer");
	ck_assert_int_eq(world.db->left_pid, 0);
	end(false);
}
END_TEST

static void hear(void *arg, const char *payload)
{
	ck_assert_str_eq(payload, arg);
	world.told++;
}

/* Everybody may send many, and libpq keeps them until they are taken. */
START_TEST(notifications_are_not_kept_while_an_answer_is_awaited)
{
	static const struct step script[] = { ASKED,
		{ .kind = NOTIFIED, .text = "x", .count = 100 },
		{ .kind = NOTIFIED, .text = "x", .count = 100 }, ROWS_END, ANSWERED };
	begin(script);
	if (_i == 1)
		db_set_ear(world.db, &(struct db_ear){ hear, "x" });
	ck_assert(run(&selects, 1));
	ck_assert_uint_eq(server.most_notifications, 100);
	ck_assert_uint_eq(world.told, _i == 1 ? 200 : 0);
	end(true);
}
END_TEST

static const struct {
	bool heeds;
	enum error_kind kind; /* ERROR_NONE: it works */
	struct step script[10];
} stops[] = {
	{ true, ERROR_STOPPED, { ASKED, MEETS(STOP), MEETS(CANCEL), FAILS("57014"), ANSWERED } },
	{ true, ERROR_STOPPED,
		{ ASKED, MEETS(STOP), MEETS(CANCEL), MEETS(LATER), FAILS("57014"), ANSWERED } },
	{ true, ERROR_DATABASE, { ASKED, MEETS(STOP), MEETS(CANCEL), FAILS("23503"), ANSWERED } },
	{ true, ERROR_NONE, { ASKED, MEETS(STOP), MEETS(CANCEL), ROWS_END, ANSWERED } },
	{ false, ERROR_NONE, { ASKED, MEETS(STOP), MEETS(LATER), ROWS_END, ANSWERED } },
	{ false, ERROR_TEMPORARY, { ASKED, MEETS(STOP), FAILS("57014"), ANSWERED } },
};

START_TEST(a_stop_cancels_what_heeds_it)
{
	begin(stops[_i].script);
	db_heed_stop(world.db, stops[_i].heeds);
	ck_assert_int_eq(run(&selects, 1), stops[_i].kind == ERROR_NONE);
	ck_assert_int_eq(world.error.kind, stops[_i].kind);
	end(true);
}
END_TEST

START_TEST(after_a_stop_nothing_that_heeds_it_begins)
{
	static const struct step script[] = { ASKED, ROWS_END, ANSWERED };
	begin(script);
	server.is_stopped = true;
	db_heed_stop(world.db, true);
	ck_assert(!run(&selects, 1));
	check_error(ERROR_STOPPED, "asked to stop");
	db_heed_stop(world.db, false);
	ck_assert(run(&selects, 1));
	end(true);
}
END_TEST

START_TEST(a_stop_ends_with_its_run)
{
	static const struct step script[] = { ASKED, MEETS(STOP), MEETS(CANCEL), FAILS("57014"),
		AT_END, AT_SYNC, ASKED, FAILS("57014"), ANSWERED };
	begin(script);
	db_heed_stop(world.db, true);
	ck_assert(!run(&selects, 1));
	ck_assert_int_eq(world.error.kind, ERROR_STOPPED);
	db_heed_stop(world.db, false);
	ck_assert(!run(&selects, 1));
	ck_assert_int_eq(world.error.kind, ERROR_TEMPORARY);
	end(true);
}
END_TEST

static void tell_row(void *arg)
{
	ck_assert_ptr_eq(arg, &world);
	ck_assert_uint_eq(rows_count(world.rows), ++world.told);
}

START_TEST(announced_rows_are_not_cancelled)
{
	static const struct step script[] = { ASKED, MEETS(LATER), ROW("1", "a"), MEETS(STOP),
		ROW("2", "b"), ROW("3", "c"), ROW("4", "far more"), ROWS_END, ANSWERED };
	const struct db_call call = { .sql = "SELECT",
		.rows = &world.rows,
		.max_bytes = 4,
		.cut_to = &world.cut_to,
		.on_row = tell_row,
		.arg = &world };
	begin(script);
	db_heed_stop(world.db, true);
	ck_assert(run(&call, 1));
	ck_assert_uint_eq(world.told, 2);
	ck_assert_uint_eq(world.cut_to, 2);
	end(true);
}
END_TEST

static const struct {
	size_t max_bytes, kept, cut_to;
	struct step script[12];
} cuts[] = {
	{ 0, 3, 0, { ASKED, ROW("1", "aaa"), ROW("2", "b"), ROW("3", "c"), ROWS_END, ANSWERED } },
	{ 8, 3, 0, { ASKED, ROW("1", "aaa"), ROW("2", "b"), ROW("3", "c"), ROWS_END, ANSWERED } },
	{ 7, 2, 2, { ASKED, ROW("1", "aaa"), ROW("2", "b"), ROW("3", "c"), ROWS_END, ANSWERED } },
	/* What comes after one that is left out is left out, however small. */
	{ 6, 1, 1, { ASKED, ROW("1", "a"), ROW("2", "bbbb"), ROW("3", ""), ROWS_END, ANSWERED } },
	/* One is always kept. */
	{ 2, 1, 1, { ASKED, ROW("1", "aaa"), ROW("2", "b"), ROWS_END, ANSWERED } },
	{ 2, 1, 0, { ASKED, ROW("1", "aaa"), ROWS_END, ANSWERED } },
};

START_TEST(rows_beyond_the_limit_are_left_out)
{
	const struct db_call call = { .sql = "SELECT",
		.rows = &world.rows,
		.max_bytes = cuts[_i].max_bytes,
		.cut_to = &world.cut_to };
	begin(cuts[_i].script);
	world.cut_to = 4711;
	ck_assert(run(&call, 1));
	ck_assert_uint_eq(rows_count(world.rows), cuts[_i].kept);
	ck_assert_uint_eq(world.cut_to, cuts[_i].cut_to);
	end(true);
}
END_TEST

/* 2 MB, with its id. */
#define LARGE_ROW(id) SAYS(.status = PGRES_SINGLE_TUPLE, IN_COLUMNS, .values = { (id), large })
#define MB            ((size_t)1024 * 1024)
static char large[2 * MB];

static const struct {
	size_t row_max, memory;
	const char *error; /* NULL: all rows are kept */
	struct step script[10];
} giants[] = {
	{ 0, 0, NULL, { ASKED, ROW("1", "a"), LARGE_ROW("2"), ROWS_END, ANSWERED } },
	{ 2 * MB, 16 * MB, NULL, { ASKED, ROW("1", "a"), LARGE_ROW("2"), ROWS_END, ANSWERED } },
	{ 2 * MB - 1, 0, "database: a row of 2097152 bytes is larger than any message",
		{ ASKED, ROW("1", "a"), LARGE_ROW("2"), { 0 } } },
	{ 0, 16 * MB - 1, "database: not enough memory for a row of 2097152 bytes",
		{ ASKED, LARGE_ROW("2"), { 0 } } },
	{ 0, 1, NULL, { ASKED, ROW("1", "a"), ROW("2", "b"), ROWS_END, ANSWERED } },
	/* What libpq says by itself. */
	{ 0, 0, "database: out of memory for query result",
		{ ASKED, ROW("1", "a"),
			SAYS(.status = PGRES_FATAL_ERROR,
				.message = "out of memory for query result"),
			ANSWERED } },
};

START_TEST(a_row_that_is_too_large_closes_the_session)
{
	const struct db_call call = {
		.sql = "SELECT", .rows = &world.rows, .row_max = giants[_i].row_max
	};
	memset(large, 'x', sizeof large - 1); /* and an id */
	begin(giants[_i].script);
	world.memory = giants[_i].memory;
	ck_assert_int_eq(run(&call, 1), giants[_i].error == NULL);
	if (giants[_i].error == NULL)
		ck_assert_uint_eq(rows_count(world.rows), 2);
	else
		check_error(ERROR_MEMORY, giants[_i].error);
	end(giants[_i].error == NULL);
}
END_TEST

START_TEST(far_more_than_needed_is_cancelled_once)
{
	static const struct step script[] = { ASKED, ROW("1", "a"), ROW("2", "b"), ROW("3", "c"),
		MEETS(CANCEL), ROW("4", "d"), FAILS("57014"), ANSWERED };
	const struct db_call call = {
		.sql = "SELECT", .rows = &world.rows, .max_bytes = 3, .cut_to = &world.cut_to
	};
	begin(script);
	ck_assert(!run(&call, 1));
	check_error(ERROR_TEMPORARY, "database: no SQLSTATE 57014");
	ck_assert_uint_eq(world.cut_to, 1); /* so that the next claim is smaller */
	end(true);
}
END_TEST

static const struct row_column as_described[] = { { INT8_OID, 16384, 1 }, { TEXT_OID, 0, 0 } };

static const struct {
	struct row_column columns[3];
	int count, kept;
	bool fits;
} expectations[] = {
	{ { { INT8_OID, 16384, 1 }, { TEXT_OID, 16384, 2 } }, 2, 2, true },
	{ { { INT8_OID, 16384, 1 }, { TEXT_OID, 16384, 2 } }, 2, 1, true },
	{ { { INT8_OID, 0, 4711 }, { TEXT_OID, 0, 0 } }, 2, 2, true },
	{ { { TEXT_OID, 16384, 1 }, { TEXT_OID, 16384, 2 } }, 2, 2, false },
	{ { { INT8_OID, 16385, 1 }, { TEXT_OID, 16384, 2 } }, 2, 2, false },
	{ { { INT8_OID, 16384, 1 }, { TEXT_OID, 16384, 3 } }, 2, 1, false },
	{ { { INT8_OID, 16384, 1 } }, 1, 1, false },
	{ { { INT8_OID, 0, 0 }, { TEXT_OID, 0, 0 }, { TEXT_OID, 0, 0 } }, 3, 2, false },
};

START_TEST(rows_have_to_be_what_was_described)
{
	static const struct step script[] = { ASKED, ROW("1", "a"), ROW("2", "b"), ROWS_END,
		ANSWERED };
	const struct db_columns expected = { expectations[_i].columns, expectations[_i].count,
		expectations[_i].kept };
	const struct db_call call = { .sql = "SELECT", .rows = &world.rows, .expected = &expected };
	begin(script);
	ck_assert_int_eq(run(&call, 1), expectations[_i].fits);
	if (expectations[_i].fits) {
		check_value(1, 0, "2");
		ck_assert_uint_eq(rows_bytes(world.rows), 2 * (size_t)expectations[_i].kept);
	} else {
		check_error(ERROR_PLAN, "database: a table has changed since it was examined");
		ck_assert_ptr_null(world.rows);
	}
	end(true);
}
END_TEST

START_TEST(what_is_wrong_first_is_said)
{
	static const struct step script[] = { ASKED, ROW("1", NULL), ROW("2", "b"), FAILS("57014"),
		ANSWERED };
	const struct db_call call = { .sql = "SELECT",
		.rows = &world.rows,
		.never_null = 2,
		.on_row = tell_row,
		.arg = &world };
	begin(script);
	ck_assert(!run(&call, 1));
	check_error(ERROR_DATABASE, "database: column \"body\" is NULL, but must not be");
	ck_assert_uint_eq(world.told, 0);
	end(true);
}
END_TEST

/* Also where no row comes. */
START_TEST(no_rows_have_to_be_what_was_described)
{
	static const struct step script[] = { ASKED, ROWS_END, ANSWERED };
	const struct db_columns expected = { as_described, 1, 1 };
	const struct db_call call = { .sql = "SELECT", .rows = &world.rows, .expected = &expected };
	begin(script);
	ck_assert(!run(&call, 1));
	ck_assert_int_eq(world.error.kind, ERROR_PLAN);
	end(true);
}
END_TEST

START_TEST(an_impossible_null_is_an_error)
{
	static const struct step script[] = { ASKED, ROW("1", NULL), ROW("2", "b"), ROWS_END,
		ANSWERED };
	const struct db_call call = { .sql = "SELECT", .rows = &world.rows, .never_null = _i };
	begin(script);
	ck_assert_int_eq(run(&call, 1), _i < 2);
	if (_i == 2)
		check_error(ERROR_DATABASE, "database: column \"body\" is NULL, but must not be");
	end(true);
}
END_TEST

static const struct {
	const char *sql, *command;
	bool works;
} ends[] = {
	{ "COMMIT", "COMMIT", true },
	{ "COMMIT", "ROLLBACK", false },
	{ "COMMIT", "", false },
	{ "ROLLBACK", "ROLLBACK", true },
	{ "PREPARE TRANSACTION 'a'", "PREPARE TRANSACTION", true },
	{ "PREPARE TRANSACTION 'a'", "ROLLBACK", false },
	{ "COMMIT PREPARED 'a'", "COMMIT PREPARED", true },
};

START_TEST(a_commit_that_rolls_back_is_no_success)
{
	const struct step script[] = { SENT(ends[_i].sql), LAST,
		SAYS(.status = PGRES_COMMAND_OK, .command = ends[_i].command), ANSWERED };
	const struct db_call call = { .sql = ends[_i].sql };
	begin(script);
	ck_assert_int_eq(run(&call, 1), ends[_i].works);
	if (!ends[_i].works)
		check_error(ERROR_CONFLICT, "database: the transaction was rolled back");
	end(true);
}
END_TEST

static const struct {
	const char *state, *message;
	bool is_other;
} names[] = {
	{ "26000", "prepared statement \"claim_00112233\" does not exist", true },
	{ "34000", "cursor \"noted_0_00112233\" does not exist", true },
	{ "42704", "unrecognized configuration parameter \"signalbus.session_00112233\"", true },
	{ "42P01", "relation \"00112233\" does not exist", false },
	{ "26000", "prepared statement \"claim_4711\" does not exist", false },
};

START_TEST(a_session_that_does_not_know_its_names_is_another_ones)
{
	const struct step script[] = { ASKED,
		SAYS(.status = PGRES_FATAL_ERROR, .state = names[_i].state,
			.message = names[_i].message),
		ANSWERED };
	begin(script);
	ck_assert(!run(&selects, 1));
	ck_assert_int_eq(world.error.kind, names[_i].is_other ? ERROR_POOLED : ERROR_PLAN);
	end(!names[_i].is_other);
}
END_TEST

/* Of a run there may be rows though it failed, of a call not. */
START_TEST(a_call_that_failed_has_no_rows)
{
	static const struct step script[] = { ASKED, ROWS_END, AT_END, MEETS(NO_INPUT), { 0 } };
	begin(script);
	ck_assert(!db_call(world.db, selects, deadline(), &world.error));
	check_error(ERROR_CONNECTION, LOST);
	ck_assert_ptr_null(world.rows);
	end(false);
}
END_TEST

/* Also one that the server has refused, and that is another one then. */
START_TEST(a_shared_session_is_sent_statements_in_full_and_settings_each_time)
{
	static const struct step script[] = { { .kind = PREPARE, .text = "DELTE" }, LAST,
		FAILS("42601"), AT_END, AT_SYNC, { .kind = PREPARE, .text = "DELETE" }, LAST, DONE,
		AT_END, AT_SYNC, SENT("DELETE"), SENT("DELETE"), LAST, DONE, AT_END, DONE,
		ANSWERED };
	const struct db_call wrong = { .sql = "DELTE", .prepared = "name" };
	const struct db_call right = { .sql = "DELETE", .prepared = "name" };
	const struct db_call twice[] = { { .prepared = "name" }, { .prepared = "name" } };
	struct db_call call = { 0 };
	begin(script);
	ck_assert(!db_restore_settings(world.db, &call));
	server.is_shared = true;
	db_share(world.db);
	db_make_settings(world.db);
	ck_assert(db_restore_settings(world.db, &call));
	ck_assert_ptr_nonnull(strstr(call.sql, "set_config(name, setting, true)"));
	ck_assert_ptr_nonnull(strstr(call.sql, "('lock_timeout', '4500')"));
	ck_assert(!run(&wrong, 1));
	ck_assert(run(&right, 1));
	ck_assert(run(twice, COUNT(twice)));
	ck_assert(db_deallocate(world.db, deadline(), &world.error));
	end(true);
}
END_TEST

int main(void)
{
	const struct test tests[] = {
		{ a_shared_session_is_sent_statements_in_full_and_settings_each_time, 1, 0 },
		{ calls_are_sent_together_and_answered_in_their_order, 1, 0 },
		{ a_run_that_is_sent_before_another_is_answered_comes_after_it, 1, 0 },
		{ what_is_sent_and_not_received_is_dropped, 1, 0 },
		{ what_a_lost_session_has_not_answered_is_forgotten, 1, 0 },
		{ output_that_has_no_room_is_waited_for, 1, 0 },
		{ while_output_has_no_room_input_is_taken_too, 2, 0 },
		{ each_sqlstate_is_of_a_kind, COUNT(states), 0 },
		{ a_server_that_takes_no_writes_any_more_is_left, COUNT(servers), 0 },
		{ the_server_may_end_the_session_with_any_state, COUNT(severities), 0 },
		{ a_session_in_which_libpq_failed_is_closed, 1, 0 },
		{ an_error_says_where, COUNT(where), 0 },
		{ the_first_error_counts_and_earlier_results_remain, 1, 0 },
		{ an_error_within_rows_takes_them_back, 1, 0 },
		{ a_connection_may_be_lost_anywhere, COUNT(losses), 0 },
		{ a_session_that_is_not_connected_is_not_asked, 1, 0 },
		{ what_is_late_is_cancelled, COUNT(late), 0 },
		{ lateness_and_its_reason_end_with_a_run, 1, 0 },
		{ a_session_that_is_not_set_up_is_neither_cancelled_nor_left, 1, 0 },
		{ a_row_that_is_too_large_closes_the_session, COUNT(giants), 0 },
		{ notifications_are_not_kept_while_an_answer_is_awaited, 2, 0 },
		{ a_stop_cancels_what_heeds_it, COUNT(stops), 0 },
		{ a_stop_ends_with_its_run, 1, 0 },
		{ after_a_stop_nothing_that_heeds_it_begins, 1, 0 },
		{ announced_rows_are_not_cancelled, 1, 0 },
		{ rows_beyond_the_limit_are_left_out, COUNT(cuts), 0 },
		{ far_more_than_needed_is_cancelled_once, 1, 0 },
		{ rows_have_to_be_what_was_described, COUNT(expectations), 0 },
		{ what_is_wrong_first_is_said, 1, 0 },
		{ no_rows_have_to_be_what_was_described, 1, 0 },
		{ an_impossible_null_is_an_error, 3, 0 },
		{ a_commit_that_rolls_back_is_no_success, COUNT(ends), 0 },
		{ a_session_that_does_not_know_its_names_is_another_ones, COUNT(names), 0 },
		{ a_call_that_failed_has_no_rows, 1, 0 },
	};
	return suite_run("pipeline", tests, COUNT(tests));
}
