/*
 * store - the signal tables: describe, count, note, claim, delete.
 *
 * A store is one database session and belongs to one worker.  With database_listen it is two: if
 * one is lost, both are.  All calls block, for each of their
 * statements until its limit (limits.h, by `timeout` of the configuration).  Errors have the
 * database's kinds; after any error no transaction is open.
 */
#ifndef SIGNALBUS_STORE_H
#define SIGNALBUS_STORE_H

#include "base/check_report.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "model/ledger.h"
#include "model/model.h"
#include "model/sql.h"
#include "postgres/rows.h"
#include "store/held_rows.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* A store for the models of a configuration, which it borrows; not connected. */
struct store *store_new(const struct config *config);
void store_free(struct store *s);

/* Other models are waiting: from the next connection on, wait at most this many seconds for a lock,
 * unless rows are already claimed. */
void store_limit_locks(struct store *s, double seconds);

/* A dead letter table that is missing or unsuitable fails no model: it only keeps rejected rows in
 * their tables.  Without this call it is an error in the configuration of each model that needs it.
 */
void store_keep_rejected(struct store *s);

bool store_connect(struct store *s, struct instant deadline, struct error *e);
bool store_connected(const struct store *s);

/* db_server_version() of its session. */
int store_server_version(const struct store *s);

void store_disconnect(struct store *s);

/* Report what makes the session more dangerous than sending needs: powers of its role, and a server
 * that is not verified.  Returns false with e, and has reported nothing, if that is not known. */
bool store_check_session(struct store *s, struct check_report *f, struct error *e);

/* With database_listen: verify that transactions are possible, which poolers of single statements
 * refuse; connect the session for locks and notes, and verify that it is in the same database. */
bool store_try_locks(struct store *s, struct error *e);

/* Verify that the session still exists, if it has not been used for a while. */
bool store_ping(struct store *s, struct error *e);

/* The model number index with its description from the catalog, which is read on first use in a
 * session, and after store_forget().  Returns NULL with e; ERROR_CONFIG if table and configuration
 * do not match.  The model is valid until it is requested again. */
const struct model *store_model(struct store *s, size_t index, struct error *e);

/* Read the model and prepare its statements again on its next use, because its table has changed.
 * Its notes are discarded then. */
void store_forget(struct store *s, size_t index);

/* The same for all models; the session's statements are dropped, so that repeated calls do not
 * accumulate statements on the server.  A session that is lost meanwhile is closed. */
void store_renew(struct store *s);

/* The number of pending signals of a model; store_count_some() stops counting at bound. */
bool store_count(struct store *s, const struct model *m, size_t *count, struct error *e);
bool store_count_some(
	struct store *s, const struct model *m, size_t bound, size_t *count, struct error *e);

/* The estimated number, from the server's statistics, without reading a row.  For a model with a
 * condition the server has no estimate: then it is 0. */
bool store_estimate(struct store *s, const struct model *m, size_t *count, struct error *e);

/* Read a pending row of a model without locking it: any row or, if row is known, that one;
 * passed_over excludes rows (see claim_request).  *row has no ctid if there is none. */
bool store_see(struct store *s, const struct model *m, const char *const *passed_over,
	struct sighting *row, struct error *e);

/* Whether each of several models, which have been described in this session, has any row, locked or
 * not.  Only for models without expressions (store_is_plain()). */
bool store_see_rows(
	struct store *s, const size_t *models, size_t count, bool *has, struct error *e);

/* Whether a model has been described in this session, and no code of users runs when it is read. */
bool store_is_plain(const struct store *s, size_t index);

/* Add to t the holder of the lock on the row, as far as it can be determined. */
void store_describe_locker(struct store *s, const struct sighting *row, struct text *t);

/* Of a model's table, from the server's statistics. */
struct table_statistics {
	double dead_rows;
	double last_vacuum; /* Unix time, of any part of the table; 0: never */
};
bool store_table_statistics(
	struct store *s, const struct model *m, struct table_statistics *st, struct error *e);

/* The oldest transaction because of which vacuum keeps dead rows of this database: one that is open
 * or prepared, or that of a replication slot. */
struct vacuum_holder {
	char xid[SIGHTING_SIZE]; /* empty: there is none */
	double seconds;          /* since it began; 0 if that is not known */
};
bool store_vacuum_holder(struct store *s, struct vacuum_holder *holder, struct error *e);

/* Note the signals of a model that are pending now, on the server: a cursor holds their keys. */
bool store_note(struct store *s, const struct model *m, struct error *e);
bool store_has_note(const struct store *s, size_t index);

/* The next noted keys of a model, at most count; none when all were fetched, NULL on failure.  Free
 * the keys with rows_free(). */
bool store_noted(
	struct store *s, const struct model *m, size_t count, struct rows **keys, struct error *e);

/* How a session takes the ordered lock of a model: exclusively, to send it in order; or shared with
 * any number of others, to send it in no order. */
enum lock_mode { LOCK_EXCLUSIVE, LOCK_SHARED };

