/*
 * db_internal - shared by the files of the session.  Private to db*.c, of which each calls only
 * those after it: db_session.c sets up a session, db_run.c executes statements, db_cancel.c ends
 * them, db_connect.c finds a server, db.c has the session itself, db_shared.c what is made for each
 * transaction because a pooler shares the session.
 */
#ifndef SIGNALBUS_DB_INTERNAL_H
#define SIGNALBUS_DB_INTERNAL_H

#include "base/text.h"
#include "postgres/db.h"

#include <libpq-fe.h>

/* The maximum number of unanswered runs: a deletion; or a commit and the next claim. */
enum { DB_RUNS_MAX = 2 };

struct db {
	struct credentials *credentials;
	double timeout;
	double lock_wait;               /* seconds for which a statement waits for a lock */
	PGconn *conn;                   /* NULL: not connected */
	size_t next_host, next_address; /* which addresses a connection attempt starts with, modulo
					   their number */
	char token[17];                 /* of this session only; empty: not known yet */
	char proof[96];                 /* the statement that fails in any other session */
	int server_pid;                 /* the server process, which a pooler may hide */
	bool is_pooled;                 /* a pooler is between client and server */
	bool is_shared;   /* see db_share(); then there are no proof and no server_pid, but … */
	char *settings;   /* … the statement that makes those of a transaction … */
	void *statements; /* … and those that are prepared, by name (tsearch(3)) */
	char *role_path;  /* the initial search_path of the session; NULL: not known yet */
	bool has_run_users_code; /* in this session, or may have */
	bool is_set_up;
	bool heeds_stop;                /* see db_heed_stop() … */
	bool run_heeds_stop;            /* … for this run */
	bool is_stopped;                /* this run was cancelled by a request to stop */
	bool is_late;                   /* this run was cancelled at its deadline … */
	struct instant late_until;      /* … and must have ended by then */
	bool is_unconfirmed;            /* a wait for a standby was cancelled in this run */
	struct instant run_since;       /* when waiting for its results began */
	char notice[256];               /* the last notice of the server during this run */
	int left_pid;                   /* the server process of an abandoned session … */
	struct instant left;            /* … then; 0: none */
	size_t unanswered[DB_RUNS_MAX]; /* of each run that is sent, oldest first: its calls … */
	size_t run_count;               /* … and the number of these runs */
	struct db_ear ear;
	bool in_doubt; /* libpq itself has failed: the state of the session is unknown */
};

/* Wait until the socket is ready for events.  Returns false at the deadline or, with or_stop, when
 * the process is asked to stop. */
bool db_wait(struct db *db, short events, struct instant deadline, bool or_stop);

/* Take what has arrived, with the notifications in it: libpq would keep them all.  Returns false if
 * the connection is lost. */
bool db_consume(struct db *db);

/* Connect to the first address with a suitable server; the session keeps the server's settings.
 * *deadline is put off by the time that it takes to read the credentials.
 * An address that does not respond gets its share of the time until deadline, or connect_timeout if
 * that is shorter; the next call does not start with an address that failed.  (db_connect.c) */
bool db_connect_bare(struct db *db, struct instant *deadline, struct error *e);

/* Whether the server of the session answers a new connection. */
bool db_answers(const struct db *db, struct instant deadline);

/* Cancel the statement on the server.  libpq opens another connection for this, with the limits of
 * this one (tcp_user_timeout).  (db_cancel.c) */
void db_cancel(struct db *db);

/* The same at the deadline of a run, which must then end by late_until.  Returns false if the
 * server cannot be reached. */
bool db_cancel_late(struct db *db);

/* Note a notice of the server (a PQnoticeReceiver, arg is the session). */
void db_note_notice(void *arg, const PGresult *notice);

/* Add to e, the error of a run that was cancelled at its deadline, that it was, and may have been
 * completed.  Always returns false. */
bool db_say_late(const struct db *db, struct error *e);

/* The session is about to be closed, although the server may be executing its statement:
 * db_connect() terminates that process. */
void db_leave(struct db *db);

/* Add the server of the session: "database at HOST port PORT". */
void db_add_place(const struct db *db, struct text *t);

/* The kind of an error that libpq itself has: ERROR_MEMORY, or ERROR_CONNECTION. */
enum error_kind db_failure_kind(const char *message);

/* Close the session and set e to libpq's message.  Always returns false. */
bool db_lost(struct db *db, struct error *e);

/* Close the session, which has not answered since then.  Always returns false. */
bool db_silent(struct db *db, struct instant since, struct error *e);

/* The settings of a session, except for its limits, as (name, setting).  They make text forms, and
 * the meaning of our statements, independent of the environment.  The server accepts and returns
 * any bytes in a database without an encoding (SQL_ASCII).  Rows hidden by row level security are
 * an error.  Each statement is planned once: it is short, always of the same form, and what the
 * planner guesses from a parameter's value (or would compile, with JIT) costs more than it gains.
 */
#define DB_SETTINGS                                                                                \
	" ('search_path', 'pg_catalog, pg_temp'),"                                                 \
	" ('TimeZone', 'UTC'), ('DateStyle', 'ISO, MDY'), ('IntervalStyle', 'postgres'),"          \
	" ('lc_monetary', 'C'), ('xmlbinary', 'base64'), ('xmloption', 'content'),"                \
	" ('bytea_output', 'hex'), ('extra_float_digits', '1'), ('quote_all_identifiers', 'off')," \
	" ('standard_conforming_strings', 'on'), ('array_nulls', 'on'), ('row_security', 'off'),"  \
	" ('client_encoding', CASE WHEN pg_catalog.getdatabaseencoding()"                          \
	"  OPERATOR(pg_catalog.=) 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END),"                  \
	" ('default_transaction_isolation', 'read committed'),"                                    \
	" ('default_transaction_deferrable', 'off'), ('client_min_messages', 'notice'),"           \
	" ('plan_cache_mode', 'force_generic_plan'), ('jit', 'off')"

/* The statement that makes settings for the session.  Older servers do not know all of them. */
#define DB_SET(settings)                                                                           \
	"SELECT pg_catalog.set_config(name, setting, false) FROM (VALUES" settings                 \
	") AS s (name, setting) WHERE pg_catalog.current_setting(name, true) IS NOT NULL"

/* In a session that is shared: make the statement db->settings; keep a statement under a name, or
 * find it; forget all.  (db_shared.c) */
void db_make_settings(struct db *db);
void db_keep_statement(struct db *db, const char *name, const char *sql);
const char *db_kept_statement(const struct db *db, const char *name);
void db_forget_statements(struct db *db);

/* Set e: the session is shared with other clients.  Always returns false.  (db_run.c) */
bool db_pooled(struct error *e);

#endif
