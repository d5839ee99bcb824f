/*
 * store_internal - shared by the files of the store.  Private to store*.c.
 */
#ifndef SIGNALBUS_STORE_INTERNAL_H
#define SIGNALBUS_STORE_INTERNAL_H

#include "base/text.h"
#include "postgres/db.h"
#include "store/barrier.h"
#include "store/lock_session.h"
#include "store/store.h"

/* The state of the ordered claims of a model. */
struct ordering {
	struct barrier barrier;
	bool in_doubt;  /* writers were found the last time, so a prefetched claim would be useless
			 */
	double pause;   /* seconds before the next check for awaited writers */
	bool is_warned; /* that they take long */
	/* Rows that sort before the floor are sent: starting there avoids scanning dead rows, which
	 * VACUUM cannot remove while a snapshot is old.  A sweep from the beginning, now and then,
	 * finds rows that were inserted there against the assumptions of barrier.h.  Without this,
	 * a message takes 77 instead of 1.2 ms (p50) with 300,000 dead rows. */
	char *floor;     /* a value of the floor field; NULL: none */
	bool from_floor; /* the current list begins at the floor */
	struct instant next_sweep;
	bool prepared_list, prepared_floor_list, prepared_writers, prepared_awaited;
};

/* Each claim size is half of the previous one: enough to halve the largest burst_count to 1. */
enum { CLAIM_SIZES = 18 };

/* A model as known by this session. */
struct session_model {
	struct model *model;
	bool is_stale; /* read it again before its next use; somebody may still hold it */
	/* How often burst_count is halved for claims, because rows are large, or take long; the
	 * greater one counts (store_halvings()). */
	unsigned size, reduction;
	bool last_burst_clean; /* the last burst succeeded, and its rows were small */
	bool prepared[CLAIM_KINDS][CLAIM_SIZES][4]; /* the last index: how (sql.h) */
	bool prepared_delete, prepared_dead_letter, prepared_lock_again;
	bool reads_apart; /* a row could not be read: rows are locked first, and then read */
	bool reads_some; /* some rows could be read and others not, for a reason that usually is not
			    specific to a row */
	bool is_careful; /* sent rows could not be deleted: delete before sending, for a while */
	bool can_delete; /* the server was asked: privileges and replica identity allow it */
	bool noted;
	bool locked;              /* this session holds the ordered lock … */
	enum lock_mode lock_mode; /* … in this mode */
	struct ordering ordering;
	unsigned generation; /* part of the statements' names: each is prepared once per session */
};

/* The rows of one table that a claim deletes (deletion.c). */
struct deletion {
	const char *oid;   /* borrowed from the claim */
	struct text ctids; /* as tid[] in binary format */
	const char *values[2];
	int lengths[2];
	size_t affected;
};

/* Statements that delete rows of a claim, followed by COMMIT. */
struct deletions {
	char *statement; /* the name of the prepared one */
	struct deletion *items;
	struct db_call *calls;
	size_t count;     /* of items, and of calls that delete … */
	size_t first;     /* … of which this is the first */
	size_t all_calls; /* with those that end the transaction */
	size_t rows;
};

/* A claim in no order that is sent, or about to be (claim_unordered.c). */
#define CLAIM_CALLS 7
struct sent_claim {
	enum claim_kind kind;
	struct instant since;
	char *statement; /* the prepared one's name */
	const char *table[1];
	struct rows *state;
	struct db_columns expected;
	struct db_call calls[CLAIM_CALLS];
	struct db_call *claim; /* one of them */
	size_t count;
	/* Of the claim; until it is sent: */
	const char **values;
	char **arrays; /* of keys, or NULL */
};
void sent_claim_free(struct sent_claim *c);

/* How far the early deletions of the current burst are. */
enum early_delete {
	EARLY_NOT,
	EARLY_SENT,
	EARLY_FIRST, /* before anything is sent, after a savepoint */
};