/* Take the ordered lock of a model for this session, if it does not hold it.  ERROR_BUSY or
 * ERROR_LOCKED, with the holder in the text, if another session prevents this. */
bool store_lock(struct store *s, const struct model *m, enum lock_mode mode, struct error *e);

/* Release the ordered lock, if this session holds it; a session that cannot release it is closed,
 * which releases the lock. */
void store_unlock(struct store *s, size_t index);

/* The rest of this part is for delivery = "exactly-once" (slot.c).
 *
 * Take a free slot of the instance for this session, unless it has one.  A session that ends loses
 * its slot. */
bool store_take_slot(struct store *s, unsigned *slot, struct error *e);
bool store_has_slot(const struct store *s);

/* Verify that this session still has the lock of a slot; otherwise it is closed, and the error is
 * ERROR_CONNECTION. */
bool store_keeps_slot(struct store *s, unsigned slot, struct error *e);

/* The identity of the session's database (base/identity.h), valid as long as the session. */
bool store_database(struct store *s, const char **identity, struct error *e);

/* Give this session's slot back: the next one that it takes is a later one. */
bool store_leave_slot(struct store *s, struct error *e);

/* Take another slot than that of this session, if nobody has it, to resolve what is prepared for
 * it; and give it back. */
bool store_borrow_slot(struct store *s, unsigned slot, bool *got, struct error *e);
bool store_return_slot(struct store *s, unsigned slot, struct error *e);

/* Who has the slot: see catalog_say_lock_holder(). */
void store_say_slot_holder(struct store *s, unsigned slot, struct error *e);

/* Which of the first slots any session has: a bit for each. */
enum { SLOTS_LISTED = 64 };
bool store_list_slots(struct store *s, uint64_t *used, struct error *e);

/* From now on, store_settle() prepares the transaction under a number of this session's slot
 * instead of committing it; 0: it commits. */
void store_prepare_as(struct store *s, int64_t number);

/* What is prepared in the instance's name, by slot and number; seconds ago. */
enum { PREPARED_SLOT, PREPARED_NUMBER, PREPARED_SECONDS };
bool store_list_prepared(struct store *s, struct rows **prepared, struct error *e);

/* Commit or roll back what is prepared.  The session has the slot. */
struct prepared {
	unsigned slot;
	int64_t number;
};
bool store_finish_prepared(
	struct store *s, const struct prepared *p, bool commits, struct error *e);

/* Which rows to claim. */
struct claim_request {
	enum claim_kind kind;
	const struct row_position *from; /* CLAIM_NEXT, CLAIM_RANGE: rows after it … */
	const struct row_position *to;   /* CLAIM_RANGE: … up to and including this one */
	const struct rows *keys;         /* CLAIM_BY_KEY: rows with the keys … */
	size_t first_key, key_count;     /* … of this slice */
	const char *const *passed_over;  /* two array literals, of tableoids and of ctids: exclude
					    these rows; NULL: none. Not for a claim in order */
	bool from_start; /* CLAIM_ORDERED: also look for rows that sort before the last ones sent */
	/* If set, called with arg while rows arrive, if the claim is unlikely to fail midway: count
	 * rows have arrived in the claim's rows, and are locked.  They may be sent already. */
	void (*on_row)(void *arg, size_t count);
	void *arg;
};

/* Why a row stays. */
struct refusal {
	char *reason; /* NULL: the row does not have to stay */
	enum { REFUSED_DELETION, REFUSED_READING, REFUSED_MOVING } what;
	enum error_kind kind;
	bool may_die; /* the failure to read it is specific to the row */
};

/* The rows of a burst: locked or deleted, in an open transaction.  Freed by claim_free(). */
struct claim {
	struct rows *rows;
	size_t count;
	struct refusal *refusals; /* one per row; NULL: none is refused.  store_claim() in order:
				     such a row is the last one */
	bool more; /* as far as is known there are more rows to claim at once; for noted keys, more
		      with the same keys */
	size_t cut_to; /* rows after this many do not fit in a burst, and were omitted; 0: none */
	struct instant since;   /* when the request was sent; set before the first row arrives */
	bool is_streamed;       /* the caller was notified of rows while they arrived */
	bool after_clean_burst; /* the previous burst succeeded */
	bool from_start;        /* the scan was from the beginning, not only after a place */
	/* CLAIM_ORDERED: */
	bool in_order;
	bool held_back; /* there are no rows because a writer's open transaction may commit earlier
			   ones: claim again, soon */
	double held_seconds; /* for how long that has been the case */
};

/* Begin a transaction and lock a burst: at most burst_count
 * rows, and no more than fit in burst_bytes, except for a single larger row.  Without rows no
 * transaction is left open.  CLAIM_ORDERED needs the ordered lock; it waits at most a few
 * hundredths of a second for writers that hold it back, and warns, once, of those that have done so
 * for ten seconds.  ERROR_STOPPED if the process is asked to stop meanwhile. */
bool store_claim(struct store *s, const struct model *m, const struct claim_request *request,
	struct claim *claim, struct error *e);
void claim_free(struct claim *claim);

