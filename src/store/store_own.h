/*
 * store_own - what the files of the store share.  Private to store*.c.
 */
#ifndef SIGNALBUS_STORE_OWN_H
#define SIGNALBUS_STORE_OWN_H

#include "postgres/db.h"
#include "store/barrier.h"
#include "store/store.h"

/* How the ordered claims of a model stand. */
struct ordering {
	struct barrier barrier;
	bool in_doubt;  /* writers were met the last time, so a claim in advance would be in vain */
	double pause;   /* seconds before the next look for awaited writers */
	bool is_warned; /* that they take long */
	/* Rows that sort before the floor are sent: looking from there saves the way over dead
	 * rows, which vacuum cannot remove while some snapshot is old.  A sweep from the beginning,
	 * now and then, finds what was put there against barrier.h's assumptions. */
	char *floor;     /* a value of the floor field; NULL: none */
	bool from_floor; /* what is done with the list begins at the floor */
	struct instant next_sweep;
	bool prepared_list, prepared_floor_list, prepared_writers, prepared_awaited;
};

/* Each size of a claim is half of the one before: enough to halve the largest burst_count to 1. */
enum { CLAIM_SIZES = 18 };

/* A model as far as this session knows it. */
struct described {
	struct model *model;
	bool is_stale;  /* to be read anew before it is used again; somebody may still hold it */
	unsigned size;  /* of claims: so many times burst_count is halved, since rows are large */
	bool is_smooth; /* the last burst went well, and its rows were small */
	struct instant wary_until;                  /* before, rows are not taken without a lock */
	bool prepared[CLAIM_KINDS][CLAIM_SIZES][4]; /* the last index: how (sql.h) */
	bool prepared_delete, prepared_bury, prepared_lock_again;
	bool reads_apart; /* a row could not be read: rows are locked first, and then read */
	bool reads_some;  /* rows could be read while others could not, for a reason that is none of
			     rows usually */
	bool is_careful;  /* what was sent could not be deleted: delete before sending, for a while
			   */
	bool can_delete;  /* the server has been asked: privileges and replica identity allow it */
	bool noted;
	bool locked; /* the ordered lock is this session's */
	struct ordering ordering;
	unsigned generation; /* part of the statements' names: each is prepared once a session */
};

/* Statements that delete rows of a claim, and COMMIT behind them (store_delete.c). */
struct deletions {
	char *statement; /* the prepared one's name */
	struct deletion *items;
	struct db_call *calls;
	size_t count;     /* of items, and of calls that delete */
	size_t all_calls; /* with those that end the transaction */
	size_t rows;
};

/* How far the deletions of the burst under way are, ahead of its settling. */
enum ahead {
	AHEAD_NOT,
	AHEAD_SENT,
	AHEAD_DONE,
	AHEAD_FIRST,    /* before anything is sent, behind a savepoint … */
	AHEAD_RESTORED, /* … and taken back: what goes is deleted again, by parts */
};

struct store {
	const struct config *config;
	struct db *db;
	struct described *models;   /* one for each of the configuration */
	struct deletions deletions; /* of the burst under way */
	enum ahead ahead;
	const struct claim_request *foreseen; /* to be sent right behind the next commit */
	bool is_claiming;                     /* that is sent, and not answered yet … */
	bool is_taking;                       /* … without locks … */
	size_t claiming_begin;                /* … behind so many calls that begin … */
	struct instant claiming_since;        /* … since then */
	char *state_statement;                /* the name of sql_table_state … */
	bool prepared_state;                  /* … which is prepared */
	double lock_wait; /* seconds to wait for others' locks before anything is sent … */
	char *haste;      /* … the statement that says so … */
	char *patience;   /* … and the one to wait for long, with claimed rows */
};

/* When a call that begins now has to be answered. */
struct instant store_deadline(const struct store *s);

/* One statement with text parameters, without a transaction around it. */
bool store_query(struct store *s, struct db_call call, struct error *e);

/* The same for one of a model's statements (sql.h), which may have people's code run. */
bool store_query_model(
	struct store *s, const struct model *m, struct db_call call, struct error *e);

/* Fill calls with those that begin a transaction of the model's statements, by the statement begin;
 * returns how many they are, STORE_BEGIN_CALLS at most. */
#define STORE_BEGIN_CALLS 3
size_t store_begin(
	const struct store *s, const struct model *m, const char *begin, struct db_call *calls);

/* Roll back.  Where that fails the session is closed, which comes to the same for its rows; the
 * error is for who goes on as if there were one. */
bool store_roll_back(struct store *s, struct error *e);

struct statement {
	const char *what; /* the first part of its name */
	char *sql;        /* taken, and freed; NULL will do where it is done */
	bool *done;       /* whether this session has prepared it */
};

/* Prepare a model's statement unless that is done.  Returns its name, to be freed; NULL with e
 * where that fails. */
char *store_prepare(struct store *s, const struct model *m, struct statement st, struct error *e);

/* What a claim of the model returns; borrows from it (store_claim.c). */
struct db_columns store_claimed(const struct model *m);

