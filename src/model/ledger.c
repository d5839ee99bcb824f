#include "model/ledger.h"

#include "base/text.h"

#include <stdlib.h>

static void forget_reasons(struct ledger *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->entries[i].reason);
}

void ledger_begin(struct ledger *l, uint64_t burst, size_t count)
{
	forget_reasons(l);
	if (count > l->capacity) {
		l->entries = memory_resize(l->entries, count, sizeof *l->entries);
		l->capacity = count;
	}
	for (size_t i = 0; i < count; i++)
		l->entries[i] = (struct entry){ .verdict = VERDICT_NONE };
	l->burst = burst;
	l->count = count;
	l->open = count;
}

void ledger_truncate(struct ledger *l, size_t count)
{
	while (l->count > count) {
		const struct entry *last = &l->entries[--l->count];
		l->open -= last->verdict == VERDICT_NONE;
		free(last->reason);
	}
}

void ledger_free(struct ledger *l)
{
	forget_reasons(l);
	free(l->entries);
	*l = (struct ledger){ 0 };
}

bool ledger_record(struct ledger *l, size_t slot, enum verdict v, const char *reason)
{
	if (slot >= l->count || l->entries[slot].verdict != VERDICT_NONE || v == VERDICT_NONE)
		return false;
	l->entries[slot] =
		(struct entry){ .verdict = v, .reason = reason != NULL ? text_copy(reason) : NULL };
	l->open--;
	return true;
}

void ledger_explain(struct ledger *l, size_t slot, int cause, enum blame blame)
{
	l->entries[slot].cause = (int16_t)cause;
	l->entries[slot].blame = (uint8_t)blame;
}

void ledger_replace(struct ledger *l, size_t slot, const struct ledger *from, size_t from_slot)
{
	struct entry *entry = &l->entries[slot];
	const struct entry *better = &from->entries[from_slot];
	if (entry->verdict == VERDICT_NONE || better->verdict == VERDICT_NONE)
		abort(); /* an attempt that is not complete has no result */
	free(entry->reason);
	*entry = *better;
	entry->reason = better->reason != NULL ? text_copy(better->reason) : NULL;
}

void ledger_doubt(struct ledger *l, size_t slot)
{
	if (l->entries[slot].verdict == VERDICT_REJECTED)
		l->entries[slot].verdict = VERDICT_UNKNOWN;
}

bool ledger_complete(const struct ledger *l)
{
	return l->open == 0;
}

bool ledger_all_stored(const struct ledger *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->entries[i].verdict != VERDICT_STORED)
			return false;
	return true;
}

/* The cause of a failure that other rows may share; 0: there is none. */
static int cause_of(const struct entry *entry)
{
	if (entry->verdict == VERDICT_UNREADABLE)
		return CAUSE_UNREADABLE;
	return entry->verdict == VERDICT_REJECTED ? entry->cause : 0;
}

bool ledger_failed_alike(const struct ledger *l, struct ledger_rules rules, enum verdict v)
{
	size_t alike = 0;
	int cause = 0;
	for (size_t i = 0; i < l->count && (alike == 0 || !rules.in_order); i++) {
		const struct entry *entry = &l->entries[i];
		if (entry->verdict != v && entry->verdict < VERDICT_HELD)
			return false;
		if (entry->verdict != v || cause_of(entry) == 0)
			continue; /* says nothing of the others */
		if (alike++ > 0 && cause_of(entry) != cause)
			return false;
		cause = cause_of(entry);
	}
	return alike > 1 ||
	       (alike == 1 && rules.before.cause == cause && rules.before.count >= LEDGER_RUN_MAX);
}

void ledger_run_on(struct ledger_run *run, const struct ledger *l, const struct row_outcome *d)
{
	bool any_stored = false;
	for (size_t i = 0; i < l->count; i++) {
		int cause = cause_of(&l->entries[i]);
		any_stored = any_stored || l->entries[i].verdict == VERDICT_STORED;
		if (d[i].outcome == OUTCOME_DEAD_LETTER && cause != 0)
			*run = (struct ledger_run){ cause,
				run->cause == cause ? run->count + 1 : 1 };
	}
	if (any_stored)
		*run = (struct ledger_run){ 0 };
}

bool outcome_leaves(enum outcome outcome)
{
	return outcome == OUTCOME_DELETE || outcome == OUTCOME_DEAD_LETTER;
}

static enum outcome outcome_of(const struct entry *entry, struct ledger_rules rules)
{
	enum verdict v = entry->verdict;
	if (v == VERDICT_STORED)
		return OUTCOME_DELETE;
	if (!rules.dead_letters || (v != VERDICT_REJECTED && v != VERDICT_UNREADABLE))
		return OUTCOME_KEEP;
	return OUTCOME_DEAD_LETTER;
}

size_t ledger_decide(const struct ledger *l, struct ledger_rules rules, struct row_outcome *d)
{
	size_t leaving = 0;
	bool unbroken = true;
	const bool spares[] = {
		[VERDICT_UNREADABLE] = ledger_failed_alike(l, rules, VERDICT_UNREADABLE),
		[VERDICT_REJECTED] = ledger_failed_alike(l, rules, VERDICT_REJECTED),
	};
	for (size_t i = 0; i < l->count; i++) {
		const struct entry *entry = &l->entries[i];
		enum outcome outcome = outcome_of(entry, rules);
		if (outcome == OUTCOME_DEAD_LETTER && cause_of(entry) != 0 &&
			spares[entry->verdict])
			outcome = OUTCOME_KEEP;
		if (rules.in_order && !unbroken)
			outcome = OUTCOME_KEEP;
		unbroken = unbroken && outcome == OUTCOME_DELETE;
		d[i] = (struct row_outcome){ outcome,
			outcome == OUTCOME_DEAD_LETTER ? entry->reason : NULL };
		leaving += outcome_leaves(outcome);
	}
	return leaving;
}

size_t ledger_failure(
	const struct ledger *l, struct ledger_rules rules, const struct row_outcome *d)
{
	size_t worst = l->count;
	for (size_t i = 0; i < l->count; i++) {
		if (rules.in_order && d[i].outcome == OUTCOME_DEAD_LETTER)
			break;
		if (d[i].outcome != OUTCOME_KEEP)
			continue;
		if (worst == l->count || l->entries[i].verdict > l->entries[worst].verdict)
			worst = i;
		if (rules.in_order && l->entries[worst].verdict != VERDICT_STORED)
			break;
	}
	return worst;
}
