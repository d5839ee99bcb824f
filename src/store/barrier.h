/*
 * barrier - which rows may be sent in order while others write.  Pure: no I/O, no clock.
 *
 * The guarantee: a row is never sent while an open transaction may still commit a row that was
 * inserted earlier and sorts before it.  A transaction that does not write to the signal table
 * delays nothing, and no writer is ever blocked.
 *
 * The steps, each a statement with its own snapshot (READ COMMITTED), one after another:
 *
 *   S1  list the first rows in order, without locking them
 *   L   read pg_locks: which transactions hold RowExclusiveLock on the table or its children?
 *   W   wait until exactly these are gone from pg_locks; later ones do not matter
 *   S2  claim (SELECT … ORDER BY … FOR UPDATE)
 *
 * Of the rows that S2 returned, only those that barrier_admit() admits are sent.
 *
 * Why a row a of the list can be sent then.  Let r be a row that sorts before a and was inserted
 * earlier, and X its transaction.
 *
 *   1. X took RowExclusiveLock on the table before r got its place in the order: INSERT and COPY
 *      lock the table they name before they evaluate defaults such as nextval().  (An insert into
 *      a partition by its parent's name locks the parent.)  Row r existed before a, and a was
 *      committed before S1.  So X had the lock before S1.
 *   2. A lock taken by a statement is kept until the end of the transaction.  A subtransaction's
 *      lock passes to its parent, and is only released by ROLLBACK TO, which also removes r.
 *      PREPARE TRANSACTION transfers the locks, with the virtualtransaction unchanged (PostgreSQL
 *      10.19, 11.14, 12.9, 13.5, 14.1 and all later ones), without a gap.
 *   3. pg_locks misses no lock that is held throughout the read: it reads the fast-path entries
 *      first, and then the shared table, and entries move only to the latter (lock.c,
 *      GetLockStatusData).  So either L saw X, or X released its lock before L ended.
 *   4. A commit becomes visible before its locks are released (CommitTransaction: first
 *      ProcArrayEndTransaction, then ResourceOwnerRelease; FinishPreparedTransaction likewise).
 *      So, when W is over, X is rolled back, or visible to every later snapshot.
 *   5. So S2 returns r before a, unless r is already gone.
 *
 * The list stays valid: what 5. says of S2 is true of every later snapshot.  So one list serves
 * several bursts.  A row of the list that has vanished (another command sent it) is skipped.
 *
 * A row b that S2 returns and that is not in the list was inserted in between.  The argument does
 * not apply to b: earlier rows than b may have been inserted after L.  The rule depends on the
 * order.
 *
 *   - In a serial order (struct model), rows are assigned their places one after another.  Then
 *     all rows that sort before b, which sorts before a, are older than a, and 1. to 5. hold for
 *     them.  (If the order descends, what sorts before b is younger than b, and the guarantee
 *     does not apply.)  So all rows up to the last one of the list that is still there may be sent;
 *     those after it wait for the next list.
 *   - In any other order (customer, number; or priority), an earlier row than b may belong to an
 *     open transaction although a has no such row.  And b may be older than a, so a must not
 *     overtake it.  So only rows before the first such b may be sent, and then a new list is made
 *     that includes b.
 *
 * Assumptions: a row gets its place in the order while its transaction holds the lock, from a
 * sequence or a default such as clock_timestamp(), and keeps it.  Not covered are: sequences with
 * CACHE (a session keeps numbers that it got long ago), now() (the transaction may have begun long
 * before), numbers that the application generates beforehand (for example SELECT nextval(), then
 * INSERT), and UPDATEs of the sort columns.
 *
 * Concurrent senders.  A sender whose session is lost may still be sending the burst that it had
 * claimed, at any later time if it was frozen meanwhile, while its successor begins.  This
 * preserves the order of first appearances: the successor must begin with the same burst, because
 * none of it was deleted, and sends all of it before it continues.  Each of the two sends without a
 * gap (lane.h), so what either of them stores of the burst is always a prefix of it.
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
	BARRIER_HELD, /* writers that were found after S1 are still there */
	BARRIER_OPEN, /* they are gone */
};

/* Zero-initialized is BARRIER_NONE. */
struct barrier {
	enum barrier_state state;
	struct instant since; /* of S1 */
	/* The list, and how many of its rows are not sent yet. */
	struct rows *list; /* primary keys */
	size_t left;
	bool *sent;    /* one for each row of the list */
	size_t *table; /* of hashes: index in the list + 1, or 0 */
	size_t table_size;
	/* The virtualtransactions to wait for. */
	char **awaited;
	size_t awaited_count;
};

void barrier_reset(struct barrier *b);

/* Start again with the list of S1 (sql_list()), whose ownership is taken, and the result of L
 * (virtualtransactions). */
void barrier_begin(struct barrier *b, const struct model *m, struct rows *list,
	const struct rows *writers, struct instant now);

/* Which of the awaited transactions are still there. */
void barrier_look(struct barrier *b, const struct rows *writers);

/* How many rows of one S2 have been examined; zero-initialized: none. */
struct admission {
	size_t seen, admitted;
};

/* How many of the rows of S2, counted from the first, may be sent.  May be called repeatedly while
 * they arrive, with the same a: the result never decreases. */
size_t barrier_admit(const struct barrier *b, const struct model *m, const struct rows *claimed,
	struct admission *a);

/* The rows of S2 whose flags are set are deleted; flags has count elements. */
void barrier_note_sent(struct barrier *b, const struct model *m, const struct rows *claimed,
	const bool *flags, size_t count);

#endif
