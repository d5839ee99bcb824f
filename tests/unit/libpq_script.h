/*
 * libpq_script - libpq in place of a server: a table of what is to be asked of
 * it, and of what it answers then, one step after the other.  Steps that are
 * left over, or come too early, fail a test.
 */
#ifndef SIGNALBUS_TEST_LIBPQ_SCRIPT_H
#define SIGNALBUS_TEST_LIBPQ_SCRIPT_H

#include "base/clock.h"
#include "base/stop.h"

#include "suite.h"

#include <libpq-fe.h>
#include <poll.h>
#include <string.h>

enum step_kind {
	OVER, /* the script */
	/* What is to be asked: */
	PREPARE,
	EXECUTE,
	QUERY,
	SYNC,
	CANCEL, /* with a connection of its own … */
	PROBE,  /* … after this one, which looks whether the server answers at all */
	/* What comes: */
	RESULT,
	END,    /* of a call's results */
	SYNCED, /* the answer to SYNC */
	/* What waiting for it meets: */
	LATER,    /* input, after a while */
	UNSENT,   /* room for output */
	SILENCE,  /* nothing until its deadline */
	STOP,     /* the process is asked to stop */
	NOTICE,   /* input, after a notice */
	NOTIFIED, /* input: notifications */
	/* What has become of the connection: */
	NO_OUTPUT,
	NO_INPUT,
	CLOSED,
};

struct told {
	const char *name;
	unsigned type, table;
	int attnum;
};

enum { COLUMNS_MAX = 3, FIELDS = 8 };

/* What libpq's header calls PGresult. */
struct pg_result {
	ExecStatusType status;
	/* An error: */
	const char *state, *message;
	const struct {
		int field;
		const char *text;
	} more[FIELDS];
	/* Done: */
	const char *command, *affected;
	/* A row: */
	const struct told *columns;
	int column_count;
	const char *values[COLUMNS_MAX];
};

struct step {
	enum step_kind kind;
	const char *text; /* of the statement, or its name; of a notice, or a notification … */
	unsigned count;   /* … and of how many of these */
	bool fails;
	struct pg_result result;
};

struct pg_conn {
	const struct step *next;
	bool is_bad, is_stopped;
	int64_t now_ns;
	short events;                               /* that were waited for last */
	unsigned results;                           /* that were not cleared yet */
	unsigned notifications, most_notifications; /* that libpq has, and had */
	const char *payload;
	unsigned single_rows; /* calls that get rows one by one */
	const char *in_hot_standby, *read_only;
	bool is_shared; /* with other clients, so nothing of it has a name */
	struct db *db;  /* the session */
};

static struct pg_conn server;

static inline bool is_next(enum step_kind kind)
{
	return server.next->kind == kind;
}

/* The next step, which has to be of the kind. */
static inline const struct step *take_step(enum step_kind kind)
{
	ck_assert_int_eq(server.next->kind, kind);
	return server.next++;
}