struct store {
	const struct config *config;
	struct db *db;
	struct lock_session *locks;   /* NULL: db has them */
	struct session_model *models; /* one per model of the configuration */
	struct deletions deletions;   /* of the current burst */
	enum early_delete early;
	unsigned slot; /* exactly-once: that this session has taken … */
	bool has_slot;
	unsigned first_slot;           /* earlier ones were left */
	char *database;                /* its identity; NULL: not known yet */
	char *prepare;                 /* … and the statement that ends a burst; NULL: COMMIT */
	struct sent_claim *prefetched; /* after the last commit; not received yet */
	char *states[2];               /* the names of sql_table_state … */
	bool prepared_states[2];       /* … which are prepared */
	/* For locks of other sessions a transaction waits lock_wait seconds at most until its
	 * messages are sent.  If that is shorter than usual (waits_longer), the statement
	 * longer_lock_wait then sets the usual time, since sent messages would be sent again. */
	double lock_wait;
	bool waits_longer;
	char *longer_lock_wait;
	bool keeps_rejected; /* rows, if they cannot become dead letters, and their model does not
				fail */
};

/* The deadline of a call that begins now. */
struct instant store_deadline(const struct store *s);

/* The session that has locks, notes and slots; NULL with e if it is lost or cannot be connected. */
struct db *store_lock_session(struct store *s, struct error *e);

/* One statement with text parameters, in the open transaction, if there is one. */
bool store_query(struct store *s, struct db_call call, struct error *e);

/* The same for one of a model's statements (sql.h), which may execute code of users. */
bool store_query_model(
	struct store *s, const struct model *m, struct db_call call, struct error *e);

/* Fill calls with those that begin a transaction which may change tables; store_begin_bare() also
 * with those that prove what a burst depends on, store_begin() with what the model's statements
 * need.  Returns their number, at most STORE_BEGIN_CALLS.  (begin.c) */
#define STORE_BEGIN_CALLS 5
size_t store_begin_plain(const struct store *s, struct db_call *calls);
size_t store_begin_bare(const struct store *s, const struct model *m, struct db_call *calls);
size_t store_begin(const struct store *s, const struct model *m, struct db_call *calls);

/* Roll back.  If that fails the session is closed, which has the same effect for its rows; the
 * error is for callers that need an open session. */
bool store_roll_back(struct store *s, struct error *e);

struct statement {
	const char *what; /* the first part of its name */
	char *sql;        /* owned, and freed; may be NULL if it is prepared */
	bool *done;       /* whether this session has prepared it */
};

/* Prepare a model's statement unless it is prepared.  Returns its name, to be freed; NULL with e on
 * failure. */
char *store_prepare(struct store *s, const struct model *m, struct statement st, struct error *e);

/* The result columns of a claim of the model; borrows from it (claim_statement.c). */
struct db_columns store_claimed(const struct model *m);

/* Whether the table still matches the model; ERROR_PLAN if not (claim_unordered.c). */
bool store_check_table(struct store *s, const struct model *m, struct error *e);

/* How many rows a claim is for, as currently suits the size of the model's rows, and its prepared
 * statement (claim_statement.c). */
size_t store_claim_size(const struct store *s, const struct model *m);
unsigned store_halvings(const struct session_model *d);
char *store_prepare_claim(struct store *s, const struct model *m, enum claim_kind kind,
	unsigned how, struct error *e);

/* Whether the caller of a claim is notified of its rows as they arrive (claim_statement.c). */
bool store_may_stream(
	const struct store *s, const struct model *m, const struct claim_request *request);

/* Read the rows of a bare claim, except those that cannot be read, which the claim then names
 * (unreadable.c). */
bool store_read_apart(struct store *s, const struct model *m, struct claim *claim, struct error *e);

/* Refuse the rows of a claim that have text which is not UTF-8: a database with the encoding
 * SQL_ASCII accepts any bytes (unreadable.c). */
void store_check_text(const struct model *m, struct claim *claim);

/* Whether an error of a claim may be specific to one of its rows (unreadable.c). */
bool store_may_be_row(const struct error *e);

