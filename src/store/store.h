/*
 * store - the signal tables: describe, count, note, claim, delete.  Nobody else speaks SQL.
 *
 * A store is one database session and belongs to one worker.  All calls block, until `timeout` of
 * the configuration has passed since the call.  Errors are of the database's kinds; after any error
 * no transaction is open.
 */
#ifndef SIGNALBUS_STORE_H
#define SIGNALBUS_STORE_H

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "model/ledger.h"
#include "model/model.h"
#include "model/sql.h"
#include "postgres/rows.h"
#include "store/hold.h"
#include "store/position.h"

#include <stdbool.h>
#include <stddef.h>

struct store;

/* A store for the models of a configuration, which it borrows; not connected. */
struct store *store_new(const struct config *config);
void store_free(struct store *s);

/* Others want to be served meanwhile: wait so many seconds at most for a lock, from the next
 * connection on, unless rows are claimed already. */
void store_limit_locks(struct store *s, double seconds);

bool store_connect(struct store *s, struct instant deadline, struct error *e);
bool store_connected(const struct store *s);
void store_disconnect(struct store *s);

/* Find out whether the session is still there, where it has not been used for a while. */
bool store_ping(struct store *s, struct error *e);

/* The model number index with what the catalog says of it, which is read when it is first asked
 * for in a session, and after store_forget().  Returns NULL with e; ERROR_CONFIG where table and
 * configuration do not fit.  The model is good until it is asked for again. */
const struct model *store_model(struct store *s, size_t index, struct error *e);

/* Read the model and prepare its statements anew when it is asked for again: its table has
 * changed.  What was noted of it is forgotten then. */
void store_forget(struct store *s, size_t index);

/* The same for all models; the session's statements are dropped, so that who does so again and
 * again does not leave more and more of them with the server.  A session that is lost meanwhile is
 * closed. */
void store_renew(struct store *s);

/* How many signals of a model are pending; store_count_some() stops counting at bound. */
bool store_count(struct store *s, const struct model *m, size_t *count, struct error *e);
bool store_count_some(
	struct store *s, const struct model *m, size_t bound, size_t *count, struct error *e);

/* About how many they are, by the server's statistics, which reads no row.  Of a model with a
 * condition the server knows nothing: then it is 0. */
bool store_estimate(struct store *s, const struct model *m, size_t *count, struct error *e);

/* Look at a pending row of a model without locking it, at any one, or where row is known, at that
 * one; those of passed_over are none (see claim_request).  *row has no ctid where there is none. */
bool store_see(struct store *s, const struct model *m, const char *const *passed_over,
	struct sighting *row, struct error *e);

/* Add to t who has the row locked, as far as that can be found out. */
void store_say_locker(struct store *s, const struct sighting *row, struct text *t);

/* Note which signals of a model are pending now, on the server: a cursor keeps their keys. */
bool store_note(struct store *s, const struct model *m, struct error *e);
bool store_has_note(const struct store *s, size_t index);

/* The next noted keys of a model, at most count; none when all were fetched, NULL where that fails.
 * The keys go to rows_free(). */
bool store_noted(
	struct store *s, const struct model *m, size_t count, struct rows **keys, struct error *e);

/* Take the ordered lock of a model for this session, if it has not got it.  ERROR_BUSY, with the
 * holder's process in the text, where another session has it. */
bool store_lock(struct store *s, const struct model *m, struct error *e);

/* Give the ordered lock back, if this session has it; a session that cannot is closed, and the
 * lock goes with it. */
void store_unlock(struct store *s, size_t index);

/* Which rows to claim. */
struct claim_request {
	enum claim_kind kind;
	const struct place_in_table *from; /* CLAIM_NEXT, CLAIM_STRETCH: rows behind it … */
	const struct place_in_table *to;   /* CLAIM_STRETCH: … as far as this one */
	const struct rows *keys;           /* CLAIM_NOTED: rows with the keys … */
	size_t first_key, key_count;       /* … of this slice */
	const char *const *passed_over; /* two array literals, of tableoids and of ctids: not these
					   rows; NULL: none.  Not of a claim in order */
	bool from_start; /* CLAIM_ORDERED: look for rows that sort before those sent last, too */
	/* If set, called with arg while rows come, where a claim is hardly going to fail amid them:
	 * count of them are there, in the claim's rows, and locked.  They may be sent already. */
	void (*on_row)(void *arg, size_t count);
	void *arg;
};

/* Why a row must not be sent. */
struct refusal {
	char *reason;       /* NULL: it may be */
	bool is_unreadable; /* else the database will not delete it */
	bool may_die;       /* what cannot be read is the row's own fault */
};