/* The next claims of a model have half as many rows, because there was no time for these; or twice
 * as many, up to burst_count. */
void store_reduce_claims(struct store *s, const struct model *m);
void store_enlarge_claims(struct store *s, const struct model *m);

/* While the messages of a claim are in flight: start deleting its rows on the server, if they are
 * unlikely to stay.  Does not block.  store_settle() handles the outcome. */
void store_delete_early(struct store *s, const struct model *m, const struct claim *claim);

/* Whether the row has to stay: refused by store_claim(), it must not be sent; refused by
 * store_settle(), it was sent. */
bool claim_refuses(const struct claim *claim, size_t row);

/* How to settle a burst. */
struct settle_request {
	struct row_outcome *outcomes; /* of each row of the claim; updated */
	/* If set, a CLAIM_NEXT or CLAIM_RANGE that store_claim() will be called with next: it is
	 * sent right after the commit, so that the server does not wait.  Before any other use of
	 * the store, call store_abandon(). */
	const struct claim_request *next;
	/* If set, called while the server ends the transaction. */
	void (*meanwhile)(void *arg);
	void *arg;
};

/* Delete the rows that were sent, move those that become dead letters, and commit.  If not all
 * claimed rows are to leave, an early deletion is undone first, and rows that the server refuses to
 * delete or to move stay: outcomes and the refusals of the claim are updated.  If fewer rows were
 * deleted than expected (a trigger may keep rows), that is an error, although the others are
 * deleted.  ERROR_CONFLICT if another session took a row in between. */
bool store_settle(struct store *s, const struct model *m, struct claim *claim,
	const struct settle_request *request, struct error *e);

/* Whether the last transaction was committed, though no standby has confirmed that in time, which e
 * says then (ERROR_UNCONFIRMED). */
bool store_is_unconfirmed(const struct store *s, struct error *e);

/* Dead letters: those of some models (indexes). */
struct dead_letters {
	const size_t *models;
	size_t count;
	const char *ids; /* only these, as an array literal; NULL: all */
};

/* Those of the ids that no dead letter of the models has, each with the name of its model, or NULL
 * if there is no such dead letter.  Free them with rows_free(). */
bool store_missing_dead_letters(
	struct store *s, const struct dead_letters *which, struct rows **ids, struct error *e);

/* How many a model (index) has. */
bool store_count_dead_letters(
	struct store *s, size_t index, const char *ids, size_t *count, struct error *e);

/* The next ones of a model (index), oldest first. */
enum { DEAD_LETTER_COLUMNS = 6 }; /* id, model, failed_at, primary key as JSON, error, signal */
struct dead_letter_page {
	const char *after; /* ids greater than this */
	size_t count;      /* at most */
	const char *ids;   /* as above */
};
bool store_dead_letters(struct store *s, size_t index, const struct dead_letter_page *page,
	struct rows **rows, struct error *e);

/* The result of requeuing dead letters. */
enum { REQUEUE_REASONS = 20 };
struct requeued {
	size_t *counts;          /* for each model: how many were requeued */
	size_t stayed;           /* how many were not, … */
	struct problems reasons; /* … and why, one line for each of the first REQUEUE_REASONS */
};

/* Return dead letters to their tables, in one transaction.  Each row is restored exactly, or its
 * dead letter stays.  Returns false with e if this failed as a whole, and all stay. */
bool store_requeue(struct store *s, const struct dead_letters *which, struct requeued *requeued,
	struct error *e);

/* Delete the dead letters of a model (index). */
bool store_discard(struct store *s, size_t index, const char *ids, size_t *count, struct error *e);

/* Add to t the definition of the dead letter table, and what grants the user of this session the
 * privileges on it, safe to run twice. */
bool store_define_dead_letters(struct store *s, struct text *t, struct error *e);

/* Whether an operator has paused a model (`signalbus pause`), and who paused or resumed it last;
 * empty if nobody has. */
struct pause {
	bool is_paused;
	char by[256];
};

/* Fill pauses, one for each model of the configuration, from the tables signalbus_paused in the
 * schemas of their tables. */
bool store_pauses(struct store *s, struct pause *pauses, struct error *e);

/* What is logged if that fails, with the error's text. */
#define PAUSES_UNKNOWN "cannot read which models are paused: %s"

/* Pause or resume the model number index, and notify the daemons, with this payload. */
#define PAUSE_NOTIFICATION "signalbus pause"
struct pause_change {
	bool is_paused; /* pause, or resume */
	bool is_new;    /* set: it was not so before */
};
bool store_pause(struct store *s, size_t index, struct pause_change *change, struct error *e);

/* Add to e, an error that the model number index has met, the model, the table and, if a lock was
 * waited for, its holder.  Queries the server, if needed.  Always returns false. */
bool store_blame(struct store *s, size_t index, struct error *e);

/* Set e to the open transaction that holds the order back.  Always returns false. */
bool store_set_writer_error(struct store *s, const struct model *m, struct error *e);

/* Roll back.  If that fails the session is closed, which has the same effect. */
void store_abandon(struct store *s);

#endif