/* An action on some rows of a claim, between savepoints of the name "part". */
struct trial {
	struct store *store;
	const struct model *model;
	struct claim *claim;
	struct instant deadline; /* for refused rows; slow refusals are not specific to rows */
	bool any;                /* the row is refused */
	void *arg;
	struct row_outcome *outcomes; /* of rows that are settled (settle.c); or NULL */
	/* Try some rows, with RELEASE SAVEPOINT part at the end. */
	bool (*try_rows)(struct trial *t, size_t first, size_t count, struct error *e);
	/* A row is isolated, with its error; the savepoint is set again. */
	bool (*refuse)(struct trial *t, size_t row, const struct error *why, struct error *e);
	/* Whether an error may be specific to some rows; NULL: whether a refusal may be. */
	bool (*is_for_row)(const struct error *e);
};

/* Try all rows of a claim; if that fails for some, in halves until these are isolated; in order,
 * only the first one.  (delete_first.c) */
bool trial_run(struct trial *t, struct error *e);
void trial_refuse(struct trial *t, size_t row, struct refusal refusal);

/* Delete some of the rows, and run the triggers that are deferred to the commit. */
bool trial_delete(struct trial *t, size_t first, size_t count, struct error *e);

/* In order, nothing after a refused row is sent: make it the last one of its claim. */
void trial_cut_order(struct claim *claim);

/* Delete the rows of a claim before they are sent, because the server may refuse to, except those
 * that it refuses, which the claim then names (delete_first.c). */
bool store_delete_first(
	struct store *s, const struct model *m, struct claim *claim, struct error *e);

/* Some rows stay or become dead letters: undo the early deletion.  Call it before anything else is
 * done with them.  Unless they were deleted first, the rows are then in a new transaction with new
 * locks: if another session took a row in between, the error is ERROR_CONFLICT, and no transaction
 * is open (early_delete.c). */
bool store_undo_early_delete(
	struct store *s, const struct model *m, const struct claim *claim, struct error *e);

/* Fewer rows are not worth a round trip for an early deletion. */
#define EARLY_DELETE_MIN 50

/* Verify, once per description of the model, that the server would delete rows of it at all: rows
 * that are sent and cannot be deleted would be sent again.  A trigger or a foreign key may still
 * refuse a row. */
bool deletions_plan(struct store *s, const struct model *m, struct error *e);

/* Prepare to delete the rows of a claim that leave; all, without outcomes.  Free the
 * result with deletions_free() in any case. */
bool deletions_prepare(struct store *s, const struct model *m, const struct claim *claim,
	const struct row_outcome *outcomes, struct error *e);
void deletions_free(struct deletions *d);

/* All rows are deleted; only the commit remains. */
void deletions_done(struct store *s);

/* Whether as many rows were deleted as expected: rows that a trigger, a rule or a policy keeps
 * would be sent again and again. */
bool deletions_check(const struct model *m, const struct deletions *d, struct error *e);

/* Wait for the answer to the early deletion (early_delete.c). */
bool store_await_deletion(struct store *s, struct error *e);

/* Send the next claim, if its statement is prepared (claim_unordered.c).  If the session is lost it
 * is closed; that is reported later.  Without this, flushmany is 0.90 times as fast, with -j 16 and
 * bursts of 1 as with -j 1 and bursts of 1,000. */
void store_prefetch(struct store *s, const struct model *m, const struct claim_request *next);

/* A claim in no order (claim_unordered.c). */
bool store_claim_unordered(struct store *s, const struct model *m,
	const struct claim_request *request, struct claim *claim, struct error *e);

/* The next two are in claim_ordered.c.  A claim in the model's order. */
bool store_claim_ordered(struct store *s, const struct model *m,
	const struct claim_request *request, struct claim *claim, struct error *e);

/* The claimed rows that leave were deleted from the table. */
void ordering_note_left(struct ordering *o, const struct model *m, const struct claim *claim,
	const struct row_outcome *outcomes);

/* Discard what is known of the table (in_flight.c). */
void ordering_reset(struct ordering *o);

/* Nothing of a burst is in flight any more (in_flight.c). */
void store_forget_sent(struct store *s);

#endif
