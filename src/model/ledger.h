/*
 * ledger - which signals of a burst the broker has stored, so that they may be deleted.  Pure: no
 * I/O, no clock, no locks.
 *
 * The messages of a burst have slots, numbered from 0.  Each slot gets one verdict: from the
 * broker's report, or because the message was not sent.
 */
#ifndef SIGNALBUS_LEDGER_H
#define SIGNALBUS_LEDGER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The later ones are more severe: the most severe verdict is the one that is reported. */
enum verdict {
	VERDICT_NONE,       /* not yet */
	VERDICT_STORED,     /* the broker has stored it */
	VERDICT_UNSENT,     /* held back, because an earlier one failed */
	VERDICT_UNKNOWN,    /* no answer in time, or lost: the broker may or may not have it */
	VERDICT_AWAY,       /* the same, or not sent: the partition's leader is unreachable */
	VERDICT_TOPIC,      /* the topic is missing or forbidden */
	VERDICT_HELD,       /* not sent, because the database refuses to delete its row, or … */
	VERDICT_UNREADABLE, /* … something in the row cannot be read */
	VERDICT_REJECTED,   /* the broker will never accept it */
};

struct ledger {
	uint64_t burst; /* the number of the burst, which identifies late reports of another one */
	size_t count;
	size_t open; /* slots without a verdict */
	struct entry *entries;
	size_t capacity;
};

/* The cause of each VERDICT_UNREADABLE; none of Kafka's error codes. */
#define CAUSE_UNREADABLE INT_MIN

/* Which message caused a VERDICT_REJECTED, which the broker gives to a whole batch. */
enum blame {
	BLAME_SHARED, /* any one of the batch */
	BLAME_LIKELY, /* probably this one, because of its size */
	BLAME_SOLE,   /* this one: it was alone in its batch */
};

struct entry {
	enum verdict verdict;
	int16_t cause; /* of a rejection: Kafka's error code, if several rows may share it; else 0
			*/
	uint8_t blame;
	char *reason; /* for people; NULL if the verdict is sufficient */
};

/* Begin the ledger of a burst of count slots.  It may be zero-initialized. */
void ledger_begin(struct ledger *l, uint64_t burst, size_t count);
void ledger_free(struct ledger *l);

/* Truncate the burst to its first count slots. */
void ledger_truncate(struct ledger *l, size_t count);

/* Record the verdict for a slot, with a copy of reason (may be NULL).  Returns false, changing
 * nothing, if slot is out of range or already has a verdict. */
bool ledger_record(struct ledger *l, size_t slot, enum verdict v, const char *reason);

/* Add the cause and the blame to the verdict of a slot. */
void ledger_explain(struct ledger *l, size_t slot, int cause, enum blame blame);

/* Replace a failure with the result of a second attempt: the verdict of slot from_slot in from,
 * with its reason, unchanged. */
void ledger_replace(struct ledger *l, size_t slot, const struct ledger *from, size_t from_slot);

/* A rejection may be because of others: then it is not known whether the message can be stored. */
void ledger_doubt(struct ledger *l, size_t slot);

/* Whether each slot has a verdict. */
bool ledger_complete(const struct ledger *l);

/* Whether the broker has stored all of them. */
bool ledger_all_stored(const struct ledger *l);

/* Consecutive dead letters of a model, with no stored signal between them, that share a cause. */
struct ledger_run {
	int cause;
	unsigned count;
};

/* After this many, further rows that fail for the same cause stay in the table. */
enum { LEDGER_RUN_MAX = 2 };

/* What happens to a row. */
enum outcome {
	OUTCOME_KEEP,
	OUTCOME_DELETE,      /* the broker has stored it: delete the row */
	OUTCOME_DEAD_LETTER, /* the broker will never accept it: move the row to the dead letters */
	OUTCOME_DEFER,       /* it stays, and is deferred */
};

/* Whether the row leaves the table. */
bool outcome_leaves(enum outcome outcome);

struct row_outcome {
	enum outcome outcome;
	const char *reason; /* OUTCOME_DEAD_LETTER: borrowed from the ledger */
};

struct ledger_rules {
	bool in_order;     /* a row leaves only if all rows before it do, and none leaves after a
			      dead letter, which may be the reason for its rejection */
	bool dead_letters; /* rejected and unreadable rows become dead letters; else they stay */
	struct ledger_run before; /* the dead letters before this burst */
};

/* Whether the rows with the verdict v (VERDICT_REJECTED or VERDICT_UNREADABLE) failed for one
 * shared cause that would affect any row of the model: all of several rows failed for it, or a
 * single one (in order, the first one) and the dead letters before it did.  Rows that failed for a
 * cause of their own, or were not sent, are ignored; so are, in order, rows after the first
 * failure. */
bool ledger_failed_alike(const struct ledger *l, struct ledger_rules rules, enum verdict v);

/* Add the dead letters of a burst to the run. */
void ledger_run_on(struct ledger_run *run, const struct ledger *l, const struct row_outcome *d);

/* Fill d, which has an element for each slot, with the outcome of each row.  Returns how many
 * leave. */
size_t ledger_decide(const struct ledger *l, struct ledger_rules rules, struct row_outcome *d);

/* The slot whose failure is reported, or count if nothing failed: among the rows that stay, the
 * first one with the most severe verdict.  In order it is the first row that stays, preferably one
 * that is not stored, but never one after a dead letter: those only wait for the next burst. */
size_t ledger_failure(
	const struct ledger *l, struct ledger_rules rules, const struct row_outcome *d);

#endif
