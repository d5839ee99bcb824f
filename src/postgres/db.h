/*
 * db - one PostgreSQL session.  The only place that includes libpq.  A session belongs to one
 * thread at a time.
 *
 * Statements are executed with search_path = pg_catalog, pg_temp, whatever the role's search_path
 * is, so that no other user's function, operator or type can replace one of PostgreSQL's.  Only
 * statements that contain expressions or names of users are executed with the role's search_path:
 * db_role_path() precedes them in their transaction, and in them everything else is
 * schema-qualified.
 *
 * Calls that talk to the server block until deadline.  Then the statement is cancelled, and the
 * server has some seconds to end it.  If it completes the statement nevertheless, the call succeeds
 * (see db_was_late()), else it fails with ERROR_TEMPORARY.  If the server does not respond to the
 * cancel request either, the session is closed, and the call fails with ERROR_CONNECTION; the next
 * db_connect() terminates the server process that is left.  A session whose connection failed is
 * closed at once; so is one whose row is too large (ERROR_MEMORY), because libpq would keep the
 * memory.
 */
#ifndef SIGNALBUS_DB_H
#define SIGNALBUS_DB_H

#include "base/clock.h"
#include "base/credentials.h"
#include "base/error.h"
#include "base/text.h"
#include "postgres/rows.h"

#include <stdbool.h>
#include <stddef.h>

struct db;

/* Whether a connection string is valid.  ERROR_CONFIG if not. */
bool db_check(const char *conninfo, struct error *e);

/* What a valid connection string, with the defaults of the environment, exposes to others on the
 * network, with the remedy; to be freed.  NULL: nothing. */
char *db_exposure(const char *conninfo);

/* The same of an open session. */
char *db_session_exposure(const struct db *db);

/* The secrets of the credentials for db_new(): the connection string, and a password that applies
 * instead of the one in it, if they have that many. */
enum { DB_CONNINFO, DB_PASSWORD };

/* A session that is not connected.  Each connection reads the credentials, which are borrowed, and
 * reads them once more if the server refuses them.  timeout (seconds) determines the server's
 * time-outs for this session, and the kernel's for an unanswered connection. */
struct db *db_new(struct credentials *credentials, double timeout);
void db_free(struct db *db);

/* From the next connection on, expect a pooler that gives the server's session to other clients
 * between two transactions: nothing of this session outlives a transaction.  Each one makes its
 * settings itself (db_restore_settings()), and a statement that is prepared is checked by the
 * server, but kept by the process, and sent whenever it is executed. */
void db_share(struct db *db);

/* Connect, with settings that make the text forms of values independent of the environment.  The
 * time that it takes to read the credentials (limit_secret()) is not deducted from that until
 * deadline.  Fails with ERROR_CONNECTION, ERROR_CONFIG if the connection string is malformed,
 * ERROR_POOLED if a pooler uses transaction pooling, unless the session may be shared, or
 * ERROR_STOPPED if the process is asked to stop meanwhile. */
bool db_connect(struct db *db, struct instant deadline, struct error *e);
bool db_connected(const struct db *db);

/* Close the session; its open transaction is rolled back. */
void db_disconnect(struct db *db);

/* Whether the text of the database is UTF-8. Other text is converted to it, which may fail, unless
 * the encoding is SQL_ASCII: then it is returned unchanged, and may contain any bytes. */
bool db_is_utf8(const struct db *db);

/* The server's version, such as 150004; 0 without a session. */
int db_server_version(const struct db *db);

/* Whether a transaction is open, including a failed one. */
bool db_in_transaction(const struct db *db);

/* How many seconds a statement waits for a lock of another session, from the next connection on.
 * The default is somewhat less than timeout, so that the lock is the reported reason. */
void db_limit_locks(struct db *db, double seconds);

/* Whether a request to stop the process cancels a run, or prevents it, since it may wait for locks
 * of others; it then fails with ERROR_STOPPED.  Initially not. */
void db_heed_stop(struct db *db, bool heeds);