static inline int sent(enum step_kind kind, const char *text)
{
	const struct step *step = take_step(kind);
	ck_assert_str_eq(step->text, text);
	server.is_bad = server.is_bad || step->fails;
	return !step->fails;
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libpq names them otherwise */

int PQsendPrepare(PGconn *conn, const char *name, const char *sql, int count, const Oid *types)
{
	ck_assert_ptr_eq(conn, &server);
	ck_assert_int_eq(count, 0);
	ck_assert_ptr_null(types);
	ck_assert_str_eq(name, conn->is_shared ? "" : "name");
	return sent(PREPARE, sql);
}

int PQsendQueryPrepared(PGconn *conn, const char *name, int count, const char *const *values,
	const int *lengths, const int *formats, int binary)
{
	ck_assert_ptr_eq(conn, &server);
	ck_assert_int_eq(count, values != NULL);
	ck_assert((lengths != NULL) == (formats != NULL));
	ck_assert_int_eq(binary, 0);
	return sent(EXECUTE, name);
}

int PQsendQueryParams(PGconn *conn, const char *sql, int count, const Oid *types,
	const char *const *values, const int *lengths, const int *formats, int binary)
{
	ck_assert_ptr_eq(conn, &server);
	ck_assert_ptr_null(types);
	ck_assert_int_eq(count, values != NULL);
	ck_assert((lengths != NULL) == (formats != NULL));
	ck_assert_int_eq(binary, 0);
	return sent(QUERY, sql);
}

int PQpipelineSync(PGconn *conn)
{
	ck_assert_ptr_eq(conn, &server);
	server.is_bad = server.next->fails;
	return !take_step(SYNC)->fails;
}

int PQflush(PGconn *conn)
{
	(void)conn;
	if (!is_next(NO_OUTPUT))
		return is_next(UNSENT);
	server.is_bad = true; /* reading finds nothing from then on */
	return -1;
}

int PQisBusy(PGconn *conn)
{
	(void)conn;
	return server.next->kind >= LATER && !is_next(CLOSED) && !is_next(UNSENT);
}

int PQconsumeInput(PGconn *conn)
{
	(void)conn;
	if (!is_next(NO_INPUT))
		return 1;
	server.is_bad = take_step(NO_INPUT) != NULL;
	return 0;
}

PGnotify *PQnotifies(PGconn *conn)
{
	static PGnotify notification;
	ck_assert_ptr_eq(conn, &server);
	if (server.notifications == 0)
		return NULL;
	server.notifications--;
	notification.extra = (char *)(uintptr_t)server.payload;
	return &notification;
}

void PQfreemem(void *p)
{
	(void)p;
}

PGresult *PQgetResult(PGconn *conn)
{
	static struct pg_result synced = { .status = PGRES_PIPELINE_SYNC };
	ck_assert(!PQisBusy(conn));
	server.is_bad = server.is_bad || is_next(CLOSED);
	if (is_next(END) || is_next(CLOSED)) {
		server.next++;
		return NULL;
	}
	server.results++;
	if (!is_next(SYNCED))
		return (PGresult *)(uintptr_t)&take_step(RESULT)->result;
	server.next++;
	return &synced;
}

void PQclear(PGresult *result)
{
	server.results -= result != NULL;
}

int PQsetSingleRowMode(PGconn *conn)
{
	(void)conn;
	server.single_rows++;
	return 1;
}

ConnStatusType PQstatus(const PGconn *conn)
{
	return conn->is_bad ? CONNECTION_BAD : CONNECTION_OK;
}

void PQfinish(PGconn *conn)
{
	ck_assert(conn == NULL || conn == &server);
	server.next += is_next(NO_OUTPUT);
}

int PQsocket(const PGconn *conn)
{
	(void)conn;
	return 4711;
}

char *PQhost(const PGconn *conn)
{
	static char host[] = "db";
	(void)conn;
	return host;
}

char *PQport(const PGconn *conn)
{
	static char port[] = "5432";
	(void)conn;
	return port;
}

char *PQerrorMessage(const PGconn *conn)
{
	static char message[] = "connection to server was lost\n";
	(void)conn;
	return message;
}

const char *PQparameterStatus(const PGconn *conn, const char *name)
{
	return strcmp(name, "in_hot_standby") == 0 ? conn->in_hot_standby : conn->read_only;
}

ExecStatusType PQresultStatus(const PGresult *r)
{
	return r->status;
}

char *PQresultErrorField(const PGresult *r, int field)
{
	for (size_t i = 0; i < FIELDS; i++)
		if (r->more[i].field == field)
			return (char *)(uintptr_t)r->more[i].text;
	if (field == PG_DIAG_SQLSTATE)
		return (char *)(uintptr_t)r->state;
	bool is_message = field == PG_DIAG_MESSAGE_PRIMARY && r->state != NULL;
	return (char *)(uintptr_t)(is_message ? r->message : NULL);
}

char *PQresultErrorMessage(const PGresult *r)
{
	static char message[] = "libpq says";
	return r->message != NULL ? (char *)(uintptr_t)r->message : message;
}

char *PQcmdStatus(PGresult *r)
{
	return (char *)(uintptr_t)(r->command != NULL ? r->command : "");
}

char *PQcmdTuples(PGresult *r)
{
	return (char *)(uintptr_t)(r->affected != NULL ? r->affected : "");
}

int PQntuples(const PGresult *r)
{
	return r->status == PGRES_SINGLE_TUPLE;
}

int PQnfields(const PGresult *r)
{
	return r->column_count;
}

char *PQfname(const PGresult *r, int column)
{
	return (char *)(uintptr_t)r->columns[column].name;
}

Oid PQftype(const PGresult *r, int column)
{
	return r->columns[column].type;
}

Oid PQftable(const PGresult *r, int column)
{
	return r->columns[column].table;
}

int PQftablecol(const PGresult *r, int column)
{
	return r->columns[column].attnum;
}

int PQgetisnull(const PGresult *r, int row, int column)
{
	ck_assert_int_eq(row, 0);
	return r->values[column] == NULL;
}

char *PQgetvalue(const PGresult *r, int row, int column)
{
	ck_assert_int_eq(row, 0);
	return (char *)(uintptr_t)(r->values[column] != NULL ? r->values[column] : "");
}

int PQgetlength(const PGresult *r, int row, int column)
{
	return (int)strlen(PQgetvalue(r, row, column));
}

PGcancel *PQgetCancel(PGconn *conn)
{
	return (PGcancel *)(void *)conn;
}

int PQcancel(PGcancel *cancel, char *errbuf, int errbufsize)
{
	(void)errbufsize;
	ck_assert_ptr_eq(cancel, &server);
	errbuf[0] = '\0';
	return !take_step(CANCEL)->fails;
}

void PQfreeCancel(PGcancel *cancel)
{
	ck_assert_ptr_eq(cancel, &server);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name): as above */

struct instant scripted_clock_now(void);
struct instant scripted_clock_now(void)
{
	return (struct instant){ server.now_ns };
}

int scripted_poll(struct pollfd *fds, nfds_t count, int ms);
int scripted_poll(struct pollfd *fds, nfds_t count, int ms)
{
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(fds[0].fd, 4711);
	ck_assert_int_ge(ms, 0);
	server.events = fds[0].events;
	fds[0].revents = fds[1].revents = 0;
	if (server.is_stopped && fds[1].fd >= 0) {
		fds[1].revents = POLLIN;
		return 1;
	}
	const struct step *step = server.next++;
	if (step->kind == SILENCE) {
		server.now_ns += ms * INT64_C(1000000);
		return 0;
	}
	server.is_stopped = server.is_stopped || step->kind == STOP;
	if (step->kind == STOP && fds[1].fd >= 0)
		fds[1].revents = POLLIN;
	else
		fds[0].revents = POLLIN;
	if (step->kind == NOTICE) {
		PGresult notice = step->result;
		notice.message = step->text;
		db_note_notice(server.db, &notice);
	}
	if (step->kind == NOTIFIED) {
		server.payload = step->text;
		server.notifications += step->count;
		if (server.notifications > server.most_notifications)
			server.most_notifications = server.notifications;
	}
	if (step->kind == NO_INPUT)
		server.next--; /* which reading it finds */
	return 1;
}

bool stop_requested(void)
{
	return server.is_stopped;
}

int stop_fd(void)
{
	return 815;
}

bool stop_wait(struct instant deadline)
{
	(void)deadline;
	ck_abort();
}

#endif
