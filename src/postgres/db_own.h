/*
 * db_own - what the files of the session share.  Private to db*.c.
 */
#ifndef SIGNALBUS_DB_OWN_H
#define SIGNALBUS_DB_OWN_H

#include "base/text.h"
#include "postgres/db.h"

#include <libpq-fe.h>

struct db {
	char *conninfo;
	double timeout;
	double lock_wait;               /* seconds for which a statement waits for a lock */
	PGconn *conn;                   /* NULL: not connected */
	size_t next_host, next_address; /* which ones a connection is tried with first, modulo their
					   number */
	char token[17];                 /* of the session, and of no other; empty: not known yet */
	char proof[96];                 /* the statement that fails in another session */
	int server_pid;                 /* the server's process, which a pooler may hide */
	bool is_pooled;                 /* a pooler answers for the server */
	char *role_path; /* the search_path that the session began with; NULL: not known yet */
	bool is_set_up;
	bool heeds_stop;           /* as was asked for … */
	bool run_heeds_stop;       /* … and in this run */
	bool is_stopped;           /* this run was cancelled for that */
	bool is_late;              /* this run was cancelled at its deadline … */
	struct instant late_until; /* … and has ended by then */
	struct instant run_since;  /* when its answers were waited for first */
	char notice[256];          /* the server's last one during this run */
	int left_pid;              /* the server's process of a session that was given up … */
	struct instant left;       /* … then; 0: none */
	bool in_doubt; /* libpq itself has failed: what the session has got is not known */
};

/* Wait until the socket is ready for events.  Returns false when the deadline has passed, or, with
 * or_stop, when the process is asked to stop. */
bool db_wait(struct db *db, short events, struct instant deadline, bool or_stop);

/* Connect, with nothing set up yet: to the first of the addresses that answers as is wanted.  An
 * address that says nothing has its share of the time until deadline, or connect_timeout where that
 * is shorter; the next call does not begin with one that has failed.  (db_connect.c) */
bool db_open(struct db *db, struct instant deadline, struct error *e);

/* Whether what a connection string that can be read comes to, with the environment, can be used:
 * ERROR_CONFIG where it cannot. */
bool db_check_options(const char *conninfo, struct error *e);

/* Whether the server that the session is with says anything to a newcomer. */
bool db_answers(const struct db *db, struct instant deadline);

/* Have the server end the statement.  That takes a connection of its own, which libpq gives the
 * limits of this one (tcp_user_timeout).  (This and what follows: db_cancel.c) */
void db_cancel(struct db *db);

/* The same at the deadline of a run, which is answered by late_until then.  Returns false where
 * there is no hope. */
bool db_cancel_late(struct db *db);

/* Say in e, how a run ended that was cancelled because it was late, that it was; it may have been
 * done.  Always returns false. */
bool db_say_late(const struct db *db, struct error *e);

/* The session is about to be closed, though the server may be busy with it.  When the next one is
 * connected, have that process ended first; false where it does not end. */
void db_leave(struct db *db);
bool db_end_left(struct db *db, struct instant deadline, struct error *e);

/* Add whom the session is with: "database at HOST port PORT". */
void db_add_place(const struct db *db, struct text *t);

/* Close the session and say in e what libpq has to say.  Always returns false. */
bool db_lost(struct db *db, struct error *e);

/* Close the session, which has not answered since then.  Always returns false. */
bool db_silent(struct db *db, struct instant since, struct error *e);

/* Connect; the session is as the server gives it. */
bool db_connect_bare(struct db *db, struct instant deadline, struct error *e);

/* Say that the session is not ours alone.  Always returns false. */
bool db_pooled(struct error *e);

/* Set up the session that has just been connected.  Where that fails it may still be open.
 * (db_session.c) */
bool db_set_up(struct db *db, struct instant deadline, struct error *e);

#endif
