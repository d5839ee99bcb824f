/*
 * ledger - which signals of a burst the broker has stored, and so may be deleted.  Pure: no I/O, no
 * clock, no locks.
 *
 * A burst's messages have slots, numbered from 0.  Each slot gets one verdict, from the broker's
 * report or from a refusal to send it at all.
 */
#ifndef SIGNALBUS_LEDGER_H
#define SIGNALBUS_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order of their weight: the heaviest decides what becomes of the burst. */
enum verdict {
	VERDICT_NONE,     /* not yet */
	VERDICT_STORED,   /* the broker has it */
	VERDICT_UNSENT,   /* kept back, since one before it failed */
	VERDICT_LATE,     /* no answer in time, or lost: the broker may have it or not */
	VERDICT_TOPIC,    /* the topic is missing or forbidden */
	VERDICT_REJECTED, /* the broker will never take it */
};

struct ledger {
	uint64_t burst; /* the burst's number, which tells late reports of another one apart */
	size_t count;
	size_t open; /* slots without a verdict */
	struct entry *entries;
	size_t capacity;
};

struct entry {
	enum verdict verdict;
	char *reason; /* for people; NULL where the verdict says it all */
};

/* Begin the book of a burst of count slots.  A zero-initialised ledger may be begun. */
void ledger_begin(struct ledger *l, uint64_t burst, size_t count);
void ledger_free(struct ledger *l);

/* Note the verdict for a slot, with a copy of reason (may be NULL).  Returns false, changing
 * nothing, where slot is out of range or already has a verdict. */
bool ledger_record(struct ledger *l, size_t slot, enum verdict v, const char *reason);

/* Put what a second attempt has found in the place of a failure: the verdict of slot from_slot in
 * from, with its reason, as it is. */
void ledger_replace(struct ledger *l, size_t slot, const struct ledger *from, size_t from_slot);

/* Whether each slot has a verdict. */
bool ledger_complete(const struct ledger *l);

/* Set deletable[slot] for each slot: stored, and, in order, with all before it stored too.
 * Returns how many they are. */
size_t ledger_deletable(const struct ledger *l, bool in_order, bool *deletable);

/* The slot that decides what becomes of the burst, or count where every slot is stored: the first
 * with the heaviest verdict; in order, the first that is not stored. */
size_t ledger_failure(const struct ledger *l);
size_t ledger_first_failure(const struct ledger *l);

#endif
