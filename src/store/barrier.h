/*
 * barrier - which rows may be sent in order while others write.  Pure: no I/O, no clock.
 *
 * The promise: a row is never sent while a transaction that is still open may commit a row that
 * was inserted earlier and sorts before it.  A transaction that does not write to the signal table
 * delays nothing, and nobody who writes is ever blocked.
 *
 * The steps, each a statement with a snapshot of its own (READ COMMITTED), one after the other:
 *
 *   S1  list the first rows in order, without locking them; where places are numbers, the last one
 *       of these says all that is asked of the list
 *   L   look at pg_locks: which transactions hold RowExclusiveLock on the table or its children?
 *   W   wait until exactly these are gone from pg_locks; those that came later do not matter
 *   S2  claim (SELECT … ORDER BY … FOR UPDATE)
 *
 * and from what S2 returned, only what barrier_admit() lets through is sent.
 *
 * Why a row a of the list can be sent then.  Be r a row that sorts before a and was inserted
 * earlier, X its transaction.
 *
 *   1. X took RowExclusiveLock on the table before r got its place in the order: INSERT and COPY
 *      lock the table they name before they evaluate defaults such as nextval().  (An insert into
 *      a partition by its parent's name locks the parent.)  And r was there before a was, and a was
 *      committed before S1.  So X had the lock before S1.
 *   2. A lock taken by a statement is kept until the transaction's end.  A subtransaction's lock
 *      goes to its parent, and is only given back by ROLLBACK TO, which takes r along.  PREPARE
 *      TRANSACTION hands the locks over, with the virtualtransaction unchanged (PostgreSQL 10.19,
 *      11.14, 12.9, 13.5, 14.1 and all later ones), without a gap.
 *   3. pg_locks misses no lock that is held all the while it is read: it reads the fast-path
 *      entries first, and then the shared table, to which alone entries move (lock.c,
 *      GetLockStatusData).  So either L saw X, or X gave its lock back before L had ended.
 *   4. A commit becomes visible before its locks are given back (CommitTransaction: first
 *      ProcArrayEndTransaction, then ResourceOwnerRelease; FinishPreparedTransaction likewise).
 *      So, when W is over, X is rolled back, or visible to every later snapshot.
 *   5. So S2 returns r, unless it is gone already, before a.
 *
 * The list stays good: what 5. says of S2 is true of every later snapshot.  So one list serves
 * several bursts.  A row of it that vanished (another command sent it) is just passed over.
 *
 * A row b that S2 returns and the list has not came in between.  Of b the argument says nothing:
 * what was inserted before b may have come after L.  Which rule is right depends on the order.
 *
 *   - In a serial order (struct model), rows are handed their places one after the other.  Then all
 *     that sorts before b, which sorts before a, is older than a, and 1. to 5. hold for it.  (Where
 *     the order descends, what sorts before b is younger than b, and the promise asks nothing.)
 *     So all up to the last row of the list may go, also when that row itself has vanished; what is
 *     behind it waits for the next list.
 *   - In any other (customer, number; or priority), b may have an elder that is still open, though
 *     a has not.  And b may be older than a, so a must not overtake it.  So only what is before
 *     the first such b may go, and then a new list is made, with b in it.
 *
 * What it assumes: a row gets its place in the order while its transaction holds the lock, from a
 * sequence or a default such as clock_timestamp(), and keeps it.  Not covered are: sequences with
 * CACHE (a session keeps numbers that it got long ago), now() (the transaction may have begun long
 * before), numbers that the application draws beforehand (SELECT nextval(), then INSERT) or makes
 * up, and UPDATEs of the columns that are sorted by.
 *
 * Crossing senders.  A sender whose session is lost may still be sending the burst that it had
 * claimed, for any time if it was frozen meanwhile, while its successor begins.  That keeps the
 * order of first appearances: the successor has to begin with the same burst, since nothing of it
 * was deleted, and sends all of it before it goes on.  Each of the two sends without a gap (bus.h),
 * so what is stored of the burst by either of them is always its beginning.
 */
#ifndef SIGNALBUS_BARRIER_H
#define SIGNALBUS_BARRIER_H

#include "base/clock.h"
#include "model/model.h"
#include "postgres/rows.h"

#include <stdbool.h>
#include <stddef.h>

enum barrier_state {
	BARRIER_NONE, /* there is no list, or all of it is sent */
	BARRIER_HELD, /* writers that were met after S1 are still there */
	BARRIER_OPEN, /* they are gone */
};

/* Zero-initialised is BARRIER_NONE. */
struct barrier {
	enum barrier_state state;
	struct instant since; /* of S1 */
	/* The list, and how many of its rows are not sent yet. */
	struct rows *list; /* primary keys; where places are numbers (struct model) the last … */
	size_t left;
	long long last; /* … which is this one, and nothing of these: */
	bool *sent;     /* each of the list */
	size_t *table;  /* of hashes: index in the list + 1, or 0 */
	size_t table_size;
	/* The virtualtransactions that are waited for, and the pid of one, NULL if prepared. */
	char **awaited;
	size_t awaited_count;
	char *pid;
};

void barrier_reset(struct barrier *b);

/* Begin anew with the list of S1 (sql_list()), which is taken, and what L saw (virtualtransaction,
 * pid). */
void barrier_begin(struct barrier *b, const struct model *m, struct rows *list,
	const struct rows *writers, struct instant now);

/* Which of the awaited ones are still there. */
void barrier_look(struct barrier *b, const struct rows *writers);

/* How far the rows of one S2 have been looked at; zero-initialised: none of them. */
struct admission {
	size_t seen, admitted;
};

/* How many of the rows of S2, counted from the first, may be sent.  While they come it may be asked
 * again and again, with the same a: the answer never gets smaller. */
size_t barrier_admit(const struct barrier *b, const struct model *m, const struct rows *claimed,
	struct admission *a);

/* The rows of S2 whose flags are set are deleted; flags is as long as count. */
void barrier_note_sent(struct barrier *b, const struct model *m, const struct rows *claimed,
	const bool *flags, size_t count);

#endif
