/*
 * db - one PostgreSQL session.  The only place that includes libpq.  A session belongs to one
 * thread at a time.
 *
 * Statements are executed with search_path = pg_catalog, pg_temp, whatever the user's is, so that
 * nobody else's functions, operators and types are taken for those of PostgreSQL.  Only those that
 * have to do with what people wrote are executed with the path that the user's session begins with:
 * db_role_path() comes before them in their transaction, and they name all that is PostgreSQL's
 * with its schema.
 *
 * Calls that talk to the server block until deadline.  Then the statement is cancelled, which the
 * server has some seconds for.  If the server has done it all the same the call succeeds (see
 * db_was_late()), else it fails with ERROR_TEMPORARY.  Where the server does not answer that either
 * the session is closed, and the call fails with ERROR_CONNECTION; the next connection has the
 * process that is left on the server ended first.  A session whose connection failed is closed on
 * the spot.
 */
#ifndef SIGNALBUS_DB_H
#define SIGNALBUS_DB_H

#include "base/clock.h"
#include "base/error.h"
#include "postgres/rows.h"

#include <stdbool.h>
#include <stddef.h>

struct db;

/* Whether a connection string can be read at all.  ERROR_CONFIG where it cannot. */
bool db_check(const char *conninfo, struct error *e);

/* A session that is not connected.  timeout (seconds) becomes the server's limits for this
 * session, and the kernel's for an unanswered connection. */
struct db *db_new(const char *conninfo, double timeout);
void db_free(struct db *db);

/* Connect, with settings that make the text forms of values independent of the environment.
 * Fails with ERROR_CONNECTION, ERROR_POOLED where a pooler shares sessions among transactions, or
 * ERROR_STOPPED where the process is asked to stop meanwhile. */
bool db_connect(struct db *db, struct instant deadline, struct error *e);
bool db_connected(const struct db *db);

/* Forget the session; whatever was open in it is rolled back. */
void db_disconnect(struct db *db);

/* Whether the database's text is UTF-8.  Other text is converted to it, which may fail, unless the
 * encoding is SQL_ASCII: then it comes as it is, and may be anything. */
bool db_is_utf8(const struct db *db);

/* Whether a transaction is open, also a failed one. */
bool db_in_transaction(const struct db *db);

/* How many seconds a statement waits for a lock that others hold, from the next connection on.  If
 * that is not said: somewhat less than timeout, so that the lock is the reason that is given. */
void db_limit_locks(struct db *db, double seconds);

/* Whether a run is cancelled, or not begun, and fails with ERROR_STOPPED, when the process is asked
 * to stop: it may wait for others' locks.  Not so at first. */
void db_heed_stop(struct db *db, bool heeds);

/* What the columns of a result have to be.  Of the last ones nothing but that is wanted. */
struct db_columns {
	const struct row_column *columns;
	int count, kept;
};

/* One statement of a run. */
struct db_call {
	const char *sql;           /* its text, or … */
	const char *prepared;      /* … the name of a prepared one; with both: prepare it */
	const char *const *values; /* of its parameters; NULL is NULL */
	int value_count;
	const int *formats;                /* of the values: 1 for those in binary form … */
	const int *lengths;                /* … and of these the lengths; NULL: all are text */
	size_t *affected;                  /* where the number of affected rows goes, if wanted */
	struct rows **rows;                /* where the result goes, if wanted */
	const struct db_columns *expected; /* what it has to be; if it is not that, no row is taken,
					      and the call fails with ERROR_PLAN; NULL: anything */
	int never_null;   /* so many of its columns have a value in each row, the first ones: NULL
			     there is an error */
	bool binary;      /* the server sends it in binary form, which costs it less; in rows it
			     is text all the same.  Of columns whose types binary.h knows */
	size_t max_bytes; /* of the rows, if that is limited: only the first ones that fit are
			     kept, at least one … */
	size_t *cut_to;   /* … and their number goes here; 0: there are no others.  Where far more
			     was left out than kept the statement is cancelled, and fails */
	/* If set, called with arg for each row that is kept, as soon as it is there, while others
	 * are on the way.  Who is told of rows uses them, so that from then on the run is neither
	 * cancelled for what is left out nor ended when the process is asked to stop. */
	void (*on_row)(void *arg);
	void *arg;
};

/* Send all calls in one round trip and await all results.  The first error skips the calls after
 * it; results that came before it are there and belong to the caller all the same (others are
 * NULL).  Calls outside a transaction are one transaction. */
bool db_run(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e);

/* Whether the last run succeeded only when it was cancelled at its deadline: e says so then, as
 * ERROR_UNCONFIRMED, since a commit that waits for a standby is done. */
bool db_was_late(const struct db *db, struct error *e);

/* The halves of db_run(): send all calls, and await their results.  In between nothing is done with
 * the session but to forget it, or to send another run, which is received behind this one. */
bool db_send(struct db *db, const struct db_call *calls, size_t count, struct error *e);
bool db_receive(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e);

/* db_run() of a single call; where that fails there are no rows. */
bool db_call(struct db *db, struct db_call call, struct instant deadline, struct error *e);

/* What the names of a session's statements, cursors and settings have in them: no other session, of
 * whatever process, has it.  Good while it is connected.  Behind a pooler that pools transactions a
 * name could else mean what another process has given it. */
const char *db_token(const struct db *db);

/* Fill *call with one that proves, in a transaction, that it is in this session, where a pooler
 * might have given it another one, without what this one holds; elsewhere it fails, with
 * ERROR_POOLED.  Returns false where there is no need.  Borrows from db. */
bool db_prove(const struct db *db, struct db_call *call);

/* The call that gives the rest of its transaction the search_path that the session began with.
 * Borrows from db. */
struct db_call db_role_path(const struct db *db);

/* db_call() in a transaction of its own, with that path. */
bool db_call_as_role(struct db *db, struct db_call call, struct instant deadline, struct error *e);

/* What is wanted of db_listen(). */
struct db_listening {
	int wake_fd; /* readable: return at once */
	struct instant deadline;
	void (*notify)(void *arg, const char *payload);
	void *arg;
};

/* Call notify for each notification that comes, until the deadline or until wake_fd is readable.
 * Returns false with e where the session is lost. */
bool db_listen(struct db *db, const struct db_listening *l, struct error *e);

#endif