/* The required columns of a result.  The last ones are compared, and not kept. */
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
	const int *formats; /* of the values: 1 for those in binary format … */
	const int *lengths; /* … and their lengths; NULL: all are text */
	size_t *affected;   /* where to store the number of affected rows, if needed */
	struct rows **rows; /* where to store the result, if needed */
	const struct db_columns *expected; /* the required columns; if they differ, no row is kept,
					      and the call fails with ERROR_PLAN; NULL: any */
	int never_null; /* in this many columns, from the first one, a NULL is an error */
	size_t row_max; /* a row with more bytes, if limited, fails with ERROR_MEMORY, like one for
			   which there is no memory */
	size_t max_bytes; /* of the rows, if limited: only the first ones that fit are kept, at
			     least one … */
	size_t *cut_to;   /* … and their number is stored here; 0: all were kept. If far more was
			     omitted than kept, the statement is cancelled, and fails */
	/* If set, called with arg for each row that is kept, as soon as it arrives, while others
	 * are still in transit.  The callee uses these rows, so from then on the run is neither
	 * cancelled because of omitted rows nor ended when the process is asked to stop. */
	void (*on_row)(void *arg);
	void *arg;
};

/* Send all calls in one round trip and wait for all results.  The first error skips the calls after
 * it; earlier results are available and belong to the caller nevertheless (others are NULL).  Calls
 * outside a transaction form one transaction. */
bool db_run(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e);

/* Whether the last run succeeded although it was cancelled at its deadline, or while it waited for
 * a standby, which does not undo a commit.  Then e is set to ERROR_UNCONFIRMED. */
bool db_was_late(const struct db *db, struct error *e);

/* The two halves of db_run(): send all calls, and wait for their results.  In between, the session
 * may only be closed, or used to send another run, whose results are received after this one's. */
bool db_send(struct db *db, const struct db_call *calls, size_t count, struct error *e);
bool db_receive(struct db *db, const struct db_call *calls, size_t count, struct instant deadline,
	struct error *e);

/* Receive and drop the results of all runs that are sent and not received yet.  A large result is
 * cancelled at once; a slow statement when the process is asked to stop. */
void db_discard(struct db *db, struct instant deadline);

/* db_run() of a single call; on failure there are no rows. */
bool db_call(struct db *db, struct db_call call, struct instant deadline, struct error *e);

/* Drop all prepared statements of the session. */
bool db_deallocate(struct db *db, struct instant deadline, struct error *e);

/* The server process of the session, which must not be shared.  Valid while connected. */
int db_server_process(const struct db *db);

/* A text that is unique among the sessions of all processes, for the names of the session's
 * statements, cursors and settings: with a pooler that uses transaction pooling, a name might
 * otherwise refer to an object of another process.  Valid while connected. */
const char *db_token(const struct db *db);

/* If a pooler might replace the session by another one, which lacks the objects of this one: fill
 * *call with a statement that, in a transaction, fails with ERROR_POOLED in any other session.
 * Returns false if this is not needed.  Borrows from db. */
bool db_prove(const struct db *db, struct db_call *call);

/* Whether code of users (triggers, expressions) has been executed in the session, or may have,
 * which can change settings, also for later transactions; or other clients may have used it: fill
 * *call with one that makes the settings again, which comes right after BEGIN; or first among calls
 * outside a transaction, if none is open.  db_call() and db_call_as_role() do this by themselves.
 * Borrows from db. */
bool db_restore_settings(const struct db *db, struct db_call *call);
bool db_restore_settings_first(const struct db *db, struct db_call *call);

/* The call that sets the initial search_path of the session for the rest of its transaction, which
 * may then run code of users.  Borrows from db. */
struct db_call db_role_path(struct db *db);

/* db_call() in its own transaction, with that path, of a statement that runs no code of users, such
 * as one that looks up the names that they wrote. */
bool db_call_as_role(struct db *db, struct db_call call, struct instant deadline, struct error *e);

/* What to do with the payload of a notification, during any call that waits for the server: they
 * are not kept, since everybody may send many.  Without it they are dropped. */
struct db_ear {
	void (*notify)(void *arg, const char *payload);
	void *arg;
};
void db_set_ear(struct db *db, const struct db_ear *ear);

/* Receive notifications until the deadline, or until wake_fd is readable.  Returns false with e if
 * the session is lost. */
bool db_listen(struct db *db, int wake_fd, struct instant deadline, struct error *e);

/* Add the version of libpq, such as "15.6"; and what it was built with, if it says so: "
 * (OpenSSL)". */
void db_add_library_version(struct text *t);
void db_add_library_features(struct text *t);

#endif