/* Whether the table is still as the model has it; ERROR_PLAN where it is not (store_claim.c). */
bool store_check_table(struct store *s, const struct model *m, struct error *e);

/* Prepare a claim of the size that is right for the model's rows now (store_claim.c). */
char *store_prepare_claim(struct store *s, const struct model *m, enum claim_kind kind,
	unsigned how, struct error *e);

/* Whether who asks for a claim is told of its rows as they come (store_claim.c). */
bool store_may_stream(
	const struct store *s, const struct model *m, const struct claim_request *request);

/* Whether a claim's rows are read without a lock and deleted at once; what its transaction begins
 * with and what comes before the deletion; and the deletion, which fails where others have a row,
 * or have changed it since it was read (store_take.c). */
#define TAKE_BEGIN    "BEGIN ISOLATION LEVEL REPEATABLE READ"
#define TAKE_PATIENCE "SET LOCAL lock_timeout = '1ms'"
bool store_may_take(
	const struct store *s, const struct model *m, const struct claim_request *request);
bool store_take(struct store *s, const struct model *m, const struct claim *claim, struct error *e);

/* That failed: lock rows for a while, or, if they were sent already, from now on. */
void store_be_wary(struct store *s, const struct model *m, bool was_sent);

/* Read the rows of a bare claim, but for those that cannot be read, which the claim names then
 * (store_read.c). */
bool store_read_apart(struct store *s, const struct model *m, struct claim *claim, struct error *e);

/* Refuse the rows of a claim that have text which is not UTF-8: a database of the encoding
 * SQL_ASCII takes any bytes (store_read.c). */
void store_check_text(const struct model *m, struct claim *claim);

/* Whether an error of a claim may be for what is in a row of it (store_read.c). */
bool store_may_be_row(const struct error *e);

/* What is done with some rows of a claim, between savepoints of the name "part". */
struct trial {
	struct store *store;
	const struct model *model;
	struct claim *claim;
	struct instant deadline; /* for what is refused; slow refusals are not the rows' */
	bool any;                /* is refused */
	void *arg;
	const struct disposal *disposals; /* of rows that are sent (store_first.c); else NULL */
	/* Try some rows, with RELEASE SAVEPOINT part at the end. */
	bool (*try_rows)(struct trial *t, size_t first, size_t count, struct error *e);
	/* A row stands alone, with what is wrong with it; the savepoint is there again. */
	bool (*refuse)(struct trial *t, size_t row, const struct error *why, struct error *e);
	/* Whether an error may be for some rows only; NULL: whether a refusal may be. */
	bool (*is_for_row)(const struct error *e);
};

/* Try all rows of a claim; where that fails for some, by halves until these stand alone (in order,
 * only the first one, which is the last row of the claim then).  (store_first.c) */
bool trial_run(struct trial *t, struct error *e);
void trial_refuse(struct trial *t, size_t row, struct refusal refusal);

/* Delete the rows of a claim before they are sent, since the server may refuse to, but for those
 * that it refuses, which the claim names then; and take that back (store_first.c). */
bool store_delete_first(
	struct store *s, const struct model *m, struct claim *claim, struct error *e);
bool store_restore(struct store *s, struct error *e);

/* After that: delete the rows that go, or die, by parts that the server takes, and prepare the
 * commit.  Fails where it refuses one of them by itself. */
bool store_delete_again(struct store *s, const struct model *m, const struct claim *claim,
	const struct disposal *disposals, struct error *e);

/* Fewer rows are not worth a round trip to delete them ahead. */
#define AHEAD_MIN 50

/* Find out, once for a description of the model, whether the server would delete rows of it at all:
 * what has been sent and cannot be deleted is sent again.  A trigger or a foreign key may still
 * refuse a row. */
bool deletions_plan(struct store *s, const struct model *m, struct error *e);

/* Prepare to delete the rows of a claim that do not stay; all, without disposals.  To be freed by
 * deletions_free() in any case. */
bool deletions_prepare(struct store *s, const struct model *m, const struct claim *claim,
	const struct disposal *disposals, struct error *e);
void deletions_free(struct deletions *d);

/* Whether as many rows went as were to: a trigger, a rule or a policy that keeps rows would have
 * them sent again and again. */
bool deletions_check(const struct model *m, const struct deletions *d, struct error *e);

/* Await the answer to what was sent ahead (store_ahead.c). */
bool store_await_deletion(struct store *s, struct error *e);

/* Send the foreseen claim, if there is one and its statement is prepared; and take back what
 * nobody has asked for (store_claim.c).  Where the session is lost it is closed, which is told in
 * its time. */
void store_send_foreseen(struct store *s, const struct model *m);
void store_drop_foreseen(struct store *s);

/* The rest is in store_order.c.  A claim in the model's order. */
bool store_claim_ordered(struct store *s, const struct model *m,
	const struct claim_request *request, struct claim *claim, struct error *e);

/* The claimed rows that do not stay have left the table. */
void ordering_note_left(struct ordering *o, const struct model *m, const struct claim *claim,
	const struct disposal *disposals);

/* Forget what is known of the table. */
void ordering_reset(struct ordering *o);

#endif
