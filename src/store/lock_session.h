/*
 * lock_session - the session that has a store's ordered locks, notes and slots, if the sessions of
 * "database" are shared by a pooler (database_listen).  It is connected when it is first needed.
 * It belongs to the store's thread.
 *
 * A transaction in order can outlive this session, which has its ordered lock.  Yet at most one
 * session's transactions send a model in order:
 *
 *   1. A transaction first takes the fence of the ordered lock, for as long as it is open, and then
 *      verifies that this session has the ordered lock.
 *   2. Who gets the ordered lock, in any session, then looks whether anybody has the fence; if so,
 *      it gives the lock back.
 *
 * If the session loses the lock before 1 verifies it, the transaction fails before it reads a row.
 * If it loses it later, whoever gets it looks later still, and finds the fence taken until the
 * transaction ends.  The same holds for shared locks and fences.
 *
 * The session also has a lock that no other has, the mark: by it the verification knows the session
 * from one that got its process number later, and a database from another.
 */
#ifndef SIGNALBUS_LOCK_SESSION_H
#define SIGNALBUS_LOCK_SESSION_H

#include "base/clock.h"
#include "model/model.h"
#include "postgres/db.h"

struct lock_session;

/* Returns NULL without database_listen.  All functions take NULL, for which nothing is lost and
 * nothing is to be done. */
struct lock_session *lock_session_new(const struct config *config);
void lock_session_free(struct lock_session *l);
void lock_session_close(struct lock_session *l);

/* Whether it was connected, and is not any more: what it had is lost. */
bool lock_session_is_lost(const struct lock_session *l);

void lock_session_limit_locks(struct lock_session *l, double seconds);

/* The session, connected if needed, which blocks until deadline; shared is a session of "database",
 * in no transaction.  Returns NULL with e if that fails, if it was lost, or if both lead to
 * different databases. */
struct db *lock_session_get(
	struct lock_session *l, struct db *shared, struct instant deadline, struct error *e);

/* If it is connected, and was not used for PING_S, verify that it still exists; or in any case. */
bool lock_session_keep(struct lock_session *l, struct instant deadline, struct error *e);
bool lock_session_ping(struct lock_session *l, struct instant deadline, struct error *e);

/* Fill calls with step 1 for a transaction that depends on the ordered lock of m, which the session
 * has, exclusive or shared.  Borrowed from l until the next call. */
enum { FENCE_CALLS = 2 };
void lock_session_fence(struct lock_session *l, const struct model *m, bool is_exclusive,
	struct db_call calls[FENCE_CALLS]);

/* If e says that the verification failed: close the session, and say so. */
void lock_session_explain(struct lock_session *l, const struct model *m, struct error *e);

#endif