/* The rows of a burst: locked or deleted, in an open transaction.  Freed by claim_free(). */
struct claim {
	struct rows *rows;
	size_t count;
	struct refusal *refusals; /* of each row; NULL: none is refused.  In order, such a row is
				     the last one */
	bool more;     /* as far as is known there are more rows to claim at once; of noted keys,
			  more that belong to the same ones */
	size_t cut_to; /* rows behind so many do not fit in a burst, and were left out; 0: none */
	struct instant since; /* when the server was asked; set before the first row comes */
	bool is_streamed;     /* who asked was told of rows while they came */
	bool was_smooth;      /* the burst before went well */
	bool is_taken;        /* the rows are deleted already, and were never locked */
	bool from_start;      /* it was looked from the beginning, not only behind a place */
	/* CLAIM_ORDERED: */
	bool in_order;
	bool held_back; /* there are no rows since a writer's open transaction may commit earlier
			   ones: claim again, soon */
	double held_seconds; /* for how long that has been so */
};

/* Begin a transaction and lock a burst, or delete it, where others hardly want it: burst_count rows
 * at most, and no more than fit in burst_bytes, but for a row that is larger by itself.  Without
 * rows no transaction is left open. CLAIM_ORDERED needs the ordered lock; it waits a few hundredths
 * of a second at most for writers that hold it back, and warns, once, of those that have done so
 * for ten seconds.  ERROR_STOPPED where the process is asked to stop meanwhile. */
bool store_claim(struct store *s, const struct model *m, const struct claim_request *request,
	struct claim *claim, struct error *e);
void claim_free(struct claim *claim);

/* Which claim store_claim() will be asked for next, CLAIM_NEXT or CLAIM_STRETCH: the server gets it
 * right behind the commit of the store_settle() that comes now, and need not wait for us.  Whatever
 * else is done in its place, store_abandon() comes first.  The request has to be good until
 * store_settle() returns. */
void store_foresee(struct store *s, const struct claim_request *next);

/* While the messages of a claim are on the way: have the server begin to delete its rows, where
 * they will hardly have to stay.  Does not block.  What becomes of that is for store_settle(). */
void store_delete_ahead(struct store *s, const struct model *m, const struct claim *claim);

/* Whether the database refuses to let the row go. */
bool claim_refuses(const struct claim *claim, size_t row);

/* Some rows stay after all, or die: take back what is deleted ahead.  To be called before anything
 * else is done with them.  The transaction is another one then, and its locks are, too: where
 * others took a row in between that is ERROR_CONFLICT, and no transaction is open. */
bool store_keep(struct store *s, const struct model *m, const struct claim *claim, struct error *e);

/* Copy the rows that die to the dead letters, in the claim's transaction.  Where that fails nothing
 * was copied, and the transaction goes on unless the session is lost. */
bool store_bury(struct store *s, const struct model *m, const struct claim *claim,
	const struct disposal *disposals, struct error *e);

/* Delete the rows that go, and those that die, and commit.  Where fewer went than are expected to
 * (a trigger may keep rows) that is an error, though what went is gone. */
bool store_settle(struct store *s, const struct model *m, const struct claim *claim,
	const struct disposal *disposals, struct error *e);

/* The next dead letters of a model (index), oldest first. */
enum { DEAD_LETTER_COLUMNS = 5 }; /* id, model, failed_at, primary key as JSON, error */
struct dead_letter_page {
	const char *behind; /* an id */
	size_t count;       /* at most */
};
bool store_dead_letters(struct store *s, size_t index, const struct dead_letter_page *page,
	struct rows **rows, struct error *e);

/* What became of dead letters that were to be put back. */
enum { REQUEUE_REASONS = 20 };
struct requeued {
	size_t *counts;          /* for each model: so many are back */
	size_t stayed;           /* so many are not, … */
	struct problems reasons; /* … and why, a line each of the first REQUEUE_REASONS */
};

/* Put the dead letters of models (indexes) back into their tables, in one transaction.  Each comes
 * back exactly as the row was, or stays.  Returns false with e where that failed as a whole, and
 * all stay. */
bool store_requeue(struct store *s, const size_t *models, size_t count, struct requeued *requeued,
	struct error *e);

/* Delete the dead letters of a model (index). */
bool store_discard(struct store *s, size_t index, size_t *count, struct error *e);

/* Add to t the definition of the table for dead letters, safe to run twice. */
bool store_define_dead_letters(struct store *s, struct text *t, struct error *e);

/* Say in e, an error that the model number index has met, which model and which table it is about,
 * and where a lock was waited for, who has it.  Asks the server, if need be.  Always returns
 * false. */
bool store_blame(struct store *s, size_t index, struct error *e);

/* Say in e which open transaction holds the order back.  Always returns false. */
bool store_say_writer(struct store *s, const struct model *m, struct error *e);

/* Roll back.  Where that fails the session is closed, which comes to the same. */
void store_abandon(struct store *s);

#endif
