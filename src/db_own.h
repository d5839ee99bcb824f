/*
 * db_own - what the files of the session share.  Private to db*.c.
 */
#ifndef SIGNALBUS_DB_OWN_H
#define SIGNALBUS_DB_OWN_H

#include "db.h"

#include <libpq-fe.h>

struct db {
	char *conninfo;
	double timeout;
	double lock_wait;    /* seconds for which a statement waits for a lock */
	PGconn *conn;        /* NULL: not connected */
	char *role_path;     /* the search_path that the session began with; NULL: not known yet */
	bool heeds_stop;     /* as was asked for … */
	bool run_heeds_stop; /* … and in this run */
	bool is_stopped;     /* this run was cancelled for that */
	bool in_doubt;       /* libpq itself has failed: what the session has got is not known */
};

/* Wait until the socket is ready for events.  Returns false when the deadline has passed, or, with
 * or_stop, when the process is asked to stop. */
bool db_wait(struct db *db, short events, struct instant deadline, bool or_stop);

/* Close the session and say in e what libpq has to say.  Always returns false. */
bool db_lost(struct db *db, struct error *e);

/* Set up the session that has just been connected.  Where that fails it may still be open.
 * (db_session.c) */
bool db_set_up(struct db *db, struct instant deadline, struct error *e);

#endif
